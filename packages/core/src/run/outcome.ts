import type { RunStatus } from "../contracts/records.js";
import type { PipelineSettings } from "../define/pipeline.js";
import { CANCELLED, FAILED, type RunState, UPSTREAM_FAILED } from "./state.js";

/** How a run ended whose tasks have all finished. */
export function runOutcome(state: RunState, failWhen: PipelineSettings["failWhen"]): RunStatus {
  if (state.stopping !== undefined) return state.stopping === "cancelled" ? "cancelled" : "failed";
  const fails = failWhen === "any" ? failsRun : failsRunAsLeaf;
  for (let task = 0; task < state.plan.tasks.length; task++) if (fails(state, task)) return "failed";
  return "succeeded";
}

/** A task that failed or was cancelled on its own, and was not allowed to. */
export function failsRun(state: RunState, task: number): boolean {
  const status = state.status[task];
  return (status === FAILED || status === CANCELLED) && !state.plan.tasks[task]!.allowFailure;
}

function failsRunAsLeaf(state: RunState, task: number): boolean {
  const { successorStart, tasks } = state.plan;
  if (successorStart[task] !== successorStart[task + 1] || tasks[task]!.allowFailure) return false;
  const status = state.status[task];
  return status === FAILED || status === CANCELLED || status === UPSTREAM_FAILED;
}
