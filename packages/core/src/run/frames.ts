import type { RunState } from "./state.js";

/** The tasks directly inside a group, or an item of a mapped group. */
export function forEachMember(state: RunState, group: number, visit: (member: number) => void): void {
  const position = state.positionOf(group);
  const end = position + state.plan.tasks[position]!.extra.size!;
  for (let inside = position + 1; inside <= end; inside++) {
    if (state.plan.parent[inside] === position) visit(inside + group - position);
  }
}

/** Everything inside a group that has a status of its own in its frame. */
export function forEachInside(state: RunState, group: number, visit: (instance: number) => void): void {
  const position = state.positionOf(group);
  const { depth, tasks } = state.plan;
  const own = depth[position + 1]!;
  for (let inside = position + 1; inside <= position + (tasks[position]!.extra.size ?? 0); inside++) {
    if (depth[inside] === own) visit(inside + group - position);
  }
}
