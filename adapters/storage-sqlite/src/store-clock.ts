import type { EpochMs } from "weftline";

// Captured when the module loads: a test or a task that fakes time must not end leases of other processes.
const { now: dateNow } = Date;
let last = 0;

/** The time by which leases are judged: that of the machine, as all processes on the file share it. Never goes back. */
export function storeClock(): EpochMs {
  last = Math.max(last, dateNow());
  return last;
}
