/** Schedules and keys: invariants 29 to 33. */
import type { RunCreated, ScheduleFired, ScheduleSet } from "./history.js";
import type { Report } from "./report.js";
import type { RunModel } from "./run-model.js";
import { groupBy, type World } from "./world.js";

export function checkSchedules(world: World, report: Report): void {
  const { history } = world.evidence;
  const created = history.filter((event): event is RunCreated => event.type === "created");
  const scheduled = created.filter(({ schedule, instant }) => schedule !== undefined && instant !== undefined);
  const steps = history.filter(
    (event): event is ScheduleFired | ScheduleSet => event.type === "fired" || event.type === "scheduled",
  );
  checkOnce(scheduled, report);
  for (const run of scheduled) checkNotEarly(world, run, report);
  const byId = groupBy(steps, (step) => (step.type === "fired" ? step.schedule : step.schedule.id));
  for (const [id, own] of byId) {
    checkChain(id, own, report);
    checkCatchUp(
      world,
      id,
      own.filter((step) => step.type === "fired"),
      report,
    );
  }
  checkEnumeration(world, scheduled, byId, report);
  checkOverlap(world, report);
  checkKeys(world, created, report);
}

/** 29: one run for each instant. */
function checkOnce(scheduled: readonly RunCreated[], report: Report): void {
  const seen = new Map<string, RunCreated>();
  for (const run of scheduled) {
    const place = `${run.schedule} ${run.instant}`;
    const before = seen.get(place);
    report.checked(29);
    if (before)
      report.violated(29, run.runId, `two runs stand for instant ${run.instant} of "${run.schedule}"`, before, run);
    seen.set(place, run);
  }
}

/** 29: each firing goes on where the one before it stopped. */
function checkChain(id: string, steps: readonly (ScheduleFired | ScheduleSet)[], report: Report): void {
  let next: number | undefined;
  let before: ScheduleFired | ScheduleSet | undefined;
  for (const step of steps) {
    if (step.type === "fired" && before !== undefined) {
      report.checked(29);
      if (step.expected !== next) {
        report.violated(29, step.runId, `"${id}" fired for ${step.expected} when ${next} was next`, before, step);
      }
    }
    next = step.type === "fired" ? step.next : step.schedule.nextAt;
    before = step;
  }
}

/** 29 and 30, against all instants there are. One that was passed over lies between what was expected and what was run. */
function checkEnumeration(
  world: World,
  scheduled: readonly RunCreated[],
  steps: ReadonlyMap<string, readonly (ScheduleFired | ScheduleSet)[]>,
  report: Report,
): void {
  for (const [id, instants] of Object.entries(world.evidence.facts?.instants ?? {})) {
    const known = new Set(instants);
    const runs = scheduled.filter(({ schedule }) => schedule === id);
    for (const run of runs) {
      report.checked(30);
      if (!known.has(run.instant!)) report.violated(30, run.runId, `${run.instant} is no instant of "${id}"`, run);
    }
    const fired = (steps.get(id) ?? []).filter((step) => step.type === "fired");
    const last = fired.at(-1);
    if (last === undefined || !world.isRecorded) continue;
    const made = new Set(runs.map(({ instant }) => instant));
    for (const instant of instants) {
      if (instant < fired[0]!.expected || instant >= (last.next ?? Number.POSITIVE_INFINITY)) continue;
      report.checked(29);
      const isPassedOver = fired.some((step) => step.expected <= instant && instant <= (step.instant ?? step.expected));
      if (!made.has(instant) && !isPassedOver) {
        report.violated(
          29,
          undefined,
          `instant ${instant} of "${id}" has no run, and nothing says that it was passed over`,
          last,
        );
      }
    }
  }
}

/** 30 */
function checkNotEarly(world: World, run: RunCreated, report: Report): void {
  report.checked(30);
  if (run.at + world.bounds.skewMs >= run.instant!) return;
  report.violated(
    30,
    run.runId,
    `the run for ${run.instant} was made at ${run.at}, ${run.instant! - run.at} ms early`,
    run,
  );
}

/** 31: of instants that were missed no more runs are made than the policy says, and all in order. */
function checkCatchUp(world: World, id: string, fired: readonly ScheduleFired[], report: Report): void {
  const limit = world.settings.catchUp?.[id] ?? 1;
  let late = 0;
  let before: ScheduleFired | undefined;
  for (const step of fired) {
    report.checked(31);
    if (before?.instant !== undefined && step.instant !== undefined && step.instant <= before.instant) {
      report.violated(31, step.runId, `"${id}" ran ${step.instant} after ${before.instant}`, before, step);
    }
    // The one after it was due already: the latest it was not.
    const wasMissed = step.next !== undefined && step.next + world.bounds.flushMs + world.bounds.skewMs < step.at;
    late = wasMissed && step.runId !== undefined ? late + 1 : 0;
    if (late > limit - 1 && wasMissed) {
      report.violated(31, step.runId, `"${id}" ran ${step.instant} although ${step.next} was due by then`, step);
    }
    before = step;
  }
}

/** 32: so many runs of a schedule at once, from when they begin until they end. */
function checkOverlap(world: World, report: Report): void {
  for (const [id, limit] of Object.entries(world.settings.overlap ?? {})) {
    const own = [...world.runs.values()].filter(({ created }) => created?.schedule === id);
    const edges = own.flatMap((run) => edgesOf(run));
    edges.sort((a, b) => a.seq - b.seq);
    let active = 0;
    for (const { run, change, event } of edges) {
      active += change;
      if (change === 1) report.checked(32);
      if (active > limit && change === 1) {
        report.violated(32, run.id, `${active} runs of "${id}" at once, and ${limit} may be`, run.created, event);
      }
    }
  }
}

function edgesOf(run: RunModel) {
  const begun = run.tenures[0]?.event;
  if (begun === undefined) return [];
  const end = run.ends[0]?.event;
  const start = { run, seq: begun.seq, change: 1 as const, event: begun };
  return end === undefined ? [start] : [start, { run, seq: end.seq, change: -1 as const, event: end }];
}

/** 33: one run for each key, and no other request under it. */
function checkKeys(world: World, created: readonly RunCreated[], report: Report): void {
  const seen = new Map<string, RunCreated>();
  for (const run of created) {
    if (run.key === undefined) continue;
    const place = `${run.pipeline} ${run.key}`;
    const before = seen.get(place);
    report.checked(33);
    const deleted = before && world.runs.get(before.runId)?.deleted;
    if (before && !(deleted && deleted.seq < run.seq)) {
      report.violated(33, run.runId, `key "${run.key}" of "${run.pipeline}" has two runs`, before, run);
    }
    seen.set(place, run);
  }
  checkAnswers(world, report);
}

function checkAnswers(world: World, report: Report): void {
  const calls = world.evidence.clients.filter(
    ({ operation, key, outcome, runId }) =>
      operation === "trigger" && key !== undefined && outcome === "ok" && runId !== undefined,
  );
  for (const same of groupBy(calls, ({ pipeline, key }) => `${pipeline} ${key}`).values()) {
    for (const call of same.slice(1)) {
      const first = same[0]!;
      // A key is free again when its run is deleted.
      if (world.runs.get(first.runId!)?.deleted || world.runs.get(call.runId!)?.deleted) continue;
      report.checked(33);
      if (call.runId !== first.runId) {
        report.violated(33, call.runId, `key "${call.key}" gave runs ${first.runId} and ${call.runId}`, first, call);
      } else if (call.params !== undefined && first.params !== undefined && call.params !== first.params) {
        report.violated(
          33,
          call.runId,
          `key "${call.key}" was given again with other params, and was not refused`,
          first,
          call,
        );
      }
    }
  }
}
