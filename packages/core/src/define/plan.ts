import { WeftlineError } from "../errors.js";
import type { OrderEdge, TaskDefinition } from "./definition.js";
import { TRIGGER_RULES } from "./trigger-rules.js";

/**
 * A definition compiled to flat arrays, so that finishing a task costs as much as it has successors, whatever the
 * size of the graph. Tasks are numbered by position; `edges` between the same two tasks are one.
 */
export interface Plan {
  readonly tasks: readonly TaskDefinition[];
  readonly positions: ReadonlyMap<string, number>;
  /** How many distinct upstream tasks each task has. */
  readonly inDegree: Int32Array;
  /** The successors of task `t` are `successors[successorStart[t] … successorStart[t + 1])`. */
  readonly successorStart: Int32Array;
  readonly successors: Int32Array;
  /** By place in `successors`: the choices under which an edge from a branch holds. Other edges are not listed. */
  readonly choices: ReadonlyMap<number, readonly string[]>;
  /** Trigger rules by their place in `TRIGGER_RULES`. */
  readonly rules: Uint8Array;
  /** Each task's place in a topological order. */
  readonly rank: Int32Array;
}

const MAX_PATH_SHOWN = 20;

interface Edges {
  readonly from: number[];
  readonly to: number[];
  readonly choices: Map<number, string[]>;
}

/**
 * Compiles and checks a definition in O(tasks + edges).
 *
 * @throws {WeftlineError} `DAG_CYCLE` with the path, when order-only edges close one (nothing else can).
 */
export function compilePlan(pipelineId: string, tasks: readonly TaskDefinition[]): Plan {
  const edges = collectEdges(tasks);
  const inDegree = new Int32Array(tasks.length);
  const successorStart = new Int32Array(tasks.length + 1);
  for (const to of edges.to) inDegree[to]!++;
  for (const from of edges.from) successorStart[from + 1]!++;
  for (let t = 0; t < tasks.length; t++) successorStart[t + 1]! += successorStart[t]!;

  const successors = new Int32Array(edges.to.length);
  const choices = new Map<number, readonly string[]>();
  const next = successorStart.slice(0, tasks.length);
  for (let e = 0; e < edges.to.length; e++) {
    const place = next[edges.from[e]!]!++;
    successors[place] = edges.to[e]!;
    const conditions = edges.choices.get(e);
    if (conditions) choices.set(place, conditions);
  }

  const rules = Uint8Array.from(tasks, (task) => TRIGGER_RULES.indexOf(task.triggerRule));
  const graph = { tasks, inDegree, successorStart, successors };
  const positions = new Map(tasks.map((task) => [task.id, task.position]));
  return { ...graph, positions, choices, rules, rank: topologicalRank(pipelineId, graph) };
}

/** Every pair of tasks once, with the choices of all its conditional edges; an unconditional twin adds no condition. */
function collectEdges(tasks: readonly TaskDefinition[]): Edges {
  const edges: Edges = { from: [], to: [], choices: new Map() };
  for (const task of tasks) {
    const seen = new Map<number, number>();
    for (const { from, choice } of edgesInto(task)) {
      let edge = seen.get(from);
      if (edge === undefined) {
        edge = edges.from.push(from) - 1;
        edges.to.push(task.position);
        seen.set(from, edge);
      }
      if (choice !== undefined) addChoice(edges.choices, edge, choice);
    }
  }
  return edges;
}

/** What a task waits for, once for each time it was named. */
function edgesInto({ needs, over, after }: TaskDefinition): readonly OrderEdge[] {
  const list = over && "from" in over ? [{ from: over.from, choice: undefined }] : [];
  return [...needs.map(({ from }) => ({ from, choice: undefined })), ...list, ...after];
}

function addChoice(choices: Map<number, string[]>, edge: number, choice: string): void {
  const known = choices.get(edge);
  if (known === undefined) choices.set(edge, [choice]);
  else if (!known.includes(choice)) known.push(choice);
}

type Graph = Pick<Plan, "tasks" | "inDegree" | "successorStart" | "successors">;

/** Kahn's algorithm; what it cannot number lies on a cycle or behind one. */
function topologicalRank(pipelineId: string, graph: Graph): Int32Array {
  const { tasks, successorStart, successors } = graph;
  const open = graph.inDegree.slice();
  const rank = new Int32Array(tasks.length).fill(-1);
  const queue = new Int32Array(tasks.length);
  let filled = 0;
  for (let t = 0; t < tasks.length; t++) if (open[t] === 0) queue[filled++] = t;
  for (let done = 0; done < filled; done++) {
    const t = queue[done]!;
    rank[t] = done;
    for (let e = successorStart[t]!; e < successorStart[t + 1]!; e++) {
      if (--open[successors[e]!]! === 0) queue[filled++] = successors[e]!;
    }
  }
  if (filled < tasks.length) refuseCycle(pipelineId, tasks, rank);
  return rank;
}

/** What has no rank waits for something without one, so that a walk upstream comes round before long. */
function refuseCycle(pipelineId: string, tasks: readonly TaskDefinition[], rank: Int32Array): never {
  const walk = new Set<number>();
  let task = rank.indexOf(-1);
  while (!walk.has(task)) {
    walk.add(task);
    task = edgesInto(tasks[task]!).find(({ from }) => rank[from] === -1)!.from;
  }
  const upstream = [...walk];
  const cycle = [task, ...upstream.slice(upstream.indexOf(task)).reverse()];
  throw new WeftlineError(
    "DAG_CYCLE",
    `Cannot define pipeline "${pipelineId}" as its tasks wait for each other: ${showPath(cycle.map((position) => tasks[position]!.id))}. Remove one of these edges, most likely an order() that points backwards.`,
  );
}

function showPath(ids: readonly string[]): string {
  const hidden = ids.length - MAX_PATH_SHOWN;
  if (hidden <= 0) return ids.join(" -> ");
  const half = MAX_PATH_SHOWN / 2;
  return [...ids.slice(0, half), `(${hidden} more)`, ...ids.slice(-half)].join(" -> ");
}
