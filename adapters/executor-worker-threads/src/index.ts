export { workerThreads } from "./worker-threads.js";
export type { WorkerThreadsOptions } from "./options.js";
