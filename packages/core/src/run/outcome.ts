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

/** A task outside all groups that failed or was cancelled on its own, and was not allowed to. */
export function failsRun(state: RunState, task: number): boolean {
  return state.plan.parent[task]! < 0 && countsAsFailed(state, task);
}

/** Failed or cancelled, and not allowed to: teardown tasks are, unless they ask otherwise. */
export function countsAsFailed(state: RunState, instance: number): boolean {
  const status = state.status[instance];
  return (status === FAILED || status === CANCELLED) && mayNotFail(state, state.positionOf(instance));
}

function mayNotFail(state: RunState, position: number): boolean {
  const { allowFailure, teardown, failRun } = state.plan.tasks[position]!.policy;
  return !allowFailure && (!teardown || failRun);
}

function failsRunAsLeaf(state: RunState, task: number): boolean {
  const { successorStart, parent } = state.plan;
  if (parent[task]! >= 0 || !isLeaf(state, task, successorStart) || !mayNotFail(state, task)) return false;
  const status = state.status[task];
  return status === FAILED || status === CANCELLED || status === UPSTREAM_FAILED;
}

/** A teardown behind a task does not make that less of a leaf. */
function isLeaf({ plan }: RunState, task: number, successorStart: Int32Array): boolean {
  for (let edge = successorStart[task]!; edge < successorStart[task + 1]!; edge++) {
    if (!plan.tasks[plan.successors[edge]!]!.policy.teardown) return false;
  }
  return true;
}
