import type { Clock, EpochMs } from "../clock.js";
import type { Pipeline } from "../define/pipeline.js";
import type { Logger } from "../logger.js";
import type { Encoded, ValueLimits } from "../values/codec.js";
import type { ErrorRecord } from "../values/error-record.js";
import type { CacheEntry, LogLevel } from "./records.js";

export interface ExecutorCapabilities {
  /** Code that ignores its abort signal is stopped by force. */
  readonly killable: boolean;
  /** Attempts run on other machines and outlive this engine. */
  readonly remote: boolean;
  /** An attempt's memory can be bounded. */
  readonly memoryLimit: boolean;
}

/**
 * Where task code runs. Implement it to add a kind of worker, then run `executorContract()` on it.
 * The engine decides what runs when, counts the slots, owns retries and timeouts; an executor runs one attempt.
 */
export interface Executor {
  readonly supports: ExecutorCapabilities;
  /** How many attempts it runs at once; it is never given more. `Infinity`: only the engine's own limits count. */
  readonly slots: number;
  /** Called once before the first job. A failure here fails `engine.start()`. */
  start(host: ExecutorHost): Promise<void>;
  /**
   * Runs one attempt. Never rejects: whatever happens is an outcome; one that is known at once may be returned as it is.
   * After `port.signal` aborts it settles within `job.graceMs`: by itself, by force where `supports.killable` (failed
   * with the code `ABORT_FORCED`), else as `abandoned`.
   */
  execute(job: TaskJob, port: TaskPort): TaskOutcome | Promise<TaskOutcome>;
  /** Ends what still runs, by force after `graceMs`, and releases every thread, process and timer. */
  stop(options: { readonly graceMs: number }): Promise<void>;
}

export interface ExecutorHost {
  readonly log: Logger;
  readonly clock: Clock;
  /** By pipeline id: those with tasks that ask for this executor. */
  readonly pipelines: ReadonlyMap<string, Pipeline>;
  /** What the host application lends to its tasks. */
  readonly resources: object;
  readonly limits: ValueLimits;
}

/**
 * One attempt, as data that can be sent to a thread, a process or a network. Read its members by name, each once:
 * `input` and `items` are put together when they are read, and a structured clone of the whole leaves them out.
 */
export interface TaskJob {
  readonly runId: string;
  readonly pipeline: string;
  /** The hash of the pipeline's definition; code of any other must not run under this job. */
  readonly definition: string;
  readonly task: string;
  /** The task's place in its definition. */
  readonly position: number;
  /** See `TaskRecord.index`. */
  readonly index: readonly number[];
  /** See `TaskRecord.generation`. */
  readonly generation: number;
  readonly attempt: number;
  readonly params: Encoded;
  /** The outputs this task needs, under the names it gave them; those that do not exist are missing. */
  readonly input: Readonly<Record<string, Encoded>>;
  /** The items of the map and the mapped groups around the task, the outermost first: as many as `index` has numbers. */
  readonly items: readonly Encoded[];
  readonly run: RunFacts;
  /** How long the code may go on after its signal aborts, in milliseconds, ≥ 0. */
  readonly graceMs: number;
}

/** What task code may know about its run. */
export interface RunFacts {
  readonly id: string;
  readonly pipeline: string;
  readonly createdAt: EpochMs;
  readonly key: string | undefined;
  readonly tags: readonly string[];
  /** The scheduled moment the run stands for. */
  readonly instant: EpochMs | undefined;
}

/** The engine's side of one attempt. Calls after the attempt's end do nothing. */
export interface TaskPort {
  /**
   * To be called once the code begins to run: the attempt's timeout counts from here, so that the time it takes to start
   * a worker is not charged to the task. Without it the attempt has no timeout.
   */
  started(): void;
  /** Aborts on a timeout, a cancellation or the engine's stop; `reason` is a `WeftlineError`. */
  readonly signal: AbortSignal;
  /** Calls `fire` once when `signal` aborts; for executors, as it is cheaper than a listener on a signal nobody else reads. A later callback replaces it. */
  whenAborted(fire: () => void): void;
  log(level: LogLevel, message: string, data: unknown): void;
  metric(name: string, value: number): void;
  /** @param fraction - From 0 to 1. */
  progress(fraction: number, message: string | undefined): void;
  /** Its bytes belong to the engine from here on: they are neither changed nor used again by whoever hands them over. */
  artifact(artifact: ArtifactData): void;
  /** The output of a step that an attempt of this task has done before; `undefined`: it is to be done. Rejects when the attempt has ended. */
  findStep(step: string): Promise<Encoded | undefined>;
  /** Resolves when the step's output is durable; rejects when the attempt has ended. @param startedAt - Epoch milliseconds. */
  keepStep(step: string, output: Encoded, startedAt: EpochMs): Promise<void>;
  /** What the cache has under this key of the task. */
  findCached(key: string): Promise<Pick<CacheEntry, "output" | "runId"> | undefined>;
}

export interface ArtifactData {
  readonly name: string;
  /** A media type. Default: `text/plain; charset=utf-8` for text, else `application/octet-stream`. */
  readonly contentType?: string;
  readonly data: string | Uint8Array;
}

export type TaskOutcome =
  | {
      readonly kind: "succeeded";
      readonly output: Encoded;
      /** What was not as expected, in words. */
      readonly warning?: string;
      /** The output is to be kept in the cache under this key of the task. */
      readonly cacheKey?: string;
      /** The run from whose output in the cache this was taken. */
      readonly cachedFrom?: string;
    }
  /** The probe of a poll found nothing yet. */
  | { readonly kind: "not-yet" }
  | {
      readonly kind: "failed";
      readonly error: ErrorRecord;
      /** False when another attempt would be pointless. */
      readonly retryable: boolean;
      /** The task's own wish for the next attempt's delay, in milliseconds; goes before the policy's. */
      readonly retryAfterMs: number | undefined;
    }
  | { readonly kind: "skipped"; readonly reason: string }
  /** The code did not stop and cannot be stopped; `ended` settles when it does. Until then it holds its slot. */
  | { readonly kind: "abandoned"; readonly ended: Promise<void> };
