import type { RunInfo } from "weftline";
import { closest } from "../closest.js";
import { UsageError } from "../errors.js";
import type { History } from "../history.js";

/** @throws {UsageError} when the run's pipeline, as it was then, has no such task. */
export async function checkTask({ engine }: Pick<History, "engine">, run: RunInfo, task: string): Promise<void> {
  const { tasks } = await engine.runs.graph(run.id);
  const ids = tasks.map(({ id }) => id);
  if (ids.includes(task)) return;
  const meant = closest(task, ids);
  const hint = meant === undefined ? `It has ${ids.slice(0, 20).join(", ")}.` : `Did you mean "${meant}"?`;
  throw new UsageError(`TASK_UNKNOWN: Pipeline "${run.pipeline}" has no task "${task}". ${hint}`);
}
