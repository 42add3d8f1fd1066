import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { type Executor, type TaskJob, taskName } from "weftline";

/**
 * An executor that writes down each time the code of a task begins and ends, on the disk before anything else happens:
 * what a killed process did can be read there, whatever the engine says of it.
 */
export function withTrace(executor: Executor, file: string): Executor {
  const write = (what: string, { runId, task, index }: Pick<TaskJob, "runId" | "task" | "index">) =>
    append(file, `${what} ${taskName(task, index)} of run ${runId}\n`);
  return {
    supports: executor.supports,
    slots: executor.slots,
    start: (host) => executor.start(host),
    stop: (options) => executor.stop(options),
    async execute(job, port) {
      write("begin", job);
      const outcome = await executor.execute(job, port);
      write("end", job);
      return outcome;
    },
  };
}

function append(file: string, line: string): void {
  const handle = openSync(file, "a");
  try {
    writeSync(handle, line);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
