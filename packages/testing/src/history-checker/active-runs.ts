/** 32: of a pipeline only so many runs are under way at once. */
import type { RunClaimed } from "./history.js";
import type { Report } from "./report.js";
import type { RunModel } from "./run-model.js";
import type { World } from "./world.js";

/** Called when the claim has been taken note of. Whoever asks for one run alone gets it whatever others do. */
export function checkActiveRuns(world: World, run: RunModel, event: RunClaimed, report: Report): void {
  const pipeline = run.created?.pipeline ?? "";
  const limit = world.settings.maxActiveRuns?.[pipeline];
  if (limit === undefined || event.isAlone) return;
  report.checked(32);
  const active = [...world.runs.values()].filter((other) => {
    return other.created?.pipeline === pipeline && isUnderWay(world, other, event);
  });
  if (active.length <= limit) return;
  const why = `${active.length} runs of "${pipeline}" were under way at once, and ${limit} may be`;
  report.violated(32, run.id, why, ...active.map(({ ownerChange, created }) => ownerChange ?? created));
}

/** An engine whose lease has run out dies with the claim, at the latest. */
function isUnderWay(world: World, { owner, deleted }: RunModel, { at, seq }: RunClaimed): boolean {
  if (owner === undefined || deleted !== undefined) return false;
  const until = world.leaseUntil(owner, at, seq);
  return until === undefined ? !world.hasLeases(owner) : until > at;
}
