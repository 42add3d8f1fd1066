/** What was acknowledged is there, and says what was said: invariants 22, 23, 24, 26, 27 and 28. */
import { checkRemains } from "./deleting.js";
import type { Execution } from "./executions.js";
import { hashOf } from "./hash-of.js";
import type { ClientCall, FinalRun } from "./history.js";
import type { Report } from "./report.js";
import { type Instance, keyOf, type RunModel } from "./run-model.js";
import { isSame } from "./transitions.js";
import { groupBy, type World } from "./world.js";

export function checkDurability(
  world: World,
  executions: ReadonlyMap<string, readonly Execution[]>,
  report: Report,
): void {
  for (const call of world.evidence.clients) checkAcknowledged(world, call, report);
  checkUnknown(world, report);
  checkFinal(world, report);
  checkRemains(world, report);
  for (const [runId, own] of executions) {
    const run = world.runs.get(runId);
    if (run?.shape === undefined || run.isAmbiguous || run.remaps.length > 0) continue;
    for (const execution of own) {
      checkLatency(world, run, execution, report);
      checkInputs(world, run, execution, report);
    }
    checkOutputs(run, own, report);
  }
}

// ---- 22 and 23

function checkAcknowledged(world: World, call: ClientCall, report: Report): void {
  if (call.outcome !== "ok" || call.runId === undefined) return;
  const run = world.runs.get(call.runId);
  switch (call.operation) {
    case "trigger":
      report.checked(22);
      if (run?.created === undefined) report.violated(22, call.runId, "the run was acknowledged, and is nowhere", call);
      return;
    case "delete":
      return checkDeleted(world, call, report);
    case "remap":
      if (!world.isRecorded) return;
      report.checked(22);
      if (run?.remaps.length) return;
      return report.violated(22, call.runId, "the run was said to be carried over, and the store did not do so", call);
    case "cancel":
    case "resume":
    case "rerun":
    case "pause":
    case "unpause":
    case "signal":
      if (!world.isRecorded) return;
      report.checked(22);
      if (run?.sent.some(({ message }) => message === call.operation)) return;
      return report.violated(
        22,
        call.runId,
        `a ${call.operation} was acknowledged, and the store never took one`,
        call,
      );
    default:
      return;
  }
}

function checkDeleted(world: World, call: ClientCall, report: Report): void {
  const { final } = world.evidence;
  if (final === undefined) return;
  report.checked(22);
  if (final.runs.some(({ run }) => run.id === call.runId)) {
    report.violated(22, call.runId, "the run was deleted, and is there", call);
  }
}

/** Tries at one operation have one result. */
function checkUnknown(world: World, report: Report): void {
  const tries = world.evidence.clients.filter(({ intent }) => intent !== undefined);
  for (const calls of groupBy(tries, ({ intent }) => intent!).values()) {
    if (calls.length < 2) continue;
    report.checked(23);
    const answered = calls.filter(({ outcome, runId }) => outcome === "ok" && runId !== undefined);
    const [first] = answered;
    const other = answered.find(({ runId }) => runId !== first?.runId);
    // A key is free again when its run is deleted.
    const isFreed = answered.some(({ runId }) => world.runs.get(runId!)?.deleted !== undefined);
    if (other && !isFreed)
      report.violated(23, other.runId, `one ${other.operation}, tried again, gave another run`, first, other);
  }
  for (const call of world.evidence.clients) {
    if (call.operation !== "trigger" || call.outcome !== "unknown" || call.key === undefined) continue;
    report.checked(23);
    const made = [...world.runs.values()].filter(
      ({ created, deleted }) => created?.key === call.key && created?.pipeline === call.pipeline && !deleted,
    );
    if (made.length > 1)
      report.violated(
        23,
        made[1]!.id,
        `a trigger of unknown outcome made ${made.length} runs`,
        call,
        made[0]!.created,
        made[1]!.created,
      );
  }
}

// ---- 22 and 24, by what is stored in the end

function checkFinal(world: World, report: Report): void {
  const { final } = world.evidence;
  if (final === undefined || !world.isRecorded) return;
  const stored = new Map(final.runs.map((run) => [run.run.id, run]));
  for (const run of world.runs.values()) {
    if (run.created === undefined) continue;
    const found = stored.get(run.id);
    report.checked(22);
    if (found === undefined) {
      if (!run.deleted)
        report.violated(22, run.id, "the store took the run, and does not have it", run.created, run.lastWrite);
    } else if (run.deleted)
      report.violated(24, run.id, "the run was deleted, and something of it is there", run.deleted);
    else if (!run.isAmbiguous) compare(run, found, report);
  }
}

/** A flush is visible as a whole: what is stored is what all flushes add up to. */
function compare(run: RunModel, final: FinalRun, report: Report): void {
  report.checked(24);
  if (final.run.status !== run.status) {
    report.violated(
      24,
      run.id,
      `the run was written as ${run.status}, and is stored as ${final.run.status}`,
      run.lastWrite,
    );
  }
  for (const record of final.tasks) {
    const instance = run.at(record.task, record.index, record.generation);
    if (instance?.generation === record.generation && instance.record && isSame(instance.record, record)) continue;
    const why = `${keyOf(record.task, record.index)} is stored as ${record.status}, and was written as ${instance?.record?.status ?? "nothing"}`;
    report.violated(24, run.id, why, instance?.event);
  }
  const isThere = new Set(final.tasks.map((record) => `${keyOf(record.task, record.index)}@${record.generation}`));
  const attempts = new Map(
    final.attempts.map((record) => [
      `${keyOf(record.task, record.index)}@${record.generation}/${record.attempt}`,
      record,
    ]),
  );
  for (const instance of final.allGenerations ? run.instances() : []) {
    if (instance.record && !isThere.has(`${instance.key}@${instance.generation}`)) {
      report.violated(24, run.id, `"${instance.key}" was written, and is not stored`, instance.event);
    }
    for (const { record, event } of instance.attempts.values()) {
      const found = attempts.get(`${instance.key}@${instance.generation}/${record.attempt}`);
      if (found?.status === record.status && found.finishedAt === record.finishedAt) continue;
      const why = `attempt ${record.attempt} of "${instance.key}" was written as ${record.status}, and is stored as ${found?.status ?? "nothing"}`;
      report.violated(24, run.id, why, event);
    }
  }
}

// ---- 26

function checkLatency(world: World, run: RunModel, execution: Execution, report: Report): void {
  const { end, task, index, generation, attempt, engine } = execution;
  if (!world.isRecorded || end === undefined) return;
  const seen = run.at(task, index, generation)?.attempts.get(attempt);
  if (seen === undefined || seen.record.status === "running" || !isOf(world, seen.record.engineId, engine)) return;
  // A look of a poll that finds nothing ends no attempt, and is written with none: which one was the last cannot be told.
  if (run.shape?.tasks[seen.record.position]?.kind === "poll") return;
  const tookMs = seen.event.at - end.at;
  if (world.faults(undefined, end.at - world.bounds.leaseMs, seen.event.at).length > 0) return;
  report.checked(26);
  if (tookMs > world.bounds.flushMs + world.bounds.skewMs) {
    report.violated(26, run.id, `the end of "${execution.key}" was durable ${tookMs} ms after it`, end, seen.event);
  }
}

function isOf(world: World, engineId: string, name: string | undefined): boolean {
  return name === undefined || world.nameOf(engineId) === name;
}

// ---- 27

/** Of several executions of one attempt, one is the one that was written. */
function checkOutputs(run: RunModel, executions: readonly Execution[], report: Report): void {
  const returned = executions.filter(
    ({ end }) => end?.outputHash !== undefined && (end.outcome ?? "returned") === "returned",
  );
  for (const same of groupBy(
    returned,
    ({ key, generation, attempt }) => `${key}@${generation ?? ""}/${attempt}`,
  ).values()) {
    const { task, index, generation, attempt } = same[0]!;
    const instance = run.at(task, index, generation);
    const record = instance?.record;
    if (record?.status !== "succeeded" || record.output === undefined || record.attempts !== attempt) continue;
    if (record.cachedFrom !== undefined || !keepsOutput(run, instance!)) continue;
    report.checked(27);
    const hash = hashOf(record.output);
    if (same.some(({ end }) => end!.outputHash === hash)) continue;
    report.violated(
      27,
      run.id,
      `what is stored of "${instance!.key}" is not what it returned`,
      same[0]!.end,
      instance!.event,
    );
  }
}

/** What a sleep or a sub-pipeline returns is not its output. */
function keepsOutput(run: RunModel, { position }: Instance): boolean {
  const kind = run.shape!.tasks[position]?.kind;
  return kind === "task" || kind === "map" || kind === "branch";
}

// ---- 28

function checkInputs(world: World, run: RunModel, { start, task, index, key }: Execution, report: Report): void {
  const position = run.shape!.positions.get(task);
  if (start.inputHashes === undefined || position === undefined || run.former.length > 0) return;
  const { needs, depth } = run.shape!.tasks[position]!;
  for (const [name, hash] of Object.entries(start.inputHashes)) {
    const from = needs.find((need) => need.name === name)?.task;
    const source = from === undefined ? undefined : run.shape!.positions.get(from);
    if (source === undefined) continue;
    const outer = run.shape!.tasks[source]!;
    const instance = run.find(source, index.slice(0, Math.min(outer.depth, depth)));
    // A list or a group puts out what its items or tasks did, which is not stored a second time.
    if (
      instance?.record?.output === undefined ||
      instance.ended === undefined ||
      !world.isBefore(instance.ended, start)
    )
      continue;
    report.checked(28);
    if (hashOf(instance.record.output) === hash) continue;
    report.violated(
      28,
      run.id,
      `"${key}" read "${name}" as something else than "${from}" put out`,
      instance.event,
      start,
    );
  }
}
