import { type TaskInfo, taskName } from "weftline";

/**
 * Of the tasks that failed those that failed by themselves: lists and groups fail because of what is in them, and add
 * nothing where that is listed.
 *
 * @param groupOf - The group around a task.
 */
export function causes(
  failed: readonly TaskInfo[],
  groupOf: (task: string) => string | undefined,
): readonly TaskInfo[] {
  const explained = new Set<string>();
  const explain = (task: string, index: readonly number[]): void => {
    for (let length = 0; length <= index.length; length++) explained.add(taskName(task, index.slice(0, length)));
  };
  for (const { task, index } of failed) {
    if (index.length > 0) explain(task, index.slice(0, -1));
    for (let group = groupOf(task); group !== undefined; group = groupOf(group)) explain(group, index);
  }
  return failed.filter(({ task, index }) => !explained.has(taskName(task, index)));
}
