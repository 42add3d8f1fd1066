import type { TaskJob, TaskOutcome, TaskPort } from "../contracts/executor.js";
import type { TaskDefinition } from "../define/definition.js";
import { type Duration, durationMs } from "../define/duration.js";
import { WeftlineError } from "../errors.js";
import { encode, type ValueLimits } from "../values/codec.js";
import { toErrorRecord } from "../values/error-record.js";
import { asText } from "./as-text.js";
import { ExecutionContext } from "./context.js";
import { isOwn, NonRetryableError, RetryAfter, SkipTask } from "./signals.js";

/** What an executor brings to an attempt beside the job. */
export interface AttemptEnvironment {
  readonly resources: object;
  readonly limits: ValueLimits;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/**
 * Runs the function of a task once: decodes what it reads, encodes what it returns. The same on every executor.
 *
 * @returns Never rejects; whatever the function does is an outcome.
 */
export async function runAttempt(
  task: TaskDefinition,
  job: TaskJob,
  port: TaskPort,
  environment: AttemptEnvironment,
): Promise<TaskOutcome> {
  try {
    const context = new ExecutionContext(job, port, task, environment.resources);
    if (task.when !== undefined && !(await task.when(context))) {
      return { kind: "skipped", reason: "its condition (when) did not hold" };
    }
    const running = task.run(context);
    // Not awaited when there is nothing to wait for: nobody else's code runs before the value is encoded.
    const returned = isPromiseLike(running) ? await running : running;
    if (task.kind === "branch") checkChoice(task.id, returned);
    // Encoded here and now: what the function changes afterwards belongs to nobody.
    return { kind: "succeeded", output: encode(returned, "output", environment.limits) };
  } catch (thrown) {
    return outcomeOf(thrown, task, port, environment.now);
  }
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

function checkChoice(id: string, choice: unknown): asserts choice is string {
  if (typeof choice === "string") return;
  throw new WeftlineError(
    "BRANCH_INVALID",
    `branch "${id}" has to return the name of a path, and returned a value of type ${typeof choice}. Return a text such as those given to when().`,
  );
}

function outcomeOf(thrown: unknown, task: TaskDefinition, port: TaskPort, now: () => number): TaskOutcome {
  if (isOwn(thrown, SkipTask, "SkipTask")) return { kind: "skipped", reason: describe(thrown) };
  return {
    kind: "failed",
    error: toErrorRecord(thrown),
    retryable: isRetryable(thrown, task, port),
    retryAfterMs: isOwn(thrown, RetryAfter, "RetryAfter") ? readRetryAfter(thrown, port, now) : undefined,
  };
}

/** Values that cannot be stored will not become storable by trying again, nor will a branch return another type. */
const FINAL_CODES: ReadonlySet<string> = new Set(["OUTPUT_NOT_SERIALIZABLE", "OUTPUT_TOO_LARGE", "BRANCH_INVALID"]);

function isRetryable(thrown: unknown, task: TaskDefinition, port: TaskPort): boolean {
  if (isOwn(thrown, NonRetryableError, "NonRetryableError")) return false;
  if (isOwn(thrown, WeftlineError, "WeftlineError") && FINAL_CODES.has(thrown.code)) return false;
  try {
    return task.retry.when?.(thrown) ?? true;
  } catch (fault) {
    port.log(
      "warn",
      `retry.when of task "${task.id}" threw (${describe(fault)}): the attempt is retried as if it were absent`,
      undefined,
    );
    return true;
  }
}

function readRetryAfter(thrown: RetryAfter, port: TaskPort, now: () => number): number | undefined {
  let delay: unknown;
  try {
    delay = thrown.delay;
    const ms = delay instanceof Date ? delay.getTime() - now() : delay;
    return durationMs(typeof ms === "number" ? Math.max(0, ms) : (ms as Duration), "RetryAfter");
  } catch {
    port.log("warn", `RetryAfter(${asText(delay)}) is no usable delay: the retry policy's own is used`, undefined);
    return undefined;
  }
}

function describe(thrown: unknown): string {
  return toErrorRecord(thrown).message;
}
