import { TASK_STATUSES, type TaskRecord } from "../contracts/records.js";
import type { Plan } from "../define/plan.js";
import { recount } from "./recount.js";
import { CANCELLED, FAILED, PENDING, READY, RUNNING, RunState, SKIPPED, UPSTREAM_FAILED } from "./state.js";
import { interrupt } from "./transition.js";

/**
 * Rebuilds the state of a run from its records, in the definition's order (a map before its items).
 * What was running when its owner was lost is ready again, outside its retry budget.
 *
 * @param choiceOf - Reads what a finished branch chose.
 */
export function restore(plan: Plan, records: Iterable<TaskRecord>, choiceOf: (record: TaskRecord) => string): RunState {
  const state = new RunState(plan);
  for (const record of records) {
    const instance = state.instanceAt(record.position, record.index);
    state.status[instance] = TASK_STATUSES.indexOf(record.status);
    state.attempts[instance] = record.attempts;
    if (record.attemptsBefore > 0) state.attemptsBefore.set(instance, record.attemptsBefore);
    if (record.retryAt !== undefined) state.retryAt.set(instance, record.retryAt);
    if (record.startedAt !== undefined && record.finishedAt === undefined) {
      state.firstStartAt.set(instance, record.startedAt);
    }
    if (record.items !== undefined) state.addExpansion(record.position, record.items, record.list);
    if (plan.tasks[record.position]!.kind === "branch" && record.status === "succeeded") {
      state.choices.set(instance, choiceOf(record));
    }
  }
  for (const { base, count } of state.expansionsByBase) markUntouchedItems(state, base, count);
  takeBackRunning(state);
  recount(state);
  return state;
}

/** Items without a record have not started: they are as ready as on the day of the expansion. */
function markUntouchedItems(state: RunState, base: number, count: number): void {
  for (let item = base; item < base + count; item++) if (state.status[item] === PENDING) state.status[item] = READY;
}

function takeBackRunning(state: RunState): void {
  for (let instance = 0; instance < state.instances; instance++) {
    if (state.status[instance] !== RUNNING || state.expansions.has(instance)) continue;
    interrupt(state, instance);
  }
}

/**
 * Opens a finished run again at the point of failure. What succeeded stays; what failed, was cancelled or never ran
 * because of that is pending again, with a fresh retry budget. A path that a branch did not choose stays unchosen.
 *
 * @returns The instances that were opened.
 */
export function reopen(state: RunState): readonly number[] {
  const opened: number[] = [];
  for (let instance = 0; instance < state.instances; instance++) {
    if (isFailure(state.status[instance]!)) opened.push(instance);
  }
  const tasks = withSkippedDownstream(
    state,
    opened.filter((instance) => instance < state.plan.tasks.length),
  );
  const items = opened.filter((instance) => instance >= state.plan.tasks.length);
  for (const task of tasks) state.status[task] = state.expansions.has(task) ? RUNNING : PENDING;
  for (const item of items) state.status[item] = READY;
  const all = [...tasks, ...items];
  for (const instance of all) {
    if (state.attempts[instance]! > 0) state.attemptsBefore.set(instance, state.attempts[instance]!);
  }
  state.retryAt.clear();
  state.firstStartAt.clear();
  state.stopping = undefined;
  recount(state);
  return all;
}

function isFailure(status: number): boolean {
  return status === FAILED || status === CANCELLED || status === UPSTREAM_FAILED;
}

/** Tasks skipped by a rule may have been so because of what failed before them; those that decided it themselves stay. */
function withSkippedDownstream(state: RunState, failed: readonly number[]): readonly number[] {
  const { successorStart, successors } = state.plan;
  const opened = new Set(failed);
  for (const task of opened) {
    for (let edge = successorStart[task]!; edge < successorStart[task + 1]!; edge++) {
      const next = successors[edge]!;
      if (state.status[next] === SKIPPED && state.attempts[next] === 0 && !state.expansions.has(next)) opened.add(next);
    }
  }
  return [...opened];
}
