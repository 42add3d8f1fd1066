import { type OrderEdge, TaskDefinition } from "./definition.js";
import type { PipelineDescription, TaskDescription } from "./description.js";
import type { TaskPolicy } from "./options.js";
import { Plan } from "./plan.js";
import { defaultPolicy } from "./task-policy.js";
import type { TriggerRule } from "./trigger-rules.js";

/**
 * The plan of a pipeline whose code is gone, from what a run kept of it: what stands where and waits for what. Nothing of
 * it can run; how tasks would (retries, timeouts, limits) is not known.
 */
export function describedPlan({ pipeline, tasks, edges }: PipelineDescription): Plan {
  const policy = defaultPolicy(pipeline, {});
  const positions = new Map(tasks.map(({ id }, position) => [id, position]));
  const definitions = tasks.map((task, position) => definitionOf(task, position, policy));
  const parent = tasks.map(({ group }) => (group === undefined ? -1 : positions.get(group)!));
  for (const around of parent) {
    for (let group = around; group >= 0; group = parent[group]!) definitions[group]!.extra.size! += 1;
  }
  const after = tasks.map((): OrderEdge[] => []);
  for (const { from, to, choices } of edges) {
    for (const choice of choices ?? [undefined])
      after[positions.get(to)!]!.push({ from: positions.get(from)!, choice });
  }
  for (const [position, { extra }] of definitions.entries()) extra.after = after[position]!;
  const needStart = new Array<number>(tasks.length + 1).fill(0);
  return new Plan({ pipelineId: pipeline, tasks: definitions, needStart, needFrom: [], needNames: [], parent });
}

function definitionOf(task: TaskDescription, position: number, defaults: TaskPolicy): TaskDefinition {
  const { id, kind, mapped, executor, allowFailure, teardown } = task;
  const triggerRule = task.triggerRule as TriggerRule;
  const policy = { ...defaults, triggerRule, executor, allowFailure, teardown };
  const definition = new TaskDefinition(id, position, kind, policy, () => {
    throw new TypeError(`Cannot run task "${id}" as this engine does not have its pipeline`);
  });
  definition.extra = { after: [], ...(mapped && { over: { items: [] } }), ...(kind === "group" && { size: 0 }) };
  return definition;
}
