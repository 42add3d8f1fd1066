import type { RunFacts, TaskJob } from "../contracts/executor.js";
import type { RunRecord } from "../contracts/records.js";
import type { TaskDefinition } from "../define/definition.js";
import type { LiveAttempt } from "./attempt.js";
import type { RunParts } from "./run-parts.js";

/** What tasks are told of their run: all of them the same object, which they cannot change. */
export function runFacts({ id, pipeline, createdAt, key, tags, instant }: RunRecord): RunFacts {
  return Object.freeze({ id, pipeline, createdAt, key, tags: Object.freeze([...tags]), instant });
}

/** An attempt as plain data for its executor. */
export function taskJob(
  { record, facts, outputs }: RunParts,
  attempt: LiveAttempt,
  task: TaskDefinition,
  graceMs: number,
): TaskJob {
  const { index } = attempt;
  return {
    runId: record.id,
    pipeline: record.pipeline,
    definition: record.definition,
    task: task.id,
    index,
    attempt: attempt.number,
    params: record.params,
    // Made when read: most of what a short attempt costs would otherwise be inputs that its function never looks at.
    get input() {
      return outputs.inputOf(task);
    },
    item: index.length === 0 ? undefined : outputs.item(task.position, index[0]!),
    run: facts,
    graceMs,
  };
}
