import { TASK_STATUSES, type TaskRecord } from "../contracts/records.js";
import type { Plan } from "../define/plan.js";
import { isGroupFrame, recount } from "./recount.js";
import { isFinal, PENDING, READY, RUNNING, RunState } from "./state.js";
import { interrupt } from "./transition.js";

/**
 * Rebuilds the state of a run from its records, in the definition's order (a list before its items).
 * What was running when its owner was lost is ready again, outside its retry budget.
 *
 * @param choiceOf - Reads what a finished branch chose.
 * @param isOurs - False: only to be looked at, while its owner goes on with what runs.
 */
export function restore(
  plan: Plan,
  records: Iterable<TaskRecord>,
  choiceOf: (record: TaskRecord) => string,
  isOurs = true,
): RunState {
  const state = new RunState(plan);
  for (const record of records) {
    const instance = state.instanceAt(record.position, record.index);
    // A list that was expanded anew may have records of what stood there before.
    if (instance === undefined || record.generation < state.generationOf(instance)) continue;
    restoreInstance(state, instance, record, choiceOf);
  }
  for (const expansion of state.expansions.values()) {
    for (let item = 0; item < expansion.count; item++) {
      const instance = expansion.base + item * expansion.stride;
      // Items without a record have not started: they are as ready as on the day of the expansion.
      if (state.status[instance] === PENDING) state.status[instance] = READY;
    }
  }
  if (isOurs) takeBackRunning(state);
  recount(state);
  return state;
}

function restoreInstance(
  state: RunState,
  instance: number,
  record: TaskRecord,
  choiceOf: (record: TaskRecord) => string,
): void {
  const status = TASK_STATUSES.indexOf(record.status);
  state.status[instance] = status;
  state.attempts[instance] = record.attempts;
  if (record.generation !== 1) state.generations.set(instance, record.generation);
  if (record.attemptsBefore > 0) state.attemptsBefore.set(instance, record.attemptsBefore);
  if (record.retryAt !== undefined) state.retryAt.set(instance, record.retryAt);
  if (record.wait !== undefined) state.waits.set(instance, record.wait);
  if (record.startedAt !== undefined && record.finishedAt === undefined) {
    state.firstStartAt.set(instance, record.startedAt);
  }
  // A list that is open again has its items only when they are expanded anew.
  if (record.items !== undefined && (status === RUNNING || isFinal(status))) {
    const { generation } = record;
    const { base, count, stride } = state.addExpansion(instance, record.items, record.list);
    if (generation > 1) for (let at = base; at < base + count * stride; at++) state.generations.set(at, generation);
  }
  if (state.plan.tasks[record.position]!.kind === "branch" && record.status === "succeeded") {
    state.choices.set(instance, choiceOf(record));
  }
}

function takeBackRunning(state: RunState): void {
  state.forEach((instance, position) => {
    if (state.status[instance] !== RUNNING || state.expansions.has(instance)) return;
    if (!isGroupFrame(state, instance, position)) interrupt(state, instance);
  });
}
