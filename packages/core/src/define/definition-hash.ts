import { createHash } from "node:crypto";
import type { Pipeline } from "./pipeline.js";
import type { Plan } from "./plan.js";

const PIECE_LENGTH = 65_536;

/**
 * The structural hash of a definition: ids, kinds, edges, rules and what decides a run's outcome. Function bodies,
 * titles, timeouts, limits and retry policies are left out, since a run may go on under another version of those, and
 * since function text differs from build to build.
 *
 * @returns 16 hex digits with the pipeline's id in front.
 */
export function definitionHash({ id, plan, settings }: Pick<Pipeline, "id" | "plan" | "settings">): string {
  const hash = createHash("sha256").update(`${id}\n${settings.failWhen}\n`);
  let lines = "";
  for (let position = 0; position < plan.tasks.length; position++) {
    lines += `${describe(plan, position)}\n`;
    // Few large pieces, as each call costs more than the line it adds.
    if (lines.length < PIECE_LENGTH) continue;
    hash.update(lines);
    lines = "";
  }
  hash.update(lines);
  return `${id}@${hash.digest("hex").slice(0, 16)}`;
}

function describe(plan: Plan, position: number): string {
  const { id, kind, policy, extra } = plan.tasks[position]!;
  const needs = plan.needsOf(position).map((need) => [need.name, need.from]);
  const after = extra.after.map((edge) => [edge.from, edge.choice]);
  const { triggerRule, allowFailure, teardown, failRun } = policy;
  const parts: unknown[] = [id, kind, triggerRule, allowFailure, needs, after, extra.over];
  // Only where there is any of it, so that other definitions keep the hashes they had before these existed.
  const special = [extra.size, extra.outputs, extra.child?.id, teardown ? [failRun] : undefined];
  if (special.some((part) => part !== undefined)) parts.push(special);
  return JSON.stringify(parts);
}
