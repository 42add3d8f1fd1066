import type { DependencyList } from "p-graph";
import type { Engine, Node, Pipeline } from "weftline";
import { type Graph, tasksOf } from "./graphs.js";

/** A defined graph. */
interface Runnable {
  /** Runs every task once. It can be called again. */
  run(): Promise<unknown>;
  /** Gives back what was opened. */
  close?(): Promise<void>;
}

/**
 * Turns a graph into whatever the contender wants to be given, which is not timed, and returns what defines it in the
 * contender's own terms, which is timed apart from running it. A contender's module is loaded only in a process that
 * measures it, so that no other's memory holds it.
 */
export type Contender = (graph: Graph) => Promise<() => Promise<Runnable>>;
type Work = () => void | Promise<void>;
type NoParams = Record<never, never>;

/** The limit of whoever needs one; Weftline's default is the same. */
const CONCURRENCY = 64;

let calls = 0;

/** How many tasks have run in this process: whoever leaves tasks out would look fast. */
export function tasksRun(): number {
  return calls;
}

function noOp(): void {
  calls++;
}

async function asyncNoOp(): Promise<void> {
  calls++;
}

export const CONTENDERS = {
  /** As it comes, with its whole history kept in memory: a record of each task and attempt, their times and outputs. */
  weftline: (graph) => weftline(graph, noOp),
  "weftline, async": (graph) => weftline(graph, asyncNoOp),
  /** One map over as many items as the graph has tasks. */
  "weftline map": (graph) => weftlineMap(graph, noOp),
  "weftline map, async": (graph) => weftlineMap(graph, asyncNoOp),

  /** Without a limit, its default. */
  "p-graph": (graph) => pGraph(graph, noOp),
  "p-graph, async": (graph) => pGraph(graph, asyncNoOp),

  flowcraft: async (graph) => {
    const { createFlow, FlowRuntime } = await import("flowcraft");
    const work = async () => {
      calls++;
      return { output: undefined };
    };
    return async () => {
      const flow = createFlow("bench");
      for (const task of tasksOf(graph)) flow.node(`t${task}`, work);
      for (const task of tasksOf(graph)) {
        for (const upstream of graph.before(task)) flow.edge(`t${upstream}`, `t${task}`);
      }
      const runtime = new FlowRuntime();
      const blueprint = flow.toBlueprint();
      const options = { functionRegistry: flow.getFunctionRegistry(), concurrency: CONCURRENCY };
      return { run: () => runtime.run(blueprint, {}, options) };
    };
  },

  /** It takes the definition and runs it in one call, so nothing is left to define before. */
  "async.auto": async (graph) => {
    const { auto } = await import("async");
    const tasks = Object.fromEntries(
      tasksOf(graph).map((task) => [`t${task}`, [...graph.before(task).map((upstream) => `t${upstream}`), asyncNoOp]]),
    ) as Parameters<typeof auto>[0];
    return async () => ({ run: () => auto(tasks) });
  },

  /** No graph at all: the queue alone, as a bound for whoever puts each task through it. */
  "p-queue": async (graph) => {
    const { default: PQueue } = await import("p-queue");
    const jobs = tasksOf(graph).map(() => noOp);
    return async () => {
      const queue = new PQueue({ concurrency: CONCURRENCY });
      return { run: () => queue.addAll(jobs) };
    };
  },

  /** No engine at all: counting dependencies down over promises. The least that a graph can cost. */
  "bare loop": async (graph) => async () => {
    const successors: number[][] = tasksOf(graph).map(() => []);
    const inDegrees = new Int32Array(graph.size);
    for (const task of tasksOf(graph)) {
      const before = graph.before(task);
      inDegrees[task] = before.length;
      for (const upstream of before) successors[upstream]!.push(task);
    }
    return { run: () => countDown(successors, inDegrees.slice()) };
  },
} as const satisfies Record<string, Contender>;
export type ContenderName = keyof typeof CONTENDERS;

async function weftline(graph: Graph, work: Work): Promise<() => Promise<Runnable>> {
  const { createEngine, pipeline } = await import("weftline");
  return async () => {
    const flow = pipeline("bench", (p) => {
      const nodes: Node<void>[] = [];
      for (let task = 0; task < graph.size; task++) {
        // Named by their part, as people name them: a name of its own for each would measure V8's hidden classes.
        const needs = Object.fromEntries(graph.before(task).map((upstream, part) => [`part${part}`, nodes[upstream]!]));
        nodes.push(p.task(`t${task}`, { needs }, work));
      }
    });
    return started(createEngine({ pipelines: [flow] }), flow);
  };
}

async function weftlineMap(graph: Graph, work: Work): Promise<() => Promise<Runnable>> {
  const { createEngine, pipeline } = await import("weftline");
  return async () => {
    const flow = pipeline("bench", (p) => {
      const list = p.task("list", () => tasksOf(graph));
      p.map("map", { over: list, maxItems: graph.size }, work);
    });
    return started(createEngine({ pipelines: [flow] }), flow);
  };
}

async function started(engine: Engine, flow: Pipeline<NoParams>): Promise<Runnable> {
  await engine.start();
  return {
    run: async () => (await engine.trigger(flow)).result(),
    close: () => engine.stop(),
  };
}

async function pGraph(graph: Graph, run: Work): Promise<() => Promise<Runnable>> {
  const { PGraph } = await import("p-graph");
  const nodes = new Map(tasksOf(graph).map((task) => [`t${task}`, { run }]));
  const dependencies: DependencyList = [];
  for (const task of tasksOf(graph)) {
    for (const upstream of graph.before(task)) dependencies.push([`t${upstream}`, `t${task}`]);
  }
  return async () => {
    const defined = new PGraph(nodes, dependencies);
    return { run: () => defined.run() };
  };
}

function countDown(successors: readonly (readonly number[])[], open: Int32Array): Promise<void> {
  return new Promise((resolve) => {
    let left = open.length;
    const start = (task: number): void => void asyncNoOp().then(() => finish(task));
    const finish = (task: number): void => {
      if (--left === 0) resolve();
      for (const next of successors[task]!) if (--open[next]! === 0) start(next);
    };
    // Nothing ends before this has returned, so whoever is at 0 by now has no dependencies.
    open.forEach((count, task) => {
      if (count === 0) start(task);
    });
  });
}
