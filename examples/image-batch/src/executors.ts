import { availableParallelism } from "node:os";
import { childProcesses } from "@weftline/executor-child-process";
import { workerThreads } from "@weftline/executor-worker-threads";
import { type Executor, inProcess } from "weftline";

/** Where the photographs can be worked on: the one thing that differs between deployments. */
export const EXECUTORS = {
  "in-process": () => inProcess(),
  threads: (module: URL) => workerThreads({ module, maxThreads: availableParallelism() }),
  processes: (module: URL) => childProcesses({ module, maxProcesses: availableParallelism() }),
} satisfies Record<string, (module: URL) => Executor>;

export type ExecutorName = keyof typeof EXECUTORS;

/** @throws {TypeError} For a name there is not. */
export function executorName(name: string): ExecutorName {
  if (Object.hasOwn(EXECUTORS, name)) return name as ExecutorName;
  throw new TypeError(`Cannot run on WEFTLINE_EXECUTOR="${name}": use ${Object.keys(EXECUTORS).join(", ")}`);
}
