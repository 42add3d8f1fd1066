/** Who owns a run, and who may write it: invariants 14 to 19 and 21. */
import type { Flushed, FlushedRun, LeaseChanged, RunClaimed, WitnessLine } from "./history.js";
import type { Report } from "./report.js";
import { keyOf, type RunModel } from "./run-model.js";
import type { World } from "./world.js";

/** 14, 16, 19 and 21: a run gets another owner. Called before the model changes. */
export function checkClaim(world: World, run: RunModel, event: RunClaimed, report: Report): void {
  report.checked(14);
  if (event.epoch <= run.epoch) {
    report.violated(14, run.id, `epoch ${event.epoch} was given out after epoch ${run.epoch}`, run.ownerChange, event);
  }
  const died = checkTakeover(world, run, event, report);
  if (!died && run.owner !== undefined) return;
  report.checked(21);
  const expected = run.crashes + (died && run.status === "running" ? 1 : 0);
  if (event.crashes < expected) {
    const why = `${event.engine} took it up with ${event.crashes} crashes on record where there had been ${expected}`;
    report.violated(21, run.id, why, run.ownerChange, event);
  }
}

/** @returns Whether the owner before had died, which nobody had noticed so far. */
function checkTakeover(world: World, run: RunModel, event: RunClaimed, report: Report): boolean {
  report.checked(19);
  const { owner } = run;
  if (owner === undefined) return false;
  const until = world.leaseUntil(owner, event.at, event.seq);
  if (until === undefined) return world.hasLeases(owner);
  report.checked(16);
  if (until <= event.at + world.bounds.skewMs) return true;
  const why = `${event.engine} took it up at ${event.at}, while the lease of ${owner} held until ${until}`;
  report.violated(19, run.id, why, run.ownerChange, event);
  report.violated(16, run.id, why, run.ownerChange, event);
  return false;
}

/** 15: only the owner writes, under its epoch. @returns Whether the flush may be believed. */
export function checkWrite(run: RunModel, part: FlushedRun, event: Flushed, report: Report): boolean {
  if (part.epoch === undefined || run.created === undefined) return true;
  report.checked(15);
  if (run.owner === event.engine && run.epoch === part.epoch) return true;
  // A store that works on several calls at once may have taken this one before that which changed the owner.
  const changed = run.ownerChange;
  if (changed !== undefined && (event.since ?? event.seq) < changed.seq) return true;
  if (run.ended !== undefined) return true; // 10 says so
  const owner = run.owner === undefined ? "nobody owned it" : `${run.owner} owned it under epoch ${run.epoch}`;
  report.violated(15, run.id, `${event.engine} wrote under epoch ${part.epoch} when ${owner}`, changed, event);
  return false;
}

/** 18: a lease that has run out is lost, and no renewal brings it back. */
export function checkRenewals(world: World, report: Report): void {
  for (const [engine, changes] of world.leases) {
    let before: LeaseChanged | undefined;
    for (const change of changes) {
      if (before !== undefined && change.change === "renewed") checkRenewal(engine, before, change, report);
      before = change;
    }
  }
}

function checkRenewal(engine: string, before: LeaseChanged, change: LeaseChanged, report: Report): void {
  report.checked(18);
  if (before.until === undefined) {
    report.violated(18, undefined, `${engine} renewed a lease that it no longer had`, before, change);
  } else if (before.until < change.at) {
    const why = `${engine} renewed its lease at ${change.at}, and it had run out at ${before.until}`;
    report.violated(18, undefined, why, before, change);
  }
}

/** 17: nothing starts on an engine whose lease has run out. */
export function checkSelfFence(world: World, report: Report): void {
  const engines = new Map<string, string[]>();
  for (const id of world.leases.keys()) {
    const name = world.nameOf(id);
    engines.set(name, [...(engines.get(name) ?? []), id]);
  }
  for (const line of world.evidence.witness) {
    if (line.phase === "start") checkStarted(world, line, engines, report);
  }
}

function checkStarted(
  world: World,
  line: WitnessLine,
  engines: ReadonlyMap<string, readonly string[]>,
  report: Report,
): void {
  if (line.leaseLeftMs !== undefined) {
    report.checked(17);
    if (line.leaseLeftMs <= 0) {
      report.violated(
        17,
        line.runId,
        `${keyOf(line.task, line.index)} started ${-line.leaseLeftMs} ms after the lease`,
        line,
      );
    }
    return;
  }
  const ids = line.engine === undefined ? undefined : engines.get(line.engine);
  if (ids === undefined) return;
  report.checked(17);
  const holds = ids.some((id) => {
    const until = Math.max(world.leaseUntil(id, line.at + world.bounds.skewMs) ?? 0, leaseBefore(world, id, line) ?? 0);
    return until + world.bounds.skewMs >= line.at;
  });
  if (!holds) {
    report.violated(
      17,
      line.runId,
      `${keyOf(line.task, line.index)} started on ${line.engine}, whose lease had run out`,
      line,
    );
  }
}

/** By the order of the history, where that is exact: within one millisecond a task may start and its engine stop. */
function leaseBefore(world: World, engine: string, { seq }: WitnessLine): number | undefined {
  if (seq === undefined || !world.isRecorded) return undefined;
  let latest: LeaseChanged | undefined;
  for (const change of world.leases.get(engine) ?? []) {
    if (change.seq < seq && change.seq > (latest?.seq ?? 0)) latest = change;
  }
  return latest?.until;
}
