import type { Executor, TaskJob } from "weftline";

/** One thing that goes wrong. For the demonstration only: the pipeline knows nothing of it. */
export interface Fault {
  readonly task: string;
  readonly message: string;
  /** Which attempts at the task (or at which item of it) break. */
  breaks(job: Pick<TaskJob, "index" | "attempt">): boolean;
}

// Any item but the first will do, so that some folds are done and some are not when it breaks.
const BROKEN_ITEM = 3;

/** The first two attempts at a task break, as if the network were down for a moment. */
export function flaky(task: string): Fault {
  return { task, message: "Connection reset (simulated)", breaks: ({ attempt }) => attempt <= 2 };
}

/** Every attempt at a task breaks; of a map one item, until the fault is removed. */
export function broken(task: string): Fault {
  return {
    task,
    message: "Out of memory (simulated)",
    breaks: ({ index }) => index.length === 0 || index[0] === BROKEN_ITEM,
  };
}

/** An executor that breaks what the faults say and leaves the rest to another. @param faults - May change meanwhile. */
export function withFaults(executor: Executor, faults: ReadonlySet<Fault>): Executor {
  return {
    supports: executor.supports,
    slots: executor.slots,
    start: (host) => executor.start(host),
    stop: (options) => executor.stop(options),
    async execute(job, port) {
      const fault = [...faults].find(({ task, breaks }) => task === job.task && breaks(job));
      if (fault === undefined) return executor.execute(job, port);
      const error = { name: "Error", message: fault.message };
      return { kind: "failed", error, retryable: true, retryAfterMs: undefined };
    },
  };
}
