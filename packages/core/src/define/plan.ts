import { WeftlineError } from "../errors.js";
import type { Need, TaskDefinition } from "./definition.js";
import { TEARDOWN_RULE, TRIGGER_RULES } from "./trigger-rules.js";

/** What a plan is compiled from: tasks by position, what each needs one after the other, and the groups around them. */
export interface PlanSource {
  readonly pipelineId: string;
  readonly tasks: readonly TaskDefinition[];
  /** The needs of task `t` stand at the places `needStart[t] … needStart[t + 1])`. */
  readonly needStart: readonly number[];
  readonly needFrom: readonly number[];
  readonly needNames: readonly string[];
  /** The position of the group around each task; -1: none. */
  readonly parent: readonly number[];
}

/** It makes an attempt. */
const START_ATTEMPT = 0;
/** Its list is read. */
export const START_LIST = 1;
/** The tasks inside it may start. */
export const START_GROUP = 2;
/** It waits, without an attempt: for a while known beforehand, or for a signal. */
const START_WAIT = 3;

const MAX_PATH_SHOWN = 20;

/**
 * A definition compiled to flat arrays, so that finishing a task costs as much as it has successors, whatever the
 * size of the graph. Tasks are numbered by position; edges between the same two tasks are one. An edge into or out of a
 * group is one of the group: both its ends stand in the same group, or in none.
 */
export class Plan {
  readonly tasks: readonly TaskDefinition[];
  /** See {@link PlanSource}. */
  readonly needStart: Int32Array;
  readonly needFrom: Int32Array;
  readonly needNames: readonly string[];
  readonly parent: Int32Array;
  /** By task: how many mapped groups stand around it, and so how many numbers its index has. */
  readonly depth: Uint8Array;
  readonly hasGroups: boolean;
  /** By task: what has to happen when it may start. */
  readonly starts: Uint8Array;
  /** Some task waits before, or instead of, making an attempt. */
  readonly hasWaits: boolean;
  /** How many distinct upstream tasks each task has. */
  readonly inDegree: Int32Array;
  /** The successors of task `t` are `successors[successorStart[t] … successorStart[t + 1])`. */
  readonly successorStart: Int32Array;
  readonly successors: Int32Array;
  /** By place in `successors`: the choices under which an edge from a branch holds. Other edges are not listed. */
  readonly choices: ReadonlyMap<number, readonly string[]>;
  /** Trigger rules by their place in `TRIGGER_RULES`; teardown tasks have `TEARDOWN_RULE`. */
  readonly rules: Uint8Array;
  /** Each task's place in a topological order. */
  readonly rank: Int32Array;
  #positions: ReadonlyMap<string, number> | undefined;

  /**
   * Compiles and checks a definition in O(tasks + edges).
   *
   * @throws {WeftlineError} `DAG_CYCLE` with the path: order-only edges can close one, and so can groups that need each
   * other's tasks.
   */
  constructor(source: PlanSource) {
    const { tasks } = source;
    this.tasks = tasks;
    this.needStart = Int32Array.from(source.needStart);
    this.needFrom = Int32Array.from(source.needFrom);
    this.needNames = source.needNames;
    this.parent = Int32Array.from(source.parent);
    this.depth = mappedDepth(tasks, this.parent);
    this.hasGroups = tasks.some((task) => task.kind === "group");
    this.starts = Uint8Array.from(tasks, startOf);
    this.hasWaits = this.starts.includes(START_WAIT);
    this.rules = Uint8Array.from(tasks, ({ policy }) =>
      policy.teardown ? TEARDOWN_RULE : TRIGGER_RULES.indexOf(policy.triggerRule),
    );
    const edges = this.#collectEdges();
    this.inDegree = new Int32Array(tasks.length);
    this.successorStart = new Int32Array(tasks.length + 1);
    for (const to of edges.to) this.inDegree[to]!++;
    for (const from of edges.from) this.successorStart[from + 1]!++;
    for (let t = 0; t < tasks.length; t++) this.successorStart[t + 1]! += this.successorStart[t]!;
    this.successors = new Int32Array(edges.to.length);
    const choices = new Map<number, readonly string[]>();
    const next = this.successorStart.slice(0, tasks.length);
    for (let e = 0; e < edges.to.length; e++) {
      const place = next[edges.from[e]!]!++;
      this.successors[place] = edges.to[e]!;
      const conditions = edges.choices.get(e);
      if (conditions) choices.set(place, conditions);
    }
    this.choices = choices;
    this.rank = this.#topologicalRank(source.pipelineId);
    Object.freeze(this);
  }

  /** Positions by id. */
  get positions(): ReadonlyMap<string, number> {
    this.#positions ??= new Map(this.tasks.map((task) => [task.id, task.position]));
    return this.#positions;
  }

  needsOf(position: number): Need[] {
    const needs: Need[] = [];
    for (let place = this.needStart[position]!; place < this.needStart[position + 1]!; place++) {
      needs.push({ name: this.needNames[place]!, from: this.needFrom[place]! });
    }
    return needs;
  }

  /** Every pair of tasks once, with the choices of all its conditional edges; an unconditional twin adds no condition. */
  #collectEdges(): Edges {
    const edges = new Edges(this.tasks.length, (task) => this.tasks[task]!.kind === "group");
    for (let to = 0; to < this.tasks.length; to++) {
      for (let place = this.needStart[to]!; place < this.needStart[to + 1]!; place++) {
        this.#addEdge(edges, this.needFrom[place]!, to, undefined);
      }
      const { extra } = this.tasks[to]!;
      if (extra.over && "from" in extra.over) this.#addEdge(edges, extra.over.from, to, undefined);
      for (const { from, choice } of extra.after) this.#addEdge(edges, from, to, choice);
    }
    return edges;
  }

  /** An edge between different groups becomes one between what stands in the innermost group around both. */
  #addEdge(edges: Edges, from: number, to: number, choice: string | undefined): void {
    if (!this.hasGroups) return edges.add(from, to, choice);
    const around = new Set<number>([-1]);
    for (let group = this.parent[to]!; group >= 0; group = this.parent[group]!) around.add(group);
    let [source, target] = [from, to];
    while (!around.has(this.parent[source]!)) source = this.parent[source]!;
    while (this.parent[target] !== this.parent[source]) target = this.parent[target]!;
    edges.add(source, target, choice); // source and target are one where a group and a task in it wait for each other
  }

  /** Kahn's algorithm; what it cannot number lies on a cycle or behind one. */
  #topologicalRank(pipelineId: string): Int32Array {
    const { tasks, successorStart, successors } = this;
    const open = this.inDegree.slice();
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
    if (filled < tasks.length) refuseCycle(pipelineId, this, rank);
    return rank;
  }
}

/** Edges under construction. */
class Edges {
  readonly from: number[] = [];
  readonly to: number[] = [];
  readonly choices = new Map<number, string[]>();
  /** By source: the edge added last, of which a second one to the same target is a twin. */
  readonly #last: Int32Array;
  /** Edges into groups by `from,to`: they are met again with each task of the group. */
  readonly #intoGroups = new Map<string, number>();
  readonly #isGroup: (task: number) => boolean;

  constructor(tasks: number, isGroup: (task: number) => boolean) {
    this.#last = new Int32Array(tasks).fill(-1);
    this.#isGroup = isGroup;
  }

  add(from: number, to: number, choice: string | undefined): void {
    const last = this.#last[from]!;
    let edge = last >= 0 && this.to[last] === to ? last : this.#intoGroups.get(`${from},${to}`);
    if (edge === undefined) {
      edge = this.from.push(from) - 1;
      this.to.push(to);
      this.#last[from] = edge;
      if (this.#isGroup(to)) this.#intoGroups.set(`${from},${to}`, edge);
    }
    if (choice !== undefined) this.#addChoice(edge, choice);
  }

  #addChoice(edge: number, choice: string): void {
    const known = this.choices.get(edge);
    if (known === undefined) this.choices.set(edge, [choice]);
    else if (!known.includes(choice)) known.push(choice);
  }
}

function startOf({ kind, isMapped, extra }: TaskDefinition): number {
  if (isMapped) return START_LIST;
  if (kind === "group") return START_GROUP;
  return kind === "signal" || extra.sleepMs !== undefined ? START_WAIT : START_ATTEMPT;
}

function mappedDepth(tasks: readonly TaskDefinition[], parent: Int32Array): Uint8Array {
  const depth = new Uint8Array(tasks.length);
  for (let t = 0; t < tasks.length; t++) {
    const group = parent[t]!;
    if (group >= 0) depth[t] = depth[group]! + (tasks[group]!.isMapped ? 1 : 0);
  }
  return depth;
}

/** What has no rank waits for something without one, so that a walk upstream comes round before long. */
function refuseCycle(pipelineId: string, plan: Plan, rank: Int32Array): never {
  const { tasks, successorStart, successors } = plan;
  const before = new Map<number, number>();
  for (let t = 0; t < tasks.length; t++) {
    if (rank[t] !== -1) continue;
    for (let e = successorStart[t]!; e < successorStart[t + 1]!; e++) before.set(successors[e]!, t);
  }
  const walk = new Set<number>();
  let task = rank.indexOf(-1);
  while (!walk.has(task)) {
    walk.add(task);
    task = before.get(task)!;
  }
  const upstream = [...walk];
  const cycle = [task, ...upstream.slice(upstream.indexOf(task)).reverse()];
  throw new WeftlineError(
    "DAG_CYCLE",
    `Cannot define pipeline "${pipelineId}" as its tasks wait for each other: ${showPath(cycle.map((position) => tasks[position]!.id))}. Remove one of these edges, most likely an order() that points backwards${plan.hasGroups ? "; a group waits as a whole for what its tasks need" : ""}.`,
  );
}

function showPath(ids: readonly string[]): string {
  const hidden = ids.length - MAX_PATH_SHOWN;
  if (hidden <= 0) return ids.join(" -> ");
  const half = MAX_PATH_SHOWN / 2;
  return [...ids.slice(0, half), `(${hidden} more)`, ...ids.slice(-half)].join(" -> ");
}
