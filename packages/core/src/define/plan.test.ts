import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Node, TaskHandle } from "./handles.js";
import { pipeline } from "./pipeline.js";
import type { Plan } from "./plan.js";

/** How an edge into a task is written. */
type Wire = "needs" | "after" | "over" | "order" | "when";

interface Edge {
  readonly from: number;
  readonly to: number;
  readonly wire: Wire;
}

/** Edges between numbered tasks, each from a task to one of higher `weight`, so that orders may point backwards. */
const graphs = fc
  .record({
    weights: fc.integer({ min: 2, max: 12 }).chain((size) =>
      fc.shuffledSubarray(
        Array.from({ length: size }, (_, n) => n),
        { minLength: size },
      ),
    ),
    pairs: fc.array(fc.tuple(fc.nat(), fc.nat(), fc.constantFrom<Wire>("needs", "after", "over", "order", "when")), {
      maxLength: 30,
    }),
  })
  .map(({ weights, pairs }) => {
    const edges = pairs.flatMap(([a, b, wire]): Edge[] => {
      const [from, to] = [a % weights.length, b % weights.length].sort((x, y) => weights[x]! - weights[y]!);
      if (from === to) return [];
      // Only order() can name a task that is defined later.
      return [{ from: from!, to: to!, wire: from! > to! ? "order" : wire }];
    });
    return { size: weights.length, edges };
  });

function define(size: number, edges: readonly Edge[]): Plan {
  const into = (to: number, wire: Wire) => edges.filter((edge) => edge.to === to && edge.wire === wire);
  const { plan } = pipeline("random", (p) => {
    const nodes: Node<unknown>[] = [];
    for (let n = 0; n < size; n++) {
      const needs = Object.fromEntries(into(n, "needs").map(({ from }, place) => [`n${place}`, nodes[from]!]));
      const whens = into(n, "when").map(({ from }) => (nodes[from] as TaskHandle).when("x"));
      const after = [...into(n, "after").map(({ from }) => nodes[from]!), ...whens];
      const [over] = into(n, "over");
      const isBranch = edges.some(({ from, wire }) => from === n && wire === "when");
      if (isBranch) nodes.push(p.branch(`t${n}`, { needs, after }, () => "x"));
      else if (over) nodes.push(p.map(`t${n}`, { needs, after, over: nodes[over.from] as Node<number[]> }, () => 1));
      else nodes.push(p.task(`t${n}`, { needs, after }, () => 1));
    }
    for (const { from, to } of edges.filter(({ wire }) => wire === "order")) p.order(nodes[from]!, nodes[to]!);
  });
  return plan;
}

/** The edges that `define` really wrote: a task takes one list, and a branch none. */
function written(edges: readonly Edge[]): Edge[] {
  const isBranch = (task: number) => edges.some(({ from, wire }) => from === task && wire === "when");
  return edges.filter((edge, place) => {
    if (edge.wire !== "over") return true;
    const first = edges.findIndex(({ to, wire }) => to === edge.to && wire === "over");
    return first === place && !isBranch(edge.to);
  });
}

function edgesOf(plan: Plan): string[] {
  return plan.tasks.flatMap(({ position }) => {
    const [start, end] = [plan.successorStart[position]!, plan.successorStart[position + 1]!];
    return [...plan.successors.subarray(start, end)].map((to) => `${position}-${to}`);
  });
}

describe("Plan", () => {
  it("has every edge once, and in-degrees, successors and ranks that agree with them", () => {
    fc.assert(
      fc.property(graphs, ({ size, edges }) => {
        const plan = define(size, edges);
        const expected = [...new Set(written(edges).map(({ from, to }) => `${from}-${to}`))];
        expect(edgesOf(plan).toSorted()).toEqual(expected.toSorted());
        expect(plan.successorStart[size]).toBe(expected.length);
        for (let task = 0; task < size; task++) {
          expect(plan.inDegree[task]).toBe(expected.filter((edge) => edge.endsWith(`-${task}`)).length);
        }
        for (const { from, to } of written(edges)) expect(plan.rank[from]).toBeLessThan(plan.rank[to]!);
        expect([...plan.rank].toSorted((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, n) => n));
      }),
      { numRuns: 500 },
    );
  });

  it("keeps choices at their edges", () => {
    fc.assert(
      fc.property(graphs, ({ size, edges }) => {
        const plan = define(size, edges);
        const conditional = edges.filter(({ wire }) => wire === "when").map(({ from, to }) => `${from}-${to}`);
        const all = edgesOf(plan);
        expect([...plan.choices.keys()].map((edge) => all[edge]).toSorted()).toEqual(
          [...new Set(conditional)].toSorted(),
        );
        for (const choices of plan.choices.values()) expect(choices).toEqual(["x"]);
      }),
    );
  });

  it("refuses every graph with an edge back, naming edges that exist and form a cycle", () => {
    fc.assert(
      fc.property(graphs, fc.nat(), ({ size, edges }, pick) => {
        const real = written(edges);
        fc.pre(real.length > 0);
        const { from, to } = real[pick % real.length]!;
        const withCycle = [...edges, { from: to, to: from, wire: "order" as const }];
        let message = "";
        try {
          define(size, withCycle);
        } catch (error) {
          expect(error).toMatchObject({ code: "DAG_CYCLE" });
          message = (error as Error).message;
        }
        const path = /: (t[\dt> -]+)\. Remove/
          .exec(message)![1]!
          .split(" -> ")
          .map((id) => Number(id.slice(1)));
        expect(path.length).toBeGreaterThan(2);
        expect(path.at(-1)).toBe(path[0]);
        const known = new Set(written(withCycle).map((edge) => `${edge.from}-${edge.to}`));
        for (let n = 1; n < path.length; n++) expect(known).toContain(`${path[n - 1]}-${path[n]}`);
        expect(new Set(path).size).toBe(path.length - 1);
      }),
    );
  });

  it("F144 plans a chain of 50,000 tasks", () => {
    const length = 50_000;
    const { plan } = pipeline("chain", (p) => {
      let last = p.task("t0", () => 1);
      for (let n = 1; n < length; n++) last = p.task(`t${n}`, { needs: { last } }, () => 1);
    });
    expect(plan.rank[length - 1]).toBe(length - 1);
    expect(plan.successors).toHaveLength(length - 1);
  });

  it.each([
    ["needs", false],
    ["order()", true],
  ])("F145 plans a fan-out of 100,000 tasks and their join, written with %s", { timeout: 30_000 }, (_, ordered) => {
    const width = 100_000;
    const { plan } = pipeline("wide", (p) => {
      const root = p.task("root", () => 1);
      const parts = Array.from({ length: width }, (_, n) => p.task(`t${n}`, { needs: { root } }, () => 1));
      const needs = Object.fromEntries(parts.map((part) => [part.id, part]));
      const join = p.task("join", ordered ? {} : { needs }, () => 1);
      if (ordered) for (const part of parts) p.order(part, join);
    });
    expect(plan.inDegree[width + 1]).toBe(width);
    expect(plan.successorStart[1]).toBe(width);
    expect(plan.rank[width + 1]).toBe(width + 1);
  });

  it("F150 names a cycle of 50,000 tasks without listing them all", () => {
    const define = () =>
      pipeline("ring", (p) => {
        const first = p.task("t0", () => 1);
        let last = first;
        for (let n = 1; n < 50_000; n++) last = p.task(`t${n}`, { needs: { last } }, () => 1);
        p.order(last, first);
      });
    expect(define).toThrow(/t0 -> t1 -> .* -> \(49981 more\) -> .* -> t49999 -> t0\. Remove/);
    expect(define).toThrow(/^.{0,500}$/);
  });
});
