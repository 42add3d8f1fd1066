import type { EpochMs } from "../clock.js";
import type { ErrorCode } from "../errors.js";
import type { Logger } from "../logger.js";
import type { Encoded } from "../values/codec.js";
import type { ErrorRecord } from "../values/error-record.js";
import type {
  ArtifactRecord,
  AssetRecord,
  AttemptRecord,
  CacheEntry,
  DefinitionRecord,
  HistoryKind,
  HistoryKinds,
  KeyedSignal,
  LogRecord,
  MetricRecord,
  NewRun,
  Page,
  PageRequest,
  RunMessage,
  RunRecord,
  RunStatus,
  ScheduleRecord,
  StepRecord,
  TaskRecord,
} from "./records.js";

/** Options every adapter call accepts, always last. */
export interface CallOptions {
  /** Stops waiting: the call rejects with `signal.reason`. What it asked for may still happen. */
  readonly signal?: AbortSignal;
}

/** What a backend can do. The engine decides from here, never from a name or a missing method. */
export interface StorageCapabilities {
  /** Several processes may work on the same data at once. */
  readonly manyProcesses: boolean;
  /** `createRuns` can join a transaction of the host. */
  readonly hostTransactions: boolean;
  /** `listen` exists and gives hints. */
  readonly notify: boolean;
  /** What a call confirmed is still there after the process was killed. */
  readonly durable: boolean;
}

/**
 * Where runs and their history are kept. Implement it to add a database, then run `storageContract()` on it.
 *
 * - Arguments arrive validated and are never changed afterwards: keeping a reference is allowed.
 * - Every method is one atomic change: after a crash it happened or it did not.
 * - Only the owner of a run writes it, and every write names the epoch under which it owns it. Everybody else
 *   leaves a message in the run's inbox.
 * - Moments given by the engine are its own clock's; leases are judged by the store's clock alone.
 */
export interface Storage {
  readonly supports: StorageCapabilities;

  /**
   * Makes the store ready: connects, checks or creates its schema. May be called again after `close()` or a failure.
   * A durable store for one process gives back the runs of every engine that did not release its lease: it is dead.
   */
  open(context: StorageContext): Promise<void>;
  /** Releases every handle; a second call does nothing. Calls that come later reject with `STORAGE_CLOSED`. */
  close(): Promise<void>;

  // Engines

  /**
   * Says that the engine is alive for `leaseMs` from now by the store's clock; the first call registers it.
   *
   * @param leaseMs - In milliseconds, > 0. `Infinity` is passed only where `supports.manyProcesses` is false.
   * @returns The store's clock, and whether the lease had already run out (then others may own its runs).
   */
  renewLease(engineId: string, leaseMs: number, options?: CallOptions): Promise<LeaseState>;
  /** Forgets the engine and gives every run it owns back at once: a graceful stop. */
  releaseLease(engineId: string, options?: CallOptions): Promise<void>;

  // Runs

  /**
   * Creates runs, each on its own, answering in the same order. An id that is known gives the existing run. A key that
   * its pipeline already used gives the existing run when the fingerprints are equal, else a conflict and no change.
   *
   * @param options.tx - The host's open transaction to join, where `supports.hostTransactions`.
   */
  createRuns(
    runs: readonly NewRun[],
    options?: CallOptions & { readonly tx?: unknown },
  ): Promise<readonly CreateResult[]>;
  /**
   * Takes up to `limit` unfinished runs that are due and have no owner with a living lease, each under an epoch one
   * higher: those of the highest priority first, then the oldest. Of a pipeline in `maxActiveRuns` only as many as keep
   * the number of its unfinished runs with an owner, of all engines, within that. No two callers receive the same run.
   * Rejects with `LEASE_LOST` for an engine without a lease.
   */
  claimRuns(request: ClaimRequest, options?: CallOptions): Promise<readonly RunRecord[]>;
  /** The task records of a run's current generations in pages, in the definition's order: with `list("steps")`, all a new owner needs to go on. */
  loadRun(runId: string, page: PageRequest, options?: CallOptions): Promise<Page<TaskRecord>>;
  /**
   * One group commit: the changes of many runs, atomically. A run that the engine does not own under the given epoch is
   * left alone and named in `fenced`; the others are written. For an engine without a lease all of them are fenced. The
   * engine's previous flush id, sent again, changes nothing and gives the answer it gave, `fenced` included. Task,
   * attempt and step records replace what is stored under their identity, cache entries what is stored under their key.
   *
   * A rejected promise counts as `unknown`.
   */
  commit(flush: Flush, options?: CallOptions): Promise<CommitOutcome>;

  // The inbox of a run

  /**
   * Leaves messages, answering in the same order. In the same change `resume` puts a finished run that did not succeed
   * back to `queued`, `rerun` any finished run, and a `cancel` of a whole run makes one that is to start later due at
   * once, so that an engine takes it up and ends it. Refused: `RUN_UNKNOWN`; `RUN_ACTIVE` for the resume or rerun of a
   * run that has not ended; `RUN_FINISHED` for everything else said to a run that has, and for the resume of one that
   * succeeded.
   */
  send(messages: readonly RunMessage[], options?: CallOptions): Promise<readonly SendResult[]>;
  /** Keeps signals until a task waits for their keys. */
  sendSignals(signals: readonly KeyedSignal[], options?: CallOptions): Promise<void>;
  /**
   * The unconsumed messages of all runs the engine owns, oldest first. They stay until a commit consumes them. Before
   * that, in the same change, each keyed signal whose key a task of one of these runs waits for (`TaskRecord.wait`) is
   * moved to that run's inbox, under its own id: the oldest signal to the run that has waited longest, one for each
   * waiting task.
   */
  receive(engineId: string, options?: CallOptions): Promise<readonly RunMessage[]>;
  /** The earliest moment after `now` at which a run may become claimable by itself (a later start, a lease that ends); `undefined`: none known. */
  nextWake(now: EpochMs, options?: CallOptions): Promise<EpochMs | undefined>;
  /**
   * Calls `onHint` when something may have changed. Hints may be lost, doubled or late; polling is the truth.
   *
   * @returns A function that ends the subscription.
   */
  listen?(onHint: (hint: StorageHint) => void): Promise<() => Promise<void>>;

  // History

  getRun(runId: string, options?: CallOptions): Promise<RunRecord | undefined>;
  /** One page of history. A cursor of another listing rejects with `CURSOR_INVALID`. */
  list<Kind extends HistoryKind>(
    kind: Kind,
    query: HistoryKinds[Kind]["query"],
    page: PageRequest,
    options?: CallOptions,
  ): Promise<Page<HistoryKinds[Kind]["record"]>>;
  /** The newest artifact of this name in the run, with its bytes. */
  getArtifact(runId: string, name: string, options?: CallOptions): Promise<ArtifactRecord | undefined>;

  // What outlives runs

  /** The entry under this key that has not expired at `now`. */
  getCached(key: string, now: EpochMs, options?: CallOptions): Promise<CacheEntry | undefined>;
  /** Keeps definitions under their hashes; one that is known stays, and its `graph` is not read. */
  putDefinitions(definitions: readonly DefinitionRecord[], options?: CallOptions): Promise<void>;
  getDefinition(hash: string, options?: CallOptions): Promise<DefinitionRecord | undefined>;

  // Schedules

  schedules(options?: CallOptions): Promise<readonly ScheduleRecord[]>;
  /** Adds schedules, or replaces those of the same id whose `spec` differs; where it is equal the stored one stays. */
  putSchedules(schedules: readonly ScheduleRecord[], options?: CallOptions): Promise<void>;
  /** Moves a schedule from `expected` to `next` and creates its run in one change, or does nothing when another engine was first. */
  fire(request: FireRequest, options?: CallOptions): Promise<"fired" | "lost">;

  /** Deletes a finished run with all its history. `active`: it has not ended, and nothing changed. */
  deleteRun(runId: string, options?: CallOptions): Promise<"deleted" | "active" | "unknown">;
  /** Deletes up to `limit` finished runs that ended before `before`, with all their history. @returns How many. */
  prune(request: { readonly before: EpochMs; readonly limit: number }, options?: CallOptions): Promise<number>;
}

export interface StorageContext {
  readonly log: Logger;
  /** The time by which a store without a server judges leases. */
  readonly now: () => EpochMs;
}

export interface LeaseState {
  readonly now: EpochMs;
  readonly lost: boolean;
}

export type CreateResult =
  | { readonly kind: "created" | "existing"; readonly run: RunRecord }
  | { readonly kind: "conflict"; readonly runId: string };

export interface ClaimRequest {
  readonly engineId: string;
  /** The definitions this engine has; runs of others are left for engines that have them. */
  readonly definitions: readonly string[];
  /** By pipeline id: how many of its runs may be active at once. Pipelines that are not named have no limit. */
  readonly maxActiveRuns: Readonly<Record<string, number>>;
  /** ≥ 1. */
  readonly limit: number;
  /** The engine's clock, for runs that are to start later. */
  readonly now: EpochMs;
}

/** One group commit. */
export interface Flush {
  readonly id: string;
  readonly engineId: string;
  readonly runs: readonly RunChanges[];
}

/** What one flush changes in one run. */
export interface RunChanges {
  readonly runId: string;
  readonly epoch: number;
  /** The run's own new state; a final status also releases the run and empties its inbox. */
  readonly run: RunState | undefined;
  readonly tasks: readonly TaskRecord[];
  readonly attempts: readonly AttemptRecord[];
  readonly logs: readonly LogRecord[];
  readonly metrics: readonly MetricRecord[];
  readonly artifacts: readonly ArtifactRecord[];
  readonly steps: readonly StepRecord[];
  readonly assets: readonly AssetRecord[];
  readonly cached: readonly CacheEntry[];
  /** Ids of the messages that these changes answer. */
  readonly consumed: readonly string[];
}

export interface RunState {
  readonly status: RunStatus;
  readonly startedAt: EpochMs | undefined;
  readonly finishedAt: EpochMs | undefined;
  readonly deadlineAt: EpochMs | undefined;
  readonly error: ErrorRecord | undefined;
  readonly generation: number;
  /** A rerun may give the run other params. */
  readonly params: Encoded;
}

/** What came of a commit. After `unknown` (the reply was lost) the caller sends the same flush, with the same id, again. */
export type CommitOutcome =
  /** Written, but for the runs in `fenced`, which belong to somebody else by now. */
  | { readonly kind: "ok"; readonly fenced: readonly string[] }
  /** Nothing was written, because the store cannot keep these values. */
  | { readonly kind: "rejected"; readonly values: readonly RejectedValue[] }
  | { readonly kind: "unknown"; readonly cause: unknown };

/** A value the store refuses; the task that produced it fails, and nothing else does. */
export interface RejectedValue {
  readonly runId: string;
  readonly task: string;
  readonly index: readonly number[];
  /** Why, for people: becomes part of the task's error. */
  readonly message: string;
}

export type SendResult = { readonly kind: "sent" } | { readonly kind: "refused"; readonly code: ErrorCode };

export interface StorageHint {
  /** `runs`: something may be claimable; `finished`: runs ended; `inbox`: a message waits. */
  readonly topic: "runs" | "finished" | "inbox" | "schedules";
  /** Ids of the runs concerned; empty: any. */
  readonly ids: readonly string[];
}

export interface FireRequest {
  readonly schedule: string;
  readonly expected: EpochMs;
  readonly next: EpochMs | undefined;
  /** The run to create; `undefined` when the instant is passed over. */
  readonly run: NewRun | undefined;
}
