import type { Workload } from "./workloads.js";

/** An engine that is up, with its tables made and its workflows defined. */
export interface Opened {
  /** Does one of the workloads it was opened for, from the start of its runs to their last result. */
  run(workload: Workload): Promise<unknown>;
  /** Gives back what was opened. */
  close(): Promise<void>;
}

/**
 * Opens an engine where it is to keep its data (the connection string of an empty database or server, the path of a
 * file that is not there yet). Its module is loaded only in a process that measures it.
 */
export type DurableContender = (place: string, workloads: readonly Workload[]) => Promise<Opened>;
