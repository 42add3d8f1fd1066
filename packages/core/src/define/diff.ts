import { checkPipeline } from "./check-pipeline.js";
import {
  describePipeline,
  type EdgeDescription,
  type PipelineDescription,
  type TaskDescription,
} from "./description.js";
import type { Pipeline } from "./pipeline.js";
import { show } from "./show.js";

/** What changed from one definition to another. */
export interface PipelineDiff {
  /** Nothing that is compared differs. */
  readonly equal: boolean;
  /** Whether runs of one can go on under the other: their structural hashes are equal. */
  readonly compatible: boolean;
  /** What differs of the pipeline itself. */
  readonly pipeline: readonly FieldChange[];
  readonly tasks: {
    readonly added: readonly string[];
    readonly removed: readonly string[];
    readonly changed: readonly TaskChange[];
  };
  readonly edges: { readonly added: readonly EdgeDescription[]; readonly removed: readonly EdgeDescription[] };
  /** For people: a line for each difference, `+` added, `-` removed, `~` changed. */
  readonly text: string;
}

export interface TaskChange {
  readonly task: string;
  /** By name of what differs. */
  readonly fields: readonly FieldChange[];
}

export interface FieldChange {
  readonly field: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** Compares two definitions: pipelines, or what runs have kept of theirs. */
export function diffPipelines(a: Pipeline | PipelineDescription, b: Pipeline | PipelineDescription): PipelineDiff {
  const [before, after] = [describe(a), describe(b)];
  const [old, now] = [byId(before), byId(after)];
  const added = [...now.keys()].filter((id) => !old.has(id));
  const removed = [...old.keys()].filter((id) => !now.has(id));
  const changed = [...now.values()].flatMap((task) => changeOf(old.get(task.id), task));
  const [oldEdges, newEdges] = [byEnds(before), byEnds(after)];
  const edges = {
    added: [...newEdges].filter(([ends]) => !oldEdges.has(ends)).map(([, edge]) => edge),
    removed: [...oldEdges].filter(([ends]) => !newEdges.has(ends)).map(([, edge]) => edge),
  };
  const tasks = { added, removed, changed };
  const pipeline = fieldChanges(before, after, ["pipeline", "failWhen"]);
  const lines = linesOf(pipeline, tasks, edges);
  return {
    equal: lines.length === 0,
    compatible: before.hash === after.hash,
    pipeline,
    tasks,
    edges,
    text: lines.length === 0 ? "no differences" : lines.join("\n"),
  };
}

function describe(given: Pipeline | PipelineDescription): PipelineDescription {
  const { tasks, edges } = Object(given) as Partial<PipelineDescription>;
  if (Array.isArray(tasks) && Array.isArray(edges)) return given as PipelineDescription;
  checkPipeline(given, "diffPipelines()");
  return describePipeline(given as Pipeline);
}

function byId({ tasks }: PipelineDescription): ReadonlyMap<string, TaskDescription> {
  return new Map(tasks.map((task) => [task.id, task]));
}

function byEnds({ edges }: PipelineDescription): ReadonlyMap<string, EdgeDescription> {
  return new Map(edges.map((edge) => [JSON.stringify([edge.from, edge.to, edge.choices]), edge]));
}

function changeOf(before: TaskDescription | undefined, after: TaskDescription): TaskChange[] {
  if (before === undefined) return [];
  const fields = fieldChanges(before, after, Object.keys(after) as (keyof TaskDescription)[]);
  return fields.length === 0 ? [] : [{ task: after.id, fields }];
}

function fieldChanges<Described>(
  before: Described,
  after: Described,
  fields: readonly (keyof Described & string)[],
): FieldChange[] {
  return fields
    .filter((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]))
    .map((field) => ({ field, before: before[field], after: after[field] }));
}

function linesOf(
  pipeline: PipelineDiff["pipeline"],
  tasks: PipelineDiff["tasks"],
  edges: PipelineDiff["edges"],
): string[] {
  const value = (it: unknown) => (Array.isArray(it) ? JSON.stringify(it) : show(it));
  return [
    ...pipeline.map(({ field, before, after }) => `~ pipeline: ${field} ${value(before)} -> ${value(after)}`),
    ...tasks.removed.map((id) => `- task ${id}`),
    ...tasks.added.map((id) => `+ task ${id}`),
    ...tasks.changed.flatMap(({ task, fields }) =>
      fields.map(({ field, before, after }) => `~ task ${task}: ${field} ${value(before)} -> ${value(after)}`),
    ),
    ...edges.removed.map((edge) => `- edge ${edgeText(edge)}`),
    ...edges.added.map((edge) => `+ edge ${edgeText(edge)}`),
  ];
}

function edgeText({ from, to, choices }: EdgeDescription): string {
  return `${from} -> ${to}${choices ? ` when ${choices.join(" or ")}` : ""}`;
}
