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
 * An open transaction of the host, as far as `createRuns` uses it. A client of `pg` fits as it is; for a query builder
 * two lines do.
 */
export interface HostTransaction {
  /** Runs one statement inside the transaction. @param sql - With parameters written as `$1`, each used once. */
  query(sql: string, parameters: readonly unknown[]): Promise<{ readonly rows: readonly unknown[] }>;
  /** Calls back once the transaction is committed, so that its runs start at once; without it a poll finds them. */
  afterCommit?(callback: () => void): void;
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

  /** The schema the adapter keeps its data in, where it has versions; what `weftline migrate` works with. */
  readonly schema?: StorageSchema;

  // Engines

  /**
   * Says that the engine is alive for `leaseMs` from now by the store's clock, and registers an engine that the store
   * does not know. The lease is *lost* when it had run out, and in a renewal (`isNew: false`) also when the store does
   * not know the engine (any more), as then it died before: it is registered anew, and owns nothing.
   *
   * An engine dies when its lease has run out and somebody notices (this call, `claimRuns`): every run it owns is given
   * back, and those that were `running` count one more crash. From then on nothing it wrote under is valid.
   */
  renewLease(request: LeaseRequest, options?: CallOptions): Promise<LeaseState>;
  /**
   * Renews the lease from now on by itself, from where a blocked event loop of this process does not stop it. Where it
   * is missing, the engine renews by timers of its own.
   */
  holdLease?(request: HoldLeaseRequest): Promise<LeaseHolder>;
  /** Forgets the engine and gives every run it owns back at once: a graceful stop, which counts as no crash. */
  releaseLease(engineId: string, options?: CallOptions): Promise<void>;

  // Runs

  /**
   * Creates runs, each on its own, answering in the same order. An id that is known gives the existing run. A key that
   * its pipeline already used gives the existing run when the fingerprints are equal, else a conflict and no change.
   *
   * Rejects with `LEASE_LOST`, and creates none, when an engine that is to own one has no lease.
   *
   * @param options.tx - The host's open transaction to join, where `supports.hostTransactions`; its runs have no owner.
   */
  createRuns(
    runs: readonly NewRun[],
    options?: CallOptions & { readonly tx?: HostTransaction | undefined },
  ): Promise<readonly CreateResult[]>;
  /**
   * Takes up to `limit` unfinished runs that are due and have no owner with a living lease, each under an epoch one
   * higher: those that have begun (whose status is not `queued`) before all others, so that a lost engine's runs go on
   * before new ones begin; then those of the highest priority, then the oldest. Of a pipeline in `maxActiveRuns` only as
   * many as keep the number of its unfinished runs with an owner, of all engines, within that. No two callers receive
   * the same run.
   * Before that, engines whose lease has run out die (see `renewLease`). Rejects with `LEASE_LOST` for an engine without
   * a lease.
   */
  claimRuns(request: ClaimRequest, options?: CallOptions): Promise<readonly RunRecord[]>;
  /**
   * The task records of the current generations of some runs (1 to 1,000 ids, each once), in pages: run after run, in
   * the order of the ids, within each in the definition's order. With `loadSteps`, all a new owner needs to go on.
   */
  loadTasks(runIds: readonly string[], page: PageRequest, options?: CallOptions): Promise<Page<TaskRecord>>;
  /** The steps of some runs, in the order of the ids and as they were written. */
  loadSteps(runIds: readonly string[], page: PageRequest, options?: CallOptions): Promise<Page<StepRecord>>;
  /**
   * One group commit: the changes of many runs, atomically. A run that the engine does not own under the given epoch is
   * left alone and named in `fenced`; the others are written. For an engine without a lease all of them are fenced. The
   * engine's previous flush id, sent again, changes nothing and gives the answer it gave, `fenced` included. One with a
   * lower number than the engine's last comes too late, as a request may be carried out long after its connection broke
   * and others were made: it changes nothing, and all its runs are fenced. Task, attempt and step records replace what is
   * stored under their identity, cache entries what is stored under their key.
   *
   * A rejected promise counts as `unknown`. `rejected` is for values that this store will never keep; {@link findRejected}
   * helps to tell which they are when a database refuses the whole batch.
   */
  commit(flush: Flush, options?: CallOptions): Promise<CommitOutcome>;
  /**
   * Moves a run that the engine owns under the given epoch to another definition: the records, attempts, steps and lines
   * of each task in `tasks` go to its new place and id, those of all others are deleted. `fenced`: nothing was changed. A
   * run that is of this definition already has been moved, and is left as it is.
   */
  remapRun(request: RemapRequest, options?: CallOptions): Promise<"moved" | "fenced">;

  // The inbox of a run

  /**
   * Leaves messages, answering in the same order. In the same change `resume` puts a finished run that did not succeed
   * back to `queued` with no crashes, `rerun` any finished run likewise, and a `cancel` of a whole run makes one that is to start later due at
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
  /**
   * What there is to do for an engine: the one question that an idle engine asks again and again, so it has to be cheap.
   * Nothing is changed by it.
   */
  look(request: LookRequest, options?: CallOptions): Promise<Look>;
  /**
   * Calls `onHint` when something may have changed. Hints may be lost, doubled or late; polling is the truth.
   *
   * @returns A function that ends the subscription.
   */
  listen?(onHint: (hint: StorageHint) => void): Promise<() => Promise<void>>;

  // History

  getRun(runId: string, options?: CallOptions): Promise<RunRecord | undefined>;
  /** Which of these runs have ended, or are not there (any more). */
  endedAmong(runIds: readonly string[], options?: CallOptions): Promise<readonly string[]>;
  /** What is going on, for people and probes: may read more than other calls do. */
  survey(request: { readonly now: EpochMs }, options?: CallOptions): Promise<Survey>;
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
  /**
   * Deletes up to `limit` finished runs that ended before `before`, with all their history: none whose parent or child
   * has not ended, and a parent never before its children. With them go cache entries that expired, and keyed signals
   * that were sent, before that moment.
   *
   * @returns How many runs.
   */
  prune(request: { readonly before: EpochMs; readonly limit: number }, options?: CallOptions): Promise<number>;
}

export interface StorageContext {
  readonly log: Logger;
  /** The time by which a store without a server judges leases. */
  readonly now: () => EpochMs;
}

export interface LeaseRequest {
  readonly engineId: string;
  /** In milliseconds, > 0. `Infinity` is passed only where `supports.manyProcesses` is false. */
  readonly leaseMs: number;
  /** The engine begins: it is no wonder that the store does not know it. `false`: a renewal. */
  readonly isNew: boolean;
  /** The definitions this engine has. */
  readonly definitions: readonly string[];
}

export interface LeaseState {
  /** The store's clock. */
  readonly now: EpochMs;
  /** The lease had run out: what the engine owned before is not its own any more. */
  readonly lost: boolean;
}

export interface HoldLeaseRequest extends Omit<LeaseRequest, "isNew"> {
  /** How often the lease is renewed, in milliseconds. */
  readonly everyMs: number;
  /** After the event loop of this process has not turned for so long, the lease is left to run out: it is wedged. */
  readonly maxBlockedMs: number;
  /** Called on this process's event loop after each renewal, and after each that failed. */
  readonly onRenewal: (renewal: Renewal) => void;
}

/**
 * How one renewal went. `doubtful`: it was renewed, but one before it had no answer, and the lease as far as it was known
 * had run out meanwhile: that answer may have said that the lease was lost.
 */
export type Renewal =
  | { readonly kind: "renewed" | "lost" | "doubtful"; readonly storeNow: EpochMs; readonly at: EpochMs }
  | { readonly kind: "failed"; readonly error: unknown };

export interface LeaseHolder {
  /** For how much longer the lease surely holds, in milliseconds: counted from when its last renewal was sent, by a clock that never goes back. 0 or less: it may have run out. */
  remainingMs(): number;
  /** How often the lease has been lost so far, known without waiting for `onRenewal`. */
  losses(): number;
  /** Renews no more; the lease is left as it is. */
  stop(): Promise<void>;
}

export interface LookRequest {
  readonly engineId: string;
  readonly definitions: readonly string[];
  /** The engine's clock, for runs that are to start later. */
  readonly now: EpochMs;
}

export interface Look {
  /** The store's clock. */
  readonly storeNow: EpochMs;
  /** `claimRuns` may find something: a free run that is due, or an engine whose lease has run out. It may also be in vain. */
  readonly claimable: boolean;
  /** `receive` may find something. */
  readonly messages: boolean;
  /** The earliest moment after `now` at which a run may become claimable by itself (a later start, a lease that ends); `undefined`: none known. */
  readonly nextWake: EpochMs | undefined;
}

export interface RemapRequest {
  readonly engineId: string;
  readonly runId: string;
  readonly epoch: number;
  /** The hash of the definition the run belongs to from now on. */
  readonly definition: string;
  /** Of each task that is kept: where it was, and what it is now. */
  readonly tasks: readonly { readonly from: number; readonly position: number; readonly task: string }[];
}

export interface Survey {
  /** The store's clock. */
  readonly storeNow: EpochMs;
  readonly engines: readonly EngineRecord[];
  /** Unfinished runs without an owner that are due, of definitions that a living engine has. `oldestAt`: since when the one that has been due longest is. */
  readonly backlog: { readonly runs: number; readonly oldestAt: EpochMs | undefined };
  /** Unfinished runs without an owner whose definition no living engine has. */
  readonly unadoptable: readonly UnadoptableRuns[];
}

export interface EngineRecord {
  readonly id: string;
  /** By the store's clock. */
  readonly leaseUntil: EpochMs;
  readonly definitions: readonly string[];
  /** How many unfinished runs it owns. */
  readonly runs: number;
}

/** Runs that have to wait for an engine that has their definition. */
export interface UnadoptableRuns {
  readonly pipeline: string;
  readonly definition: string;
  readonly runs: number;
  /** The oldest of them, 10 at the most. */
  readonly runIds: readonly string[];
}

/** Where an adapter keeps its data in a schema that has versions. Usable before `open()`. */
export interface StorageSchema {
  /** The version this adapter works with. */
  readonly version: number;
  /** The version that is there; 0: none. */
  current(): Promise<number>;
  /** The steps from a version to the newest one, as text that people can run themselves. */
  statements(from: number): readonly SchemaStep[];
  /** Brings the schema to the newest version. Safe to call from many processes at once, and after a kill at any point. @returns The steps that were made. */
  migrate(): Promise<readonly SchemaStep[]>;
  /** Releases what these calls opened, where the storage itself is not open. */
  close(): Promise<void>;
}

export interface SchemaStep {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
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
  /** Runs that have as many crashes, or more, are suspects: they may be what takes engines down. ≥ 1. */
  readonly suspectFrom: number;
  /** Of those, at most so many are taken, the ones with the fewest crashes first; ≥ 0. */
  readonly suspects: number;
  /** This run alone, whatever its definition, its time and `maxActiveRuns` say, if nobody owns it. */
  readonly runId?: string | undefined;
  /** The engine's clock, for runs that are to start later. */
  readonly now: EpochMs;
}

/** One group commit. */
export interface Flush {
  readonly id: string;
  /** Rises with each flush of the engine, from 1; one that is sent again keeps it. */
  readonly number: number;
  readonly engineId: string;
  /** Each run once. */
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
  /** Back to 0 when the run makes progress under an owner that lives. */
  readonly crashes: number;
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
