import type { Engine } from "../engine/engine.js";
import { taskName } from "../engine/errors.js";

/** Where the tasks and items of a run stand, by their names as people write them. */
export async function statuses(engine: Engine, runId: string): Promise<Record<string, string>> {
  const { items } = await engine.runs.tasks(runId, {}, { limit: 1_000 });
  return Object.fromEntries(items.map(({ task, index, status }) => [taskName(task, index), status]));
}

/** The attempts of a run: `name generation/number status`. */
export async function attempts(engine: Engine, runId: string): Promise<string[]> {
  const { items } = await engine.runs.attempts(runId, {}, { limit: 1_000 });
  return items.map(
    ({ task, index, generation, attempt, status }) => `${taskName(task, index)} ${generation}/${attempt} ${status}`,
  );
}
