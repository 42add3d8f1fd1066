/** 12: a cancelled run starts nothing more, and ends so. */
import type { Execution } from "./executions.js";
import type { MessageSent } from "./history.js";
import type { Report } from "./report.js";
import type { RunModel } from "./run-model.js";
import type { World } from "./world.js";

export function checkCancels(
  world: World,
  executions: ReadonlyMap<string, readonly Execution[]>,
  report: Report,
): void {
  for (const run of world.runs.values()) {
    for (const message of run.sent) {
      if (message.message === "cancel" && message.task === undefined) {
        checkEnd(world, run, message, report);
        checkStarts(world, run, message.at, executions.get(run.id) ?? [], report, message);
      }
    }
  }
  // Of a history that was told afterwards only the client knows when it was.
  if (world.isRecorded) return;
  for (const { operation, outcome, runId, task, returnedAt } of world.evidence.clients) {
    const run = runId === undefined ? undefined : world.runs.get(runId);
    if (operation !== "cancel" || outcome !== "ok" || task !== undefined || run === undefined) continue;
    if (returnedAt !== undefined) checkStarts(world, run, returnedAt, executions.get(run.id) ?? [], report);
  }
}

function graceMs({ bounds }: World): number {
  return bounds.leaseMs + 2 * bounds.pollMs + bounds.skewMs;
}

/** A run that ended by itself before its owner can have heard of it ends as its tasks say. */
function checkEnd(world: World, run: RunModel, cancel: MessageSent, report: Report): void {
  const end = run.ends.find(({ event }) => event.seq > cancel.seq);
  if (end === undefined) return;
  report.checked(12);
  if (end.status === "cancelled" || end.status === "quarantined") return;
  const heardBy = world.calmFrom(cancel.at) + graceMs(world);
  if (end.event.at <= heardBy) return;
  report.violated(
    12,
    run.id,
    `the run was cancelled at ${cancel.at}, and ended ${end.status} at ${end.event.at}`,
    cancel,
    end.event,
  );
}

function checkStarts(
  world: World,
  run: RunModel,
  at: number,
  executions: readonly Execution[],
  report: Report,
  cancel?: MessageSent,
): void {
  if (run.shape === undefined) return;
  const reopened = run.sent.find(
    ({ message, at: sentAt }) => (message === "resume" || message === "rerun") && sentAt >= at,
  );
  const from = world.calmFrom(at) + graceMs(world);
  report.checked(12);
  for (const { task, start, key } of executions) {
    const position = run.shape.positions.get(task);
    if (position === undefined || run.shape.tasks[position]!.teardown || start.at <= from) continue;
    if (reopened !== undefined && start.at >= reopened.at) continue;
    report.violated(12, run.id, `"${key}" started ${start.at - at} ms after the run had been cancelled`, cancel, start);
  }
}
