import { describe, expect, it } from "vitest";
import { pipeline } from "./pipeline.js";

describe("Pipeline.graph", () => {
  const defined = pipeline("graphed", (p) => {
    const a = p.task("a", { title: "Fetch", description: "Fetches", tags: ["io"], executor: "cpu" }, () => [1]);
    const m = p.map("m", { over: a, needs: { a }, after: [a] }, () => 1);
    const gate = p.branch("gate", { needs: { m }, triggerRule: "all-done" }, () => "x" as "x" | "y");
    const end = p.task("end", { after: [gate.when("x"), gate.when("y"), gate.when("x"), a] }, () => 1);
    p.order(m, end);
    p.task("alone", () => 1);
  });

  it("has every task with its attributes", () => {
    const plain = {
      title: undefined,
      description: undefined,
      tags: [],
      executor: "default",
      triggerRule: "all-success",
    };
    expect(defined.graph.mapNodes((id, attributes) => [id, attributes])).toEqual([
      ["a", { ...plain, kind: "task", title: "Fetch", description: "Fetches", tags: ["io"], executor: "cpu" }],
      ["m", { ...plain, kind: "map" }],
      ["gate", { ...plain, kind: "branch", triggerRule: "all-done" }],
      ["end", { ...plain, kind: "task" }],
      ["alone", { ...plain, kind: "task" }],
    ]);
  });

  it("has one edge between two tasks, with its choices", () => {
    const { graph } = defined;
    expect(graph.type).toBe("directed");
    expect(graph.mapEdges((_, { choices }, from, to) => [from, to, choices])).toEqual([
      ["a", "m", undefined],
      ["a", "end", undefined],
      ["m", "gate", undefined],
      ["m", "end", undefined],
      ["gate", "end", ["x", "y"]],
    ]);
  });

  it("is the caller's own: changing it changes nothing else", () => {
    const { graph } = defined;
    graph.dropNode("a");
    (graph.getNodeAttribute("m", "tags") as string[]).push("mine");
    expect(defined.graph.order).toBe(5);
    expect(defined.graph.getNodeAttribute("m", "tags")).toEqual([]);
  });

  it("takes a fan-out of 10,000 tasks", () => {
    const wide = pipeline("wide", (p) => {
      const root = p.task("root", () => 1);
      const parts = Array.from({ length: 10_000 }, (_, n) => p.task(`t${n}`, { after: [root] }, () => 1));
      p.task("join", { after: parts }, () => 1);
    });
    const { graph } = wide;
    expect([graph.order, graph.size]).toEqual([10_002, 20_000]);
    expect([graph.outDegree("root"), graph.inDegree("join")]).toEqual([10_000, 10_000]);
  });
});
