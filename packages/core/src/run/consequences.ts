/** What follows when something finishes, however far it goes: lists and groups around it, successors, and theirs. */
import { START_GROUP, START_LIST } from "../define/plan.js";
import { type Decision, decide, TEARDOWN_RULE } from "../define/trigger-rules.js";
import { chosenPath } from "./branch-paths.js";
import { BY_ITEMS, type Effects } from "./effects.js";
import { forEachInside, forEachMember } from "./frames.js";
import { countsAsFailed } from "./outcome.js";
import {
  CANCELLED,
  type EnteredGroup,
  FAILED,
  isFinal,
  PENDING,
  READY,
  RUNNING,
  type RunState,
  SKIPPED,
  SUCCEEDED,
  UPSTREAM_COUNTERS,
  UPSTREAM_FAILED,
  UPSTREAM_FAILURE,
  UPSTREAM_SKIPPED,
  UPSTREAM_SUCCEEDED,
  UPSTREAM_UPSTREAM_FAILED,
} from "./state.js";

/** Sets a final status and follows its consequences, however far they go, without recursion. */
export function finish(state: RunState, instance: number, status: number, effects: Effects): void {
  if (isFinal(state.status[instance]!)) return;
  state.status[instance] = status;
  state.groups.delete(instance);
  forgetTimes(state, instance);
  state.scratch.push(instance);
  settle(state, state.scratch, effects);
}

function forgetTimes(state: RunState, instance: number): void {
  if (state.retryAt.size > 0) state.retryAt.delete(instance);
  // Of a run that was started the wait stays, so that a resume goes on with that run.
  if (state.waits.size > 0 && state.waits.get(instance)?.kind !== "run") state.waits.delete(instance);
}

/** An instance ends without an attempt, and all that stands inside a group with it. */
export function end(
  state: RunState,
  instance: number,
  status: number,
  cause: number,
  effects: Effects,
  finished: number[],
): void {
  state.status[instance] = status;
  forgetTimes(state, instance);
  effects.finished.push(instance, cause);
  finished.push(instance);
  if (state.plan.starts[state.positionOf(instance)] !== START_GROUP && !state.isItem(instance)) return;
  forEachInside(state, instance, (inside) => {
    if (isFinal(state.status[inside]!)) return; // of a group that had begun before
    state.status[inside] = status;
    effects.finished.push(inside, instance);
  });
}

/** Follows up on what finished: lists and groups around it, successors, and theirs when that finishes them too. */
export function settle(state: RunState, finished: number[], effects: Effects): void {
  for (let done = 0; done < finished.length; done++) {
    const instance = finished[done]!;
    if (instance < state.plan.tasks.length && state.plan.parent[instance]! < 0) {
      state.open--;
      propagate(state, instance, instance, effects, finished);
    } else if (state.isItem(instance)) {
      countItem(state, instance, effects, finished);
    } else {
      countMember(state, instance, effects, finished);
      propagate(state, instance, state.positionOf(instance), effects, finished);
    }
  }
  finished.length = 0;
}

function countItem(state: RunState, item: number, effects: Effects, finished: number[]): void {
  const expansion = state.expansionOf(item)!;
  const status = state.status[item];
  expansion.open--;
  if (expansion.stride > 1 && state.attempts[item]! > 0) expansion.entered--;
  if (status === SUCCEEDED) expansion.succeeded++;
  else if (status === FAILED) expansion.failed++;
  else if (status === CANCELLED) expansion.cancelled++;
  if (expansion.open === 0) join(state, expansion.owner, effects, finished);
  else if (expansion.stride > 1) effects.advanced.push(expansion.owner);
}

function countMember(state: RunState, member: number, effects: Effects, finished: number[]): void {
  const parent = state.parentOf(member);
  const group = state.groups.get(parent);
  if (group === undefined) return; // the group ended before it was entered, and its tasks with it
  tally(state, group, member);
  if (group.open === 0) endGroup(state, parent, effects, finished);
}

/** Counts a finished task for the group around it: what may not fail a run does not fail a group either. */
export function tally(state: RunState, group: EnteredGroup, member: number): void {
  const status = state.status[member]!;
  group.open--;
  if (countsAsFailed(state, member)) group[status === FAILED ? "failed" : "cancelled"]++;
  else if (status !== SKIPPED && status !== UPSTREAM_FAILED) group.succeeded++;
}

/** All tasks of a group have finished. */
export function endGroup(state: RunState, instance: number, effects: Effects, finished: number[]): void {
  const { failed, cancelled: cancelledTasks, succeeded } = state.groups.get(instance)!;
  if (failed > 0) {
    effects.failedGroups.push(instance);
    return;
  }
  state.groups.delete(instance);
  state.status[instance] = cancelledTasks > 0 ? CANCELLED : succeeded > 0 ? SUCCEEDED : SKIPPED;
  effects.finished.push(instance, BY_ITEMS);
  finished.push(instance);
}

/** All items of a list have finished: failed if one failed, skipped if none succeeded. */
export function join(state: RunState, owner: number, effects: Effects, finished: number[]): void {
  const { succeeded, failed, cancelled: cancelledItems } = state.expansions.get(owner)!;
  if (isFinal(state.status[owner]!)) return;
  if (failed > 0) state.status[owner] = FAILED;
  else if (cancelledItems > 0) state.status[owner] = CANCELLED;
  else state.status[owner] = succeeded > 0 ? SUCCEEDED : SKIPPED;
  effects.finished.push(owner, BY_ITEMS);
  finished.push(owner);
}

/** Tells the successors of a finished task. */
function propagate(state: RunState, instance: number, position: number, effects: Effects, finished: number[]): void {
  const { successorStart, successors } = state.plan;
  const first = successorStart[position]!;
  const last = successorStart[position + 1]!;
  if (first === last) return;
  const frame = instance - position;
  const report = reportOf(state.status[instance]!);
  const path =
    state.choices.size > 0 && state.choices.has(instance) ? chosenPath(state, instance, position) : undefined;
  for (let edge = first; edge < last; edge++) {
    const next = successors[edge]!;
    const successor = next + frame;
    const reported = path && !path(edge) ? UPSTREAM_SKIPPED : report;
    state.upstream[successor * UPSTREAM_COUNTERS + reported]!++;
    if (state.status[successor] !== PENDING || isStopping(state, successor, next)) continue;
    reconsider(state, successor, next, instance, effects, finished);
  }
}

/** Nothing begins in a run, or a group, that is being ended, but for what cleans up after it. */
function isStopping(state: RunState, instance: number, position: number): boolean {
  if (state.stopping === undefined && state.groups.size === 0) return false;
  if (state.plan.rules[position] === TEARDOWN_RULE) return false;
  return state.stopping !== undefined || (state.groups.get(state.parentOf(instance))?.stopping ?? false);
}

/** How a finished upstream task counts: a cancelled one as failed. */
export function reportOf(status: number): number {
  switch (status) {
    case SUCCEEDED:
      return UPSTREAM_SUCCEEDED;
    case SKIPPED:
      return UPSTREAM_SKIPPED;
    case UPSTREAM_FAILED:
      return UPSTREAM_UPSTREAM_FAILED;
    default:
      return UPSTREAM_FAILURE;
  }
}

/** Applies a pending task's rule; `finished` grows when that ends it without running. */
export function reconsider(
  state: RunState,
  instance: number,
  position: number,
  cause: number,
  effects: Effects,
  finished: number[],
): void {
  switch (decisionOf(state, instance, position)) {
    case "wait":
      return;
    case "run":
      return makeReady(state, instance, position, effects, finished);
    case "skip":
      return end(state, instance, SKIPPED, cause, effects, finished);
    case "upstream-failed":
      return end(state, instance, UPSTREAM_FAILED, cause, effects, finished);
  }
}

function makeReady(state: RunState, instance: number, position: number, effects: Effects, finished: number[]): void {
  const how = state.plan.starts[position];
  state.status[instance] = READY;
  if (how === START_GROUP) enterGroup(state, instance, position, effects, finished);
  else (how === START_LIST ? effects.expand : effects.ready).push(instance);
}

/** What a task's rule says about its upstream as it stands. */
function decisionOf(state: RunState, instance: number, position: number): Decision {
  const { upstream, plan } = state;
  const at = instance * UPSTREAM_COUNTERS;
  const total = plan.inDegree[position]!;
  if (plan.rules[position] === TEARDOWN_RULE) {
    const ended = upstream[at]! + upstream[at + 1]! + upstream[at + 2]! + upstream[at + 3]!;
    if (ended < total) return "wait";
    return setupSucceeded(state, instance, position) ? "run" : "skip";
  }
  return decide(plan.rules[position]!, upstream[at]!, upstream[at + 1]!, upstream[at + 2]!, upstream[at + 3]!, total);
}

/** The setup of a teardown task is what it needs. */
function setupSucceeded(state: RunState, instance: number, position: number): boolean {
  const { needStart, needFrom } = state.plan;
  for (let place = needStart[position]!; place < needStart[position + 1]!; place++) {
    if (state.status[needFrom[place]! + instance - position] !== SUCCEEDED) return false;
  }
  return true;
}

export function enterGroup(
  state: RunState,
  instance: number,
  position: number,
  effects: Effects,
  finished: number[],
): void {
  const group: EnteredGroup = { open: 0, succeeded: 0, failed: 0, cancelled: 0, stopping: false };
  state.status[instance] = RUNNING;
  state.attempts[instance]!++;
  state.groups.set(instance, group);
  effects.entered.push(instance);
  forEachMember(state, instance, (member) => {
    group.open++;
    if (isFinal(state.status[member]!)) tally(state, group, member); // it ran before the group was lost with a refused flush
  });
  const frame = instance - position;
  forEachMember(state, instance, (member) => {
    if (state.status[member] === PENDING) reconsider(state, member, member - frame, instance, effects, finished);
  });
  if (group.open === 0) endGroup(state, instance, effects, finished);
}
