/** The run as a whole: its status is what its tasks say (9), and its end is the end (10). */
import type { TaskStatus } from "weftline";
import type { CompiledTask } from "./compiled-shape.js";
import { mayNotFail } from "./graph.js";
import type { Flushed, FlushedRun, FlushedState } from "./history.js";
import type { Report } from "./report.js";
import { isFinalRun, type RunModel } from "./run-model.js";
import type { World } from "./world.js";

/** 10: nothing is written of a run that has ended, unless somebody opened it again. */
export function checkStillOpen(run: RunModel, event: Flushed, report: Report): void {
  report.checked(10);
  if (run.ended === undefined) return;
  report.violated(10, run.id, `something was written of the run after it had ended ${run.status}`, run.ended, event);
}

/** 9: a run's new status, after its tasks' records of the same flush. */
export function checkRunStatus(world: World, run: RunModel, state: FlushedState, event: Flushed, report: Report): void {
  if (run.shape === undefined || run.isAmbiguous) return;
  if (isFinalRun(state.status)) checkFinalStatus(world, run, state, event, report);
  else if (state.status === "waiting" && world.isRecorded) checkWaiting(run, event, report);
}

function checkFinalStatus(world: World, run: RunModel, state: FlushedState, event: Flushed, report: Report): void {
  report.checked(9);
  const problem = problemOf(world, run, state);
  if (problem) report.violated(9, run.id, `the run ended ${state.status}, but ${problem}`, event);
}

function problemOf(world: World, run: RunModel, state: FlushedState): string | undefined {
  const { status, error, finishedAt = 0, deadlineAt, crashes } = state;
  if (status === "quarantined") {
    const { quarantineAfter } = world.bounds;
    return crashes >= quarantineAfter ? undefined : `it has ${crashes} crashes, and ${quarantineAfter} are needed`;
  }
  if (status === "cancelled") {
    if (!world.isRecorded || hasCancel(run)) return undefined;
    return "nobody had cancelled it";
  }
  if (status === "failed" && error !== undefined) {
    if (error.code === "RUN_TIMEOUT") {
      const isDue = deadlineAt !== undefined && finishedAt + world.bounds.skewMs >= deadlineAt;
      return isDue ? undefined : `its deadline was ${deadlineAt}, and it ended at ${finishedAt}`;
    }
    return run.shape!.shape.failFast ? undefined : "it does not fail fast";
  }
  const expected = statusOfTasks(run);
  return expected === status ? undefined : `its tasks say ${expected}`;
}

/** Somebody cancelled the run as a whole, and it has not been opened again since. */
function hasCancel(run: RunModel): boolean {
  return run.inboxHas((message) => message.message === "cancel" && message.task === undefined);
}

/** The published meaning of a run's status, over the states of its tasks outside of all groups. */
function statusOfTasks(run: RunModel): "succeeded" | "failed" {
  const { tasks, shape } = run.shape!;
  const bad: readonly TaskStatus[] =
    shape.failWhen === "any" ? ["failed", "cancelled"] : ["failed", "cancelled", "upstream-failed"];
  const fails = tasks.some((task) => {
    if (task.around >= 0 || !mayNotFail(task)) return false;
    if (shape.failWhen === "leaves" && !isLeaf(task, tasks)) return false;
    const status = run.find(task.position, [])?.record?.status;
    return status !== undefined && bad.includes(status);
  });
  return fails ? "failed" : "succeeded";
}

/** What cleans up behind a task makes that no less of a leaf. */
function isLeaf(task: CompiledTask, tasks: readonly CompiledTask[]): boolean {
  return task.after.every((next) => tasks[next]!.teardown);
}

/** A run that waits has nothing that runs: lists and groups around what waits do not count. */
function checkWaiting(run: RunModel, event: Flushed, report: Report): void {
  report.checked(9);
  for (const instance of run.current.values()) {
    const task = run.shape!.tasks[instance.position];
    if (instance.record?.status !== "running" || task === undefined || run.isStale(instance)) continue;
    if (task.kind === "group" || (task.mapped && instance.index.length === task.depth)) continue;
    report.violated(9, run.id, `the run is waiting, but "${instance.key}" is running`, instance.event, event);
  }
}

/** What a flush writes of the run itself. */
export function applyState(run: RunModel, part: FlushedRun, event: Flushed): void {
  const { run: state } = part;
  if (state === undefined) return;
  run.status = state.status;
  run.generation = state.generation;
  run.crashes = state.crashes;
  run.startedAt = state.startedAt;
  run.deadlineAt = state.deadlineAt;
  run.params = state.params;
  run.error = state.error;
  if (!isFinalRun(state.status)) return;
  run.ended = event;
  run.ends.push({ status: state.status, event });
  run.endTenure(event);
  run.inbox.clear();
}
