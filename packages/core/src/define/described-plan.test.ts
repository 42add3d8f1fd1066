import { describe, expect, it } from "vitest";
import { describedPlan } from "./described-plan.js";
import { describePipeline } from "./description.js";
import { pipeline } from "./pipeline.js";
import type { Plan } from "./plan.js";

const child = pipeline("child", (p) => void p.task("only", () => 1));
const rich = pipeline("rich", (p) => {
  const list = p.task("list", () => [1, 2]);
  const each = p.map("each", { over: list }, ({ item }) => item);
  const gate = p.branch("gate", { needs: { each } }, (): "left" | "right" | "both" => "left");
  const left = p.task("left", { after: [gate.when("left"), gate.when("both")] }, () => 1);
  p.task("right", { after: [gate.when("right")], triggerRule: "all-done" }, () => 1);
  p.group("outer", { after: [left] }, (g) => {
    const first = g.task("first", () => 1);
    g.group("inner", { over: list, after: [first] }, (i) => {
      const wait = i.signal("wait");
      i.task("next", { after: [wait] }, () => 1);
    });
  });
  const sub = p.run("sub", child);
  p.task("down", { after: [sub], teardown: true }, () => 1);
  p.map("fixed", { over: [1, 2, 3] }, ({ item }) => item);
});

const structureOf = ({ successorStart, successors, choices, rules, parent, depth, rank, starts }: Plan) => ({
  ...{ successorStart, successors, choices, rules, parent, depth, rank },
  // How long a sleep is, or whether there is one, is part of the code.
  groups: starts.filter((start) => start === 2).length,
});

describe("describedPlan()", () => {
  it("has the structure of the pipeline that was described", () => {
    const described = describedPlan(describePipeline(rich));
    expect(structureOf(described)).toEqual(structureOf(rich.plan));
    expect(described.tasks.map(({ id, kind, isMapped, extra }) => [id, kind, isMapped, extra.size])).toEqual(
      rich.plan.tasks.map(({ id, kind, isMapped, extra }) => [id, kind, isMapped, extra.size]),
    );
  });

  it("runs nothing", () => {
    const [task] = describedPlan(describePipeline(child)).tasks;
    expect(() => task!.run({} as never)).toThrow('Cannot run task "only"');
  });
});
