import type { EpochMs } from "../../clock.js";
import type { RunRecord } from "../../contracts/records.js";
import type { Survey, UnadoptableRuns } from "../../contracts/storage.js";
import { isFree } from "./free-runs.js";
import type { EngineEntry } from "./ownership.js";
import type { RunStore } from "./run-store.js";

/** How many of the runs that nobody can adopt are named, of each definition. */
const NAMED = 10;

/**
 * @param runs - All there are, oldest first.
 * @param now - The engine's clock, for runs that are to start later.
 */
export function surveyOf(
  engines: ReadonlyMap<string, EngineEntry>,
  runs: Iterable<RunStore>,
  now: EpochMs,
  storeNow: EpochMs,
): Survey {
  const living = [...engines.values()].filter(({ leaseUntil }) => leaseUntil > storeNow);
  const adoptable = new Set(living.flatMap(({ definitions }) => definitions));
  const unadoptable = new Map<string, UnadoptableRuns>();
  let due = 0;
  let oldestAt: EpochMs | undefined;
  for (const run of runs) {
    if (!isFree(run)) continue;
    const { record } = run;
    if (!adoptable.has(record.definition)) addTo(unadoptable, record);
    else if (record.availableAt <= now) {
      due++;
      oldestAt = Math.min(oldestAt ?? record.availableAt, record.availableAt);
    }
  }
  const records = [...engines].map(([id, { leaseUntil, definitions, owned }]) => {
    return { id, leaseUntil, definitions, runs: owned.size };
  });
  return { storeNow, engines: records, backlog: { runs: due, oldestAt }, unadoptable: [...unadoptable.values()] };
}

function addTo(unadoptable: Map<string, UnadoptableRuns>, { id, pipeline, definition }: RunRecord): void {
  const { runs, runIds } = unadoptable.get(definition) ?? { runs: 0, runIds: [] };
  const named = runIds.length < NAMED ? [...runIds, id] : runIds;
  unadoptable.set(definition, { pipeline, definition, runs: runs + 1, runIds: named });
}
