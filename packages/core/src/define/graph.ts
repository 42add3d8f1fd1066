import { createRequire } from "node:module";
import type { DirectedGraph } from "graphology";
import type { Pipeline } from "./pipeline.js";

export interface NodeAttributes {
  readonly kind: string;
  readonly title: string | undefined;
  readonly description: string | undefined;
  readonly executor: string;
  readonly triggerRule: string;
  readonly tags: readonly string[];
}

export interface EdgeAttributes {
  /** The branch choices under which the edge holds; `undefined`: always. */
  readonly choices: readonly string[] | undefined;
}

/** The pipeline as a graphology graph: a copy to look at, change and run algorithms on. */
export type TaskGraph = DirectedGraph<NodeAttributes, EdgeAttributes>;

/**
 * Loaded when the first graph is asked for: graphology takes longer to load than all the rest of this library, and an
 * engine never needs it.
 */
let graphology: typeof import("graphology") | undefined;

function loadGraphology(): typeof import("graphology") {
  graphology ??= createRequire(import.meta.url)("graphology") as typeof import("graphology");
  return graphology;
}

/** Builds the graph; O(tasks + edges). */
export function toGraph({ plan }: Pick<Pipeline, "plan">): TaskGraph {
  const { DirectedGraph } = loadGraphology();
  const graph: TaskGraph = new DirectedGraph();
  for (const { id, kind, policy } of plan.tasks) {
    const { title, description, executor, triggerRule, tags } = policy;
    graph.addNode(id, { kind, title, description, executor, triggerRule, tags: [...tags] });
  }
  for (const task of plan.tasks) {
    const end = plan.successorStart[task.position + 1]!;
    for (let e = plan.successorStart[task.position]!; e < end; e++) {
      const successor = plan.tasks[plan.successors[e]!]!;
      graph.addEdge(task.id, successor.id, { choices: plan.choices.get(e) });
    }
  }
  return graph;
}
