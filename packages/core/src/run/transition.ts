/**
 * What happens next in a run: one function for each thing that can happen. Each changes the state in place and adds to
 * `effects` what the engine has to do about it. No I/O, no clock, no chance.
 */
import type { Wait } from "../contracts/records.js";
import { TEARDOWN_RULE } from "../define/trigger-rules.js";
import type { Encoded } from "../values/codec.js";
import { end, endGroup, enterGroup, finish, join, reconsider, settle } from "./consequences.js";
import { BY_STOP, type Effects } from "./effects.js";
import { forEachInside, forEachMember } from "./frames.js";
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
  WAITING,
} from "./state.js";

/** The run begins, or goes on: everything whose rule is satisfied becomes ready, and what it rules out is settled. */
export function begin(state: RunState, effects: Effects): void {
  const finished: number[] = [];
  // Before anything is settled: a group that ends with that is told of there, and failed ones stay in the list.
  const over = [...state.groups].filter(([, { open }]) => open === 0);
  state.forEach((instance, position) => {
    const parent = state.plan.hasGroups ? state.parentOf(instance) : -1;
    if (state.status[instance] === PENDING && (parent < 0 || state.groups.has(parent))) {
      reconsider(state, instance, position, BY_STOP, effects, finished);
    }
  });
  settle(state, finished, effects);
  for (const [group] of over) endGroup(state, group, effects, finished);
  for (const { owner, open } of [...state.expansions.values()]) if (open === 0) join(state, owner, effects, finished);
  settle(state, finished, effects);
}

/** An attempt starts. @returns Its number. */
export function start(state: RunState, instance: number): number {
  state.status[instance] = RUNNING;
  return ++state.attempts[instance]!;
}

/** An attempt that is running already belongs to this state from now on. */
export function adopt(state: RunState, instance: number, attempt: number): void {
  // Read from storage it was taken for one that nobody goes on with, and so for one that does not count.
  const wasTakenBack = state.status[instance] === READY && state.attempts[instance] === attempt;
  if (wasTakenBack) state.attemptsBefore.set(instance, (state.attemptsBefore.get(instance) ?? 1) - 1);
  state.status[instance] = RUNNING;
  state.attempts[instance] = attempt;
  state.retryAt.delete(instance);
}

/** An attempt succeeded, or a wait is over. @param choice - What a branch chose. */
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

/** The instance waits, holding nothing. */
export function wait(state: RunState, instance: number, what: Wait): void {
  state.status[instance] = WAITING;
  state.waits.set(instance, what);
}

/** A wait is over and an attempt follows. @returns Whether the instance is ready now. */
export function wake(state: RunState, instance: number): boolean {
  if (state.status[instance] !== WAITING) return false;
  state.status[instance] = READY;
  return true;
}

/** An attempt ended without anything having come of it: it does not count. */
export function forgetAttempt(state: RunState, instance: number): void {
  state.attempts[instance]!--;
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

/** A list is known: its items are ready. Without items it is skipped at once. @param list - See {@link Expansion}. */
export function expand(state: RunState, owner: number, count: number, effects: Effects, list?: Encoded): Expansion {
  const expansion = state.addExpansion(owner, count, list);
  const { base, stride } = expansion;
  const generation = state.generations.get(owner);
  state.status[owner] = RUNNING;
  for (let item = 0; item < count; item++) {
    state.status[base + item * stride] = READY;
    if (generation === undefined) continue;
    for (let slot = 0; slot < stride; slot++) state.generations.set(base + item * stride + slot, generation);
  }
  if (count > 0) return expansion;
  const finished: number[] = [];
  join(state, owner, effects, finished);
  settle(state, finished, effects);
  return expansion;
}

/** Lets items of a mapped group begin, as many as may run at once. */
export function enterItems(state: RunState, owner: number, limit: number, effects: Effects): void {
  const expansion = state.expansions.get(owner);
  if (expansion === undefined) return;
  const finished: number[] = [];
  const { base, stride, count, task } = expansion;
  // Items that finish at once make room for others, and are counted when all that could be entered have been.
  while (expansion.next < count && expansion.entered < limit) {
    const item = base + expansion.next++ * stride;
    if (state.status[item] !== READY) continue;
    expansion.entered++;
    enterGroup(state, item, task, effects, finished);
  }
  settle(state, finished, effects);
}

/** The tasks of a group run again, all together. @param generation - The run's, one higher than before. */
export function resetGroup(state: RunState, group: number, generation: number): void {
  state.groups.delete(group);
  forEachInside(state, group, (instance) => resetInstance(state, instance, generation));
}

/** A group's tasks may start (again). */
export function enter(state: RunState, group: number, effects: Effects): void {
  const finished: number[] = [];
  enterGroup(state, group, state.positionOf(group), effects, finished);
  settle(state, finished, effects);
}

/** As if nothing had happened to it, in a new generation. */
export function resetInstance(state: RunState, instance: number, generation: number): void {
  state.dropExpansion(instance);
  state.groups.delete(instance);
  state.status[instance] = PENDING;
  state.attempts[instance] = 0;
  state.upstream.fill(0, instance * UPSTREAM_COUNTERS, (instance + 1) * UPSTREAM_COUNTERS);
  state.generations.set(instance, generation);
  for (const facts of [state.attemptsBefore, state.retryAt, state.firstStartAt, state.choices, state.waits]) {
    facts.delete(instance);
  }
}

/** Somebody cancels one task, item or group: what runs is aborted, what does not run is cancelled now. */
export function cancelInstance(state: RunState, instance: number, effects: Effects): void {
  const finished: number[] = [];
  cancel(state, instance, false, effects, finished);
}

/** The tasks of a group are ended; those that run are aborted. Teardown tasks still run. */
export function cancelInside(state: RunState, group: number, effects: Effects): void {
  const entered = state.groups.get(group);
  if (entered === undefined || entered.stopping) return;
  entered.stopping = true;
  const finished: number[] = [];
  forEachMember(state, group, (member) => cancel(state, member, true, effects, finished));
}

/** The whole run is to end: what runs is aborted, everything else is cancelled now. Teardown tasks still run. */
export function stop(state: RunState, cause: StopCause, effects: Effects): void {
  if (state.stopping !== undefined) return;
  state.stopping = cause;
  const finished: number[] = [];
  for (let task = state.plan.tasks.length - 1; task >= 0; task--) {
    if (state.plan.parent[task]! < 0) cancel(state, task, true, effects, finished);
  }
}

function cancel(state: RunState, instance: number, keepTeardown: boolean, effects: Effects, finished: number[]): void {
  const status = state.status[instance]!;
  const position = state.positionOf(instance);
  if (isFinal(status) || (keepTeardown && state.plan.rules[position] === TEARDOWN_RULE)) return;
  const expansion = state.expansions.get(instance);
  const entered = state.groups.get(instance);
  if (expansion !== undefined) {
    // A list finishes with its last item.
    for (let item = expansion.count - 1; item >= 0; item--) {
      cancel(state, expansion.base + item * expansion.stride, keepTeardown, effects, finished);
    }
  } else if (entered !== undefined) {
    entered.stopping = true;
    forEachMember(state, instance, (member) => cancel(state, member, true, effects, finished));
  } else if (status === RUNNING) {
    effects.abort.push(instance);
  } else {
    end(state, instance, CANCELLED, BY_STOP, effects, finished);
    settle(state, finished, effects);
  }
}
