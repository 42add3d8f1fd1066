/**
 * What storage keeps. Every property is always present (`undefined` where it has no value), so that rows of one kind
 * have one shape. Values that users produced are {@link Encoded} text; storage never looks inside them.
 */
import type { EpochMs } from "../clock.js";
import type { Encoded } from "../values/codec.js";
import type { ErrorRecord } from "../values/error-record.js";

export const RUN_STATUSES = [
  "queued",
  "running",
  "waiting",
  "paused",
  "succeeded",
  "failed",
  "cancelled",
  "quarantined",
] as const;
/** Where a run stands; `succeeded`, `failed`, `cancelled` and `quarantined` are final until somebody resumes it. */
export type RunStatus = (typeof RUN_STATUSES)[number];

export const TASK_STATUSES = [
  "pending",
  "ready",
  "running",
  "retrying",
  "waiting",
  "succeeded",
  "failed",
  "skipped",
  "upstream-failed",
  "cancelled",
] as const;
/** Where a task (or one item of a map) stands in its run. */
export type TaskStatus = (typeof TASK_STATUSES)[number];

/** How one attempt ended; `abandoned`: its code did not stop when told to and may still be running. */
export type AttemptStatus = "running" | "succeeded" | "failed" | "skipped" | "cancelled" | "abandoned";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** True for the statuses a run does not leave by itself. */
export function isRunFinished(status: RunStatus): boolean {
  return status === "succeeded" || status === "failed" || status === "cancelled" || status === "quarantined";
}

/** A run to create. The engine has validated and encoded everything. */
export interface NewRun {
  readonly id: string;
  readonly pipeline: string;
  /** The definition's structural hash; only engines that have it may own the run. */
  readonly definition: string;
  readonly params: Encoded;
  /** Idempotency key, unique within its pipeline for as long as the run is kept. */
  readonly key: string | undefined;
  /** Canonical hash of the params: equal key and equal fingerprint mean the same request. */
  readonly fingerprint: string;
  readonly tags: readonly string[];
  /** Runs with a higher one are claimed, and their tasks started, first. Any whole number; 0 by default. */
  readonly priority: number;
  /** The task of another run that started this one and waits for it. */
  readonly parent: ParentTask | undefined;
  readonly createdAt: EpochMs;
  /** Not to be started before this moment. */
  readonly availableAt: EpochMs;
  /** The schedule and the instant this run stands for. */
  readonly schedule: string | undefined;
  readonly instant: EpochMs | undefined;
  /** The engine that owns it from the start under epoch 1; `undefined`: whoever claims it first. */
  readonly owner: string | undefined;
}

/** The task, or item of a map, that started a run of its own. */
export interface ParentTask {
  readonly runId: string;
  readonly task: string;
  readonly index: readonly number[];
}

export interface RunRecord extends NewRun {
  readonly status: RunStatus;
  /** 1, and one more with each rerun, each retry of a group of tasks, and each resume that sets up what was torn down. */
  readonly generation: number;
  /** Rises by one with every change of owner; 0 before the first. Writes under an older epoch are refused. */
  readonly epoch: number;
  /** How often its engine died while the run was `running`, since it last made progress. */
  readonly crashes: number;
  readonly startedAt: EpochMs | undefined;
  readonly finishedAt: EpochMs | undefined;
  /** When the run's own timeout ends it. */
  readonly deadlineAt: EpochMs | undefined;
  /** Why the run as a whole ended as it did, beyond what its tasks say. */
  readonly error: ErrorRecord | undefined;
}

/** What a `waiting` task waits for. */
export type Wait =
  | { readonly kind: "sleep"; readonly until: EpochMs }
  /** @property probes - How often it looked, so far in vain. */
  | { readonly kind: "poll"; readonly until: EpochMs; readonly probes: number }
  /** @property key - What a sender may address instead of the run. */
  | { readonly kind: "signal"; readonly key: string | undefined }
  /** A run of another pipeline. @property params - What it was started with. */
  | { readonly kind: "run"; readonly runId: string; readonly params: Encoded };

/**
 * One task of a run, or one item of a map. Its identity is position, index and generation; what people see, and a new
 * owner loads, are the records of each task's current generation: the newest there is for its position and the first
 * part of its index.
 */
export interface TaskRecord {
  readonly runId: string;
  readonly task: string;
  /** The task's place in its definition, from 0; records of a run are listed in this order. */
  readonly position: number;
  /** Empty for a task; `[3]` for the fourth item of a map; one more number per nesting. */
  readonly index: readonly number[];
  /** The run's generation in which the task was opened: 1 unless it was opened anew by a rerun, its group's retry, or as what a teardown had taken down. */
  readonly generation: number;
  readonly status: TaskStatus;
  /** How many attempts have begun in this generation. */
  readonly attempts: number;
  /** The attempts before the last resume; the retry policy counts from here. */
  readonly attemptsBefore: number;
  /** When the first attempt since then began. */
  readonly startedAt: EpochMs | undefined;
  readonly finishedAt: EpochMs | undefined;
  /** When the next attempt is due, while `retrying`. */
  readonly retryAt: EpochMs | undefined;
  /** What it waits for, while `waiting`; kept of a run that was started, so that a resume goes on with that. */
  readonly wait: Wait | undefined;
  readonly output: Encoded | undefined;
  readonly error: ErrorRecord | undefined;
  /** Why it was skipped or cancelled, in words. */
  readonly reason: string | undefined;
  /** What was not as expected although it succeeded, in words. */
  readonly warning: string | undefined;
  /** The run whose output was taken from the cache instead of running the task. */
  readonly cachedFrom: string | undefined;
  /** How many items a map was expanded to; `undefined` for other tasks and before the expansion. */
  readonly items: number | undefined;
  /** The list a map was expanded to, kept only where its source may change: a map of which some items had failed. */
  readonly list: Encoded | undefined;
}

export interface AttemptRecord {
  readonly runId: string;
  readonly task: string;
  readonly position: number;
  readonly index: readonly number[];
  /** See `TaskRecord.generation`. */
  readonly generation: number;
  /** 1, 2, 3 … without gaps within a generation, also across resumes. */
  readonly attempt: number;
  readonly status: AttemptStatus;
  readonly executor: string;
  readonly engineId: string;
  readonly startedAt: EpochMs;
  readonly finishedAt: EpochMs | undefined;
  readonly error: ErrorRecord | undefined;
}

/** What ties a line of history to the attempt that wrote it. */
interface FromAttempt {
  readonly runId: string;
  readonly task: string;
  readonly index: readonly number[];
  readonly generation: number;
  readonly attempt: number;
  readonly at: EpochMs;
}

export interface LogRecord extends FromAttempt {
  readonly level: LogLevel;
  readonly message: string;
  readonly data: Encoded | undefined;
}

export interface MetricRecord extends FromAttempt {
  readonly name: string;
  readonly value: number;
}

/** A file a task made, without its bytes. */
export interface ArtifactInfo extends FromAttempt {
  readonly name: string;
  readonly contentType: string;
  /** Length in bytes. */
  readonly size: number;
}

export interface ArtifactRecord extends ArtifactInfo {
  readonly data: Uint8Array;
}

/** A step of a task that is done; a later attempt of the same generation takes its output instead of doing it again. */
export interface StepRecord extends FromAttempt {
  /** Unique within its task or item and generation. */
  readonly step: string;
  readonly startedAt: EpochMs;
  readonly output: Encoded;
}

/** A task succeeded that declares to produce this. */
export interface AssetRecord extends FromAttempt {
  readonly asset: string;
}

/** An output that later runs may take instead of running the task. */
export interface CacheEntry {
  /** Names pipeline, task and what the task called the same work. */
  readonly key: string;
  readonly output: Encoded;
  /** The run that produced it. */
  readonly runId: string;
  /** From this moment on it is as good as gone. */
  readonly expiresAt: EpochMs;
}

/** A definition as it was when runs were made with it. */
export interface DefinitionRecord {
  readonly hash: string;
  readonly pipeline: string;
  /** The graph: a value that `describePipeline` made, encoded. */
  readonly graph: Encoded;
}

/** What somebody says to a run. It waits in the run's inbox until the owner applies and consumes it in one commit. */
export type RunMessage = {
  readonly id: string;
  readonly runId: string;
  readonly sentAt: EpochMs;
} & (
  | {
      readonly kind: "cancel";
      /** `undefined`: the whole run. */
      readonly task: string | undefined;
      /** One item of the task; empty: all of it. */
      readonly index: readonly number[];
      /** With everything that depends on it, whatever its rule. */
      readonly downstream: boolean;
      readonly reason: string | undefined;
    }
  | { readonly kind: "resume" }
  | {
      readonly kind: "rerun";
      readonly tasks: readonly string[];
      /** With everything that depends on them. */
      readonly downstream: boolean;
      /** The run's params from now on; `undefined`: as they were. */
      readonly params: Encoded | undefined;
    }
  | { readonly kind: "pause" }
  | { readonly kind: "unpause" }
  | {
      readonly kind: "signal";
      /** The signal task it is for, or the key it was sent to. */
      readonly to: { readonly task: string } | { readonly key: string };
      readonly payload: Encoded;
    }
);
export type RunMessageKind = RunMessage["kind"];

/** A signal for whichever task waits for its key, now or later. */
export interface KeyedSignal {
  readonly id: string;
  readonly key: string;
  readonly payload: Encoded;
  readonly sentAt: EpochMs;
}

/** A pipeline's schedule and where it stands. */
export interface ScheduleRecord {
  readonly id: string;
  readonly pipeline: string;
  /** The schedule in words people read, e.g. `0 2 * * * Europe/Berlin`. A change of it restarts the enumeration. */
  readonly spec: string;
  /** The next instant to fire; `undefined`: never again. */
  readonly nextAt: EpochMs | undefined;
  readonly lastAt: EpochMs | undefined;
}

/** The history that `list` can page through, and what each record and query looks like. */
export interface HistoryKinds {
  /** Newest first. */
  runs: { record: RunRecord; query: RunQuery };
  /** In the definition's order, items in theirs, of the current generations unless the query names one. Tasks nothing happened to yet have no record. */
  tasks: { record: TaskRecord; query: TaskQuery };
  /** By task in the definition's order, then by generation and attempt. */
  attempts: { record: AttemptRecord; query: AttemptQuery };
  /** In the order they were written. */
  logs: { record: LogRecord; query: LogQuery };
  metrics: { record: MetricRecord; query: MetricQuery };
  artifacts: { record: ArtifactInfo; query: ArtifactQuery };
  steps: { record: StepRecord; query: StepQuery };
  assets: { record: AssetRecord; query: AssetQuery };
}
export type HistoryKind = keyof HistoryKinds;

/** Filters combine with "and"; a list of values means any of them. */
export interface RunQuery {
  readonly pipeline?: string;
  readonly status?: readonly RunStatus[];
  readonly key?: string;
  /** Runs that carry this tag. */
  readonly tag?: string;
  /** Runs that tasks of this run started. */
  readonly parent?: string;
  /** Runs that this engine owns. */
  readonly owner?: string;
  /** Runs of this definition. */
  readonly definition?: string;
  /** Created at or after. */
  readonly since?: EpochMs;
  /** Created before. */
  readonly until?: EpochMs;
}
export interface TaskQuery {
  readonly runId: string;
  readonly task?: string;
  readonly status?: readonly TaskStatus[];
  /** The records as they were in this generation. Default: the current one of each task. */
  readonly generation?: number;
}
export interface AttemptQuery {
  readonly runId: string;
  readonly task?: string;
  readonly index?: readonly number[];
  readonly generation?: number;
  readonly status?: readonly AttemptStatus[];
}
export interface LogQuery {
  readonly runId: string;
  readonly task?: string;
  readonly index?: readonly number[];
  readonly attempt?: number;
  readonly level?: readonly LogLevel[];
}
export interface MetricQuery {
  readonly runId: string;
  readonly task?: string;
  readonly name?: string;
}
export interface ArtifactQuery {
  readonly runId: string;
  readonly task?: string;
  readonly name?: string;
}

export interface StepQuery {
  readonly runId: string;
  readonly task?: string;
  readonly index?: readonly number[];
  readonly generation?: number;
}
export interface AssetQuery {
  readonly runId: string;
  readonly task?: string;
  readonly asset?: string;
}

/** An opaque place in a listing; hold it as it is. */
export type Cursor = string;

export interface PageRequest {
  /** 1 to 1,000. */
  readonly limit: number;
  readonly cursor?: Cursor;
}

/** Full, or the last one: never empty before the end. */
export interface Page<Record> {
  readonly items: readonly Record[];
  /** Where the next page begins; `undefined` on the last. */
  readonly next: Cursor | undefined;
}
