import type { TaskRecord } from "../contracts/records.js";
import type { RunState } from "../run/state.js";
import { boundText } from "../values/text.js";

const MAX_REASON_LENGTH = 2_000;
const NO_INDEX: readonly number[] = Object.freeze([]);

/** What the record of a task says beyond what the run's state knows. */
export type TaskDetails = Partial<Pick<TaskRecord, "startedAt" | "finishedAt" | "output" | "error" | "reason">>;

/** The index path of an instance: empty for a task. */
export function indexOf(state: RunState, instance: number): readonly number[] {
  const expansion = state.expansionOf(instance);
  return expansion === undefined ? NO_INDEX : [instance - expansion.base];
}

/** The record of a task or item as its state is now. */
export function taskRecord(runId: string, state: RunState, instance: number, details: TaskDetails): TaskRecord {
  const task = state.plan.tasks[state.taskOf(instance)]!;
  return {
    runId,
    task: task.id,
    position: task.position,
    index: indexOf(state, instance),
    status: state.statusOf(instance),
    attempts: state.attempts[instance]!,
    attemptsBefore: state.attemptsBefore.get(instance) ?? 0,
    startedAt: details.startedAt,
    finishedAt: details.finishedAt,
    retryAt: state.retryAt.get(instance),
    output: details.output,
    error: details.error,
    reason: boundReason(details.reason),
    items: state.expansions.get(instance)?.count,
    list: state.expansions.get(instance)?.list,
  };
}

/** Reasons hold what people and tasks said: any text, of any length. */
export function boundReason(reason: string | undefined): string | undefined {
  return reason === undefined ? undefined : boundText(String(reason), MAX_REASON_LENGTH);
}

/** Why a task finished without running. @param cause - The upstream task whose end decided it. */
export function reasonOf(state: RunState, task: number, cause: number): string {
  const upstream = state.plan.tasks[cause]!;
  const choice = state.choices.get(cause);
  const what =
    choice === undefined
      ? `"${upstream.id}" ended ${state.statusOf(cause)}`
      : `branch "${upstream.id}" chose "${choice}"`;
  return `${what}, and the rule is ${state.plan.tasks[task]!.triggerRule}`;
}
