import type { TaskJob, TaskOutcome, TaskPort } from "../contracts/executor.js";
import type { TaskDefinition } from "../define/definition.js";
import { type Duration, durationMs } from "../define/duration.js";
import type { CheckAnswer, CheckResult } from "../define/options.js";
import { show } from "../define/show.js";
import { WeftlineError } from "../errors.js";
import { encode, type ValueLimits } from "../values/codec.js";
import { toErrorRecord } from "../values/error-record.js";
import { fingerprint } from "../values/fingerprint.js";
import { asText } from "./as-text.js";
import { type ExecutedAttempt, ExecutionContext } from "./context.js";
import { unmetExpectations } from "./expectations.js";
import { isOwn, NonRetryableError, RetryAfter, SkipTask } from "./signals.js";
import { unlessAborted } from "./unless-aborted.js";

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
 * @returns The outcome, whatever the function does: at once when the function returned no promise, else as a promise
 * that never rejects.
 */
export function runAttempt(
  task: TaskDefinition,
  job: TaskJob,
  port: TaskPort,
  environment: AttemptEnvironment,
): TaskOutcome | Promise<TaskOutcome> {
  const { when, cache, expect } = task.policy;
  const attempt: ExecutedAttempt = { job, port, task, environment, measured: expect && new Map() };
  try {
    const context = new ExecutionContext(attempt);
    if (when !== undefined || cache !== undefined) return runGuarded(attempt, context);
    const running = task.run(context);
    // Not awaited when there is nothing to wait for: nobody else's code runs before the value is encoded.
    return isPromiseLike(running) ? runToEnd(attempt, running) : returned(attempt, running);
  } catch (thrown) {
    return failed(attempt, thrown);
  }
}

async function runToEnd(attempt: ExecutedAttempt, running: PromiseLike<unknown>): Promise<TaskOutcome> {
  try {
    return returned(attempt, await running);
  } catch (thrown) {
    return failed(attempt, thrown);
  }
}

/** Asks first whether the task has to run at all. */
async function runGuarded(attempt: ExecutedAttempt, context: ExecutionContext): Promise<TaskOutcome> {
  const { task } = attempt;
  const { when, cache } = task.policy;
  try {
    if (when !== undefined && !(await when(context))) {
      return { kind: "skipped", reason: "its condition (when) did not hold" };
    }
    if (cache === undefined) return returned(attempt, await task.run(context));
    const cacheKey = fingerprint(await cache.key(context));
    const hit = await findCached(attempt, cacheKey);
    if (hit !== undefined) return { kind: "succeeded", output: hit.output, cachedFrom: hit.runId };
    const outcome = returned(attempt, await task.run(context));
    return outcome.kind === "succeeded" ? { ...outcome, cacheKey } : outcome;
  } catch (thrown) {
    return failed(attempt, thrown);
  }
}

/** A cache that does not answer costs the work, not the task. */
async function findCached({ port }: ExecutedAttempt, key: string): ReturnType<TaskPort["findCached"]> {
  try {
    return await unlessAborted(port.signal, port.findCached(key));
  } catch (fault) {
    if (port.signal.aborted) throw fault;
    port.log("warn", `the cache did not answer (${describe(fault)}): the task runs`, undefined);
    return undefined;
  }
}

/** @throws What makes the attempt a failed one, although its function returned. */
function returned(attempt: ExecutedAttempt, value: unknown): TaskOutcome {
  const { task, environment } = attempt;
  const { kind, policy } = task;
  if (kind === "poll" && (value === undefined || value === false)) return { kind: "not-yet" };
  if (kind === "branch") checkChoice(task.id, value);
  if (kind === "check") return checked(attempt, value as CheckAnswer, policy.expect);
  // Encoded here and now: what the function changes afterwards belongs to nobody.
  const output = encode(value, kind === "run" ? "params" : "output", environment.limits);
  if (policy.expect === undefined) return { kind: "succeeded", output };
  const warning = metExpectations(attempt, policy.expect, value);
  return warning === undefined ? { kind: "succeeded", output } : { kind: "succeeded", output, warning };
}

/** @returns The warnings, if any. @throws {WeftlineError} `EXPECTATION_FAILED` with the measured values. */
function metExpectations(
  { task, measured, port }: ExecutedAttempt,
  expect: NonNullable<TaskDefinition["policy"]["expect"]>,
  value: unknown,
): string | undefined {
  const unmet = unmetExpectations(expect, value, measured!);
  const errors = unmet.filter(({ severity }) => severity === "error").map(({ message }) => message);
  if (errors.length > 0) {
    throw new WeftlineError(
      "EXPECTATION_FAILED",
      `task "${task.id}" did not do what it is expected to: ${errors.join("; ")}. Look at what it made, or change its expect.`,
    );
  }
  if (unmet.length === 0) return undefined;
  const warning = unmet.map(({ message }) => message).join("; ");
  port.log("warn", warning, undefined);
  return warning;
}

function checked(
  attempt: ExecutedAttempt,
  answer: CheckAnswer,
  expect: TaskDefinition["policy"]["expect"],
): TaskOutcome {
  const { task, port, environment } = attempt;
  const { passed, message, value } = typeof answer === "object" && answer !== null ? answer : { passed: answer };
  if (typeof passed !== "boolean") {
    throw new WeftlineError(
      "CHECK_FAILED",
      `check "${task.id}" gave no answer. Return true, false or { passed, message, value }.`,
    );
  }
  const measured = value === undefined ? "" : ` (measured: ${showMeasured(value)})`;
  const said = `${message === undefined ? (passed ? "passed" : "did not pass") : asText(message)}${measured}`;
  const result: CheckResult = { passed, message: said };
  const output = encode(result, "output", environment.limits);
  if (!passed && task.extra.severity === "error")
    throw new WeftlineError("CHECK_FAILED", `check "${task.id}": ${said}.`);
  if (!passed) port.log("warn", said, undefined);
  const unmet = expect === undefined ? undefined : metExpectations(attempt, expect, result);
  const warnings = [...(passed ? [] : [said]), ...(unmet === undefined ? [] : [unmet])];
  return warnings.length === 0
    ? { kind: "succeeded", output }
    : { kind: "succeeded", output, warning: warnings.join("; ") };
}

function showMeasured(value: unknown): string {
  return typeof value === "number" || typeof value === "bigint" ? String(value) : show(value);
}

function failed({ task, port, environment }: ExecutedAttempt, thrown: unknown): TaskOutcome {
  return outcomeOf(thrown, task, port, environment.now);
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
const FINAL_CODES: ReadonlySet<string> = new Set([
  "OUTPUT_NOT_SERIALIZABLE",
  "OUTPUT_TOO_LARGE",
  "PARAMS_NOT_SERIALIZABLE",
  "PARAMS_TOO_LARGE",
  "BRANCH_INVALID",
  "STEP_INVALID",
]);

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
