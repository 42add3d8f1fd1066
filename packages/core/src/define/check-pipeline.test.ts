import { describe, expect, it } from "vitest";
import { describePipeline } from "./description.js";
import { toDot, toMermaid } from "./diagram.js";
import { diffPipelines } from "./diff.js";
import { durationMs } from "./duration.js";
import { fromGraph } from "./from-graph.js";
import { pipeline } from "./pipeline.js";
import { cron, every } from "./schedule.js";

const LONG = "a".repeat(1_000_000);

// biome-ignore lint/suspicious/noExplicitAny: callers without types are what this is about
type Any = any;
const defining = (define: (p: Any) => void) => () => pipeline("p", define as Any);

describe("functions that read a pipeline", () => {
  it.each([
    ["describePipeline()", describePipeline],
    ["toMermaid()", toMermaid],
    ["toDot()", toDot],
    [
      "diffPipelines()",
      (given: Any) =>
        diffPipelines(
          pipeline("p", (p) => void p.task("a", () => 1)),
          given,
        ),
    ],
  ])("%s refuses what is none, and names itself", (where, read: (given: Any) => unknown) => {
    for (const given of [undefined, null, {}, [], "p", { plan: 1 }]) {
      const refusal = expect.objectContaining({ name: "TypeError", message: expect.stringContaining(where) });
      expect(() => read(given)).toThrow(refusal as Error);
    }
  });
});

describe("definitions by callers without types are refused in words:", () => {
  it.each([
    ["tags that are no list", "TASK_INVALID", defining((p) => p.task("a", { tags: 1 }, () => 1))],
    ["a tag that is no text", "TASK_INVALID", defining((p) => p.task("a", { tags: [1] }, () => 1))],
    ["tags of a group", "TASK_INVALID", defining((p) => p.group("g", { tags: 0 }, (g: Any) => g.task("a", () => 1)))],
    ["a title that is no text", "TASK_INVALID", defining((p) => p.task("a", { title: [] }, () => 1))],
    ["an executor that is no text", "TASK_INVALID", defining((p) => p.task("a", { executor: Symbol("x") }, () => 1))],
    [
      "a pipeline's title",
      "PIPELINE_INVALID",
      () => pipeline("p", { title: 1 } as Any, (p) => void p.task("a", () => 1)),
    ],
    ["options of a map", "TASK_INVALID", defining((p) => p.map("a", "options", () => 1))],
    ["options of a signal", "TASK_INVALID", defining((p) => p.signal("a", null))],
    [
      "options of a run",
      "TASK_INVALID",
      defining((p) =>
        p.run(
          "a",
          pipeline("q", (q) => void q.task("b", () => 1)),
          null,
        ),
      ),
    ],
    ["a graph that is none", "PIPELINE_INVALID", () => fromGraph("p", {} as Any, {})],
    [
      "tasks of a graph that are none",
      "PIPELINE_INVALID",
      () => fromGraph("p", { forEachNode: (each: Any) => each("a", {}), forEachInNeighbor() {} } as Any, null as Any),
    ],
    [
      "options of a graph",
      "PIPELINE_INVALID",
      () => fromGraph("p", { forEachNode() {}, forEachInNeighbor() {} } as Any, {}, null as Any),
    ],
    [
      "a zone that is no text",
      "SCHEDULE_INVALID",
      () => cron("0 2 * * *", { timeZone: Array(100_000).fill(1) as Any }),
    ],
    ["an expression that is no text", "SCHEDULE_INVALID", () => cron(new Date(0) as Any)],
    ["params that are no function", "SCHEDULE_INVALID", () => every("1m", { params: 1 as Any })],
    ["a long id of a task", "TASK_INVALID", defining((p) => p.sleep(LONG, "x"))],
    ["a symbol for an id", "TASK_INVALID", defining((p) => p.signal(Symbol("x")))],
    ["a long name of a duration", "DURATION_INVALID", () => durationMs("x" as Any, LONG)],
  ])("%s", (_what, code, call) => {
    let refusal: { readonly code?: string; readonly message: string } | undefined;
    try {
      call();
    } catch (error) {
      refusal = error as typeof refusal;
    }
    expect(refusal?.code).toBe(code);
    expect(refusal!.message.length).toBeLessThan(3_000);
  });
});
