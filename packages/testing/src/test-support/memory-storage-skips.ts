import type { SkippedCase } from "../contract-case.js";

/** What `memoryStorage()` does not do yet. */
export const MEMORY_STORAGE_SKIPS: readonly SkippedCase[] = [
  {
    test: "close() makes a later listen() reject with STORAGE_CLOSED",
    reason: "memoryStorage() does not look whether it is open there yet",
  },
  {
    test: "claimRuns() takes a run that was given back before younger ones",
    reason: "memoryStorage() puts what was given back behind all others yet",
  },
  {
    test: "receive() gives the oldest first over all runs",
    reason: "memoryStorage() orders messages within a run only yet",
  },
];
