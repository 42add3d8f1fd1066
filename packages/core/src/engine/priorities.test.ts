import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { startedEngine, testEngine } from "../test-support/engines.js";
import { gate, Meter } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { finishing, lasting } from "../test-support/virtual-time.js";

leavesNothingBehind();

const range = (length: number) => Array.from({ length }, (_, item) => item);
const named = v.object({ name: v.string() });

/** One task that says whose turn it was. */
const turn = (order: string[], options: object = {}) =>
  pipeline("turn", { params: named }, (p) => void p.task("t", options, ({ params }) => void order.push(params.name)));

/** Something that holds the only place until the test lets it go. */
function holder(options: object = {}) {
  const hold = gate();
  return { hold, holding: pipeline("holding", (p) => void p.task("holds", options, () => hold.passed)) };
}

describe("the priority of tasks", () => {
  it.each([
    ["the engine's concurrency", { concurrency: 1 }, {}],
    ["a pool", { pools: { gpu: 1 } }, { pool: "gpu" }],
    ["a rate", {}, { rateLimit: { limit: 1, per: 10, key: () => "all" } }],
  ])("decides who starts first among those that wait for %s", async (what, ofEngine, ofTask) => {
    const clock = new ManualClock();
    const { hold, holding } = holder(what === "a pool" ? ofTask : {});
    const order: string[] = [];
    const work = pipeline("work", (p) => {
      const add = (id: string, priority: number) => p.task(id, { priority, ...ofTask }, () => void order.push(id));
      for (const [id, priority] of [
        ["low", -1],
        ["a", 0],
        ["high", 7],
        ["b", 0],
        ["higher", 8],
      ] as const)
        add(id, priority);
    });
    const engine = await startedEngine({ pipelines: [holding, work], clock, ...ofEngine });
    const first = what === "a rate" ? undefined : await engine.trigger(holding);
    await settled();
    const run = await engine.trigger(work);
    await settled();
    hold.open();
    await finishing(clock, Promise.all([first?.result(), run.result()]));
    expect(order).toEqual(["higher", "high", "a", "b", "low"]);
  });

  it("orders the slots of a pool whatever number of them is asked for", async () => {
    const { hold, holding } = holder({ pool: "gpu", slots: 2 });
    const order: string[] = [];
    const work = pipeline("work", (p) => {
      p.task("small", { pool: "gpu" }, () => void order.push("small"));
      p.task("large", { pool: "gpu", slots: 2, priority: 1 }, () => void order.push("large"));
    });
    const engine = await startedEngine({ pipelines: [holding, work], pools: { gpu: 2 }, concurrency: 2 });
    const first = await engine.trigger(holding);
    await settled();
    const run = await engine.trigger(work);
    await settled();
    hold.open();
    await Promise.all([first.result(), run.result()]);
    expect(order).toEqual(["large", "small"]);
  });
});

describe("the priority of runs", () => {
  it("decides whose tasks start first, and adds to that of tasks", async () => {
    const { hold, holding } = holder();
    const order: string[] = [];
    const work = pipeline("work", { params: named }, (p) => {
      for (const priority of [0, 2])
        p.task(`p${priority}`, { priority }, ({ params }) => void order.push(`${params.name}${priority}`));
    });
    const engine = await startedEngine({ pipelines: [holding, work], concurrency: 1 });
    const first = await engine.trigger(holding);
    await settled();
    const runs = [];
    for (const [name, priority] of [
      ["low", -5],
      ["none", 0],
      ["one", 1],
      ["high", 5],
    ] as const) {
      runs.push(await engine.trigger(work, { name }, { priority }));
    }
    await settled();
    hold.open();
    await Promise.all([first.result(), ...runs.map((run) => run.result())]);
    expect(order).toEqual(["high2", "high0", "one2", "none2", "one0", "none0", "low2", "low0"]);
  });

  it("decides which runs an engine that starts takes up first, then age", async () => {
    const order: string[] = [];
    const work = turn(order);
    const engine = testEngine({ pipelines: [work], concurrency: 1 });
    const runs = [];
    for (const [name, priority] of [
      ["a", 0],
      ["b", 3],
      ["c", -1],
      ["d", 3],
      ["e", 0],
    ] as const) {
      runs.push(await engine.trigger(work, { name }, { priority }));
    }
    await engine.start();
    await Promise.all(runs.map((run) => run.result()));
    expect(order).toEqual(["b", "d", "a", "e", "c"]);
    expect(await engine.runs.get(runs[1]!.id)).toMatchObject({ priority: 3 });
  });

  it("is that of their parent for runs of sub-pipelines", async () => {
    const child = pipeline("child", (p) => void p.task("t", () => 1));
    const parent = pipeline("parent", (p) => void p.run("child", child));
    const engine = await startedEngine({ pipelines: [parent] });
    const run = await engine.trigger(parent, {}, { priority: 4 });
    await run.result();
    expect((await engine.runs.list({ parent: run.id })).items).toMatchObject([{ priority: 4 }]);
  });

  it.each([0.5, Number.NaN, Number.POSITIVE_INFINITY, "1", null])("refuses %s", async (priority) => {
    const engine = testEngine({ pipelines: [turn([])] });
    const trigger = engine.trigger(turn([]), { name: "a" }, { priority: priority as number });
    await expect(trigger).rejects.toMatchObject({
      code: "QUERY_INVALID",
      message: expect.stringContaining("priority"),
    });
    expect((await engine.runs.list()).items).toEqual([]);
  });
});

describe("F155 nothing waits for ever", () => {
  const places: readonly [string, object, object][] = [
    ["the engine", { concurrency: 2 }, {}],
    ["a pool", { pools: { gpu: 2 } }, { pool: "gpu" }],
    ["a pool and the engine", { pools: { gpu: 1 }, concurrency: 2 }, { pool: "gpu" }],
    ["a task's concurrency", {}, { concurrency: 1 }],
    ["a rate", {}, { rateLimit: { limit: 1, per: 10 } }],
  ];
  it.each(places)(
    "a low and a middle priority behind an endless stream of higher ones for %s",
    async (_, ofEngine, ofTask) => {
      const clock = new ManualClock();
      const work = pipeline("work", (p) => void p.task("t", ofTask, ({ signal }) => lasting(clock, 10, signal)));
      const engine = await startedEngine({ pipelines: [work], clock, ...ofEngine });
      const stream = async () => engine.trigger(work, {}, { priority: 100 });
      for (const _run of range(10)) await stream();
      const behind = await Promise.all([0, 50].map((priority) => engine.trigger(work, {}, { priority })));
      let statuses: string[] = ["queued"];
      for (let step = 0; step < 150 && !statuses.every((status) => status === "succeeded"); step++) {
        for (const _run of range(2)) await stream();
        await clock.advance(10);
        statuses = await Promise.all(behind.map((run) => run.status()));
      }
      expect(statuses).toEqual(["succeeded", "succeeded"]);
      for (const { id } of (await engine.runs.list({ status: ["running"] }, { limit: 1_000 })).items)
        await engine.runs.cancel(id);
    },
  );

  it.each(places)(
    "a small run, of the same or another pipeline, behind a large one for %s",
    async (_, ofEngine, ofTask) => {
      const clock = new ManualClock();
      const large = pipeline(
        "large",
        (p) => void p.map("t", { over: range(1_000), ...ofTask }, ({ signal }) => lasting(clock, 10, signal)),
      );
      const shared = pipeline("shared", { params: v.object({ items: v.number() }) }, (p) => {
        const list = p.task("list", ({ params }) => range(params.items));
        p.map("t", { over: list, ...ofTask }, ({ signal }) => lasting(clock, 10, signal));
      });
      const engine = await startedEngine({ pipelines: [large, shared], clock, ...ofEngine });
      await engine.trigger(large);
      await engine.trigger(shared, { items: 1_000 });
      await clock.advance(100);
      const small = await Promise.all(range(3).map(() => engine.trigger(shared, { items: 1 })));
      await clock.advance(300);
      expect(await Promise.all(small.map((run) => run.status()))).toEqual(["succeeded", "succeeded", "succeeded"]);
      for (const { id } of (await engine.runs.list({ status: ["running"] })).items) await engine.runs.cancel(id);
      await clock.advance(100);
    },
  );

  it("F149 no more than 64 attempts at once unless somebody says so", async () => {
    const clock = new ManualClock();
    const meter = new Meter();
    const wide = pipeline(
      "wide",
      (p) => void p.map("each", { over: range(500) }, () => meter.during(() => lasting(clock, 1))),
    );
    await finishing(clock, (await startedEngine({ pipelines: [wide], clock })).run(wide));
    expect([meter.max, meter.total]).toEqual([64, 500]);
  });
});
