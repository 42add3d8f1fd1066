import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { DirectedGraph } from "graphology";
import { WeftlineError } from "../errors.js";
import type { AnyContext, TaskContext } from "./context.js";
import { DefinitionBuilder } from "./definition-builder.js";
import type { Needs } from "./handles.js";
import { checkId } from "./ids.js";
import type { PipelineOptions, TaskOptions } from "./options.js";
import { type AnyPipelineOptions, finishPipeline, type Pipeline } from "./pipeline.js";
import { show } from "./show.js";
import type { TriggerRule } from "./trigger-rules.js";

/** What the task of a node reads: the outputs of the nodes before it, by their names. */
export type GraphContext<Params> = TaskContext<Params, Readonly<Record<string, unknown>>>;

export type GraphTask<Params> =
  | ((context: GraphContext<Params>) => unknown)
  | (Omit<TaskOptions<GraphContext<Params>, Needs, TriggerRule>, "needs" | "after"> & {
      readonly run: (context: GraphContext<Params>) => unknown;
    });

/** The tasks by node, or a function that makes the task of each node. */
export type GraphTasks<Params, Attributes> =
  | Readonly<Record<string, GraphTask<Params>>>
  | ((node: string, attributes: Attributes) => GraphTask<Params>);

type AnyGraph<Attributes extends object> = Pick<
  DirectedGraph<Attributes>,
  "forEachNode" | "forEachInNeighbor" | "type" | "order" | "undirectedSize"
>;

/**
 * Makes a pipeline of any directed acyclic graph of graphology: a task for each node, an edge for each edge. A run
 * resolves to the outputs of the nodes without successors, by their names. Meant for graphs of 100,000 nodes and more.
 *
 * @throws {WeftlineError} `PIPELINE_INVALID` for an undirected graph or a node without a task; `TASK_INVALID` for a
 * name that is no task id; `DAG_CYCLE` with the path.
 */
export function fromGraph<Attributes extends object, Schema extends StandardSchemaV1>(
  id: string,
  graph: AnyGraph<Attributes>,
  tasks: GraphTasks<StandardSchemaV1.InferOutput<Schema>, Attributes>,
  options: PipelineOptions<Schema, StandardSchemaV1.InferInput<Schema>> & { readonly params: Schema },
): Pipeline<StandardSchemaV1.InferInput<Schema>, Readonly<Record<string, unknown>>>;
export function fromGraph<Attributes extends object>(
  id: string,
  graph: AnyGraph<Attributes>,
  tasks: GraphTasks<Record<never, never>, Attributes>,
  options?: PipelineOptions<undefined, Record<never, never>>,
): Pipeline<Record<never, never>, Readonly<Record<string, unknown>>>;
export function fromGraph(
  id: string,
  graph: AnyGraph<object>,
  tasks: GraphTasks<never, object>,
  options: AnyPipelineOptions = {},
): Pipeline {
  checkId(id, "PIPELINE_INVALID", "the id of a pipeline");
  if (typeof graph?.forEachNode !== "function" || typeof graph.forEachInNeighbor !== "function") {
    throw invalid(id, `${show(graph)} is no graph`, "Give a graph of graphology.");
  }
  if (typeof options !== "object" || options === null) {
    throw invalid(id, `its options are ${show(options)}`, "Write fromGraph(id, graph, tasks, options).");
  }
  if (graph.type === "undirected" || graph.undirectedSize > 0) {
    throw invalid(
      id,
      "its graph is undirected, or has undirected edges",
      "Give a directed graph: an edge leads from a task to one that comes after it.",
    );
  }
  const builder = new DefinitionBuilder(id, options.defaults ?? {});
  const positions = positionsOf(graph);
  const leaves = new Map(positions);
  graph.forEachNode((node, attributes) => {
    const { run, ...taskOptions } = taskOf(id, tasks, node, attributes);
    const needs: [string, number][] = [];
    graph.forEachInNeighbor(node, (before) => {
      needs.push([before, positions.get(before)!]);
      leaves.delete(before);
    });
    builder.root.addWithNeeds(node, taskOptions, run, needs);
  });
  return finishPipeline(options, builder, undefined, leaves);
}

function positionsOf(graph: AnyGraph<object>): Map<string, number> {
  const positions = new Map<string, number>();
  graph.forEachNode((node) => positions.set(node, positions.size));
  return positions;
}

interface ReadTask {
  readonly run: (context: AnyContext) => unknown;
  readonly [option: string]: unknown;
}

function taskOf(id: string, tasks: GraphTasks<never, object>, node: string, attributes: object): ReadTask {
  const own = typeof tasks === "function" || Object.hasOwn(Object(tasks) as object, node);
  const task = typeof tasks === "function" ? tasks(node, attributes) : own ? tasks[node] : undefined;
  if (typeof task === "function") return { run: task as unknown as ReadTask["run"] };
  if (typeof task?.run === "function") return task as unknown as ReadTask;
  throw invalid(
    id,
    `node "${node}" has no task`,
    "Give a function, or options with `run`, for every node of the graph.",
  );
}

function invalid(id: string, problem: string, remedy: string): WeftlineError {
  return new WeftlineError("PIPELINE_INVALID", `Cannot define pipeline "${id}": ${problem}. ${remedy}`);
}
