/** Delays and moments: invariants 34 and 35. */

import { name } from "./graph.js";
import type { RetryShape, RunRemapped } from "./history.js";
import type { Report } from "./report.js";
import type { Instance, RunModel, SeenAttempt } from "./run-model.js";
import type { World } from "./world.js";

/** Clocks are read at whole milliseconds. */
const TICK_MS = 1;

export function checkTimers(world: World, report: Report): void {
  for (const run of world.runs.values()) {
    if (run.shape === undefined || run.isAmbiguous) continue;
    for (const instance of run.instances()) checkBackoff(world, run, instance, report);
    checkRunDeadline(world, run, report);
  }
  checkRecords(world, report);
}

/** 34: between the end of a failed attempt and the start of the next. */
function checkBackoff(world: World, run: RunModel, instance: Instance, report: Report): void {
  const retry = run.shape!.tasks[instance.position]?.retry;
  if (retry?.delayMs === undefined || retry.maxDelayMs === undefined) return;
  for (const [number, before] of instance.attempts) {
    const next = instance.attempts.get(number + 1);
    if (next !== undefined) checkGap(world, run, instance, retry, before, next, report);
  }
}

function checkGap(
  world: World,
  run: RunModel,
  instance: Instance,
  retry: RetryShape,
  before: SeenAttempt,
  next: SeenAttempt,
  report: Report,
): void {
  const { status, finishedAt, error, attempt } = before.record;
  // A resume, or a task that says itself when it wants to be tried again, knows no delay of the policy.
  if ((status !== "failed" && status !== "abandoned") || finishedAt === undefined || error?.name === "RetryAfter")
    return;
  if (run.sent.some(({ message }) => message === "resume")) return;
  if (!world.isRecorded && (instance.record?.attemptsBefore ?? 0) > 0) return;
  const isOneClock = before.record.engineId === next.record.engineId;
  const skew = (isOneClock ? 0 : world.bounds.skewMs) + stepsBetween(world, before, next);
  const gap = next.record.startedAt - finishedAt;
  report.checked(34);
  const least = leastDelay(retry, attempt - (instance.record?.attemptsBefore ?? 0));
  if (gap + TICK_MS + skew < least) {
    const why = `attempt ${attempt + 1} of ${name(instance)} came ${gap} ms after attempt ${attempt} had failed, and ${least} ms are the least`;
    report.violated(34, run.id, why, before.event, next.event);
  }
  const calm = world.calmFrom(finishedAt + retry.maxDelayMs!);
  const latest = Math.max(calm, finishedAt + retry.maxDelayMs!) + slackMs(world) + world.bounds.settleMs;
  if (next.record.startedAt > latest) {
    report.suspected(
      34,
      run.id,
      `attempt ${attempt + 1} of ${name(instance)} came ${gap} ms after attempt ${attempt}`,
      before.event,
      next.event,
    );
  }
}

/** By how much the clock of either engine may have jumped between the two. */
function stepsBetween(world: World, before: SeenAttempt, next: SeenAttempt): number {
  const engines = [before, next].map(({ record }) => world.nameOf(record.engineId));
  const steps = world.evidence.faults.filter(
    ({ kind, engine, from }) =>
      kind === "clock-step" && from <= next.event.at && (engine === undefined || engines.includes(engine)),
  );
  return steps.reduce((sum, { byMs = 0 }) => sum + Math.abs(byMs), 0);
}

/** With jitter any delay above 0 will do, as whole milliseconds at least one. */
function leastDelay({ delayMs = 0, maxDelayMs = 0, backoff, jitter }: RetryShape, failures: number): number {
  if (delayMs === 0) return 0;
  if (jitter !== "none") return 1;
  // Attempts that were interrupted do not count: the fewest that may have failed.
  const counted = Math.max(1, failures);
  const grown =
    backoff === "linear" ? delayMs * counted : backoff === "exponential" ? delayMs * 2 ** (counted - 1) : delayMs;
  return Math.min(maxDelayMs, grown);
}

/** 35, by what was written: nothing wakes before its moment, and a takeover does not begin to count anew. */
function checkRecords(world: World, report: Report): void {
  const sleeps = new Map<string, number>();
  for (const event of world.evidence.history) {
    if (event.type === "remapped") move(sleeps, event);
    if (event.type !== "flushed" || event.outcome !== "ok") continue;
    for (const part of event.runs) {
      const run = world.runs.get(part.runId);
      if (part.fenced || run === undefined) continue;
      for (const record of part.tasks) {
        const place = `${part.runId} ${record.position}/${record.index.join(".")}@${record.generation}`;
        const until = sleeps.get(place);
        if (record.status === "waiting" && record.wait?.kind === "sleep") sleeps.set(place, record.wait.until);
        else sleeps.delete(place);
        if (until === undefined || record.status !== "succeeded" || record.finishedAt === undefined) continue;
        report.checked(35);
        const { finishedAt } = record;
        if (finishedAt + world.bounds.skewMs < until) {
          report.violated(35, run.id, `"${record.task}" slept until ${until}, and woke at ${finishedAt}`, event);
        } else if (finishedAt > latestWake(world, run, until)) {
          report.violated(
            35,
            run.id,
            `"${record.task}" slept until ${until}, and woke ${finishedAt - until} ms late`,
            event,
          );
        }
      }
    }
  }
}

/** What sleeps has other places under another definition. */
function move(sleeps: Map<string, number>, { runId, tasks }: RunRemapped): void {
  const moves = new Map(tasks.map(({ from, position }) => [String(from), position]));
  const own = [...sleeps].filter(([place]) => place.startsWith(`${runId} `));
  for (const [place] of own) sleeps.delete(place);
  for (const [place, until] of own) {
    const [, from, rest] = /^(\d+)(.*)$/.exec(place.slice(runId.length + 1))!;
    const position = moves.get(from!);
    if (position !== undefined) sleeps.set(`${runId} ${position}${rest}`, until);
  }
}

/** Whoever owns the run by then wakes it at once; one that takes it up later, as soon as it has. */
function latestWake(world: World, run: RunModel, until: number): number {
  let from = world.calmFrom(until);
  for (const { event } of run.tenures) if (event.at > from) from = Math.max(from, event.at);
  for (const { at } of run.sent) from = Math.max(from, at);
  return from + slackMs(world);
}

function slackMs({ bounds }: World): number {
  return bounds.leaseMs + bounds.pollMs + bounds.flushMs + bounds.skewMs + bounds.workMs;
}

/** 35: a run's own deadline is a moment, too. */
function checkRunDeadline(world: World, run: RunModel, report: Report): void {
  if (!world.isRecorded || run.shape!.shape.timeoutMs === undefined) return;
  let deadline: number | undefined;
  let opened = 0;
  for (const event of world.evidence.history) {
    if (event.type === "sent" && event.runId === run.id)
      opened += event.message === "resume" || event.message === "rerun" ? 1 : 0;
    if (event.type !== "flushed" || event.outcome !== "ok") continue;
    const state = event.runs.find((part) => part.runId === run.id && !part.fenced)?.run;
    if (state === undefined) continue;
    if (deadline !== undefined && opened === 0) {
      report.checked(35);
      if (state.deadlineAt !== deadline) {
        report.violated(35, run.id, `the run's deadline was ${deadline}, and then ${state.deadlineAt}`, event);
      }
    }
    deadline = state.deadlineAt;
    opened = 0;
  }
}
