import { describe, expect, it } from "vitest";
import { z } from "zod";
import { memoryStorage } from "../defaults/memory/memory-storage.js";
import type { CacheOptions } from "../define/options.js";
import { pipeline } from "../define/pipeline.js";
import { startedEngine, testEngine } from "../test-support/engines.js";
import { FaultyStorage, failsBefore } from "../test-support/faulty-storage.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { sharedStorage } from "../test-support/shared-storage.js";
import { testStorage } from "../test-support/storages.js";
import type { Engine } from "./engine.js";

leavesNothingBehind();

const Day = z.object({ day: z.string(), unrelated: z.number().default(0) });

/** A report for a day, with a count of how often it was made. */
function report(
  output: (calls: number) => unknown = (calls) => `report ${calls}`,
  ttl: CacheOptions<unknown>["ttl"] = "1h",
) {
  const calls: string[] = [];
  const work = pipeline("work", { params: Day }, (p) => {
    const made = p.task("report", { cache: { key: ({ params }) => params.day, ttl } }, ({ params, metric }) => {
      calls.push(params.day);
      metric("rows", 1);
      return output(calls.length);
    });
    return { made };
  });
  return { work, calls };
}

const infoOf = async (engine: Engine, runId: string) => (await engine.runs.tasks(runId)).items[0]!;

describe("cache", () => {
  it("gives the output of an earlier run with an equal key, and says from which", async () => {
    const { work, calls } = report();
    const engine = await startedEngine({ pipelines: [work] });
    const first = await engine.trigger(work, { day: "mon" });
    await first.result();
    const second = await engine.trigger(work, { day: "mon", unrelated: 7 });
    expect(await second.result()).toEqual({ made: "report 1" });
    expect(calls).toEqual(["mon"]);
    expect(await infoOf(engine, first.id)).toMatchObject({ cachedFrom: undefined });
    expect(await infoOf(engine, second.id)).toMatchObject({ status: "succeeded", attempts: 1, cachedFrom: first.id });
    expect((await engine.runs.metrics(second.id)).items).toEqual([]);
  });

  it("does the work for another key", async () => {
    const { work, calls } = report();
    const engine = await startedEngine({ pipelines: [work] });
    for (const day of ["mon", "tue", "mon"]) await engine.run(work, { day });
    expect(calls).toEqual(["mon", "tue"]);
  });

  it("compares keys by value", async () => {
    const calls: unknown[] = [];
    const keys = [{ a: 1, b: new Date(0) }, { b: new Date(0), a: 1 }, { a: 1, b: new Date(1) }, [1, 2], [2, 1]];
    const work = pipeline("work", { params: z.object({ key: z.any() }) }, (p) => {
      p.task("t", { cache: { key: ({ params }) => params.key, ttl: "1h" } }, ({ params }) => {
        calls.push(params.key);
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    for (const key of keys) await engine.run(work, { key });
    expect(calls).toEqual([keys[0], keys[2], keys[3], keys[4]]);
  });

  it("is shared by engines on the same storage, and not by tasks or pipelines", async () => {
    const storage = testStorage();
    const calls: string[] = [];
    const make = (id: string) =>
      pipeline(id, (p) => {
        for (const task of ["a", "b"])
          p.task(task, { cache: { key: () => 1, ttl: "1h" } }, () => void calls.push(`${id}.${task}`));
      });
    const pipelines = [make("one"), make("two")];
    for (let n = 0; n < 2; n++) {
      const engine = await startedEngine({ pipelines, storage });
      for (const work of pipelines) await engine.run(work);
      await engine.stop();
    }
    expect(calls).toEqual(["one.a", "one.b", "two.a", "two.b"]);
  });

  it("expires after its ttl, which a hit does not prolong", async () => {
    const clock = new ManualClock();
    const { work, calls } = report();
    const engine = await startedEngine({ pipelines: [work], clock });
    await engine.run(work, { day: "mon" });
    await clock.advance(3_599_999);
    await engine.run(work, { day: "mon" });
    expect(calls).toHaveLength(1);
    await clock.advance(1);
    await engine.run(work, { day: "mon" });
    expect(calls).toHaveLength(2);
  });

  it("keeps nothing with a ttl of 0", async () => {
    const { work, calls } = report(undefined, 0);
    const engine = await startedEngine({ pipelines: [work] });
    for (let n = 0; n < 2; n++) await engine.run(work, { day: "mon" });
    expect(calls).toHaveLength(2);
  });

  it.each([undefined, null, false, 0, "", Number.NaN, new Map([[1, new Date(0)]])])("F80 keeps %j", async (output) => {
    const { work, calls } = report(() => output);
    const engine = await startedEngine({ pipelines: [work] });
    for (let n = 0; n < 2; n++) expect(await engine.run(work, { day: "mon" })).toEqual({ made: output });
    expect(calls).toHaveLength(1);
  });

  it("keeps no failure, and no skip", async () => {
    let calls = 0;
    const cache = { key: () => 1, ttl: "1h" } as const;
    const work = pipeline("work", (p) => {
      p.task("fails", { cache, retry: { attempts: 2, delay: 0 } }, ({ attempt }) => {
        calls++;
        if (attempt === 1) throw new Error("once");
      });
      p.task("skipped", { cache, when: () => false }, () => calls++);
    });
    const engine = await startedEngine({ pipelines: [work] });
    await engine.run(work);
    await engine.run(work);
    expect(calls).toBe(2);
  });

  it.each<[string, () => unknown, object]>([
    [
      "throws",
      () => {
        throw new TypeError("no key");
      },
      { name: "TypeError", message: "no key" },
    ],
    ["rejects", () => Promise.reject(new TypeError("no key")), { name: "TypeError" }],
    ["gives what cannot be stored", () => () => 1, { message: expect.stringContaining("function") }],
  ])("fails the attempt when its key %s", async (_what, key, error) => {
    let calls = 0;
    const work = pipeline("work", (p) => void p.task("task", { cache: { key, ttl: "1h" } }, () => calls++));
    const engine = await startedEngine({ pipelines: [work] });
    await expect(engine.run(work)).rejects.toMatchObject({ failures: [{ task: "task", error }] });
    expect(calls).toBe(0);
  });

  it("costs the work, not the task, when storage does not answer", async () => {
    const faulty = new FaultyStorage();
    faulty.on("getCached", failsBefore);
    const { work, calls } = report();
    const engine = await startedEngine({ pipelines: [work], storage: faulty.storage });
    const run = await engine.trigger(work, { day: "mon" });
    await run.result();
    expect(calls).toHaveLength(1);
    const [line] = (await engine.runs.logs(run.id)).items;
    expect(line).toMatchObject({ level: "warn", message: expect.stringContaining("connection refused") });
  });

  it("does not keep an attempt whose time is over waiting for a storage that says nothing", async () => {
    const clock = new ManualClock();
    const faulty = new FaultyStorage();
    const calls: string[] = [];
    const cache = { key: () => "key", ttl: "1h" } as const;
    const work = pipeline("work", (p) => void p.task("t", { cache, timeout: "1s" }, () => void calls.push("called")));
    const engine = await startedEngine({ pipelines: [work], storage: faulty.storage, clock });
    const letGo = faulty.hold("getCached");
    const run = await engine.trigger(work);
    await clock.advance(1_000);
    await expect(run.result()).rejects.toThrow("TASK_TIMEOUT");
    expect((await engine.runs.attempts(run.id)).items.map(({ status }) => status)).toEqual(["failed"]);
    letGo();
    await settled();
    expect(calls).toEqual([]);
  });

  it("begins no task whose lease ran out while the cache was slow to answer", async () => {
    const shared = memoryStorage();
    const clock = new ManualClock();
    const faulty = new FaultyStorage(shared);
    const calls: string[] = [];
    let keys = 0;
    // Nobody finds what the other has made.
    const cache = { key: () => ++keys, ttl: "1h" } as const;
    const work = pipeline("work", { params: Day }, (p) => {
      p.task("report", { cache }, ({ params }) => void calls.push(params.day));
    });
    const options = { pipelines: [work], lease: "10s" } as const;
    const first = await startedEngine({ ...options, storage: sharedStorage(faulty.storage), clock });
    const letGo = faulty.hold("getCached");
    const run = await first.trigger(work, { day: "mon" });
    await settled();
    clock.jump(10_000);
    const second = await startedEngine({
      ...options,
      storage: FaultyStorage.sharing(sharedStorage(shared)),
      clock: new ManualClock(clock.now()),
    });
    await settled();
    expect([await second.runs.get(run.id), calls]).toMatchObject([{ status: "succeeded" }, ["mon"]]);
    letGo();
    await settled();
    await clock.advance(10_000);
    expect(calls).toEqual(["mon"]);
  });

  it("is in storage with the success itself: one that is not durable is not cached", async () => {
    const storage = testStorage();
    const faulty = new FaultyStorage(storage);
    const { work, calls } = report();
    const engine = await startedEngine({ pipelines: [work], storage: faulty.storage });
    const letGo = faulty.hold("commit");
    const run = await engine.trigger(work, { day: "mon" });
    const other = await startedEngine({ pipelines: [work], storage: FaultyStorage.sharing(storage) });
    await other.run(work, { day: "mon" });
    expect(calls).toHaveLength(2);
    letGo();
    await run.result();
  });

  it("is not asked when the condition says no, and not for an engine that only reads", async () => {
    const faulty = new FaultyStorage();
    let asked = 0;
    faulty.watch("getCached", () => asked++);
    const work = pipeline(
      "work",
      (p) => void p.task("task", { when: () => false, cache: { key: () => 1, ttl: 1 } }, () => 1),
    );
    const engine = await startedEngine({ pipelines: [work], storage: faulty.storage });
    await engine.run(work);
    const reader = testEngine({ pipelines: [], storage: FaultyStorage.sharing(faulty.inner) });
    expect((await reader.runs.list()).items).toHaveLength(1);
    expect(asked).toBe(0);
  });

  it.each<[string, object, string]>([
    ["no key", { ttl: "1h" }, "TASK_INVALID"],
    ["a key that is no function", { key: "mon", ttl: "1h" }, "TASK_INVALID"],
    ["no ttl", { key: () => 1 }, "DURATION_INVALID"],
    ["a ttl that is no duration", { key: () => 1, ttl: "long" }, "DURATION_INVALID"],
  ])("refuses %s", (_what, cache, code) => {
    const define = () => pipeline("work", (p) => void p.task("task", { cache: cache as never }, () => 1));
    expect(define).toThrow(expect.objectContaining({ code }));
  });
});

describe("produces", () => {
  it("is recorded with each success, of what was taken from the cache too", async () => {
    const work = pipeline("work", (p) => {
      const produces = ["tables/sales", "models/forecast"];
      p.task("makes", { produces, cache: { key: () => 1, ttl: "1h" } }, () => 1);
      p.task("fails", { produces: "never", allowFailure: true }, () => {
        throw new Error("broken");
      });
      p.task("skipped", { produces: "never", when: () => false }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work] });
    for (let n = 0; n < 2; n++) {
      const run = await engine.trigger(work);
      await run.result();
      expect((await engine.runs.assets(run.id)).items).toMatchObject([
        { task: "makes", attempt: 1, asset: "tables/sales" },
        { task: "makes", attempt: 1, asset: "models/forecast" },
      ]);
      expect((await engine.runs.assets(run.id, { asset: "tables/sales" })).items).toHaveLength(1);
    }
  });

  it("is recorded for items, polls and runs of other pipelines", async () => {
    const child = pipeline("child", (p) => void p.task("task", () => 1));
    const work = pipeline("work", (p) => {
      p.map("items", { over: ["a", "b"], produces: "item" }, () => 1);
      p.poll("poll", { every: "1s", produces: "file" }, () => 1);
      p.run("child", child, { produces: "report" });
    });
    const engine = await startedEngine({ pipelines: [work, child] });
    const run = await engine.trigger(work);
    await run.result();
    const assets = (await engine.runs.assets(run.id)).items.map(({ task, index, asset }) =>
      [task, ...index, asset].join(" "),
    );
    expect(assets.sort()).toEqual(["child report", "items 0 item", "items 1 item", "poll file"]);
  });

  it.each<[unknown]>([[""], [5], [["a", ""]], [[5]]])("refuses %j", (produces) => {
    const define = () => pipeline("work", (p) => void p.task("task", { produces: produces as string }, () => 1));
    expect(define).toThrow(expect.objectContaining({ code: "TASK_INVALID" }));
  });
});
