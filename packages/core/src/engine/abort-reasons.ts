import type { TaskOutcome } from "../contracts/executor.js";
import type { TaskDefinition } from "../define/definition.js";
import { WeftlineError } from "../errors.js";
import type { ErrorRecord } from "../values/error-record.js";

/** Why attempts are told to stop: the `reason` of their signal, and what history says about them. */

export function attemptTimeout(task: TaskDefinition): WeftlineError {
  return new WeftlineError(
    "TASK_TIMEOUT",
    `task "${task.id}" did not finish an attempt within its timeout of ${task.timeouts.attemptMs} ms. Raise the timeout, or find what it waits for in its log.`,
    { retryable: true },
  );
}

export function taskTimeout(task: TaskDefinition): WeftlineError {
  return new WeftlineError(
    "TASK_TIMEOUT",
    `task "${task.id}" did not finish within ${task.timeouts.totalMs} ms over all its attempts. Raise timeout.total, or resume the run to give it the time again.`,
  );
}

export function runTimeout(pipeline: string, timeoutMs: number): WeftlineError {
  return new WeftlineError(
    "RUN_TIMEOUT",
    `the run of pipeline "${pipeline}" did not finish within its timeout of ${timeoutMs} ms. Resume it to go on with a fresh deadline.`,
  );
}

export function failedFast(pipeline: string, task: string): WeftlineError {
  return new WeftlineError(
    "RUN_CANCELLED",
    `pipeline "${pipeline}" fails fast, and task "${task}" failed. Mend it and resume the run.`,
  );
}

export function runCancelled(reason: string | undefined): WeftlineError {
  return new WeftlineError(
    "RUN_CANCELLED",
    `the run was cancelled${reason ? `: ${reason}` : ""}. Resume it to go on from here.`,
  );
}

export function taskCancelled(task: string, reason: string | undefined): WeftlineError {
  return new WeftlineError(
    "TASK_CANCELLED",
    `task "${task}" was cancelled${reason ? `: ${reason}` : ""}. Resume the run to go on with it.`,
  );
}

export function groupStopped(group: string, task: string): WeftlineError {
  return new WeftlineError(
    "GROUP_STOPPED",
    `task "${task}" failed, and group "${group}" is retried as a whole. Its tasks run again together.`,
  );
}

export function groupTimedOut(group: string): WeftlineError {
  return new WeftlineError(
    "GROUP_STOPPED",
    `the time of group "${group}" is up, and all its tasks are stopped with it.`,
  );
}

export function engineStopped(): WeftlineError {
  return new WeftlineError(
    "ENGINE_STOPPED",
    "the engine stopped before the attempt ended. It will be started again by the next engine that has the run.",
  );
}

export function leaseLost(): WeftlineError {
  return new WeftlineError(
    "LEASE_LOST",
    "the run belongs to another engine by now. Its new owner starts the attempt again.",
  );
}

export function quarantined(runId: string, pipeline: string, crashes: number): WeftlineError {
  return new WeftlineError(
    "RUN_QUARANTINED",
    `run ${runId} of pipeline "${pipeline}" was left alone after ${crashes} engines died while it ran, and it made no progress in between. Look at what its unfinished tasks do to their process (memory, process.exit, a loop that never yields), then resume the run.`,
  );
}

/** The reason, with the force it took as its cause: that the code was stopped in the middle of something matters. */
export function withForce(reason: ErrorRecord, outcome: TaskOutcome): ErrorRecord {
  return outcome.kind === "failed" && outcome.error.code === "ABORT_FORCED"
    ? { ...reason, cause: outcome.error }
    : reason;
}

export function stillRunning(reason: Pick<WeftlineError, "message">, retried: boolean): string {
  const consequence = retried
    ? "It is retried all the same, as retry.whileAbandoned asks"
    : "It is not retried, so that it never runs twice at once";
  return `${reason.message} The code ignored its abort signal and may still be running. ${consequence}. Pass \`signal\` to everything it waits for.`;
}
