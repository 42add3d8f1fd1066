/**
 * A simulated world as data: all that is drawn from a seed before anything happens, so that it can be printed, made
 * smaller and played again. Moments are milliseconds from the world's beginning.
 */
import type { TriggerRule } from "weftline";
import type { StorageFaults, StorageMethod } from "../faults.js";

export interface World {
  readonly seed: number;
  /** One for each slot: a process that runs an engine; when it has ended, another takes its place. */
  readonly slots: readonly SlotSpec[];
  readonly leaseMs: number;
  readonly pollMs: number;
  readonly quarantineAfter: number;
  readonly latencyMs: number;
  /** What the storage says of itself. */
  readonly durable: boolean;
  readonly notify: boolean;
  /** Until the end of the first phase. */
  readonly faults: StorageFaults;
  /** Calls that are reported as failed, and done afterwards; `undefined`: none. */
  readonly late?: LateSpec | undefined;
  /** A version that no engine has any more stays so: its runs are carried over to one that is there. */
  readonly dropsVersions?: boolean;
  /** How long the first phase lasts. */
  readonly faultsMs: number;
  readonly pipelines: readonly PipelineSpec[];
  readonly runs: readonly RunSpec[];
  readonly calls: readonly CallSpec[];
  readonly mishaps: readonly MishapSpec[];
}

export interface LateSpec {
  /** Of all calls of these methods: 0 to 1. */
  readonly part: number;
  readonly methods: readonly StorageMethod[];
  /** How long after its failure was reported a call is done, at the most. */
  readonly maxMs: number;
}

export interface SlotSpec {
  readonly startsAt: number;
  /** How far its wall clock is ahead. */
  readonly skewMs: number;
  readonly concurrency: number;
}

/**
 * What may end tasks without success. Where failures and skips never meet, the order in which things happen decides
 * nothing, and every run of the pipeline ends alike; `wild` ones promise nothing.
 */
export type Mood = "failing" | "skipping" | "wild";

export interface PipelineSpec {
  readonly id: string;
  readonly mood: Mood;
  readonly nodes: readonly NodeSpec[];
  readonly failFast: boolean;
  readonly failWhen: "any" | "leaves";
  readonly timeoutMs: number | undefined;
  readonly everyMs: number | undefined;
  readonly maxActiveRuns: number | undefined;
  /** What later versions add comes first, so that all other tasks change their places. */
  readonly addsFirst?: boolean;
}

export type NodeKind = "task" | "map" | "branch" | "sleep" | "poll" | "signal" | "group" | "mapped" | "run";

/**
 * What an attempt does. `flaky`: fails some times and succeeds from then on. `hang`: goes on until it is told to stop.
 * `unstorable`: returns what the store refuses.
 */
export type Doing = "succeed" | "fail" | "flaky" | "skip" | "hang" | "unstorable";

export interface NodeSpec {
  readonly kind: NodeKind;
  readonly rule: TriggerRule;
  readonly allowFailure: boolean;
  /** By place among what is visible: the nodes before it, in its group and around that. */
  readonly upstream: readonly number[];
  /** By item, taken in turn. */
  readonly doing: readonly Doing[];
  /** How often a flaky one fails. */
  readonly failures: number;
  /** How long an attempt works; a sleep sleeps; a poll waits between two looks. */
  readonly workMs: number;
  /** It does not listen when it is told to stop. */
  readonly isStubborn: boolean;
  readonly steps: number;
  readonly logs: number;
  readonly items: number;
  readonly fromList: boolean;
  readonly choice: "left" | "right";
  readonly retry: RetrySpec | undefined;
  readonly timeoutMs: number | undefined;
  readonly totalMs: number | undefined;
  readonly concurrency: number | undefined;
  readonly slots: number | undefined;
  /** Of a signal: whether it is sent to a key. */
  readonly hasKey: boolean;
  /** Of groups, and of a run: what is in it. */
  readonly inside: readonly NodeSpec[];
  readonly cache?: CacheSpec;
}

/** Outputs that runs take from each other. */
interface CacheSpec {
  readonly ttlMs: number;
  /** So many keys share all runs of the pipeline. */
  readonly keys: number;
}

export interface RetrySpec {
  readonly attempts: number;
  readonly delayMs: number;
  readonly backoff: "fixed" | "linear" | "exponential";
}

/** A run that a client asks for. */
export interface RunSpec {
  /** Part of its params and of all it puts out. */
  readonly token: string;
  /** By place. */
  readonly pipeline: number;
  readonly at: number;
  /** By place: where it is asked for first. */
  readonly slot: number;
  readonly key: string | undefined;
  readonly priority: number;
}

export type CallKind =
  | "cancel"
  | "pause"
  | "resume"
  | "rerun"
  | "signal"
  | "trigger-again"
  | "trigger-other"
  /** With the runs that its tasks started. */
  | "delete"
  /** Those runs alone that its tasks started. */
  | "delete-children"
  /** Deletes whatever ended some time ago; of all runs. */
  | "prune"
  /** Carries it over to the version that the engine has. */
  | "remap";

/** What a client says to a run. */
export interface CallSpec {
  readonly at: number;
  readonly kind: CallKind;
  readonly token: string;
  readonly slot: number;
  /** By place, among the tasks of its pipeline. */
  readonly task: number;
  /** As soon as the run has ended for the first time, instead of at a moment. */
  readonly whenEnded?: boolean;
  /** What somebody says to the same run by way of another engine, at the same time. */
  readonly beside?: CallKind | undefined;
  /** Of `resume` and `rerun`: whoever said it waits for the result. */
  readonly isAwaited?: boolean;
  /** Of `prune`: how long ago runs have to have ended. */
  readonly keepMs?: number;
}

export type MishapKind =
  /** It ends, having released nothing; another comes after a while. */
  | "kill"
  /** It stands still. */
  | "pause"
  /** It and the store do not reach each other. */
  | "partition"
  /** Its wall clock jumps. */
  | "clock-step"
  /** It stops in order; another comes after a while. */
  | "stop"
  /** As `stop`, and the next one has the next version of all pipelines. */
  | "deploy";

export interface MishapSpec {
  readonly at: number;
  readonly kind: MishapKind;
  readonly slot: number;
  readonly forMs: number;
  /** Of a clock that steps. */
  readonly byMs: number;
}
