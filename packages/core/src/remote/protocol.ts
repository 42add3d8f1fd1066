import type { TaskJob, TaskOutcome, TaskPort } from "../contracts/executor.js";
import type { LogLevel } from "../contracts/records.js";
import type { ErrorCode } from "../errors.js";
import type { Encoded, ValueLimits } from "../values/codec.js";

/**
 * What an executor and its workers say to each other about attempts: plain data, for any channel that keeps the order of
 * its messages and carries a structured clone (a thread, a process).
 */

/** Rises with every change of what is said here: an engine and a worker of different versions do not understand each other. */
export const PROTOCOL_VERSION = 1;

/** Names an attempt on its channel: what is said under an older one is about an attempt that has ended. */
export type Token = number;

export type ToWorker =
  | { readonly kind: "run"; readonly token: Token; readonly job: TaskJob; readonly limits: ValueLimits }
  | { readonly kind: "abort"; readonly token: Token; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: "answer"; readonly question: number; readonly answer: Answer };

export type FromWorker =
  | { readonly kind: "said"; readonly token: Token; readonly said: Said }
  | { readonly kind: "asked"; readonly token: Token; readonly question: number; readonly asked: Asked }
  | { readonly kind: "ended"; readonly token: Token; readonly outcome: TaskOutcome };

/** A call of a method of the port, with its arguments. */
type Call<Method extends keyof TaskPort> = TaskPort[Method] extends (...args: infer Args) => unknown
  ? readonly [Method, ...Args]
  : never;

/** What needs no answer. The data of a line has been encoded: a clone would keep other things than the codec does. */
export type Said =
  | readonly ["log", LogLevel, string, Encoded | undefined]
  | Call<"metric">
  | Call<"progress">
  | Call<"artifact">;
/** What the task waits for. */
export type Asked = Call<"findStep"> | Call<"keepStep"> | Call<"findCached">;

export type Answer =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "error"; readonly code: string | undefined; readonly message: string };

/** A job as data: its inputs and items, which are put together when they are read, would be left out by a clone. */
export function plainJob(job: TaskJob): TaskJob {
  return {
    runId: job.runId,
    pipeline: job.pipeline,
    definition: job.definition,
    task: job.task,
    position: job.position,
    index: job.index,
    generation: job.generation,
    attempt: job.attempt,
    params: job.params,
    input: job.input,
    items: job.items,
    run: job.run,
    graceMs: job.graceMs,
  };
}
