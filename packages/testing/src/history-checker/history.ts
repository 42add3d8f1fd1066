/**
 * What the history checker reads: types only. Ids are text as the engine and the store use them; moments are epoch
 * milliseconds of the clock that is named; values are text as the store keeps it, or a hash of that (see `hashOf`).
 *
 * Four independent logs and some facts make an {@link Evidence}. The history is what the engine made the store keep;
 * the witness is what the task functions saw of themselves, which the engine cannot forge.
 */
import type {
  AttemptRecord,
  CacheEntry,
  HistoryKind,
  RunMessage,
  RunRecord,
  RunStatus,
  ScheduleRecord,
  TaskRecord,
  TriggerRule,
} from "weftline";

/** Everything a check may look at. What is left empty is reported as not checked, never as passed. */
export interface Evidence {
  /**
   * Where the history comes from. `recorded`: by `recordingStorage`, exact and complete. `stored`: by `historyOf`, told
   * afterwards from what is stored; flush ids, epochs and what was replaced since are missing.
   */
  readonly source: "recorded" | "stored";
  /** In the order in which the store took it, `seq` rising. */
  readonly history: readonly HistoryEvent[];
  /** In any order across engines; lines of one attempt in their order. */
  readonly witness: readonly WitnessLine[];
  readonly clients: readonly ClientCall[];
  readonly faults: readonly Fault[];
  /** By definition hash; a run whose definition is missing is checked for what needs no shape. */
  readonly shapes: Readonly<Record<string, Shape>>;
  /** What was stored when all was over, read over a connection of its own; `undefined`: nobody looked. */
  readonly final: FinalState | undefined;
  readonly settings?: Settings;
  /** What only some observers can tell. */
  readonly facts?: Facts;
}

// ---- 1. The history

/** One change that the store took. A call that the store refused, or that changed nothing, is no event. */
export type HistoryEvent =
  | RunCreated
  | RunClaimed
  | StateLoaded
  | Flushed
  | LeaseChanged
  | MessageSent
  | MessageDropped
  | ScheduleSet
  | ScheduleFired
  | RunRemapped
  | RunDeleted;

interface Event {
  /** Rises by at least 1 with each event; comparable with {@link WitnessLine.seq} where that is given. */
  readonly seq: number;
  /**
   * Where the order stood when the call was made that brought it. A store that takes a while may have taken it at any
   * place between the two. Left out: at `seq`.
   */
  readonly since?: number;
  /** The store's clock. */
  readonly at: number;
}

/** By `createRuns` or by `fire`. A known id or key creates nothing, and so is no event. */
export interface RunCreated extends Event {
  readonly type: "created";
  readonly runId: string;
  readonly pipeline: string;
  /** The definition's hash. */
  readonly definition: string;
  readonly params: string;
  readonly key: string | undefined;
  /** Of the params. */
  readonly fingerprint: string;
  readonly parent: { readonly runId: string; readonly task: string; readonly index: readonly number[] } | undefined;
  /** The creating engine's clock, as is `availableAt`. */
  readonly createdAt: number;
  readonly availableAt: number;
  readonly schedule: string | undefined;
  readonly instant: number | undefined;
  /** The engine that owns it from the start, under epoch 1. */
  readonly owner: string | undefined;
}

export interface RunClaimed extends Event {
  readonly type: "claimed";
  readonly runId: string;
  readonly engine: string;
  readonly epoch: number;
  /** The count in the run's record as the claim gave it. */
  readonly crashes: number;
  readonly status: RunStatus;
  /** It was asked for by its id, whatever limits say. */
  readonly isAlone?: boolean;
}

/** What `loadTasks` told a new owner of one run, all pages together. */
export interface StateLoaded extends Event {
  readonly type: "loaded";
  readonly runId: string;
  /** The records of the current generations. */
  readonly tasks: readonly TaskRecord[];
}

/** One group commit. Sent again under its id it is one event still. */
export interface Flushed extends Event {
  readonly type: "flushed";
  /** `undefined` in a history that was told afterwards. */
  readonly flush: string | undefined;
  readonly engine: string;
  /**
   * `ok`: written, but for the runs that are marked as fenced. `rejected`: nothing was written, because of `rejected`.
   * `unknown`: no answer came, not even to one that was sent again: it may be written or not.
   */
  readonly outcome: "ok" | "rejected" | "unknown";
  readonly runs: readonly FlushedRun[];
  readonly rejected: readonly { readonly runId: string; readonly task: string; readonly index: readonly number[] }[];
  /** How often it was sent; 1 as a rule. */
  readonly sends: number;
}

/** What one flush changed in one run. */
export interface FlushedRun {
  readonly runId: string;
  /** `undefined` in a history that was told afterwards. */
  readonly epoch: number | undefined;
  /** Nothing of it was written: the run belongs to somebody else by now. */
  readonly fenced: boolean;
  readonly run: FlushedState | undefined;
  readonly tasks: readonly TaskRecord[];
  readonly attempts: readonly AttemptRecord[];
  /** Steps of tasks that are done with it. */
  readonly steps: readonly {
    readonly task: string;
    readonly index: readonly number[];
    readonly generation: number;
    readonly step: string;
  }[];
  /** Ids of the messages that it answers. */
  readonly consumed: readonly string[];
  /** How many lines of log it holds. */
  readonly logs: number;
  /** Outputs for others to take. Left out: not known. */
  readonly cached?: readonly CacheEntry[];
}

export type FlushedState = Pick<
  RunRecord,
  "status" | "startedAt" | "finishedAt" | "deadlineAt" | "error" | "generation" | "params" | "crashes"
>;

export interface LeaseChanged extends Event {
  readonly type: "lease";
  readonly engine: string;
  /**
   * `registered`: the store did not know the engine. `renewed`: it holds on. `lost`: its own renewal came too late, and
   * it is registered anew, owning nothing. `released`: a stop in order. `died`: somebody noticed that it had run out.
   */
  readonly change: "registered" | "renewed" | "lost" | "released" | "died";
  /** Until when it holds by the store's clock; `undefined` when it does not. */
  readonly until: number | undefined;
  /** The definitions that the engine has. Left out: not known, and taken for all. */
  readonly definitions?: readonly string[];
}

/** A message in a run's inbox, or a signal to a key (`runId` is `undefined` then). */
export interface MessageSent extends Event {
  readonly type: "sent";
  readonly id: string;
  readonly runId: string | undefined;
  readonly message: RunMessage["kind"];
  /** Of a cancel: the task, `undefined` for the whole run. Of a signal: the task it is for. */
  readonly task: string | undefined;
  /** Of a rerun. */
  readonly tasks?: readonly string[];
  readonly key?: string;
}

/** Schedules that were stored or replaced by `putSchedules`. One that stayed as it was is no event. */
export interface ScheduleSet extends Event {
  readonly type: "scheduled";
  readonly schedule: ScheduleRecord;
}

export interface ScheduleFired extends Event {
  readonly type: "fired";
  readonly schedule: string;
  readonly expected: number;
  readonly next: number | undefined;
  /** `undefined`: the instant was passed over. */
  readonly runId: string | undefined;
  /** The instant the run stands for: later than `expected` when some were missed. */
  readonly instant: number | undefined;
}

/** A key's messages that were deleted with old history. */
export interface MessageDropped extends Event {
  readonly type: "dropped";
  readonly ids: readonly string[];
}

export interface RunRemapped extends Event {
  readonly type: "remapped";
  readonly runId: string;
  readonly engine: string;
  readonly epoch: number;
  readonly definition: string;
  readonly tasks: readonly { readonly from: number; readonly position: number; readonly task: string }[];
}

export interface RunDeleted extends Event {
  readonly type: "deleted";
  readonly runId: string;
  /** It was old, with others. Left out: somebody asked for this one to go. */
  readonly isPruned?: boolean;
}

// ---- 2. The witness

/** One line that a task function wrote about itself. Everything but the first five may be unknown to it. */
export interface WitnessLine {
  readonly runId: string;
  readonly task: string;
  readonly index: readonly number[];
  readonly attempt: number;
  /**
   * `start` and `end` stand around the function, `end` also when it throws; a killed one has no `end`. `effect`: something
   * outside happened; of lines with `deduplicated: true` one per {@link key} is allowed.
   */
  readonly phase: "start" | "effect" | "end";
  /** The observer's clock: one clock for all lines and for the fault log. See {@link Settings.skewMs}. */
  readonly at: number;
  /** Place in the order of the history (`recordingStorage`'s `sequence`); decides before `at` where both have it. */
  readonly seq?: number;
  /** The generation; left out: it is told from {@link key}, or else must be the run's only one. */
  readonly generation?: number;
  /** The attempt's idempotency key. */
  readonly key?: string;
  /** Who ran it, under the name that the fault log uses: of an engine, or of a process. See {@link Facts.engines}. */
  readonly engine?: string;
  /** Tells executions apart that are alike in all else; the process's id by default. */
  readonly execution?: string;
  readonly epoch?: number;
  /** Of `end`: hash of the output's stored text at the moment of return. */
  readonly outputHash?: string;
  /** Of `end`: it returned, threw, or was told to stop. Left out: it returned. */
  readonly outcome?: "returned" | "threw" | "aborted";
  /** Of `end` when it threw: a token that its error's message has to contain. */
  readonly errorToken?: string;
  /** Of `start`: by name of a need the hash of what was read. */
  readonly inputHashes?: Readonly<Record<string, string>>;
  /** Of `start` of an item: hash of the item. */
  readonly itemHash?: string;
  /** Of `effect`: the other side drops a second one with the same key. */
  readonly deduplicated?: boolean;
  /** Whether the engine's lease surely held by its own monotonic clock, in milliseconds left, when the function began. */
  readonly leaseLeftMs?: number;
}

// ---- 3. The clients

/** One call of the API, in Jepsen's form. */
export interface ClientCall {
  readonly operation:
    | "trigger"
    | "cancel"
    | "resume"
    | "rerun"
    | "pause"
    | "unpause"
    | "signal"
    | "delete"
    | "prune"
    | "remap"
    | "result"
    | "stop";
  /** The observer's clock. */
  readonly invokedAt: number;
  /** `undefined`: it never returned. */
  readonly returnedAt: number | undefined;
  /** `unknown`: it may or may not have happened. `fail`: it surely did not. */
  readonly outcome: "ok" | "fail" | "unknown";
  /** Of every operation on a run. Of a trigger: the id it answered with, `undefined` unless it is `ok`. */
  readonly runId?: string | undefined;
  /** Of a trigger. */
  readonly pipeline?: string;
  readonly key?: string | undefined;
  /** Of a trigger: tells params apart; equal text means equal params. */
  readonly params?: string;
  /** Of a cancel or a signal: the task it is for. */
  readonly task?: string | undefined;
  /** The error's code when it failed. */
  readonly code?: string;
  /** Of `stop`: what was left behind. */
  readonly left?: StopLeftovers;
  /** Of `stop`: the time it was given, in milliseconds. */
  readonly graceMs?: number;
  /** The engine or process it was made in, under the name that the fault log uses; of `stop`: the one that stopped. */
  readonly engine?: string;
  /** Calls with the same number are tries at one operation. */
  readonly intent?: string;
}

export interface StopLeftovers {
  readonly exitCode?: number | null;
  readonly processes?: number;
  readonly threads?: number;
  readonly sockets?: number;
  readonly timers?: number;
}

// ---- 4. The faults

/** Something that was done to the world. */
export interface Fault {
  readonly kind: /** It is gone, having released nothing. */
    | "kill"
    /** It stood still: SIGSTOP, a suspended machine, a long collection. */
    | "pause"
    /** Its event loop was blocked. */
    | "block"
    /** It and the store could not reach each other. */
    | "partition"
    /** A wall clock jumped, by `byMs`. */
    | "clock-step"
    /** The store failed before it did anything. */
    | "storage-error"
    /** The store did it, and the answer was lost. */
    | "lost-reply"
    /** The store took long, or never answered. */
    | "storage-slow"
    /** The store did it after it had been reported as failed. */
    | "late-call"
    /** The store refused a value. */
    | "rejected-value"
    /** The store itself was away. */
    | "store-down"
    /** Hints of the store (NOTIFY) were held back. */
    | "no-hints"
    /** A stop in order. */
    | "stop"
    /** An engine with other definitions took its place. */
    | "deploy";
  /** Whose; `undefined`: everybody's. */
  readonly engine: string | undefined;
  /** The observer's clock. A kill, and whatever takes no time, ends when it begins. */
  readonly from: number;
  /** `undefined`: it never ended. */
  readonly to: number | undefined;
  readonly byMs?: number;
  /** The storage method concerned. */
  readonly call?: string;
}

// ---- 5. Shapes

/** A pipeline's structure, as far as it says what may happen. */
export interface Shape {
  readonly pipeline: string;
  readonly hash: string;
  readonly failWhen: "any" | "leaves";
  readonly failFast: boolean;
  readonly timeoutMs: number | undefined;
  /** By position. */
  readonly tasks: readonly TaskShape[];
}

export interface TaskShape {
  readonly id: string;
  readonly kind: "task" | "map" | "branch" | "group" | "run" | "sleep" | "poll" | "signal" | "check";
  /** It runs once for each item of a list (a map, or a mapped group). */
  readonly mapped: boolean;
  /** What has to end before it; an edge into or out of a group is one of the group. */
  readonly upstream: readonly UpstreamShape[];
  /** What it reads, by name. */
  readonly needs: readonly { readonly name: string; readonly task: string }[];
  /** Where its list comes from; `undefined` when the list is part of the definition. */
  readonly over: string | undefined;
  readonly rule: TriggerRule;
  /** The group it stands in. */
  readonly group: string | undefined;
  /** It cleans up: runs when what it needs succeeded, also in a run that is being ended. */
  readonly teardown: boolean;
  readonly failRun: boolean;
  readonly allowFailure: boolean;
  /** It may be skipped before it starts because its condition says so. */
  readonly conditional: boolean;
  /** Its output may come from the cache. */
  readonly cached: boolean;
  readonly retry: RetryShape;
  readonly timeoutMs: number | undefined;
  readonly totalTimeoutMs: number | undefined;
  /** How many of its attempts may run at once: of a task in one engine, of a map's items in one run. `undefined`: no limit, or one by key. */
  readonly concurrency: number | undefined;
  readonly pool: string | undefined;
  readonly slots: number;
}

export interface UpstreamShape {
  readonly task: string;
  /** The choices of a branch under which the edge holds; `undefined`: always. */
  readonly choices: readonly string[] | undefined;
}

/** `undefined` figures of a shape that was read from a stored definition are not known: what needs them is not checked. */
export interface RetryShape {
  readonly attempts: number | undefined;
  readonly delayMs: number | undefined;
  readonly backoff: "fixed" | "linear" | "exponential" | undefined;
  readonly maxDelayMs: number | undefined;
  readonly jitter: "full" | "none" | undefined;
  readonly whileAbandoned: boolean;
}

// ---- 6. Facts and settings

/** What was stored in the end. */
export interface FinalState {
  /** The store's clock when it was read. */
  readonly at: number;
  readonly runs: readonly FinalRun[];
  /** What is left of runs that were deleted. Left out: nobody looked. */
  readonly remains?: readonly { readonly runId: string; readonly kind: HistoryKind; readonly records: number }[];
}

export interface FinalRun {
  readonly run: RunRecord;
  /** The records of all generations; or, with `allGenerations: false`, of the current ones. */
  readonly tasks: readonly TaskRecord[];
  readonly attempts: readonly AttemptRecord[];
  readonly allGenerations: boolean;
  /** How many lines of log; `undefined`: nobody counted. */
  readonly logs: number | undefined;
}

/** What the engines were told, and what bounds may be taken for granted. Milliseconds. */
export interface Settings {
  /** Default 10,000. */
  readonly leaseMs?: number;
  /** Default 2,000. */
  readonly pollMs?: number;
  /** Between any two of the clocks that appear. Default 0: they are one. */
  readonly skewMs?: number;
  /** The longest a task body runs without a fault. Default 0. */
  readonly workMs?: number;
  /** How long a change may take to be durable outside of faults, from the end of a task. Default 5,000. */
  readonly flushMs?: number;
  /** Crashes after which a run is quarantined. Default 3. */
  readonly quarantineAfter?: number;
  /** How many attempts an engine may run at once; `undefined`: not checked. */
  readonly concurrency?: number;
  /** Slots of each pool, in each engine. */
  readonly pools?: Readonly<Record<string, number>>;
  /** When faults stopped and the world was healed, by the observer's clock. Liveness is checked from there on. */
  readonly healedAt?: number;
  /** When the observer stopped looking. Default: the last moment in the evidence. */
  readonly until?: number;
  /** How long all work that was left may take after healing, beyond lease and poll. Default 60,000. */
  readonly settleMs?: number;
  /** By schedule: at most so many of its runs may be active at once. */
  readonly overlap?: Readonly<Record<string, number>>;
  /** By pipeline: so many of its unfinished runs may have an owner when another is claimed. */
  readonly maxActiveRuns?: Readonly<Record<string, number>>;
  /** By schedule: at most so many runs may be made for instants that were missed. Default 1: the latest. */
  readonly catchUp?: Readonly<Record<string, number>>;
  /** How much longer than its share of time a ready task may wait for a slot, in milliseconds. Default: `settleMs`. */
  readonly starvationMs?: number;
}

/** What only some observers can tell. */
export interface Facts {
  /** By engine id in the history: its name in the witness and fault logs. Default: the id itself. */
  readonly engines?: Readonly<Record<string, string>>;
  /** By run: a token that is part of its params, and so may occur in this run only. */
  readonly tokens?: Readonly<Record<string, string>>;
  /** What must not occur anywhere in what is stored, logged, answered or passed on. */
  readonly secrets?: readonly string[];
  /** Other text that was written where a secret must not be: logs, answers, arguments of child processes. */
  readonly texts?: readonly { readonly where: string; readonly text: string }[];
  /** By schedule: all instants that a reference enumeration finds in the time that was looked at, rising. */
  readonly instants?: Readonly<Record<string, readonly number[]>>;
  /** Runs that were made after the last fault, one for each engine, to see that it still works. */
  readonly probes?: readonly { readonly engine: string; readonly runId: string }[];
  /** Runs that take their engine down each time. */
  readonly poison?: readonly string[];
  /** Text that makes the store refuse a value; no other value may be refused. */
  readonly refused?: readonly string[];
  /** The definitions that engines which live in the end have; a run of another may wait. */
  readonly definitions?: readonly string[];
  /** Engines that lived when the observer stopped looking, by the name that the fault log uses. */
  readonly alive?: readonly string[];
}
