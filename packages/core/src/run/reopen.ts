/** Opens finished runs again: at the point of failure, or from tasks that somebody names. */
import { TEARDOWN_RULE } from "../define/trigger-rules.js";
import { isGroupFrame, recount } from "./recount.js";
import {
  CANCELLED,
  FAILED,
  isFinal,
  PENDING,
  READY,
  RUNNING,
  type RunState,
  SKIPPED,
  UPSTREAM_FAILED,
} from "./state.js";
import { resetInstance } from "./transition.js";

/**
 * Opens a finished run again at the point of failure. What succeeded stays; what failed, was cancelled or never ran
 * because of that is pending again, with a fresh retry budget. A path that a branch did not choose stays unchosen.
 * What a teardown has taken down is set up again, and taken down again, as if neither had happened: both begin anew.
 *
 * @param generation - Of what begins anew: the run's, one higher than before.
 * @returns The instances that were opened.
 */
export function reopen(state: RunState, generation: number): readonly number[] {
  const opened = new Set<number>();
  const anew = new Set<number>();
  state.forEach((instance) => {
    if (isFailure(state.status[instance]!) && !isInsideSuccess(state, instance)) opened.add(instance);
  });
  // A set goes on with what is added while it is walked.
  for (const instance of opened) {
    const position = state.positionOf(instance);
    if (!state.isItem(instance)) openSkippedDownstream(state, instance, position, opened);
    openTornDown(state, instance, position, opened, anew);
  }
  for (const instance of anew) openInside(state, instance, state.positionOf(instance), anew);
  for (const instance of anew) resetInstance(state, instance, generation);
  for (const instance of opened) {
    if (anew.has(instance) || !state.isCurrent(instance)) continue;
    state.status[instance] = reopenedStatus(state, instance);
    const attempts = state.attempts[instance]!;
    // The pass over a group's tasks that goes on is one of its attempts.
    const counted = state.status[instance] === RUNNING && !state.expansions.has(instance) ? 1 : 0;
    if (attempts > 0) state.attemptsBefore.set(instance, attempts - counted);
  }
  state.retryAt.clear();
  state.firstStartAt.clear();
  state.stopping = undefined;
  recount(state);
  return [...new Set([...opened, ...anew])].filter((instance) => state.isCurrent(instance));
}

function isFailure(status: number): boolean {
  return status === FAILED || status === CANCELLED || status === UPSTREAM_FAILED;
}

/** A failure that its group may have belongs to what the group put out. */
function isInsideSuccess(state: RunState, instance: number): boolean {
  for (let at = state.parentOf(instance); at >= 0; at = state.parentOf(at)) {
    if (!isFailure(state.status[at]!)) return true;
  }
  return false;
}

/** A list goes on with its items, a group with its tasks, when they had begun. */
function reopenedStatus(state: RunState, instance: number): number {
  if (state.expansions.has(instance)) return RUNNING;
  const position = state.positionOf(instance);
  if (isGroupFrame(state, instance, position) && state.attempts[instance]! > 0) return RUNNING;
  return state.isItem(instance) ? READY : PENDING;
}

/** Tasks skipped by a rule may have been so because of what failed before them; those that decided it themselves stay. */
function openSkippedDownstream(state: RunState, instance: number, position: number, opened: Set<number>): void {
  const { successorStart, successors } = state.plan;
  for (let edge = successorStart[position]!; edge < successorStart[position + 1]!; edge++) {
    const next = successors[edge]! + instance - position;
    if (state.status[next] !== SKIPPED || state.attempts[next]! > 0 || state.expansions.has(next)) continue;
    openWhole(state, next, opened);
  }
}

/** A task, and of a group that was never entered all that is inside. */
function openWhole(state: RunState, instance: number, opened: Set<number>): void {
  const position = state.positionOf(instance);
  const { extra } = state.plan.tasks[position]!;
  opened.add(instance);
  for (let inside = 1; inside <= (extra.over ? 0 : (extra.size ?? 0)); inside++) {
    if (state.status[instance + inside] === SKIPPED) opened.add(instance + inside);
  }
}

/** A task before a teardown that has run needs what that has taken down: the setup runs again, and the teardown after it. */
function openTornDown(
  state: RunState,
  instance: number,
  position: number,
  opened: Set<number>,
  anew: Set<number>,
): void {
  const { successorStart, successors, rules, needStart, needFrom } = state.plan;
  for (let edge = successorStart[position]!; edge < successorStart[position + 1]!; edge++) {
    const next = successors[edge]!;
    const teardown = next + instance - position;
    if (rules[next] !== TEARDOWN_RULE || state.attempts[teardown] === 0 || anew.has(teardown)) continue;
    opened.add(teardown);
    anew.add(teardown);
    for (let place = needStart[next]!; place < needStart[next + 1]!; place++) {
      opened.add(needFrom[place]! + instance - position);
      anew.add(needFrom[place]! + instance - position);
    }
  }
}

/**
 * Opens tasks of a finished run as a new generation, whatever became of them.
 *
 * @param tasks - Their positions; tasks inside a mapped group are opened for all its items.
 * @param downstream - With everything that depends on them.
 * @returns The instances that were opened, and the groups and lists around them that go on.
 */
export function reopenFrom(
  state: RunState,
  tasks: readonly number[],
  downstream: boolean,
  generation: number,
): readonly number[] {
  const opened = new Set<number>();
  const around = new Set<number>();
  state.forEach((instance, position) => {
    if (tasks.includes(position) && !state.isItem(instance)) opened.add(instance);
  });
  for (const instance of opened) {
    const position = state.positionOf(instance);
    openInside(state, instance, position, opened);
    if (downstream) openDownstream(state, instance, position, opened);
    openTornDown(state, instance, position, opened, opened);
    openAround(state, instance, downstream, opened, around);
  }
  for (const instance of opened) resetInstance(state, instance, generation);
  for (const instance of around) if (!opened.has(instance)) goOn(state, instance);
  state.stopping = undefined;
  recount(state);
  // Of a list that was opened as a whole the items are gone.
  return [...new Set([...opened, ...around])].filter((instance) => state.isCurrent(instance));
}

function openInside(state: RunState, group: number, position: number, opened: Set<number>): void {
  const { depth, tasks } = state.plan;
  const { size = 0, over } = tasks[position]!.extra;
  if (over) return; // its items are dropped with its list
  for (let inside = position + 1; inside <= position + size; inside++) {
    if (depth[inside] === depth[position]) opened.add(inside + group - position);
  }
}

function openDownstream(state: RunState, instance: number, position: number, opened: Set<number>): void {
  const { successorStart, successors } = state.plan;
  for (let edge = successorStart[position]!; edge < successorStart[position + 1]!; edge++) {
    opened.add(successors[edge]! + instance - position);
  }
}

/** The groups and lists around what was opened go on; what depends on those depends on it. */
function openAround(
  state: RunState,
  instance: number,
  downstream: boolean,
  opened: Set<number>,
  around: Set<number>,
): void {
  for (let outer = state.parentOf(instance); outer >= 0; outer = state.parentOf(outer)) {
    around.add(outer);
    if (downstream && !state.isItem(outer)) openDownstream(state, outer, state.positionOf(outer), opened);
  }
}

function goOn(state: RunState, instance: number): void {
  if (!isFinal(state.status[instance]!)) return;
  state.status[instance] = RUNNING;
  // A group that was skipped, or an item that was cancelled, before it was entered is entered by this.
  if (state.isItem(instance) || isGroupFrame(state, instance, state.positionOf(instance)))
    state.attempts[instance] = Math.max(1, state.attempts[instance]!);
  if (!state.expansions.has(instance)) state.attemptsBefore.set(instance, Math.max(0, state.attempts[instance]! - 1));
}
