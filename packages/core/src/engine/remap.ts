import type { RemapRequest } from "../contracts/storage.js";
import type { PipelineDescription, TaskDescription } from "../define/description.js";
import { describePipeline } from "../define/description.js";
import { diffPipelines } from "../define/diff.js";
import type { Pipeline } from "../define/pipeline.js";
import { WeftlineError } from "../errors.js";

export interface RemapOptions {
  /**
   * What became of tasks that are not there any more under their id: their new id, or `null` to forget what they did.
   * Tasks that are not named keep their id. Default: `{}`.
   */
  readonly tasks?: Readonly<Record<string, string | null>>;
}

/** A run to be carried over to another version of its pipeline. */
export interface RemapFacts {
  readonly runId: string;
  /** What the run kept of the version it ran with. */
  readonly before: PipelineDescription;
  readonly after: Pipeline;
  /** Tasks of which something is recorded: what they did would be lost, or taken for what another task did. */
  readonly recorded: ReadonlySet<string>;
}

/**
 * Where the records of each task go. A task that has done something is matched to one of the same kind in the same
 * place alone, or forgotten when that is asked for in so many words.
 *
 * @throws {WeftlineError} `DAG_CHANGED` names what cannot be matched.
 */
export function remapTasks(facts: RemapFacts, { tasks: wanted = {} }: RemapOptions): RemapRequest["tasks"] {
  const after = new Map(describePipeline(facts.after).tasks.map((task, position) => [task.id, { task, position }]));
  const names = new Map(facts.before.tasks.map((task) => [task.id, nameOf(task.id, wanted)]));
  const taken = new Map<string, string>();
  const kept: { from: number; position: number; task: string }[] = [];
  const problems = unknownNames(facts, wanted);
  for (const [from, task] of facts.before.tasks.entries()) {
    const name = names.get(task.id)!;
    if (name === null || !facts.recorded.has(task.id)) continue;
    const target = after.get(name);
    const problem =
      target === undefined ? `"${task.id}" has no task "${name}" to go to` : mismatch(task, target.task, names);
    if (problem !== undefined) problems.push(problem);
    else if (taken.has(name)) problems.push(`"${task.id}" and "${taken.get(name)}" cannot both become "${name}"`);
    else {
      taken.set(name, task.id);
      kept.push({ from, position: target!.position, task: name });
    }
  }
  if (problems.length > 0) throw cannotRemap(facts, problems);
  return kept;
}

function nameOf(id: string, wanted: Readonly<Record<string, string | null>>): string | null {
  return Object.hasOwn(wanted, id) ? wanted[id]! : id;
}

function unknownNames({ before }: RemapFacts, wanted: Readonly<Record<string, string | null>>): string[] {
  const known = new Set(before.tasks.map(({ id }) => id));
  return Object.keys(wanted)
    .filter((id) => !known.has(id))
    .map((id) => `the version the run was made with has no task "${id}"`);
}

/** Why what one task did cannot stand for what the other would do. */
function mismatch(
  before: TaskDescription,
  after: TaskDescription,
  names: ReadonlyMap<string, string | null>,
): string | undefined {
  const was = `"${before.id}" was a ${before.mapped ? "mapped " : ""}${before.kind}`;
  const is = `"${after.id}" is a ${after.mapped ? "mapped " : ""}${after.kind}`;
  if (before.kind !== after.kind || before.mapped !== after.mapped) return `${was}, and ${is}`;
  const group = before.group === undefined ? undefined : names.get(before.group);
  if (group === (after.group ?? undefined)) return undefined;
  return `"${before.id}" stood in ${place(before.group)}, and "${after.id}" stands in ${place(after.group)}`;
}

function place(group: string | undefined): string {
  return group === undefined ? "no group" : `group "${group}"`;
}

function cannotRemap({ runId, before, after }: RemapFacts, problems: readonly string[]): WeftlineError {
  return new WeftlineError(
    "DAG_CHANGED",
    `Cannot carry run ${runId} over to the version of pipeline "${after.id}" that this engine has: ${problems.join("; ")}. Say what becomes of these tasks: runs.remap(id, { tasks: { old: "new", gone: null } }).\n${diffText(before, after)}`,
  );
}

/** What differs between the version a run was made with and the one that is there, for people. */
export function diffText(before: PipelineDescription, after: Pipeline): string {
  return diffPipelines(before, after).text.replace(/^/gm, "  ");
}
