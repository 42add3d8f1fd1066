import { DirectedGraph, MultiDirectedGraph, MultiGraph, UndirectedGraph } from "graphology";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { startedEngine } from "../test-support/engines.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { describePipeline } from "./description.js";
import { fromGraph, type GraphTask } from "./from-graph.js";

leavesNothingBehind();

function graphOf(edges: readonly (readonly [string, string])[], nodes: readonly string[] = []): DirectedGraph {
  const graph = new DirectedGraph();
  for (const node of nodes) graph.addNode(node);
  for (const [from, to] of edges) graph.mergeEdge(from, to);
  return graph;
}

const path: GraphTask<unknown> = ({ input, task }) =>
  [...Object.values(input as Record<string, string>), task.id].join("");

const thrownBy = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  return "nothing was thrown";
};

describe("fromGraph()", () => {
  it("makes a task for each node, which reads those before it by their names", async () => {
    const graph = graphOf([
      ["a", "b"],
      ["a", "c"],
      ["b", "d"],
      ["c", "d"],
      ["c", "e"],
    ]);
    const work = fromGraph("diamond", graph, () => path);
    const engine = await startedEngine({ pipelines: [work] });
    expect(await engine.run(work)).toEqual({ d: "abacd", e: "ace" });
    expect(work.taskIds).toEqual(["a", "b", "c", "d", "e"]);
    expect(work.graph.edges()).toHaveLength(5);
  });

  it("takes nodes in any order, by name or by attribute, with options, params and a schema", async () => {
    const graph = new DirectedGraph<{ factor: number }>();
    graph.addNode("last", { factor: 3 });
    graph.addNode("first", { factor: 2 });
    graph.addEdge("first", "last");
    const schema = { params: z.object({ n: z.number() }) };
    const byAttribute = fromGraph(
      "by-attribute",
      graph,
      (node, { factor }) => ({
        title: `${node} × ${factor}`,
        retry: { attempts: 2, delay: 0 },
        run: ({ params, input, attempt }) => {
          if (attempt === 1) throw new Error("once");
          return ((input.first as number | undefined) ?? params.n) * factor;
        },
      }),
      schema,
    );
    const byName = fromGraph("by-name", graph, { first: () => 1, last: { run: ({ input }) => [input.first] } });
    const engine = await startedEngine({ pipelines: [byAttribute, byName] });
    expect(await engine.run(byAttribute, { n: 5 })).toEqual({ last: 30 });
    expect(await engine.run(byName)).toEqual({ last: [1] });
    expect(describePipeline(byAttribute).tasks.map(({ title }) => title)).toEqual(["last × 3", "first × 2"]);
  });

  it("takes parallel edges as one, and nodes without any as results", async () => {
    const graph = new MultiDirectedGraph();
    for (const node of ["a", "b", "alone"]) graph.addNode(node);
    graph.addEdge("a", "b");
    graph.addEdge("a", "b");
    const work = fromGraph("multi", graph as unknown as DirectedGraph, () => path);
    const engine = await startedEngine({ pipelines: [work] });
    expect(await engine.run(work)).toEqual({ b: "ab", alone: "alone" });
  });

  const cycles: [string, readonly (readonly [string, string])[], string][] = [
    [
      "a cycle",
      [
        ["s", "a"],
        ["a", "b"],
        ["b", "c"],
        ["c", "a"],
      ],
      "a -> b -> c -> a",
    ],
    [
      "a self-loop",
      [
        ["a", "b"],
        ["b", "b"],
      ],
      "b -> b",
    ],
    [
      "two nodes that need each other",
      [
        ["a", "b"],
        ["b", "a"],
      ],
      "a -> b -> a",
    ],
  ];
  it.each(cycles)("F150 refuses %s with its path", (_, edges, shown) => {
    expect(thrownBy(() => fromGraph("cyclic", graphOf(edges), () => path))).toMatchObject({
      code: "DAG_CYCLE",
      message: expect.stringContaining(`: ${shown}.`),
    });
  });

  const mixed = () => {
    const graph = new MultiGraph();
    graph.mergeDirectedEdge("a", "b");
    graph.mergeUndirectedEdge("b", "c");
    return graph as unknown as DirectedGraph;
  };
  const refused: [string, () => unknown, string, RegExp][] = [
    [
      "an undirected graph",
      () => fromGraph("g", new UndirectedGraph() as unknown as DirectedGraph, () => path),
      "PIPELINE_INVALID",
      /undirected/,
    ],
    [
      "a mixed graph with undirected edges",
      () => fromGraph("g", mixed(), () => path),
      "PIPELINE_INVALID",
      /undirected/,
    ],
    ["a graph without nodes", () => fromGraph("g", graphOf([]), () => path), "PIPELINE_INVALID", /no tasks/],
    [
      "a node without a task",
      () => fromGraph("g", graphOf([["a", "b"]]), { a: path }),
      "PIPELINE_INVALID",
      /node "b" has no task/,
    ],
    [
      "a node named as something every object has",
      () => fromGraph("g", graphOf([], ["toString"]), {}),
      "PIPELINE_INVALID",
      /"toString" has no task/,
    ],
    [
      "a task without a function",
      () => fromGraph("g", graphOf([], ["a"]), { a: { title: "A" } as never }),
      "PIPELINE_INVALID",
      /node "a" has no task/,
    ],
    ["a name that is no task id", () => fromGraph("g", graphOf([], ["a b"]), () => path), "TASK_INVALID", /a b/],
    ["a wrong id", () => fromGraph("g g", graphOf([], ["a"]), () => path), "PIPELINE_INVALID", /g g/],
    [
      "a wrong option of a task",
      () => fromGraph("g", graphOf([], ["a"]), () => ({ run: () => 1, pool: "gpu", slots: 0 })),
      "TASK_INVALID",
      /slots is 0/,
    ],
  ];
  it.each(refused)("refuses %s", (_, work, code, message) => {
    expect(thrownBy(work)).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it("reads nodes named like parts of every object", async () => {
    const graph = graphOf([
      ["toString", "end"],
      ["constructor", "end"],
    ]);
    const work = fromGraph("odd", graph, (node) =>
      node === "end" ? ({ input }) => Object.keys(input).sort() : () => 1,
    );
    const engine = await startedEngine({ pipelines: [work] });
    expect(await engine.run(work)).toEqual({ end: ["constructor", "toString"] });
  });

  it("F144 F145 takes 100,000 nodes with 200,000 edges in seconds", () => {
    const graph = new DirectedGraph();
    for (let n = 0; n < 100_000; n++) {
      graph.addNode(`n${n}`);
      if (n > 0) graph.addEdge(`n${n - 1}`, `n${n}`);
      if (n > 2) graph.addEdge(`n${n >> 1}`, `n${n}`);
    }
    const startedAt = performance.now();
    const work = fromGraph("large", graph, () => path);
    expect(work.hash).toMatch(/^large@/);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(work.plan.tasks).toHaveLength(100_000);
    graph.addEdge("n99999", "n0");
    expect(thrownBy(() => fromGraph("large", graph, () => path))).toMatchObject({ code: "DAG_CYCLE" });
  }, 30_000);

  it("F144 runs a graph of 50,000 nodes in a row", async () => {
    const graph = new DirectedGraph();
    graph.addNode("n0");
    for (let n = 1; n < 50_000; n++) {
      graph.addNode(`n${n}`);
      graph.addEdge(`n${n - 1}`, `n${n}`);
    }
    let calls = 0;
    const work = fromGraph("row", graph, () => () => ++calls);
    const engine = await startedEngine({ pipelines: [work] });
    expect(await engine.run(work)).toEqual({ n49999: 50_000 });
  }, 30_000);
});
