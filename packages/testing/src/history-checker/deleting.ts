/** Deleted runs: they had ended (22), nothing of them is left (24), and nothing gets their ids again (14). */
import type { HistoryEvent, RunDeleted } from "./history.js";
import type { Report } from "./report.js";
import type { RunModel } from "./run-model.js";
import type { World } from "./world.js";

/** 22: only what has ended is deleted; of old runs none whose parent or child goes on. */
export function checkDelete(world: World, run: RunModel, event: RunDeleted, report: Report): void {
  if (run.created === undefined) return;
  report.checked(22);
  if (goesOn(run, event)) report.violated(22, run.id, "the run was deleted, and had not ended", run.lastWrite, event);
  if (!event.isPruned) return;
  for (const relative of relativesOf(world, run)) {
    if (!goesOn(relative, event)) continue;
    const why = `the run was deleted with old ones, and run ${relative.id} of its family had not ended`;
    report.violated(22, run.id, why, relative.lastWrite ?? relative.created, event);
  }
}

/** Whoever was asked to delete it may have done so before it was opened again. */
function goesOn({ ended, deleted, created, sent, isAmbiguous }: RunModel, event: RunDeleted): boolean {
  if (created === undefined || deleted !== undefined || ended !== undefined || isAmbiguous) return false;
  return (sent.at(-1)?.seq ?? 0) < (event.since ?? event.seq);
}

function relativesOf(world: World, run: RunModel): readonly RunModel[] {
  const parent = run.created?.parent?.runId;
  return [...world.runs.values()].filter(
    ({ id, created }) => id !== run.id && (id === parent || created?.parent?.runId === run.id),
  );
}

/** 14: epochs begin anew with a run's id, so that no id is used again. */
export function checkRecreation(run: RunModel, event: HistoryEvent, report: Report): void {
  if (run.deleted === undefined) return;
  report.violated(14, run.id, "a run was made under the id of one that had been deleted", run.deleted, event);
}

/** 24: a run goes as a whole. */
export function checkRemains(world: World, report: Report): void {
  const remains = world.evidence.final?.remains;
  if (remains === undefined) return;
  for (const { deleted } of world.runs.values()) if (deleted !== undefined) report.checked(24);
  for (const { runId, kind, records } of remains) {
    const why = `the run was deleted, and ${records} of its ${kind} are there`;
    report.violated(24, runId, why, world.runs.get(runId)?.deleted);
  }
}
