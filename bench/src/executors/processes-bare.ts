/** A process of the bare pool: loads the same pipelines, and answers each message with what the work gives. */
import { WORK, type WorkName } from "./processes-work.js";

export interface BareJob {
  readonly name: WorkName;
  readonly item: number;
}

process.on("message", ({ name, item }: BareJob) => {
  process.send!(WORK[name](item));
});
