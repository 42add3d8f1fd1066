/** What may follow what: one end (3), legal steps (4), and moments that stay (35). */
import type { TaskRecord } from "weftline";
import { name } from "./graph.js";
import type { Flushed } from "./history.js";
import type { Report } from "./report.js";
import { type Instance, isFinal, type RunModel } from "./run-model.js";

/**
 * A record replaces the one before it. Within one flush only the last state of a task is written, so that several steps
 * may lie between the two: what no path of the table leads through is illegal.
 *
 * @param isOpened - The flush answers a resume or a rerun.
 */
export function checkStep(
  run: RunModel,
  instance: Instance,
  next: TaskRecord,
  isOpened: boolean,
  event: Flushed,
  report: Report,
): void {
  if (run.isAmbiguous) return;
  const { record } = instance;
  const kind = run.shape?.tasks[next.position]?.kind ?? "task";
  report.checked(4);
  if (isFinal(next.status)) report.checked(3);
  if (record === undefined) {
    const isNothing = next.status === "succeeded" && next.attempts === 0 && next.items === undefined;
    const needsAttempt =
      isNothing && run.shape !== undefined && kind !== "signal" && kind !== "sleep" && kind !== "group";
    if (needsAttempt) report.violated(4, run.id, `${name(instance)} succeeded without an attempt`, event);
    return;
  }
  if (isFinal(record.status)) {
    if (isOpened || isSame(record, next)) return;
    const why = `${name(instance)} was ${record.status} for good, and became ${next.status}`;
    return report.violated(3, run.id, why, instance.event, event);
  }
  const problem = isOpened ? undefined : illegal(record, next, kind);
  if (problem)
    report.violated(
      4,
      run.id,
      `${name(instance)} went from ${state(record)} to ${state(next)}: ${problem}`,
      instance.event,
      event,
    );
  checkMoments(run, instance, record, next, event, report);
}

/** A new generation is opened by a rerun, a resume, or the retry of a group around the task. */
export function checkGeneration(
  run: RunModel,
  instance: Instance,
  isOpened: boolean,
  event: Flushed,
  report: Report,
): void {
  if (run.shape === undefined || isOpened || run.isAmbiguous) return;
  report.checked(3);
  for (let outer = run.around(instance); outer !== undefined; outer = run.around(outer)) {
    const around = run.find(outer.position, outer.index);
    if ((around?.record?.attempts ?? 0) > 0 || (around?.generation ?? 0) >= instance.generation) return;
  }
  report.violated(3, run.id, `${name(instance)} was opened anew though nobody asked for it`, event);
}

function illegal(before: TaskRecord, next: TaskRecord, kind: string): string | undefined {
  const isAnother = next.attempts > before.attempts;
  const hasAttempts = kind !== "signal" && kind !== "sleep";
  const isList = next.items !== undefined;
  if (next.attempts < before.attempts && kind !== "poll") return "attempts were taken back";
  if (next.status === "pending" && before.status !== "pending") return "nothing becomes pending by itself";
  if (next.status === "upstream-failed" && before.status !== "pending") return "its rule had been satisfied";
  if (!hasAttempts || isList || isAnother || before.status === next.status) return undefined;
  switch (before.status) {
    case "pending":
    case "ready":
      if (next.status === "succeeded" && kind !== "group") return "there was no attempt";
      return next.status === "running" && kind !== "poll" && kind !== "group" ? "there was no attempt" : undefined;
    case "retrying":
      return ["ready", "failed", "cancelled"].includes(next.status) || kind === "run"
        ? undefined
        : "there was no further attempt";
    case "waiting":
      return next.status === "running" && kind !== "poll" ? "it did not stop waiting" : undefined;
    default:
      return undefined;
  }
}

/** 35: what was set once as a moment stays that moment, whoever owns the run. */
function checkMoments(
  run: RunModel,
  instance: Instance,
  before: TaskRecord,
  next: TaskRecord,
  event: Flushed,
  report: Report,
): void {
  if (before.attempts !== next.attempts || before.attemptsBefore !== next.attemptsBefore) return;
  if (
    before.status === "waiting" &&
    next.status === "waiting" &&
    before.wait?.kind === "sleep" &&
    next.wait?.kind === "sleep"
  ) {
    report.checked(35);
    if (before.wait.until !== next.wait.until) {
      report.violated(
        35,
        run.id,
        `${name(instance)} slept until ${before.wait.until}, and then until ${next.wait.until}`,
        instance.event,
        event,
      );
    }
  }
  if (before.status === "retrying" && next.status === "retrying") {
    report.checked(35);
    if (before.retryAt !== next.retryAt) {
      report.violated(
        35,
        run.id,
        `the next attempt of ${name(instance)} was due at ${before.retryAt}, and then at ${next.retryAt}`,
        instance.event,
        event,
      );
    }
  }
}

/** Whether two records of one task or item say the same. */
export function isSame(one: TaskRecord, other: TaskRecord): boolean {
  return (
    one === other ||
    (one.status === other.status &&
      one.attempts === other.attempts &&
      one.attemptsBefore === other.attemptsBefore &&
      one.startedAt === other.startedAt &&
      one.finishedAt === other.finishedAt &&
      one.retryAt === other.retryAt &&
      one.output === other.output &&
      one.reason === other.reason &&
      one.warning === other.warning &&
      one.cachedFrom === other.cachedFrom &&
      one.items === other.items &&
      one.list === other.list &&
      one.error?.message === other.error?.message &&
      sameWait(one, other))
  );
}

function sameWait({ wait: one }: TaskRecord, { wait: other }: TaskRecord): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

function state({ status, attempts }: TaskRecord): string {
  return `${status} (${attempts} ${attempts === 1 ? "attempt" : "attempts"})`;
}
