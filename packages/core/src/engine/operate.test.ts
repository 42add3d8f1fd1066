import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { startedEngine, testEngine } from "../test-support/engines.js";
import { aborted, gate } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";
import type { Engine } from "./engine.js";
import type { CancelOptions } from "./runs.js";

leavesNothingBehind();

const hang = ({ signal }: { signal: AbortSignal }) => aborted(signal);

async function statuses(engine: Engine, runId: string): Promise<Record<string, string>> {
  const { items } = await engine.runs.tasks(runId, {}, { limit: 1_000 });
  return Object.fromEntries(items.map(({ task, index, status }) => [[task, ...index].join("/"), status]));
}

describe("cancelling a part of a run", () => {
  const work = pipeline("work", (p) => {
    const a = p.task("a", hang);
    const b = p.task("b", { needs: { a } }, () => 1);
    p.task("cleanup", { after: [b], triggerRule: "all-done" }, () => 1);
    const each = p.map("each", { over: [0, 1, 2] }, hang);
    p.task("after-each", { after: [each], triggerRule: "all-done" }, () => 1);
    const g = p.group("g", (inner) => {
      const x = inner.task("x", hang);
      inner.task("y", { after: [x], triggerRule: "all-done" }, () => 1);
    });
    p.task("after-g", { after: [g], triggerRule: "all-done" }, () => 1);
    const many = p.group("many", { over: ["p", "q"] }, (inner) => {
      const x = inner.task("x", hang);
      inner.task("y", { after: [x], triggerRule: "all-done" }, () => 1);
    });
    p.task("after-many", { after: [many], triggerRule: "all-done" }, () => 1);
  });

  /** What is different from a run in which nothing was cancelled. */
  const cases: readonly [string, CancelOptions, Record<string, string>][] = [
    ["a task that runs", { task: "a" }, { a: "cancelled", b: "upstream-failed", cleanup: "succeeded" }],
    ["a task that waits", { task: "b" }, { b: "cancelled", cleanup: "succeeded" }],
    [
      "a task and what depends on it, whatever its rule",
      { task: "a", downstream: true },
      { a: "cancelled", b: "cancelled", cleanup: "cancelled" },
    ],
    ["one item", { task: "each", index: [1] }, { "each/1": "cancelled" }],
    [
      "one item and what depends on the list",
      { task: "each", index: [1], downstream: true },
      { "each/1": "cancelled", "after-each": "cancelled" },
    ],
    [
      "a list",
      { task: "each" },
      {
        each: "cancelled",
        "each/0": "cancelled",
        "each/1": "cancelled",
        "each/2": "cancelled",
        "after-each": "succeeded",
      },
    ],
    ["a group", { task: "g" }, { g: "cancelled", "g.x": "cancelled", "g.y": "cancelled", "after-g": "succeeded" }],
    [
      "a task in a group",
      { task: "g.x" },
      { g: "cancelled", "g.x": "cancelled", "g.y": "succeeded", "after-g": "succeeded" },
    ],
    [
      "a task in a group and what depends on it, inside and outside",
      { task: "g.x", downstream: true },
      { g: "cancelled", "g.x": "cancelled", "g.y": "cancelled", "after-g": "cancelled" },
    ],
    [
      "a group and what depends on it",
      { task: "g", downstream: true },
      { g: "cancelled", "g.x": "cancelled", "g.y": "cancelled", "after-g": "cancelled" },
    ],
    [
      "one item of a mapped group",
      { task: "many", index: [1] },
      { "many/1": "cancelled", "many.x/1": "cancelled", "many.y/1": "cancelled" },
    ],
    [
      "a task in one item of a mapped group",
      { task: "many.x", index: [0] },
      { "many/0": "cancelled", "many.x/0": "cancelled", "many.y/0": "succeeded" },
    ],
    [
      "a task in all items of a mapped group",
      { task: "many.x" },
      {
        many: "cancelled",
        "many/0": "cancelled",
        "many/1": "cancelled",
        "many.x/0": "cancelled",
        "many.x/1": "cancelled",
        "many.y/0": "succeeded",
        "many.y/1": "succeeded",
        "after-many": "succeeded",
      },
    ],
    ["an item there is not", { task: "each", index: [3] }, {}],
    ["an index that is none", { task: "each", index: [-1] }, {}],
    ["an index of a task that has no items", { task: "a", index: [0] }, {}],
  ];
  it.each(cases)("%s", async (_, options, changed) => {
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    const before = await statuses(engine, run.id);
    await run.cancel({ ...options, reason: "not needed" });
    await expect.poll(() => statuses(engine, run.id)).toEqual({ ...before, ...changed });
    await run.cancel();
  });

  it("refuses a task there is not, and says no to a run that has ended", async () => {
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await expect(run.cancel({ task: "other" })).rejects.toMatchObject({ code: "TASK_UNKNOWN" });
    await run.cancel();
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_CANCELLED" });
    expect(await run.cancel()).toBe(false);
    expect(await run.cancel({ task: "a" })).toBe(false);
  });

  it("F179 twice with two reasons keeps the first", async () => {
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    await Promise.all([run.cancel({ reason: "first" }), run.cancel({ reason: "second" })]);
    await run.result().catch(() => undefined);
    expect((await engine.runs.get(run.id)).error?.message).toContain("first");
  });
});

describe("F132 a cancellation", () => {
  it("that comes before any engine took the run up ends it before anything starts", async () => {
    const ran: string[] = [];
    const work = pipeline("work", (p) => void p.task("t", () => ran.push("t")));
    const engine = testEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    expect(await run.cancel()).toBe(true);
    await engine.start();
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_CANCELLED" });
    expect([ran, (await engine.runs.get(run.id)).startedAt]).toEqual([[], undefined]);
  });

  it("of one task before the start cancels that task alone", async () => {
    const ran: string[] = [];
    const work = pipeline("work", (p) => {
      for (const id of ["a", "b"]) p.task(id, () => ran.push(id));
    });
    const engine = testEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.cancel({ task: "a" });
    await engine.start();
    await run.result().catch(() => undefined);
    expect([ran, await statuses(engine, run.id)]).toEqual([["b"], { a: "cancelled", b: "succeeded" }]);
  });

  it("that comes when the last task has ended, and this is not durable yet, changes nothing or cancels: never both", async () => {
    const hold = gate();
    const work = pipeline("work", (p) => void p.task("t", () => hold.passed));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    hold.open();
    await run.cancel();
    const result = await run.result().then(
      () => "succeeded",
      () => "cancelled",
    );
    expect(await run.status()).toBe(result);
    expect((await statuses(engine, run.id)).t).toBe(result);
  });

  it("F133 of an item that waits for its place, its retry or its run leaves nothing behind", async () => {
    const clock = new ManualClock();
    const child = pipeline("child", (p) => void p.task("t", hang));
    const work = pipeline("work", (p) => {
      p.map("places", { over: [0, 1], concurrency: 1 }, hang);
      p.task("retries", { retry: { attempts: 2, delay: "1h" } }, () => Promise.reject(new Error("no")));
      p.run("child", child);
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await settled();
    for (const options of [{ task: "places", index: [1] }, { task: "retries" }, { task: "child" }])
      await run.cancel(options);
    await settled();
    expect(await statuses(engine, run.id)).toMatchObject({
      "places/1": "cancelled",
      retries: "cancelled",
      child: "cancelled",
    });
    expect((await engine.runs.list({ parent: run.id })).items).toMatchObject([{ status: "cancelled" }]);
    await run.cancel({ task: "places" });
    await settled();
    expect(await run.status()).toBe("failed");
    expect(clock.workTimers).toBe(0);
  });
});

describe("engine.trigger()", () => {
  it("starts a run no sooner than it is asked to, also when the engine is started later", async () => {
    const clock = new ManualClock();
    const ran: number[] = [];
    const work = pipeline("work", (p) => void p.task("t", () => ran.push(clock.now())));
    const at = clock.now() + 60_000;
    const engine = await startedEngine({ pipelines: [work], clock });
    await engine.trigger(work, {}, { at: new Date(at + 1_000) });
    await engine.trigger(work, {}, { at });
    await engine.trigger(work, {}, { at: clock.now() - 1_000 });
    await clock.advance(120_000);
    expect(ran).toEqual([at - 60_000, at, at + 1_000]);
  });

  it("cancelled before its time, a run ends at once", async () => {
    const clock = new ManualClock();
    const work = pipeline("work", (p) => void p.task("t", () => 1));
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work, {}, { at: clock.now() + 60_000 });
    await run.cancel();
    await settled();
    expect(await run.status()).toBe("cancelled");
    expect(clock.workTimers).toBe(0);
  });

  it("keeps tags, for tasks and for lists", async () => {
    const work = pipeline("work", (p) => ({ tags: p.task("t", ({ run }) => run.tags) }));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work, {}, { tags: ["nightly", "eu"] });
    expect(await run.result()).toEqual({ tags: ["nightly", "eu"] });
    expect((await engine.runs.list({ tag: "eu" })).items.map(({ id }) => id)).toEqual([run.id]);
  });

  it.each([
    { at: new Date(Number.NaN) },
    { at: "tomorrow" },
    { tags: "x" },
    { tags: [""] },
    { tags: Array.from({ length: 51 }, () => "t") },
  ])("refuses %j", async (options) => {
    const work = pipeline("work", (p) => void p.task("t", () => 1));
    const engine = testEngine({ pipelines: [work] });
    await expect(engine.trigger(work, {}, options as never)).rejects.toMatchObject({ code: "QUERY_INVALID" });
  });
});

describe("runs.graph()", () => {
  it("is the one the run ran with, also on an engine that has another version of the pipeline or none", async () => {
    const storage = testStorage();
    const version = (ids: readonly string[]) =>
      pipeline("work", { title: ids.join() }, (p) => {
        for (const id of ids) p.task(id, () => 1);
      });
    const old = await startedEngine({ pipelines: [version(["a", "b"])], storage });
    const run = await old.trigger(version(["a", "b"]));
    await run.result();
    await old.stop();
    for (const pipelines of [[version(["a", "c", "d"])], []]) {
      const engine = await startedEngine({ pipelines, storage });
      const graph = await engine.runs.graph(run.id);
      expect(graph.tasks.map(({ id }) => id)).toEqual(["a", "b"]);
    }
  });
});
