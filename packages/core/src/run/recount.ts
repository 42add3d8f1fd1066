import { chosenPath } from "./branch-paths.js";
import { reportOf, tally } from "./consequences.js";
import { forEachMember } from "./frames.js";
import {
  CANCELLED,
  FAILED,
  isFinal,
  RETRYING,
  RUNNING,
  type RunState,
  SKIPPED,
  SUCCEEDED,
  UPSTREAM_COUNTERS,
  UPSTREAM_SKIPPED,
} from "./state.js";

/** Derives every counter from the statuses alone, after a state was restored or reopened. */
export function recount(state: RunState): void {
  for (const expansion of state.expansions.values()) {
    const counts = new Int32Array(16);
    for (let item = 0; item < expansion.count; item++) {
      counts[state.status[expansion.base + item * expansion.stride]!]!++;
    }
    expansion.entered = counts[RUNNING]! + counts[RETRYING]!;
    expansion.next = 0;
    expansion.succeeded = counts[SUCCEEDED]!;
    expansion.failed = counts[FAILED]!;
    expansion.cancelled = counts[CANCELLED]!;
    expansion.open = expansion.count - expansion.succeeded - expansion.failed - expansion.cancelled - counts[SKIPPED]!;
  }
  state.upstream.fill(0);
  state.open = 0;
  state.groups.clear();
  state.forEach((instance, position) => {
    if (isFinal(state.status[instance]!)) reportDownstream(state, instance, position);
    else if (state.plan.parent[position]! < 0 && instance === position) state.open++;
    if (state.status[instance] === RUNNING && isGroupFrame(state, instance, position)) recountGroup(state, instance);
  });
}

/** A group, or an item of a mapped one: what tasks stand directly inside. */
export function isGroupFrame(state: RunState, instance: number, position: number): boolean {
  const { kind, isMapped } = state.plan.tasks[position]!;
  return kind === "group" && (!isMapped || state.isItem(instance));
}

function recountGroup(state: RunState, instance: number): void {
  const group = { open: 0, succeeded: 0, failed: 0, cancelled: 0, stopping: false };
  state.groups.set(instance, group);
  forEachMember(state, instance, (member) => {
    group.open++;
    if (isFinal(state.status[member]!)) tally(state, group, member);
  });
}

function reportDownstream(state: RunState, instance: number, position: number): void {
  if (state.isItem(instance)) return;
  const { successorStart, successors } = state.plan;
  const frame = instance - position;
  const path = state.choices.has(instance) ? chosenPath(state, instance, position) : undefined;
  for (let edge = successorStart[position]!; edge < successorStart[position + 1]!; edge++) {
    const report = path && !path(edge) ? UPSTREAM_SKIPPED : reportOf(state.status[instance]!);
    state.upstream[(successors[edge]! + frame) * UPSTREAM_COUNTERS + report]!++;
  }
}
