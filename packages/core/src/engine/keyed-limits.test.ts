import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { startedEngine } from "../test-support/engines.js";
import { gate, Meter } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { onlyOn } from "../test-support/storages.js";
import { finishing, lasting } from "../test-support/virtual-time.js";

leavesNothingBehind();

const range = (length: number) => Array.from({ length }, (_, item) => item);
const tenant = v.object({ tenant: v.string() });

/** One meter for each key. */
function meters() {
  const all = new Map<string, Meter>();
  const of = (key: string) => {
    const meter = all.get(key) ?? new Meter();
    all.set(key, meter);
    return meter;
  };
  return { of, most: () => Object.fromEntries([...all].map(([key, { max }]) => [key, max])) };
}

describe("concurrency by key", () => {
  it("of a task: each tenant has its own, over all runs", async () => {
    const clock = new ManualClock();
    const { of, most } = meters();
    const work = pipeline("work", { params: tenant }, (p) => {
      p.task("t", { concurrency: { key: ({ params }) => params.tenant, limit: 2 } }, ({ params }) =>
        of(params.tenant).during(() => lasting(clock, 10)),
      );
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const runs = await Promise.all(range(12).map((n) => engine.trigger(work, { tenant: n < 9 ? "a" : `b${n}` })));
    await settled();
    expect(["a", "b9", "b10", "b11"].map((key) => of(key).now)).toEqual([2, 1, 1, 1]);
    await finishing(clock, Promise.all(runs.map((run) => run.result())));
    expect(most()).toEqual({ a: 2, b9: 1, b10: 1, b11: 1 });
  });

  it("of a map: by what its items say", async () => {
    const clock = new ManualClock();
    const { of, most } = meters();
    const work = pipeline("work", (p) => {
      p.map("each", { over: range(40), concurrency: { key: ({ item }) => `k${item % 4}`, limit: 3 } }, ({ item }) =>
        of(`k${item % 4}`).during(() => lasting(clock, 1 + (item % 3))),
      );
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    await finishing(clock, engine.run(work));
    expect(most()).toEqual({ k0: 3, k1: 3, k2: 3, k3: 3 });
  });

  it("of a pipeline: holds for all tasks of the runs with the same key together", async () => {
    const clock = new ManualClock();
    const { of, most } = meters();
    const options = {
      params: tenant,
      concurrency: { key: ({ params }: { params: { tenant: string } }) => params.tenant, limit: 2 },
    };
    const work = pipeline("work", options, (p) => {
      for (const n of range(4)) p.task(`t${n}`, ({ params }) => of(params.tenant).during(() => lasting(clock, 5)));
      p.map("each", { over: range(4) }, ({ params }) => of(params.tenant).during(() => lasting(clock, 5)));
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const runs = await Promise.all(range(4).map((n) => engine.trigger(work, { tenant: n === 0 ? "b" : "a" })));
    await finishing(clock, Promise.all(runs.map((run) => run.result())));
    expect(most()).toEqual({ a: 2, b: 2 });
  });

  it("the task's, the pipeline's and the engine's hold at once", async () => {
    const clock = new ManualClock();
    const [ofTask, ofRun, ofEngine] = [meters(), meters(), new Meter()];
    const options = {
      params: tenant,
      concurrency: { key: ({ params }: { params: { tenant: string } }) => params.tenant, limit: 3 },
    };
    const work = pipeline("work", options, (p) => {
      const concurrency = { key: ({ item }: { item: number }) => `${item % 2}`, limit: 2 };
      p.map("each", { over: range(12), concurrency }, ({ item, params }) =>
        ofEngine.during(() =>
          ofTask.of(`${item % 2}`).during(() => ofRun.of(params.tenant).during(() => lasting(clock, 1 + (item % 5)))),
        ),
      );
    });
    const engine = await startedEngine({ pipelines: [work], concurrency: 4, clock });
    const runs = await Promise.all(["a", "a", "b"].map((name) => engine.trigger(work, { tenant: name })));
    await finishing(clock, Promise.all(runs.map((run) => run.result())));
    expect([ofTask.most(), ofRun.most(), ofEngine.max, ofEngine.total]).toEqual([
      { 0: 2, 1: 2 },
      { a: expect.toSatisfy((max: number) => max <= 3), b: expect.toSatisfy((max: number) => max <= 3) },
      4,
      36,
    ]);
  });

  it("F156 a key whose places are taken does not stop another", async () => {
    const hold = gate();
    const started: string[] = [];
    const work = pipeline("work", (p) => {
      p.map("each", { over: ["a", "a", "a", "b"], concurrency: { key: ({ item }) => item, limit: 1 } }, ({ item }) => {
        started.push(item);
        return item === "a" ? hold.passed : undefined;
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    expect(started).toEqual(["a", "b"]);
    hold.open();
    await run.result();
  });

  onlyOn("memory", "it measures the engine's own memory")(
    "keys that nobody uses any more are forgotten, and asked again they count from nothing",
    async () => {
      const work = pipeline("work", (p) => {
        p.map(
          "each",
          { over: range(50_000), concurrency: { key: ({ item }) => `key ${item}${"x".repeat(2_000)}`, limit: 1 } },
          () => 1,
        );
      });
      const engine = await startedEngine({ pipelines: [work] });
      const before = process.memoryUsage().heapUsed;
      await engine.run(work);
      expect(process.memoryUsage().heapUsed - before).toBeLessThan(250 * 2 ** 20);
      await engine.run(work);
    },
    30_000,
  );

  it("what decides a key: params, item, run and task, and nothing that belongs to an attempt", async () => {
    const seen: object[] = [];
    const work = pipeline("work", { params: tenant }, (p) => {
      const list = p.task("list", () => [7]);
      const key = (context: object): string => `${seen.push({ ...context, keys: Object.keys(context).toSorted() })}`;
      p.group("g", { over: list }, (g) => {
        const inner = g.task("inner", () => ["x"]);
        g.map("each", { over: inner, concurrency: { key, limit: 1 } }, () => 1);
      });
    });
    const engine = await startedEngine({ pipelines: [work], resources: { db: 1 } });
    await engine.run(work, { tenant: "a" });
    expect(seen.length).toBeGreaterThan(0);
    expect(seen[0]).toMatchObject({
      params: { tenant: "a" },
      item: "x",
      outer: 7,
      index: 0,
      attempt: 1,
      resources: { db: 1 },
    });
    expect(seen[0]).toMatchObject({ run: { pipeline: "work" }, task: { id: "g.each" } });
    expect(seen[0]).not.toHaveProperty("signal");
    expect(seen[0]).not.toHaveProperty("input");
  });
});

describe("F134 a key function that throws", () => {
  const broken = (): string => {
    throw new TypeError("no key");
  };
  const options: readonly [string, object, object][] = [
    ["of a task's concurrency", { concurrency: { key: broken, limit: 1 } }, {}],
    ["of a task's rate", { rateLimit: { key: broken, limit: 1, per: "1s" } }, {}],
    ["of a pipeline's concurrency", {}, { concurrency: { key: broken, limit: 1 } }],
  ];
  it.each(options)(
    "%s fails its task with what it threw, without a retry, and holds no slot",
    async (_, ofTask, ofPipeline) => {
      let calls = 0;
      const work = pipeline("work", ofPipeline, (p) => {
        p.task("t", { pool: "gpu", retry: { attempts: 5, delay: 0 }, ...ofTask }, () => calls++);
      });
      const next = pipeline("next", (p) => ({ free: p.task("free", { pool: "gpu" }, () => "free") }));
      const engine = await startedEngine({ pipelines: [work, next], pools: { gpu: 1 }, concurrency: 1 });
      const run = await engine.trigger(work);
      await expect(run.result()).rejects.toMatchObject({
        failures: [{ task: "t", error: { name: "TypeError", message: "no key" } }],
      });
      expect(calls).toBe(0);
      expect(await engine.run(next)).toEqual({ free: "free" });
    },
  );

  it.each([
    ["a promise", () => Promise.resolve("tenant")],
    ["a promise that fails", () => Promise.reject(new Error("late"))],
    ["nothing", () => undefined],
  ])("fails its task for a key that is %s, as it would be the same for everybody", async (_, key) => {
    const concurrency = { key: key as unknown as () => string, limit: 1 };
    const work = pipeline("work", (p) => void p.task("t", { concurrency }, () => 1));
    const engine = await startedEngine({ pipelines: [work] });
    await expect(engine.run(work)).rejects.toMatchObject({ failures: [{ task: "t", error: { code: "KEY_INVALID" } }] });
  });

  it("fails one item, and the others go on", async () => {
    const key = ({ item }: { item: number }): string => (item === 1 ? broken() : "key");
    const work = pipeline("work", (p) => {
      const each = p.map(
        "each",
        { over: [0, 1, 2], allowFailure: true, concurrency: { key, limit: 1 } },
        ({ item }) => item,
      );
      return { all: p.task("all", { needs: { each }, triggerRule: "all-done" }, ({ input }) => input.each) };
    });
    const engine = await startedEngine({ pipelines: [work] });
    expect(await engine.run(work)).toEqual({ all: [0, 2] });
  });

  it("is not called for what was cancelled while it waited, and does not change what became of it", async () => {
    const hold = gate();
    let isBroken = false;
    const key = (): string => (isBroken ? broken() : "key");
    const work = pipeline("work", (p) => {
      p.task("holds", { pool: "gpu" }, () => hold.passed);
      p.task("waits", { after: [], pool: "gpu", concurrency: { key, limit: 1 } }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work], pools: { gpu: 1 } });
    const run = await engine.trigger(work);
    await settled();
    isBroken = true;
    await run.cancel({ task: "waits" });
    hold.open();
    await run.result().catch(() => undefined);
    const [record] = (await engine.runs.tasks(run.id, { task: "waits" })).items;
    expect(record).toMatchObject({ status: "cancelled", error: undefined });
  });

  it("does nothing to a run that somebody only looks at", async () => {
    const hold = gate();
    const work = pipeline("work", (p) => {
      const first = p.task("first", () => hold.passed);
      p.task("second", { needs: { first }, concurrency: { key: broken, limit: 1 } }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    expect((await engine.runs.explain(run.id, "second")).status).toBe("pending");
    await engine.runs.explain(run.id);
    expect((await engine.runs.tasks(run.id, { task: "second" })).items[0]!.status).toBe("pending");
    hold.open();
    await expect(run.result()).rejects.toMatchObject({ failures: [{ task: "second" }] });
  });
});

const key = (): string => "k";
it.each<[object]>([[{ limit: 1 }], [{ key: "tenant", limit: 1 }], [{ key }], [{ key, limit: 0 }]])(
  "concurrency refuses %j",
  (concurrency) => {
    const refused = expect.objectContaining({ code: expect.stringMatching(/TASK_INVALID|PIPELINE_INVALID/) });
    expect(() => pipeline("bad", (p) => void p.task("t", { concurrency } as never, () => 1))).toThrow(refused);
    expect(() => pipeline("bad", { concurrency } as never, (p) => void p.task("t", () => 1))).toThrow(refused);
  },
);
