import type { RunState } from "./state.js";

/**
 * Which edges out of a finished branch lie on the chosen path: those of the chosen name, those without a condition,
 * and those to a task that the chosen path reaches anyway (such a task runs by its own rule).
 *
 * @param branch - The position of the instance that chose.
 */
export function chosenPath(state: RunState, instance: number, branch: number): (edge: number) => boolean {
  const { choices } = state.plan;
  const choice = state.choices.get(instance)!;
  const isChosen = (edge: number) => choices.get(edge)?.includes(choice) ?? true;
  let reached: ReadonlySet<number> | undefined; // found only when an edge needs it: most branches never do
  return (edge) => {
    if (isChosen(edge)) return true;
    const target = state.plan.successors[edge]!;
    if (state.plan.inDegree[target] === 1) return false;
    reached ??= reachedBy(state, branch, isChosen);
    return reached.has(target);
  };
}

/** Everything downstream of the chosen edges, as far as the branch's own targets reach in topological order. */
function reachedBy({ plan }: RunState, branch: number, isChosen: (edge: number) => boolean): ReadonlySet<number> {
  const stack: number[] = [];
  let horizon = 0;
  for (let edge = plan.successorStart[branch]!; edge < plan.successorStart[branch + 1]!; edge++) {
    const target = plan.successors[edge]!;
    horizon = Math.max(horizon, plan.rank[target]!);
    if (plan.choices.has(edge) && isChosen(edge)) stack.push(target);
  }
  const reached = new Set(stack);
  for (let task = stack.pop(); task !== undefined; task = stack.pop()) {
    for (let edge = plan.successorStart[task]!; edge < plan.successorStart[task + 1]!; edge++) {
      const next = plan.successors[edge]!;
      if (plan.rank[next]! > horizon || reached.has(next)) continue;
      reached.add(next);
      stack.push(next);
    }
  }
  return reached;
}
