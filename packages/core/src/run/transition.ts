/**
 * What happens next in a run: one function for each thing that can happen. Each changes the state in place and adds to
 * `effects` what the engine has to do about it. No I/O, no clock, no chance.
 */
import { decide } from "../define/trigger-rules.js";
import type { Encoded } from "../values/codec.js";
import { chosenPath } from "./branch-paths.js";
import {
  CANCELLED,
  type Expansion,
  FAILED,
  isFinal,
  PENDING,
  READY,
  RETRYING,
  RUNNING,
  type RunState,
  SKIPPED,
  type StopCause,
  SUCCEEDED,
  UPSTREAM_COUNTERS,
  UPSTREAM_FAILED,
  UPSTREAM_FAILURE,
  UPSTREAM_SKIPPED,
  UPSTREAM_SUCCEEDED,
  UPSTREAM_UPSTREAM_FAILED,
} from "./state.js";

/** What a change of state asks of the engine. */
export interface Effects {
  /** Instances that may start. */
  readonly ready: number[];
  /** Maps that may start: their lists are to be read. */
  readonly expand: number[];
  /**
   * Instances that finished without an attempt of their own, in order, each followed by what decided it: the upstream
   * task, {@link BY_ITEMS} or {@link BY_STOP}.
   */
  readonly finished: number[];
  /** Running instances to abort. */
  readonly abort: number[];
}

/** A map finished with its last item. */
export const BY_ITEMS = -1;
/** Somebody stopped the task or the run. */
export const BY_STOP = -2;

export function noEffects(): Effects {
  return { ready: [], expand: [], finished: [], abort: [] };
}

/** The run begins, or goes on: everything whose rule is satisfied becomes ready, and what it rules out is settled. */
export function begin(state: RunState, effects: Effects): void {
  for (let task = 0; task < state.plan.tasks.length; task++) {
    if (state.status[task] === PENDING && reconsider(state, task, BY_STOP, effects)) propagate(state, task, effects);
  }
}

/** An attempt starts. @returns Its number. */
export function start(state: RunState, instance: number): number {
  state.status[instance] = RUNNING;
  return ++state.attempts[instance]!;
}

/** An attempt that is running already belongs to this state from now on. */
export function adopt(state: RunState, instance: number, attempt: number): void {
  state.status[instance] = RUNNING;
  state.attempts[instance] = attempt;
  state.retryAt.delete(instance);
}

/** An attempt succeeded. @param choice - What a branch chose. */
export function succeed(state: RunState, instance: number, effects: Effects, choice?: string): void {
  if (choice !== undefined) state.choices.set(instance, choice);
  finish(state, instance, SUCCEEDED, effects);
}

/** An attempt failed and another will follow. @param at - When, in epoch milliseconds. */
export function retryLater(state: RunState, instance: number, at: number): void {
  state.status[instance] = RETRYING;
  state.retryAt.set(instance, at);
}

/** The delay before a further attempt is over. @returns Whether the instance is ready now. */
export function retryNow(state: RunState, instance: number): boolean {
  if (state.status[instance] !== RETRYING) return false;
  state.status[instance] = READY;
  state.retryAt.delete(instance);
  return true;
}

/** A task or item failed for good. */
export function fail(state: RunState, instance: number, effects: Effects): void {
  finish(state, instance, FAILED, effects);
}

/** A task or item decided by itself that there is nothing to do. */
export function skip(state: RunState, instance: number, effects: Effects): void {
  finish(state, instance, SKIPPED, effects);
}

/** A running attempt ended because it was cancelled. */
export function cancelled(state: RunState, instance: number, effects: Effects): void {
  finish(state, instance, CANCELLED, effects);
}

/** A running attempt was taken back unfinished; somebody else will start it again, outside its retry budget. */
export function interrupt(state: RunState, instance: number): void {
  state.status[instance] = READY;
  state.attemptsBefore.set(instance, (state.attemptsBefore.get(instance) ?? 0) + 1);
}

/** A map's list is known: its items are ready. Without items it is skipped at once. @param list - See {@link Expansion}. */
export function expand(state: RunState, task: number, count: number, effects: Effects, list?: Encoded): Expansion {
  const expansion = state.addExpansion(task, count, list);
  state.status[task] = RUNNING;
  state.status.fill(READY, expansion.base, expansion.base + count);
  if (count === 0) join(state, task, effects);
  return expansion;
}

/** Somebody cancels one task: what runs is aborted, what does not run is cancelled now. */
export function cancelTask(state: RunState, task: number, effects: Effects): void {
  const expansion = state.expansions.get(task);
  if (expansion === undefined) return cancelInstance(state, task, effects);
  for (let item = 0; item < expansion.count; item++) cancelInstance(state, expansion.base + item, effects);
}

/** The whole run is to end: what runs is aborted, everything else is cancelled now. */
export function stop(state: RunState, cause: StopCause, effects: Effects): void {
  if (state.stopping !== undefined) return;
  state.stopping = cause;
  // Items first: a map is finished by its last item.
  for (let instance = state.instances - 1; instance >= 0; instance--) {
    if (!state.expansions.has(instance)) cancelInstance(state, instance, effects);
  }
}

function cancelInstance(state: RunState, instance: number, effects: Effects): void {
  const status = state.status[instance]!;
  if (isFinal(status)) return;
  if (status === RUNNING) {
    effects.abort.push(instance);
    return;
  }
  effects.finished.push(instance, BY_STOP);
  finish(state, instance, CANCELLED, effects);
}

/** Sets a final status and follows its consequences, however far they go, without recursion. */
function finish(state: RunState, instance: number, status: number, effects: Effects): void {
  const expansion = state.expansionOf(instance);
  if (isFinal(state.status[instance]!)) return;
  state.status[instance] = status;
  state.retryAt.delete(instance);
  if (expansion === undefined) {
    propagate(state, instance, effects);
    return;
  }
  expansion.open--;
  if (status === SUCCEEDED) expansion.succeeded++;
  else if (status === FAILED) expansion.failed++;
  else if (status === CANCELLED) expansion.cancelled++;
  if (expansion.open === 0) join(state, expansion.task, effects);
}

/** All items of a map have finished: failed if one failed, skipped if none succeeded. */
function join(state: RunState, task: number, effects: Effects): void {
  const { succeeded, failed, cancelled: cancelledItems } = state.expansions.get(task)!;
  if (failed > 0) state.status[task] = FAILED;
  else if (cancelledItems > 0) state.status[task] = CANCELLED;
  else state.status[task] = succeeded > 0 ? SUCCEEDED : SKIPPED;
  effects.finished.push(task, BY_ITEMS);
  propagate(state, task, effects);
}

/** Tells the successors of a finished task, and theirs when that finishes them too. */
function propagate(state: RunState, first: number, effects: Effects): void {
  state.open--;
  const { successorStart } = state.plan;
  if (successorStart[first] === successorStart[first + 1]) return;
  const finished = [first];
  for (let done = 0; done < finished.length; done++) {
    const task = finished[done]!;
    const path = state.choices.has(task) ? chosenPath(state, task) : undefined;
    for (let edge = successorStart[task]!; edge < successorStart[task + 1]!; edge++) {
      const successor = state.plan.successors[edge]!;
      const report = path && !path(edge) ? UPSTREAM_SKIPPED : reportOf(state.status[task]!);
      state.upstream[successor * UPSTREAM_COUNTERS + report]!++;
      if (state.status[successor] !== PENDING || state.stopping !== undefined) continue;
      if (reconsider(state, successor, task, effects)) {
        state.open--;
        finished.push(successor);
      }
    }
  }
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

/** Applies a pending task's rule. @returns Whether that finished it without running. */
function reconsider(state: RunState, task: number, cause: number, effects: Effects): boolean {
  const { upstream, plan } = state;
  const at = task * UPSTREAM_COUNTERS;
  const decision = decide(
    plan.rules[task]!,
    upstream[at]!,
    upstream[at + 1]!,
    upstream[at + 2]!,
    upstream[at + 3]!,
    plan.inDegree[task]!,
  );
  switch (decision) {
    case "wait":
      return false;
    case "run":
      state.status[task] = READY;
      (plan.tasks[task]!.kind === "map" ? effects.expand : effects.ready).push(task);
      return false;
    case "skip":
      state.status[task] = SKIPPED;
      break;
    case "upstream-failed":
      state.status[task] = UPSTREAM_FAILED;
      break;
  }
  effects.finished.push(task, cause);
  return true;
}
