import { createHash } from "node:crypto";
import type { TaskDefinition } from "./definition.js";

/**
 * The structural hash of a definition: ids, kinds, edges, rules and what decides a run's outcome. Function bodies,
 * titles, timeouts and retry policies are left out, since a run may go on under another version of those, and since
 * function text differs from build to build.
 *
 * @returns 16 hex digits with the pipeline's id in front.
 */
export function definitionHash(pipelineId: string, tasks: readonly TaskDefinition[], failWhen: string): string {
  const hash = createHash("sha256").update(`${pipelineId}\n${failWhen}\n`);
  for (const task of tasks) hash.update(`${describe(task)}\n`);
  return `${pipelineId}@${hash.digest("hex").slice(0, 16)}`;
}

function describe(task: TaskDefinition): string {
  const needs = task.needs.map((need) => [need.name, need.from]);
  const after = task.after.map((edge) => [edge.from, edge.choice]);
  return JSON.stringify([task.id, task.kind, task.triggerRule, task.allowFailure, needs, after, task.over]);
}
