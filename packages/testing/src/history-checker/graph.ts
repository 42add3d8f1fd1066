/** The graph: who may start when (1), what is left over (2), joins (11), and what follows from what (13). */
import type { TaskRecord, TaskStatus } from "weftline";
import type { CompiledTask } from "./compiled-shape.js";
import type { Flushed, HistoryEvent, WitnessLine } from "./history.js";
import type { Report } from "./report.js";
import { type Instance, isFinal, isFree, keyOf, type RunModel } from "./run-model.js";
import type { World } from "./world.js";

/** A task ended without running although its rule did not say so (yet): its cause may still come. */
export interface Premature {
  readonly run: RunModel;
  readonly instance: Instance;
  readonly event: HistoryEvent;
  readonly status: TaskStatus;
}

/** 1, from the history alone: the attempt is written of for the first time. What let it start was durable before. */
export function checkStart(run: RunModel, instance: Instance, event: Flushed, report: Report): void {
  if (run.shape === undefined || run.isAmbiguous) return;
  report.checked(1);
  if (run.runnable(instance) === undefined) neverRuled(run, instance, event, report);
}

/**
 * 1, from what is stored in the end: by the times of ends and starts. What was opened again has lost the times that led to
 * its first start, and is left out.
 */
export function checkStoredStarts(world: World, report: Report): void {
  for (const run of world.runs.values()) {
    if (run.shape === undefined || mayHaveReopened(run)) continue;
    for (const instance of run.current.values()) {
      const first = instance.attempts.get(1);
      if (first === undefined) continue;
      const cause = run.runnable(instance);
      report.checked(1);
      if (cause === undefined) neverRuled(run, instance, first.first, report);
      else if (cause.at > first.record.startedAt + world.bounds.skewMs) {
        report.violated(1, run.id, `${name(instance)} started before what it waits for had ended`, cause, first.first);
      }
    }
  }
}

function neverRuled(run: RunModel, instance: Instance, event: HistoryEvent, report: Report): void {
  const task = run.shape!.tasks[instance.position]!;
  const decision = run.decision(task, frameOf(task, instance.index)) ?? "wait";
  report.violated(1, run.id, `${name(instance)} started before its rule let it, which says "${decision}"`, event);
}

/** What is stored does not say so, but for attempts that do not count and generations beyond the first. */
export function mayHaveReopened(run: RunModel): boolean {
  if (run.generation > 1) return true;
  for (const { record } of run.current.values()) if ((record?.attemptsBefore ?? 0) > 0) return true;
  return false;
}

/** 1, by what the task itself saw. */
export function checkWitnessedStarts(world: World, report: Report): void {
  for (const [runId, lines] of world.witness) {
    const run = world.runs.get(runId);
    if (run?.shape === undefined || run.isAmbiguous || isReopened(world, run)) continue;
    for (const line of lines) {
      if (line.phase !== "start" || isBeforeRemap(run, line)) continue;
      const position = run.shape.positions.get(line.task);
      // Of a task that was opened again only the last opening is known.
      if (position === undefined) continue;
      const cause = run.runnable({ position, index: line.index });
      report.checked(1);
      if (cause === undefined) {
        report.violated(1, runId, `${keyOf(line.task, line.index)} ran although its rule never let it`, line);
      } else if (!world.isBefore(cause, line)) {
        report.violated(
          1,
          runId,
          `${keyOf(line.task, line.index)} ran before what it waits for was durable`,
          cause,
          line,
        );
      }
    }
  }
}

/** What let a task start under a former definition is not known any more. */
function isBeforeRemap({ remaps }: RunModel, { seq, at }: WitnessLine): boolean {
  const remap = remaps.at(-1);
  return remap !== undefined && (seq === undefined ? at <= remap.at : seq < remap.seq);
}

function isReopened(world: World, run: RunModel): boolean {
  if (!world.isRecorded) return mayHaveReopened(run);
  return run.former.length > 0 || run.sent.some(({ message }) => message === "resume" || message === "rerun");
}

/** 2 and 13: a task that ends without having run does so because of its rule, or of what is around it. */
export function checkSettled(
  run: RunModel,
  instance: Instance,
  event: Flushed,
  report: Report,
  premature: Premature[],
): void {
  const record = instance.record!;
  if (run.shape === undefined || run.isAmbiguous || !isSettledByRule(run, record)) return;
  report.checked(2);
  report.checked(13);
  if (!isRuledOut(run, instance, record.status, event)) premature.push({ run, instance, event, status: record.status });
}

/** The cause of some came later than what it caused; that of others never did. */
export function checkPremature(world: World, premature: readonly Premature[], report: Report): void {
  for (const { run, instance, event, status } of premature) {
    if (instance.record?.status !== status || (!world.isRecorded && mayHaveReopened(run))) continue;
    const task = run.shape!.tasks[instance.position]!;
    if (isRuledOut(run, instance, status, event)) {
      report.violated(13, run.id, `${name(instance)} became ${status} before what caused it was written`, event);
    } else {
      const says = run.decision(task, instance.index) ?? "nothing";
      report.violated(2, run.id, `${name(instance)} is ${status}, but its rule ${task.rule} says "${says}"`, event);
    }
  }
}

function isSettledByRule(run: RunModel, record: TaskRecord): boolean {
  if (record.status !== "skipped" && record.status !== "upstream-failed") return false;
  const task = run.shape!.tasks[record.position];
  if (task === undefined) return false;
  if (record.status === "upstream-failed") return true;
  // What has made an attempt, or was expanded or entered, said so itself.
  return record.attempts === record.attemptsBefore && record.items === undefined;
}

/**
 * By its own rule, or with the group or list around it. In which order things ended that were written together nobody can
 * tell: one skipped upstream rules a task out before another fails.
 */
function isRuledOut(run: RunModel, instance: Instance, status: TaskStatus, event: HistoryEvent): boolean {
  const task = run.shape!.tasks[instance.position]!;
  if (instance.index.length === task.depth) {
    const wanted = status === "skipped" ? "skip" : status;
    const decision = run.decision(task, instance.index);
    if (decision === undefined || decision === wanted) return true;
    const mayBeLater = (one: Instance) =>
      one.ended === event && (one.record!.status === "skipped") !== (status === "skipped");
    if (run.decision(task, instance.index, mayBeLater) === wanted) return true;
  }
  for (let outer = run.around(instance); outer !== undefined; outer = run.around(outer)) {
    if (run.find(outer.position, outer.index)?.record?.status === status) return true;
  }
  return false;
}

/** Something ended: the rules of what comes after it are looked at again. */
export function ruleAfter(run: RunModel, instance: Instance, event: HistoryEvent): void {
  const task = run.shape?.tasks[instance.position];
  if (task === undefined || instance.index.length > task.depth) return;
  for (const next of task.after) rule(run, run.shape!.tasks[next]!, instance.index, event);
}

/** A task was opened (again): what let it run before counts no more. */
export function ruleAnew(run: RunModel, instance: Instance, event: HistoryEvent): void {
  const task = run.shape?.tasks[instance.position];
  if (task === undefined || instance.index.length > task.depth) return;
  run.ruled.delete(instance.key);
  if (isFree(task)) run.ruled.set(instance.key, event);
  else rule(run, task, instance.index, event);
}

/** A task inside a group that had not begun is opened by name: with that the groups around it go on, whatever their rules say. */
export function ruleAround(run: RunModel, instance: Instance, event: HistoryEvent): void {
  if (run.shape?.tasks[instance.position] === undefined) return;
  for (let outer = run.around(instance); outer !== undefined; outer = run.around(outer)) {
    const task = run.shape.tasks[outer.position]!;
    const key = keyOf(task.id, outer.index);
    if (outer.index.length === task.depth && !run.ruled.has(key)) run.ruled.set(key, event);
  }
}

function rule(run: RunModel, task: CompiledTask, frame: readonly number[], event: HistoryEvent): void {
  const key = keyOf(task.id, frame);
  if (!isFree(task) && !run.ruled.has(key) && run.decision(task, frame) === "run") run.ruled.set(key, event);
}

/** 2 and 11, when a run has ended: everything in it has, too. */
export function checkComplete(run: RunModel, event: HistoryEvent, report: Report): void {
  if (run.shape === undefined || run.isAmbiguous) return;
  for (const task of run.shape.tasks) if (task.around < 0) checkEnded(run, task, [], event, report);
}

function checkEnded(
  run: RunModel,
  task: CompiledTask,
  index: readonly number[],
  event: HistoryEvent,
  report: Report,
): void {
  const instance = run.find(task.position, index);
  report.checked(2);
  if (instance?.record === undefined || !isFinal(instance.record.status) || run.isStale(instance)) {
    const status = instance?.record?.status ?? "pending";
    report.violated(2, run.id, `the run ended while ${keyOf(task.id, index)} was ${status}`, event);
    return;
  }
  const { record } = instance;
  const isList = task.mapped && index.length === task.depth;
  if (isList) {
    for (let item = 0; item < (record.items ?? 0); item++) checkEnded(run, task, [...index, item], event, report);
  } else if (task.kind === "group" && record.attempts > 0) {
    for (const member of task.members) checkEnded(run, run.shape!.tasks[member]!, index, event, report);
  }
}

/** 11, from what is stored in the end. What was opened again may have ended after what is around it. */
export function checkStoredJoins(world: World, report: Report): void {
  for (const run of world.runs.values()) {
    if (mayHaveReopened(run)) continue;
    for (const instance of run.current.values()) {
      if (instance.ended !== undefined) checkJoin(run, instance, instance.ended, report);
    }
  }
}

/** 11: a list or a group that has ended says what its items or tasks say, each of which has ended. */
export function checkJoin(run: RunModel, instance: Instance, event: HistoryEvent, report: Report): void {
  const task = run.shape?.tasks[instance.position];
  if (task === undefined || run.isAmbiguous) return;
  const record = instance.record!;
  if (task.mapped && instance.index.length === task.depth) {
    if (record.items !== undefined) checkList(run, task, instance, record.items, event, report);
  } else if (task.kind === "group" && record.attempts > 0) checkGroup(run, task, instance, event, report);
}

function checkList(
  run: RunModel,
  task: CompiledTask,
  list: Instance,
  items: number,
  event: HistoryEvent,
  report: Report,
): void {
  const statuses: TaskStatus[] = [];
  report.checked(11);
  for (let item = 0; item < items; item++) {
    const instance = run.find(task.position, [...list.index, item]);
    const status = instance && !run.isStale(instance) ? instance.record?.status : undefined;
    if (status === undefined || !isFinal(status)) {
      const why = `${name(list)} is ${list.record!.status} while its item ${item} of ${items} is ${status ?? "untouched"}`;
      return report.violated(11, run.id, why, instance?.event, event);
    }
    statuses.push(status);
  }
  const beyond = run.find(task.position, [...list.index, items]);
  if (beyond?.record && beyond.generation >= list.generation) {
    report.violated(11, run.id, `${name(list)} has ${items} items, and there is an item ${items}`, beyond.event, event);
  }
  const expected = joined(statuses);
  if (expected !== list.record!.status) {
    report.violated(11, run.id, `${name(list)} is ${list.record!.status}, and its items say ${expected}`, event);
  }
}

function joined(items: readonly TaskStatus[]): TaskStatus {
  if (items.includes("failed")) return "failed";
  if (items.includes("cancelled")) return "cancelled";
  return items.includes("succeeded") ? "succeeded" : "skipped";
}

function checkGroup(run: RunModel, group: CompiledTask, instance: Instance, event: HistoryEvent, report: Report): void {
  const { status } = instance.record!;
  report.checked(11);
  for (const position of group.members) {
    const member = run.find(position, instance.index);
    const isStale = member !== undefined && run.isStale(member);
    const own = isStale ? undefined : member?.record?.status;
    if (own === undefined || !isFinal(own)) {
      const id = run.shape!.tasks[position]!.id;
      return report.violated(
        11,
        run.id,
        `${name(instance)} is ${status} while ${id} in it is ${own ?? "pending"}`,
        member?.event,
        event,
      );
    }
    const isBad = own === "failed" || own === "cancelled";
    if (status === "succeeded" && isBad && mayNotFail(run.shape!.tasks[position]!)) {
      report.violated(
        11,
        run.id,
        `${name(instance)} succeeded although ${member!.key} in it is ${own}`,
        member!.event,
        event,
      );
    }
  }
}

export function mayNotFail({ allowFailure, teardown, failRun }: CompiledTask): boolean {
  return !allowFailure && (!teardown || failRun);
}

function frameOf(task: CompiledTask, index: readonly number[]): readonly number[] {
  return index.length > task.depth ? index.slice(0, task.depth) : index;
}

export function name({ key, generation }: Instance): string {
  return generation === 1 ? `"${key}"` : `"${key}" (generation ${generation})`;
}
