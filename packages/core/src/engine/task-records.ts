import type { EpochMs } from "../clock.js";
import type { TaskRecord } from "../contracts/records.js";
import type { RunState } from "../run/state.js";
import { boundText } from "../values/text.js";

const MAX_REASON_LENGTH = 2_000;

/** What the record of a task says beyond what the run's state knows. */
export type TaskDetails = Partial<Pick<TaskRecord, "output" | "error" | "reason" | "warning" | "cachedFrom">>;

/** The record of a task or item as its state is now. */
export function taskRecord(
  runId: string,
  state: RunState,
  instance: number,
  startedAt: EpochMs | undefined,
  finishedAt: EpochMs | undefined,
  details: TaskDetails,
): TaskRecord {
  const task = state.plan.tasks[state.positionOf(instance)]!;
  return {
    runId,
    task: task.id,
    position: task.position,
    index: state.indexOf(instance),
    generation: state.generationOf(instance),
    status: state.statusOf(instance),
    attempts: state.attempts[instance]!,
    attemptsBefore: state.attemptsBefore.get(instance) ?? 0,
    startedAt,
    finishedAt,
    retryAt: state.retryAt.get(instance),
    wait: state.waits.get(instance),
    output: details.output,
    error: details.error,
    reason: boundReason(details.reason),
    warning: boundReason(details.warning),
    cachedFrom: details.cachedFrom,
    items: state.expansions.get(instance)?.count,
    list: state.expansions.get(instance)?.list,
  };
}

/** Reasons hold what people and tasks said: any text, of any length. */
export function boundReason(reason: string | undefined): string | undefined {
  return reason === undefined ? undefined : boundText(String(reason), MAX_REASON_LENGTH);
}

/** Why a task finished without running. @param cause - The instance whose end decided it: upstream, or the group around it. */
export function reasonOf(state: RunState, instance: number, cause: number): string {
  const position = state.positionOf(instance);
  const upstream = state.plan.tasks[state.positionOf(cause)]!;
  const ended = `"${upstream.id}" ended ${state.statusOf(cause)}`;
  if (upstream.kind === "group" && isInside(state, position, upstream.position)) return `its group ${ended}`;
  const choice = state.choices.get(cause);
  const what = choice === undefined ? ended : `branch "${upstream.id}" chose "${choice}"`;
  const { teardown, triggerRule } = state.plan.tasks[position]!.policy;
  return teardown
    ? `its setup did not succeed, so there is nothing to tear down`
    : `${what}, and the rule is ${triggerRule}`;
}

function isInside({ plan }: RunState, position: number, group: number): boolean {
  return position > group && position <= group + (plan.tasks[group]!.extra.size ?? 0);
}
