/** Attempts as the history has them: their numbers and their budget (5). */
import type { AttemptRecord, TaskRecord } from "weftline";
import { name } from "./graph.js";
import type { Flushed } from "./history.js";
import type { Report } from "./report.js";
import type { Instance, RunModel, SeenAttempt } from "./run-model.js";

/** @returns Whether it is the first that is heard of this attempt. */
export function noteAttempt(
  run: RunModel,
  instance: Instance,
  record: AttemptRecord,
  event: Flushed,
  report: Report,
): boolean {
  const before = instance.attempts.get(record.attempt);
  if (!run.isAmbiguous) checkNumber(run, instance, record, before, event, report);
  instance.attempts.set(record.attempt, { record, event, first: before?.first ?? event });
  return before === undefined;
}

function checkNumber(
  run: RunModel,
  instance: Instance,
  record: AttemptRecord,
  before: SeenAttempt | undefined,
  event: Flushed,
  report: Report,
): void {
  const { attempt } = record;
  report.checked(5);
  if (before === undefined) {
    if (attempt < 1) report.violated(5, run.id, `${name(instance)} has an attempt ${attempt}`, event);
    if (attempt > 1 && !instance.attempts.has(attempt - 1) && !isGapKnown(run, instance, attempt)) {
      report.violated(5, run.id, `attempt ${attempt} of ${name(instance)} comes without attempt ${attempt - 1}`, event);
    }
    return;
  }
  if (before.record.status === "running") return;
  if (sameEnd(before.record, record)) {
    report.checked(24);
    report.violated(
      24,
      run.id,
      `the end of attempt ${attempt} of ${name(instance)} was written twice`,
      before.event,
      event,
    );
  } else {
    const why = `attempt ${attempt} of ${name(instance)} ended ${before.record.status}, and its number was used again`;
    report.violated(5, run.id, why, before.event, event);
  }
}

/** A poll's looks are no attempts, and what stands for a pass of a group, or a wait, has no record. */
function isGapKnown(run: RunModel, instance: Instance, attempt: number): boolean {
  const kind = run.shape?.tasks[instance.position]?.kind;
  // The owner was lost before the attempt was written of, and its task's record was written with the next.
  return kind === undefined || kind === "poll" || kind === "group" || instance.attempts.size + 1 > attempt;
}

function sameEnd(one: AttemptRecord, other: AttemptRecord): boolean {
  return one.status === other.status && one.finishedAt === other.finishedAt && one.engineId === other.engineId;
}

/** 5: the task's record agrees with its attempts, and there are no more than its policy allows. */
export function checkBudget(
  run: RunModel,
  instance: Instance,
  record: TaskRecord,
  event: Flushed | undefined,
  report: Report,
): void {
  const task = run.shape?.tasks[instance.position];
  if (task === undefined || run.isAmbiguous) return;
  const { attempts, attemptsBefore } = record;
  report.checked(5);
  if (attemptsBefore > attempts) {
    report.violated(
      5,
      run.id,
      `${name(instance)} has ${attempts} attempts, of which ${attemptsBefore} do not count`,
      event,
    );
  }
  const allowed = task.retry.attempts;
  if (allowed !== undefined && attempts - attemptsBefore > allowed) {
    const why = `${name(instance)} made ${attempts - attemptsBefore} attempts that count, and may make ${allowed}`;
    report.violated(5, run.id, why, event);
  }
}
