import { describe, expect, it } from "vitest";
import { startedEngine } from "../test-support/engines.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import type { Builder } from "./builder.js";
import { describePipeline } from "./description.js";
import { diffPipelines } from "./diff.js";
import { pipeline } from "./pipeline.js";

leavesNothingBehind();

type P = Builder<Record<never, never>>;
const work = (build: (p: P) => void) => pipeline("work", build);

const before = work((p) => {
  const a = p.task("a", { title: "First" }, () => 1);
  const gate = p.branch("gate", { needs: { a } }, () => "x" as "x" | "y");
  const b = p.task("b", { after: [gate.when("x")], tags: ["slow"] }, () => 1);
  p.task("gone", { needs: { b } }, () => 1);
});

describe("describePipeline()", () => {
  it("is the structure as plain data, groups, maps and children included", () => {
    const child = pipeline("child", (p) => void p.task("t", () => 1));
    const described = describePipeline(
      pipeline("whole", { title: "Whole", description: "All of it" }, (p) => {
        const list = p.task("list", { title: "The list", tags: ["in"], executor: "cpu", pool: "gpu" }, () => [1]);
        const g = p.group("g", { over: list, allowFailure: true }, (b) => ({
          t: b.task("t", { produces: "table" }, () => 1),
        }));
        const gate = p.branch("gate", { needs: { g } }, () => "x" as "x" | "y");
        p.run("r", child, { after: [gate.when("x"), gate.when("y")], triggerRule: "one-success" });
      }),
    );
    expect(JSON.parse(JSON.stringify(described))).toMatchObject({
      ...{ pipeline: "whole", title: "Whole", description: "All of it", hash: expect.stringMatching(/^whole@/) },
      tasks: [
        { id: "list", kind: "task", title: "The list", tags: ["in"], executor: "cpu", pool: "gpu", mapped: false },
        { id: "g", kind: "group", mapped: true, allowFailure: true },
        { id: "g.t", kind: "task", group: "g", produces: ["table"] },
        { id: "gate", kind: "branch" },
        { id: "r", kind: "run", child: "child", triggerRule: "one-success" },
      ],
      edges: [
        { from: "list", to: "g" },
        { from: "g", to: "gate" },
        { from: "gate", to: "r", choices: ["x", "y"] },
      ],
    });
  });

  it("is what a run keeps of the definition it ran with", async () => {
    const engine = await startedEngine({ pipelines: [before] });
    const run = await engine.trigger(before);
    await run.result();
    const kept = await engine.runs.graph(run.id);
    expect(diffPipelines(kept, before)).toMatchObject({ equal: true, compatible: true });
    expect(kept).toEqual(describePipeline(before));
  });
});

describe("diffPipelines()", () => {
  it("finds nothing between equal definitions", () => {
    expect(diffPipelines(before, describePipeline(before))).toEqual({
      ...{ equal: true, compatible: true, text: "no differences", pipeline: [] },
      tasks: { added: [], removed: [], changed: [] },
      edges: { added: [], removed: [] },
    });
  });

  it("names what differs of the pipeline itself", () => {
    const leaves = pipeline("work", { failWhen: "leaves" }, (p) => void p.task("a", () => 1));
    const diff = diffPipelines(
      pipeline("work", (p) => void p.task("a", () => 1)),
      leaves,
    );
    expect(diff).toMatchObject({ equal: false, compatible: false, text: '~ pipeline: failWhen "any" -> "leaves"' });
    expect(diff.pipeline).toEqual([{ field: "failWhen", before: "any", after: "leaves" }]);
  });

  it("names tasks and edges that were added, removed and changed", () => {
    const after = work((p) => {
      const a = p.task("a", { title: "The first" }, () => 1);
      const gate = p.branch("gate", { needs: { a } }, () => "x" as "x" | "y");
      const b = p.map("b", { over: [1], after: [gate.when("y")], tags: ["fast", "new"] }, () => 1);
      p.group("g", (g) => void g.task("new", { needs: { b } }, () => 1));
    });
    const diff = diffPipelines(before, after);
    expect(diff).toMatchObject({ equal: false, compatible: false });
    expect(diff.tasks.changed.map(({ task, fields }) => [task, ...fields.map(({ field }) => field)])).toEqual([
      ["a", "title"],
      ["b", "kind", "tags", "mapped"],
    ]);
    expect(diff.text).toMatchInlineSnapshot(`
      "- task gone
      + task g
      + task g.new
      ~ task a: title "First" -> "The first"
      ~ task b: kind "task" -> "map"
      ~ task b: tags ["slow"] -> ["fast","new"]
      ~ task b: mapped false -> true
      - edge gate -> b when x
      - edge b -> gone
      + edge gate -> b when y
      + edge b -> g"
    `);
    expect(diffPipelines(after, before).tasks).toMatchObject({ added: ["gone"], removed: ["g", "g.new"] });
  });

  const changes: [string, (p: P) => void, boolean, string][] = [
    ["a title", (p) => p.task("a", { title: "A" }, () => 1), true, '~ task a: title undefined -> "A"'],
    ["an executor", (p) => p.task("a", { executor: "cpu" }, () => 1), true, '~ task a: executor "default" -> "cpu"'],
    [
      "a rule",
      (p) => p.task("a", { triggerRule: "all-done" }, () => 1),
      false,
      '~ task a: triggerRule "all-success" -> "all-done"',
    ],
    [
      "what a task may do",
      (p) => p.task("a", { allowFailure: true }, () => 1),
      false,
      "~ task a: allowFailure false -> true",
    ],
    [
      "its place in a group",
      (p) => p.group("g", (g) => void g.task("a", () => 1)),
      false,
      "- task a\n+ task g\n+ task g.a",
    ],
    [
      "the child of a run",
      (p) => p.run("a", before),
      false,
      '~ task a: kind "task" -> "run"\n~ task a: child undefined -> "work"',
    ],
  ];
  it.each(changes)("says what became of %s, and whether runs can go on", (_, build, compatible, text) => {
    const diff = diffPipelines(
      work((p) => void p.task("a", () => 1)),
      work((p) => void build(p)),
    );
    expect(diff).toMatchObject({ equal: false, compatible, text });
  });

  it("names what is only wired otherwise", () => {
    const wired = (name: string, ordered: boolean) =>
      work((p) => {
        const a = p.task("a", () => 1);
        const b = p.task("b", ordered ? { after: [a] } : { needs: { [name]: a } }, () => 1);
        p.task("c", { after: [b] }, () => 1);
      });
    const renamed = diffPipelines(wired("x", false), wired("y", false));
    expect(renamed).toMatchObject({ equal: false, compatible: false, edges: { added: [], removed: [] } });
    expect(renamed.text).toBe('~ task b: needs [{"name":"x","task":"a"}] -> [{"name":"y","task":"a"}]');
    expect(diffPipelines(wired("x", false), wired("x", true)).text).toMatch(/^~ task b: needs .* -> \[\]$/);
  });

  it("F144 compares 20,000 tasks at once", () => {
    const chain = (extra: boolean) =>
      work((p) => {
        let last = p.task("t0", () => 0);
        for (let n = 1; n < 20_000; n++) last = p.task(`t${n}`, { needs: { last } }, () => n);
        if (extra) p.task("extra", { needs: { last } }, () => 1);
      });
    const diff = diffPipelines(chain(false), chain(true));
    expect(diff.text).toBe("+ task extra\n+ edge t19999 -> extra");
  });
});
