import type { Executor, TaskJob, TaskOutcome, TaskPort } from "weftline";
import { overridden } from "../overridden.js";

/** What a broken executor does instead of `inner`. */
export type Overrides = (inner: Executor) => Partial<Executor>;

export type Fault = readonly [fault: string, overrides: Overrides, caughtBy: string];

/** Ends attempts in another way. */
export function ends(change: (outcome: TaskOutcome, job: TaskJob) => TaskOutcome): Overrides {
  return (inner) => ({ execute: async (job, port) => change(await inner.execute(job, port), job) });
}

/** Fails in another way. */
export function fails(change: (outcome: TaskOutcome & { kind: "failed" }) => TaskOutcome): Overrides {
  return ends((outcome) => (outcome.kind === "failed" ? change(outcome) : outcome));
}

/** Succeeds in another way. */
export function succeeds(
  change: (outcome: TaskOutcome & { kind: "succeeded" }, job: TaskJob) => TaskOutcome,
): Overrides {
  return ends((outcome, job) => (outcome.kind === "succeeded" ? change(outcome, job) : outcome));
}

/** Runs another job than it was given. @param change - What is different about it. */
export function starts(change: (job: TaskJob) => Partial<TaskJob>): Overrides {
  return (inner) => ({
    execute: (job, port) => inner.execute({ ...job, input: job.input, items: job.items, ...change(job) }, port),
  });
}

/** Hands the code another port than it was given. @param change - What is different about it. */
export function speaks(change: (port: TaskPort, job: TaskJob) => Partial<TaskPort>): Overrides {
  return (inner) => ({ execute: (job, port) => inner.execute(job, overridden(port, change(port, job))) });
}

/** A port that holds back what it is told. */
export function delayed(port: TaskPort, ms: number): TaskPort {
  const later =
    <Args extends unknown[]>(call: (...args: Args) => void) =>
    (...args: Args) =>
      void setTimeout(() => call(...args), ms);
  return overridden(port, {
    log: later((level, message, data) => port.log(level, message, data)),
    metric: later((name, value) => port.metric(name, value)),
    progress: later((fraction, message) => port.progress(fraction, message)),
    artifact: later((artifact) => port.artifact(artifact)),
  });
}

export function failure(name: string, message: string, code?: string): TaskOutcome {
  return {
    kind: "failed",
    error: { name, message, ...(code !== undefined && { code }) },
    retryable: true,
    retryAfterMs: undefined,
  };
}
