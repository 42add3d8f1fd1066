import type { FlushedRun } from "./history.js";
import { keyOf, type RunModel } from "./run-model.js";

type TaskRecord = FlushedRun["tasks"][number];

/**
 * A flush in which a group ends a pass and begins the next one holds two changes: what ended with the former pass, and what
 * is open with the next. Each is to be judged by itself, in this order. Where a flush takes long, several passes end in it.
 *
 * @returns One part as a rule.
 */
export function byGeneration(run: RunModel, part: FlushedRun): readonly FlushedRun[] {
  const newest = new Map<string, number>();
  let isMixed = false;
  for (const { task, index, generation } of part.tasks) {
    const key = keyOf(task, index);
    const known = newest.get(key);
    if (known !== undefined && known !== generation) isMixed = true;
    newest.set(key, Math.max(known ?? 0, generation));
  }
  if (!isMixed || run.shape === undefined) return [part];
  const isFormer = (record: TaskRecord) => isOlder(run, record, newest);
  const former = part.tasks.filter(isFormer);
  const ended = new Set(former.map(({ task, index, generation }) => `${keyOf(task, index)}@${generation}`));
  const isOfFormer = ({ task, index, generation }: FlushedRun["attempts"][number]) =>
    ended.has(`${keyOf(task, index)}@${generation}`);
  const before = { ...part, run: undefined, tasks: former, attempts: part.attempts.filter(isOfFormer), consumed: [] };
  return [
    ...byGeneration(run, before),
    {
      ...part,
      tasks: part.tasks.filter((record) => !isFormer(record)),
      attempts: part.attempts.filter((attempt) => !isOfFormer(attempt)),
    },
  ];
}

/** The same flush has a newer record of it, or of what stands around it. */
function isOlder(run: RunModel, record: TaskRecord, newest: ReadonlyMap<string, number>): boolean {
  const { generation } = record;
  if (newest.get(keyOf(record.task, record.index))! > generation) return true;
  for (let outer = run.around(record); outer !== undefined; outer = run.around(outer)) {
    const { id } = run.shape!.tasks[outer.position]!;
    if ((newest.get(keyOf(id, outer.index)) ?? 0) > generation) return true;
  }
  return false;
}
