import type { AttemptRecord, TaskRecord } from "weftline";
import type { Evidence } from "../history-checker/history.js";

/** A task that was tried although its total timeout had passed. */
export interface Overdue {
  readonly runId: string;
  readonly why: string;
}

/**
 * Tasks whose total timeout did not end them. An engine that stood still may start one attempt too late, as its timers
 * fire in the order in which they were due; with that the timeout has fired as well, so a second one is wrong.
 */
export function findOverdue({ final, shapes, settings }: Evidence): Overdue[] {
  const found: Overdue[] = [];
  for (const { run, tasks, attempts } of final?.runs ?? []) {
    for (const task of tasks) {
      const { totalTimeoutMs } = shapes[run.definition]?.tasks[task.position] ?? {};
      if (totalTimeoutMs === undefined || task.startedAt === undefined) continue;
      const dueAt = task.startedAt + totalTimeoutMs + (settings?.skewMs ?? 0);
      const late = attempts.filter((attempt) => isOf(attempt, task) && attempt.startedAt > dueAt);
      const engine = late.map(({ engineId }) => engineId).find((id, place, all) => all.indexOf(id) !== place);
      if (engine === undefined) continue;
      const why = `${engine} tried "${task.task}" again and again after its total timeout of ${totalTimeoutMs} ms`;
      found.push({ runId: run.id, why });
    }
  }
  return found;
}

function isOf(attempt: AttemptRecord, { position, index, generation }: TaskRecord): boolean {
  if (attempt.position !== position || attempt.generation !== generation) return false;
  return String(attempt.index) === String(index);
}
