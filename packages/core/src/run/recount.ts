import { chosenPath } from "./branch-paths.js";
import {
  CANCELLED,
  FAILED,
  isFinal,
  type RunState,
  SKIPPED,
  SUCCEEDED,
  UPSTREAM_COUNTERS,
  UPSTREAM_SKIPPED,
} from "./state.js";
import { reportOf } from "./transition.js";

/** Derives every counter from the statuses alone, after a state was restored or reopened. */
export function recount(state: RunState): void {
  for (const expansion of state.expansionsByBase) {
    const counts = new Int32Array(16);
    for (let item = 0; item < expansion.count; item++) counts[state.status[expansion.base + item]!]!++;
    expansion.succeeded = counts[SUCCEEDED]!;
    expansion.failed = counts[FAILED]!;
    expansion.cancelled = counts[CANCELLED]!;
    expansion.open = expansion.count - expansion.succeeded - expansion.failed - expansion.cancelled - counts[SKIPPED]!;
  }
  state.upstream.fill(0);
  state.open = 0;
  for (let task = 0; task < state.plan.tasks.length; task++) {
    if (isFinal(state.status[task]!)) reportDownstream(state, task);
    else state.open++;
  }
}

function reportDownstream(state: RunState, task: number): void {
  const { successorStart, successors } = state.plan;
  const path = state.choices.has(task) ? chosenPath(state, task) : undefined;
  for (let edge = successorStart[task]!; edge < successorStart[task + 1]!; edge++) {
    const report = path && !path(edge) ? UPSTREAM_SKIPPED : reportOf(state.status[task]!);
    state.upstream[successors[edge]! * UPSTREAM_COUNTERS + report]!++;
  }
}
