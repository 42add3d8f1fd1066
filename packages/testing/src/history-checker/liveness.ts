/** After faults have stopped, all work gets done: invariants 41 to 49. */
import type { ClientCall, Fault, RunClaimed, RunCreated } from "./history.js";
import type { Report } from "./report.js";
import { isFinalRun, type RunModel } from "./run-model.js";
import type { World } from "./world.js";

/** What a takeover may take beside lease and poll. */
const TAKEOVER_SLACK_MS = 1_000;

export function checkLiveness(world: World, report: Report): void {
  checkSettled(world, report);
  checkRecovery(world, report);
  checkHints(world, report);
  checkStarvation(world, report);
  checkPoison(world, report);
  for (const call of world.evidence.clients) {
    if (call.operation === "result") checkResult(world, call, report);
    if (call.operation === "stop") checkStop(world, call, report);
  }
  checkProbes(world, report);
}

// ---- 41 and 42

function checkSettled(world: World, report: Report): void {
  const { healedAt } = world.settings;
  const { until, leaseMs, pollMs, settleMs, skewMs } = world.bounds;
  if (healedAt === undefined) return report.cannot([41, 42], "nothing says when faults had stopped");
  if (until < healedAt + leaseMs + pollMs + settleMs) {
    return report.cannot([41, 42], "the observer stopped looking before all work can have been done");
  }
  for (const run of world.runs.values()) {
    if (run.created === undefined || run.deleted !== undefined || run.isAmbiguous) continue;
    report.checked(41);
    checkTasks(world, run, report);
    if (isFinalRun(run.status) || mayWait(world, run)) continue;
    const since = run.lastWrite ?? run.created;
    if (since.at + leaseMs + pollMs + settleMs + skewMs > until) continue;
    report.violated(
      41,
      run.id,
      `the run is ${run.status} ${until - healedAt} ms after all was healed, and waits for nothing`,
      since,
    );
  }
}

/** It waits for what has not come yet, or for somebody. */
function mayWait(world: World, run: RunModel): boolean {
  const { until } = world.bounds;
  if (run.status === "paused" || run.created!.availableAt > until) return true;
  const { definitions } = world.evidence.facts ?? {};
  if (definitions !== undefined && !definitions.includes(run.definition!)) return true;
  for (const { record } of run.current.values()) {
    if (record?.status === "retrying" && (record.retryAt ?? 0) > until - world.bounds.settleMs) return true;
    if (record?.status !== "waiting" || record.wait === undefined) continue;
    const { wait } = record;
    if (wait.kind === "signal") return true;
    if (wait.kind !== "run" && wait.until > until - world.bounds.settleMs) return true;
    if (wait.kind === "run") {
      const child = world.runs.get(wait.runId);
      if (child?.created && !isFinalRun(child.status) && mayWait(world, child)) return true;
    }
  }
  return false;
}

/** 42: nothing is left running by an owner that is gone, or ready with nobody to start it. */
function checkTasks(world: World, run: RunModel, report: Report): void {
  if (run.shape === undefined || isFinalRun(run.status)) return;
  const { until, leaseMs, pollMs, settleMs } = world.bounds;
  const lease = run.owner === undefined ? undefined : world.leaseUntil(run.owner, until);
  const isOwned =
    run.owner !== undefined && (lease === undefined ? !world.hasLeases(run.owner) : lease + leaseMs + pollMs >= until);
  for (const { key, record, event, position, index } of run.current.values()) {
    const task = run.shape.tasks[position];
    if (
      record === undefined ||
      task === undefined ||
      task.kind === "group" ||
      (task.mapped && index.length === task.depth)
    )
      continue;
    report.checked(42);
    if (record.status === "running" && !isOwned) {
      report.violated(42, run.id, `"${key}" is running, and no engine that lives owns the run`, run.ownerChange, event);
    }
    const isIdle = record.status === "ready" && event!.at + settleMs < until;
    if (isIdle && run.status === "running") {
      report.violated(42, run.id, `"${key}" has been ready for ${until - event!.at} ms`, event);
    }
  }
}

// ---- 43

/** A killed engine's runs go on elsewhere, when an engine that can take them was there all the while. */
function checkRecovery(world: World, report: Report): void {
  const { leaseMs, pollMs, skewMs } = world.bounds;
  for (const kill of world.evidence.faults) {
    if (kill.kind !== "kill" || kill.engine === undefined) continue;
    const bound = leaseMs + pollMs + TAKEOVER_SLACK_MS + skewMs;
    for (const run of world.runs.values()) {
      const tenure = run.tenures.findLast(({ event }) => event.at <= kill.from);
      if (tenure === undefined || world.nameOf(tenure.engine) !== kill.engine) continue;
      if (tenure.end !== undefined && tenure.end.at <= kill.from) continue;
      const next = run.tenures.find(({ event }) => event.seq > tenure.event.seq);
      if (!isOtherwiseCalm(world, run, kill, bound) || !mayBeTaken(world, run, kill)) continue;
      if (next !== undefined && isSuspect(world, next.event)) continue;
      report.checked(43);
      const tookMs = (next?.event.at ?? world.bounds.until) - kill.from;
      if (tookMs <= bound) continue;
      report.violated(
        43,
        run.id,
        `${kill.engine} was killed, and the run went on ${tookMs} ms later, over ${bound}`,
        kill,
        next?.event,
      );
    }
  }
}

/** Runs that one more crash would quarantine are taken up one at a time, and so may wait for each other. */
function isSuspect(world: World, taken: RunCreated | RunClaimed): boolean {
  return taken.type === "claimed" && taken.crashes >= Math.max(1, world.bounds.quarantineAfter - 1);
}

/** Nothing else went wrong meanwhile, and another engine that has the run's definition held its lease throughout. */
function isOtherwiseCalm(world: World, run: RunModel, kill: Fault, bound: number): boolean {
  const others = world
    .faults(undefined, kill.from, kill.from + bound)
    .filter((fault) => fault !== kill && fault.kind !== "no-hints");
  if (others.length > 0) return false;
  return [...world.leases].some(([engine, changes]) => {
    if (world.nameOf(engine) === kill.engine) return false;
    if (changes[0]!.definitions?.includes(run.definition!) === false) return false;
    const from = world.leaseUntil(engine, kill.from);
    const to = world.leaseUntil(engine, kill.from + bound);
    return from !== undefined && from > kill.from && to !== undefined && to > kill.from + bound;
  });
}

/** A run that ended, waits or is of a definition that nobody has, need not go on. */
function mayBeTaken(world: World, run: RunModel, kill: Fault): boolean {
  const { definitions } = world.evidence.facts ?? {};
  if (definitions !== undefined && !definitions.includes(run.definition!)) return false;
  return run.ends.every(({ event }) => event.at > kill.from) && run.deleted === undefined;
}

// ---- 44

/** Without hints engines find what there is by looking. */
function checkHints(world: World, report: Report): void {
  const { pollMs, flushMs, skewMs } = world.bounds;
  const silences = world.evidence.faults.filter(({ kind }) => kind === "no-hints");
  if (silences.length === 0) return report.cannot([44], "hints were never held back");
  for (const silence of silences) {
    for (const run of world.runs.values()) {
      const { created } = run;
      if (created === undefined || created.owner !== undefined) continue;
      const from = Math.max(created.at, created.availableAt);
      const bound = from + 2 * pollMs + flushMs + skewMs;
      if (from < silence.from || bound > (silence.to ?? world.bounds.until)) continue;
      if (world.faults(undefined, created.at, bound).some((fault) => fault.kind !== "no-hints")) continue;
      report.checked(44);
      const claim = run.tenures[0]?.event as RunClaimed | undefined;
      if (claim !== undefined && claim.at <= bound) continue;
      report.violated(
        44,
        run.id,
        `without hints the run was taken up ${claim ? `${claim.at - from} ms late` : "by nobody"}`,
        silence,
        created,
        claim,
      );
    }
  }
}

// ---- 45

function checkStarvation(world: World, report: Report): void {
  const { starvationMs } = world.settings;
  if (starvationMs === undefined) return report.cannot([45], "nothing says how long a ready task may wait");
  for (const run of world.runs.values()) {
    if (run.shape === undefined || run.isAmbiguous || run.remaps.length > 0) continue;
    for (const instance of run.current.values()) {
      const first = instance.attempts.get(1);
      const runnable = run.runnable(instance);
      // A run that was opened again may have had the attempt before what lets it run now.
      if (first === undefined || runnable === undefined || runnable.seq > first.first.seq) continue;
      const { startedAt } = first.record;
      if (world.faults(undefined, runnable.at, startedAt).length > 0) continue;
      report.checked(45);
      if (startedAt - runnable.at <= starvationMs + world.bounds.skewMs) continue;
      report.violated(
        45,
        run.id,
        `"${instance.key}" was ready for ${startedAt - runnable.at} ms before it started`,
        runnable,
        first.event,
      );
    }
  }
}

// ---- 46

function checkPoison(world: World, report: Report): void {
  const poison = world.evidence.facts?.poison;
  if (poison === undefined || poison.length === 0) return report.cannot([46], "no run was said to take engines down");
  const { quarantineAfter } = world.bounds;
  for (const id of poison) {
    const run = world.runs.get(id);
    if (run?.created === undefined) continue;
    report.checked(46);
    const claims = run.tenures.filter(({ event }) => event.type === "claimed");
    const tooMany = claims.find(({ event }) => event.type === "claimed" && event.crashes > quarantineAfter);
    if (tooMany)
      report.violated(
        46,
        id,
        `the run takes engines down, and was taken up after ${quarantineAfter} crashes`,
        tooMany.event,
      );
    else if (run.status !== "quarantined") {
      report.violated(
        46,
        id,
        `the run takes engines down, and is ${run.status} instead of quarantined`,
        run.ends.at(-1)?.event ?? run.lastWrite,
      );
    }
  }
}

// ---- 47

function checkResult(world: World, call: ClientCall, report: Report): void {
  const run = call.runId === undefined ? undefined : world.runs.get(call.runId);
  const end = run?.ended ?? run?.deleted;
  if (run === undefined || end === undefined || wasKilled(world, call)) return;
  const { pollMs, flushMs, skewMs, until } = world.bounds;
  const due = world.calmFrom(Math.max(end.at, call.invokedAt)) + 2 * pollMs + flushMs + skewMs;
  if (call.returnedAt === undefined && due >= until) return;
  report.checked(47);
  if (call.returnedAt === undefined || call.returnedAt > due) {
    const when = call.returnedAt === undefined ? "never" : `${call.returnedAt - end.at} ms later`;
    report.violated(47, run.id, `the run had ended, and its result() settled ${when}`, call, end);
  }
}

/** A promise dies with its process. */
function wasKilled(world: World, { engine, invokedAt }: ClientCall): boolean {
  return world.evidence.faults.some(
    (fault) => fault.kind === "kill" && fault.engine === engine && fault.from >= invokedAt,
  );
}

// ---- 48

function checkStop(world: World, call: ClientCall, report: Report): void {
  report.checked(48);
  const who = call.engine ?? "an engine";
  const bound = (call.graceMs ?? 0) + world.bounds.flushMs + world.bounds.skewMs;
  const due = Math.max(call.invokedAt, world.calmFrom(call.invokedAt)) + bound;
  if (call.returnedAt === undefined ? due < world.bounds.until : call.returnedAt > due) {
    report.violated(48, undefined, `stop() of ${who} took longer than its grace`, call);
  }
  const { exitCode, ...left } = call.left ?? {};
  if (exitCode !== undefined && exitCode !== 0)
    report.violated(48, undefined, `${who} stopped with exit code ${exitCode}`, call);
  for (const [what, count] of Object.entries(left)) {
    if (count > 0) report.violated(48, undefined, `${who} stopped and left ${count} ${what} behind`, call);
  }
}

// ---- 49

/** An engine that was registering anew at that moment leaves what it is asked for to whoever looks first. */
function isDoneBy(world: World, run: RunModel, engine: string): boolean {
  if (run.tenures.some((tenure) => world.nameOf(tenure.engine) === engine)) return true;
  const { at } = run.created!;
  const ids = [...world.leases.keys()].filter((id) => world.nameOf(id) === engine);
  return ids.length > 0 && ids.every((id) => (world.leaseUntil(id, at) ?? 0) <= at);
}

function checkProbes(world: World, report: Report): void {
  const { probes, alive } = world.evidence.facts ?? {};
  if (probes === undefined) return report.cannot([49], "no run was made to see that engines still work");
  for (const { engine, runId } of probes) {
    const run = world.runs.get(runId);
    report.checked(49);
    if (run?.status !== "succeeded") {
      report.violated(
        49,
        runId,
        `the probe on ${engine} is ${run?.created ? run.status : "not there"}`,
        run?.lastWrite ?? run?.created,
      );
    } else if (run.tenures.length > 0 && !isDoneBy(world, run, engine)) {
      report.violated(49, runId, `the probe on ${engine} was done by ${run.tenures.at(-1)!.engine}`, run.created);
    }
  }
  for (const engine of alive ?? []) {
    if (probes.some((probe) => probe.engine === engine)) continue;
    report.violated(49, undefined, `nobody saw whether ${engine} still works`);
  }
}
