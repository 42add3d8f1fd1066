import type { Page, TaskQuery, TaskRecord } from "../contracts/records.js";
import type { Storage } from "../contracts/storage.js";
import type { Plan } from "../define/plan.js";
import { everyRecord } from "./paging.js";

/**
 * A page without the tasks of items that a mapped group no longer has: it was opened anew, by a retry of the group around
 * it or by a rerun, and reads its list again. Storage cannot tell, as it knows nothing of what stands in what.
 */
export async function withoutLeftBehind(
  storage: Storage,
  plan: Plan,
  query: TaskQuery,
  { items, next }: Page<TaskRecord>,
): Promise<Page<TaskRecord>> {
  const owners = new Set(items.flatMap(({ position }) => mappedGroupsAround(plan, position)));
  if (owners.size === 0 || query.generation !== undefined) return { items, next };
  const generations = new Map<string, number>();
  for (const owner of owners) {
    const task = plan.tasks[owner]!.id;
    for await (const { index, generation } of everyRecord((page) =>
      storage.list("tasks", { runId: query.runId, task }, page),
    )) {
      generations.set(placeOf(owner, index), generation);
    }
  }
  const isLeftBehind = ({ position, index, generation }: TaskRecord) =>
    mappedGroupsAround(plan, position).some(
      (owner) => generation < (generations.get(placeOf(owner, index.slice(0, plan.depth[owner]!))) ?? 0),
    );
  return { items: items.filter((record) => !isLeftBehind(record)), next };
}

/** Their positions, the nearest first. */
function mappedGroupsAround(plan: Plan, position: number): readonly number[] {
  const owners: number[] = [];
  for (let inside = position; plan.depth[inside]! > 0; inside = plan.parent[inside]!) {
    const group = plan.parent[inside]!;
    if (plan.depth[group]! < plan.depth[inside]!) owners.push(group);
  }
  return owners;
}

function placeOf(position: number, index: readonly number[]): string {
  return `${position}/${index.join("/")}`;
}
