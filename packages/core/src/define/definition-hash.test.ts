import { describe, expect, it } from "vitest";
import { type Pipeline, pipeline } from "./pipeline.js";
import type { TriggerRule } from "./trigger-rules.js";

interface Variation {
  readonly id?: string;
  readonly failWhen?: "any" | "leaves";
  readonly failFast?: boolean;
  readonly pipelineTitle?: string;
  readonly first?: string;
  readonly extra?: boolean;
  readonly without?: boolean;
  readonly needName?: string;
  readonly rule?: TriggerRule;
  readonly rewired?: boolean;
  readonly orderOnly?: boolean;
  readonly choice?: "left" | "right";
  readonly asTask?: boolean;
  readonly items?: readonly unknown[];
  readonly allowFailure?: boolean;
  readonly text?: () => number;
  readonly lenient?: object;
}

/** A pipeline of every kind of task, with one thing different. */
function varied(change: Variation = {}): Pipeline {
  const { id = "hashed", failWhen = "any", failFast = false, pipelineTitle = "A title" } = change;
  return pipeline(id, { failWhen, failFast, title: pipelineTitle }, (p) => {
    const a = p.task(change.first ?? "a", change.lenient ?? {}, change.text ?? (() => 1));
    const b = p.task("b", { [change.orderOnly ? "after" : "none"]: [a] }, () => 1);
    const needs = { [change.needName ?? "input"]: change.rewired ? b : a };
    const c = p.task("c", { needs, triggerRule: change.rule ?? "all-success" }, () => 1);
    p.map("m", { over: (change.items ?? [1, 2]) as unknown[], allowFailure: change.allowFailure ?? false }, () => 1);
    const gate = p.branch("gate", {}, () => "left" as "left" | "right");
    p.task("behind", { after: [gate.when(change.choice ?? "left")] }, () => 1);
    if (change.asTask) p.task("kind", {}, () => 1);
    else p.branch("kind", {}, () => "x");
    if (change.extra) p.task("extra", () => 1);
    if (!change.without) p.task("last", { needs: { c } }, () => 1);
  });
}

describe("definitionHash()", () => {
  it("is the same for the whole major version", () => {
    expect(varied().hash).toBe("hashed@a65884290b2f3d2a");
  });

  it("is the same each time, with the pipeline's id in front", () => {
    expect(varied().hash).toBe(varied().hash);
    expect(varied({ id: "other" }).hash).toMatch(/^other@[0-9a-f]{16}$/);
  });

  it.each<[string, Variation]>([
    ["the pipeline's id", { id: "renamed" }],
    ["what fails a run", { failWhen: "leaves" }],
    ["an added task", { extra: true }],
    ["a removed task", { without: true }],
    ["a renamed task", { first: "A" }],
    ["the name of an input", { needName: "other" }],
    ["a rewired input", { rewired: true }],
    ["an added edge", { orderOnly: true }],
    ["another choice", { choice: "right" }],
    ["another rule", { rule: "all-done" }],
    ["another kind of task", { asTask: true }],
    ["another fixed list", { items: [1, 2, 3] }],
    ["equal texts for equal numbers in a fixed list", { items: ["1", "2"] }],
    ["whether a task may fail", { allowFailure: true }],
  ])("changes with %s", (_, change) => {
    expect(varied(change).hash.replace(/^renamed/, "hashed")).not.toBe(varied().hash);
  });

  it("differs for every two of these changes", () => {
    const changes: Variation[] = [
      ...[{}, { failWhen: "leaves" }, { extra: true }, { without: true }, { first: "A" }, { needName: "other" }],
      ...[{ rewired: true }, { orderOnly: true }, { choice: "right" }, { rule: "all-done" }, { asTask: true }],
      ...[{ items: [1, 2, 3] }, { items: [] }, { allowFailure: true }],
    ] as Variation[];
    expect(new Set(changes.map((change) => varied(change).hash)).size).toBe(changes.length);
  });

  it("differs for what stands in groups, runs other pipelines or tears down", () => {
    const child = (id: string) => pipeline(id, (p) => void p.task("a", () => 1));
    const hashes = [
      pipeline("p", (p) => void p.group("g", (g) => void g.task("a", () => 1))),
      pipeline("p", (p) => void p.group("g", (g) => ({ a: g.task("a", () => 1) }))),
      pipeline("p", (p) => void p.group("g", (g) => ({ b: g.task("a", () => 1) }))),
      pipeline("p", (p) => void p.group("g", { over: [1] }, (g) => void g.task("a", () => 1))),
      ...[true, false].map((isInside) =>
        pipeline("p", (p) => {
          p.group("g", (g) => {
            g.task("a", () => 1);
            if (isInside) g.task("b", () => 1);
          });
          if (!isInside) p.task("g.b", () => 1);
        }),
      ),
      pipeline("p", (p) => void p.run("r", child("one"))),
      pipeline("p", (p) => void p.run("r", child("two"))),
      ...[undefined, false, true, { failRun: true }].map((teardown) =>
        pipeline("p", (p) => {
          const setup = p.task("setup", () => 1);
          p.task("down", { needs: { setup }, ...(teardown !== undefined && { teardown }) }, () => 1);
        }),
      ),
    ].map(({ hash }) => hash);
    expect(hashes.at(-4), "teardown: false is none").toBe(hashes.at(-3));
    expect(new Set(hashes).size).toBe(hashes.length - 1);
  });

  it.each<[string, Variation]>([
    ["the text of a function", { text: () => 1 + 1 }],
    ["titles, descriptions and tags", { pipelineTitle: "B", lenient: { title: "t", description: "d", tags: ["x"] } }],
    ["timeouts", { lenient: { timeout: "1h" } }],
    ["retry policies", { lenient: { retry: { attempts: 9, delay: "1m", when: () => true } } }],
    ["executors and limits", { lenient: { executor: "cpu", concurrency: 3 } }],
    ["failing fast", { failFast: true }],
  ])("F201 does not change with %s", (_, change) => {
    expect(varied(change).hash).toBe(varied().hash);
  });
});
