import { auto } from "async";
import { createFlow, FlowRuntime } from "flowcraft";
import { type DependencyList, PGraph } from "p-graph";
import PQueue from "p-queue";
import { createEngine, type Node, pipeline } from "weftline";
import type { Graph } from "./graphs.js";

/** Prepares a graph of tasks that do nothing; what it returns runs the graph once. Only that is timed. */
type Contender = (graph: Graph) => Promise<() => Promise<unknown>>;

/** As many as everybody who limits concurrency gets. */
const CONCURRENCY = 64;
const doNothing = () => undefined;

export const CONTENDERS = {
  /** With its whole history kept: a record of each task and attempt, their times and outputs. */
  weftline: async (graph) => {
    const flow = pipeline("bench", (p) => {
      const nodes: Node<undefined>[] = [];
      graph.forEach((before, task) => {
        const needs = Object.fromEntries(before.map((upstream) => [`t${upstream}`, nodes[upstream]!]));
        nodes.push(p.task(`t${task}`, { needs }, doNothing));
      });
    });
    const engine = createEngine({ pipelines: [flow], concurrency: CONCURRENCY });
    await engine.start();
    return () => engine.run(flow);
  },

  /** One map over as many items as the graph has tasks. */
  "weftline-map": async (graph) => {
    const flow = pipeline("bench", (p) => {
      const list = p.task("list", () => graph.map((_, task) => task));
      p.map("map", { over: list, maxItems: graph.length }, doNothing);
    });
    const engine = createEngine({ pipelines: [flow], concurrency: CONCURRENCY });
    await engine.start();
    return () => engine.run(flow);
  },

  "p-graph": async (graph) => {
    const nodes = new Map(graph.map((_, task) => [`t${task}`, { run: async () => undefined }]));
    const dependencies: DependencyList = [];
    graph.forEach((before, task) => {
      for (const upstream of before) dependencies.push([`t${upstream}`, `t${task}`]);
    });
    const pGraph = new PGraph(nodes, dependencies);
    return () => pGraph.run({ concurrency: CONCURRENCY });
  },

  flowcraft: async (graph) => {
    const flow = createFlow("bench");
    graph.forEach((_, task) => {
      flow.node(`t${task}`, async () => ({ output: undefined }));
    });
    graph.forEach((before, task) => {
      for (const upstream of before) flow.edge(`t${upstream}`, `t${task}`);
    });
    const runtime = new FlowRuntime();
    return () => flow.run(runtime, {});
  },

  "async.auto": async (graph) => {
    const tasks = Object.fromEntries(
      graph.map((before, task) => [`t${task}`, [...before.map((upstream) => `t${upstream}`), async () => undefined]]),
    );
    return () => auto(tasks as unknown as Parameters<typeof auto>[0], CONCURRENCY);
  },

  /** No graph at all: the queue alone, as a bound for whoever puts each task through it. */
  "p-queue": async (graph) => {
    const queue = new PQueue({ concurrency: CONCURRENCY });
    return () => queue.addAll(graph.map(() => async () => undefined));
  },

  /** No engine at all: counting dependencies down over promises. The least a graph can cost. */
  "bare loop": async (graph) => {
    const successors: number[][] = graph.map(() => []);
    graph.forEach((before, task) => {
      for (const upstream of before) successors[upstream]!.push(task);
    });
    const task = async () => undefined;
    return () =>
      new Promise<void>((resolve) => {
        const open = graph.map((before) => before.length);
        let left = graph.length;
        const finish = (done: number): void => {
          if (--left === 0) resolve();
          for (const next of successors[done]!) if (--open[next]! === 0) void task().then(() => finish(next));
        };
        open.forEach((count, first) => {
          if (graph[first]!.length === 0 && count === 0) void task().then(() => finish(first));
        });
      });
  },
} as const satisfies Record<string, Contender>;
export type ContenderName = keyof typeof CONTENDERS;
