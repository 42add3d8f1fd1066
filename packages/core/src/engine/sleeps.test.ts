import { describe, expect, it } from "vitest";
import type { Duration } from "../define/duration.js";
import { pipeline } from "../define/pipeline.js";
import { startedEngine } from "../test-support/engines.js";
import { gate, noted } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";
import { takenOver } from "../test-support/takeover.js";
import type { Engine } from "./engine.js";

leavesNothingBehind();

const DAY = 86_400_000;

const taskOf = async (engine: Engine, runId: string, task: string) =>
  (await engine.runs.tasks(runId, { task })).items[0]!;

/** A pipeline of one sleep, and a task that notes when it ran. */
function sleeper(clock: ManualClock, length: Duration = "10m") {
  const woke: number[] = [];
  const work = pipeline("work", (p) => {
    const pause = p.sleep("pause", length);
    p.task("after", { after: [pause] }, () => void woke.push(clock.now()));
  });
  return { work, woke };
}

describe("p.sleep", () => {
  it("ends after its length, and its run waits meanwhile", async () => {
    const clock = new ManualClock();
    const start = clock.now();
    const { work, woke } = sleeper(clock);
    const engine = await startedEngine({ pipelines: [work], clock });
    const statuses: string[] = [];
    engine.on("run:status", ({ status }) => void statuses.push(status));
    const waits: unknown[] = [];
    engine.on("task:waiting", ({ task, wait }) => void waits.push({ task, wait }));
    const run = await engine.trigger(work);
    await clock.advance(599_999);
    expect(await run.status()).toBe("waiting");
    const wait = { kind: "sleep", until: start + 600_000 };
    expect(waits).toEqual([{ task: "pause", wait }]);
    expect(await taskOf(engine, run.id, "pause")).toMatchObject({
      status: "waiting",
      wait,
      startedAt: start,
      attempts: 0,
    });
    await clock.advance(1);
    await run.result();
    expect(woke).toEqual([start + 600_000]);
    expect(statuses).toEqual(["waiting", "running"]);
    const ended = { status: "succeeded", finishedAt: start + 600_000, wait: undefined, output: undefined };
    expect(await taskOf(engine, run.id, "pause")).toMatchObject(ended);
    expect((await engine.runs.attempts(run.id, { task: "pause" })).items).toEqual([]);
  });

  it.each<[string, Duration, number]>([
    ["0", 0, 0],
    ["1 ms", 1, 1],
    ["2.5 s", "2.5s", 2_500],
    ["F89 longer than 2^31-1 ms", "60d", 60 * DAY],
  ])("may be of %s", async (_what, length, ms) => {
    const clock = new ManualClock();
    const start = clock.now();
    const { work, woke } = sleeper(clock, length);
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(ms + 10);
    await run.result();
    expect(woke).toEqual([start + ms]);
  });

  it("takes its length from a function, which is an attempt of its own", async () => {
    const clock = new ManualClock();
    const start = clock.now();
    const woke: number[] = [];
    const work = pipeline("work", (p) => {
      const minutes = p.task("minutes", () => 5);
      const pause = p.sleep("pause", { needs: { minutes }, for: async ({ input }) => `${input.minutes}m` as const });
      p.task("after", { after: [pause] }, () => void woke.push(clock.now()));
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(300_000);
    await run.result();
    expect(woke).toEqual([start + 300_000]);
    expect((await engine.runs.attempts(run.id, { task: "pause" })).items).toMatchObject([{ status: "succeeded" }]);
  });

  it.each<[string, unknown]>([
    ["a text without a unit", "10"],
    ["negative", -1],
    ["NaN", Number.NaN],
    ["over 100 years", "40000d"],
    ["missing", undefined],
    ["a Date", new Date()],
    ["null", null],
  ])("refuses a length that is %s", async (_what, length) => {
    const define = () => pipeline("work", (p) => void p.sleep("pause", { for: length as Duration }));
    expect(define).toThrow(expect.objectContaining({ code: "DURATION_INVALID" }));
    const work = pipeline("late", (p) => void p.sleep("pause", { for: () => length as Duration }));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await expect(run.result()).rejects.toMatchObject({
      failures: [{ task: "pause", error: { code: "WAIT_INVALID" } }],
    });
    expect((await engine.runs.attempts(run.id)).items).toMatchObject([
      { status: "failed", error: { code: "WAIT_INVALID" } },
    ]);
  });

  it("fails with what its function throws, after the retries that defaults ask for", async () => {
    let calls = 0;
    const defaults = { retry: { attempts: 2, delay: 0 } };
    const work = pipeline("work", { defaults }, (p) => {
      p.sleep("pause", {
        for: () => {
          calls++;
          throw new Error("no idea");
        },
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    await expect(engine.run(work)).rejects.toMatchObject({
      failures: [{ attempts: 2, error: { message: "no idea" } }],
    });
    expect(calls).toBe(2);
  });

  it("holds no slot", async () => {
    const clock = new ManualClock();
    const ran: string[] = [];
    const work = pipeline("work", (p) => {
      for (const id of ["a", "b", "c"]) p.sleep(id, { for: () => "1h" });
      p.task("other", () => void ran.push("other"));
    });
    const engine = await startedEngine({ pipelines: [work], clock, concurrency: 1 });
    const run = await engine.trigger(work);
    await settled();
    expect(ran).toEqual(["other"]);
    await clock.advance(3_600_000);
    expect(await run.status()).toBe("succeeded");
  });

  it("leaves its run running as long as something else runs", async () => {
    const clock = new ManualClock();
    const working = gate();
    const work = pipeline("work", (p) => {
      p.sleep("pause", "1h");
      p.task("works", () => working.passed);
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const statuses: string[] = [];
    engine.on("run:status", ({ status }) => void statuses.push(status));
    const run = await engine.trigger(work);
    await settled();
    expect([await run.status(), ...statuses]).toEqual(["running"]);
    working.open();
    await settled();
    expect([await run.status(), ...statuses]).toEqual(["waiting", "waiting"]);
    await clock.advance(3_600_000);
    expect(await run.status()).toBe("succeeded");
  });

  it("is not cut short by the timeout that defaults give to tasks", async () => {
    const clock = new ManualClock();
    const defaults = { timeout: { attempt: "1m", total: "2m" } } as const;
    const work = pipeline("work", { defaults }, (p) => {
      p.sleep("fixed", "1h");
      p.sleep("asked", { for: () => "1h" });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(3_600_000);
    expect(await run.status()).toBe("succeeded");
  });

  it("runs for each item of a mapped group", async () => {
    const clock = new ManualClock();
    const start = clock.now();
    const woke: [number, number][] = [];
    const work = pipeline("work", (p) => {
      p.group("each", { over: [3, 1, 2] }, (g) => {
        const pause = g.sleep("pause", { for: ({ item }) => item * 60_000 });
        g.task("after", { after: [pause] }, ({ item }) => void woke.push([item, clock.now() - start]));
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(180_000);
    expect(await run.status()).toBe("succeeded");
    expect(woke).toEqual([1, 2, 3].map((n) => [n, n * 60_000]));
  });

  it("F109 keeps its moment when another engine takes the run over", async () => {
    const clock = new ManualClock();
    const start = clock.now();
    const storage = testStorage();
    const { work, woke } = sleeper(clock);
    const options = { pipelines: [work], clock, storage };
    const first = await startedEngine(options);
    const run = await first.trigger(work);
    await clock.advance(200_000);
    const second = await takenOver(first, options);
    await clock.advance(200_000);
    const third = await takenOver(second, options);
    await clock.advance(200_000);
    expect(await third.runs.get(run.id)).toMatchObject({ status: "succeeded" });
    expect(woke).toEqual([start + 600_000]);
  });

  it("is over at once for an engine that takes the run over too late", async () => {
    const clock = new ManualClock();
    const storage = testStorage();
    const { work, woke } = sleeper(clock);
    const options = { pipelines: [work], clock, storage };
    const first = await startedEngine(options);
    const run = await first.trigger(work);
    await settled();
    await first.stop();
    clock.jump(2 * DAY);
    const second = await startedEngine(options);
    await clock.advance(0);
    expect(await second.runs.get(run.id)).toMatchObject({ status: "succeeded" });
    expect(woke).toEqual([clock.now()]);
  });

  it.each([false, true])("ends with a cancellation, of the run or of it alone (%s)", async (alone) => {
    const clock = new ManualClock();
    const { work, woke } = sleeper(clock);
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(5_000);
    expect(await run.cancel(alone ? { task: "pause", reason: "enough" } : { reason: "enough" })).toBe(true);
    await settled();
    expect(await run.status()).toBe(alone ? "failed" : "cancelled");
    expect(await taskOf(engine, run.id, "pause")).toMatchObject({
      status: "cancelled",
      reason: expect.stringContaining("enough"),
    });
    expect(woke).toEqual([]);
    expect(clock.workTimers).toBe(0);
  });

  it("goes on while its run is paused; what follows waits for the end of that", async () => {
    const clock = new ManualClock();
    const start = clock.now();
    const { work, woke } = sleeper(clock);
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(5_000);
    expect(await engine.runs.pause(run.id)).toBe(true);
    await settled();
    expect(await run.status()).toBe("paused");
    await clock.advance(600_000);
    expect(await taskOf(engine, run.id, "pause")).toMatchObject({ status: "succeeded", finishedAt: start + 600_000 });
    expect([await run.status(), ...woke]).toEqual(["paused"]);
    await engine.runs.unpause(run.id);
    await clock.advance(0);
    expect([await run.status(), ...woke]).toEqual(["succeeded", start + 605_000]);
  });

  it("goes back to waiting when its run is unpaused before its end", async () => {
    const clock = new ManualClock();
    const { work } = sleeper(clock);
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await engine.runs.pause(run.id);
    await engine.runs.unpause(run.id);
    await settled();
    expect(await run.status()).toBe("waiting");
    await clock.advance(600_000);
    expect(await run.status()).toBe("succeeded");
  });

  it("is ended by the run's timeout", async () => {
    const clock = new ManualClock();
    const work = pipeline("work", { timeout: "1m" }, (p) => void p.sleep("pause", "1h"));
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(60_000);
    expect(await engine.runs.get(run.id)).toMatchObject({ status: "failed", error: { code: "RUN_TIMEOUT" } });
  });

  it("begins anew with a resume", async () => {
    const clock = new ManualClock();
    const { work, woke } = sleeper(clock);
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(5_000);
    await run.cancel();
    await settled();
    await engine.runs.resume(run.id);
    const resumed = clock.now();
    await clock.advance(600_000);
    expect(await run.status()).toBe("succeeded");
    expect(woke).toEqual([resumed + 600_000]);
  });
});

describe("p.sleepUntil", () => {
  it.each<[string, (start: number) => Date | number, number]>([
    ["a Date", (start) => new Date(start + 5_000), 5_000],
    ["epoch milliseconds", (start) => start + 5_000, 5_000],
    ["a past moment", (start) => new Date(start - DAY), 0],
    ["F89 a moment in 60 days", (start) => start + 60 * DAY, 60 * DAY],
  ])("ends at %s", async (_what, at, ms) => {
    const clock = new ManualClock();
    const start = clock.now();
    const moment = at(start);
    const woke: number[] = [];
    const work = pipeline("work", (p) => {
      const fixed = p.sleepUntil("fixed", { at: moment });
      const asked = p.sleepUntil("asked", { at: async () => moment });
      p.task("after", { after: [fixed, asked] }, () => void woke.push(clock.now()));
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(ms);
    expect(await run.status()).toBe("succeeded");
    expect(woke).toEqual([start + ms]);
  });

  it("takes a Date alone", async () => {
    const clock = new ManualClock();
    const at = new Date(clock.now() + 5_000);
    const work = pipeline("work", (p) => void p.sleepUntil("pause", at));
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(4_999);
    expect(await run.status()).toBe("waiting");
    await clock.advance(1);
    expect(await run.status()).toBe("succeeded");
  });

  it.each<[string, unknown]>([
    ["an invalid Date", new Date("never")],
    ["a text", "2026-01-01"],
    ["NaN", Number.NaN],
    ["Infinity", Number.POSITIVE_INFINITY],
    ["null", null],
    ["true", true],
    ["a list", [5]],
    ["missing", undefined],
  ])("refuses a moment that is %s", async (_what, moment) => {
    const define = () => pipeline("work", (p) => void p.sleepUntil("pause", { at: moment as Date }));
    expect(define).toThrow(expect.objectContaining({ code: "TASK_INVALID" }));
    const work = pipeline("late", (p) => void p.sleepUntil("pause", { at: () => moment as Date }));
    const engine = await startedEngine({ pipelines: [work] });
    await expect(engine.run(work)).rejects.toMatchObject({ failures: [{ error: { code: "WAIT_INVALID" } }] });
  });

  it("notes that it slept in order", async () => {
    const clock = new ManualClock();
    const order: string[] = [];
    const work = pipeline("work", (p) => {
      for (const [id, ms] of [
        ["c", 3],
        ["a", 1],
        ["b", 2],
      ] as const) {
        const pause = p.sleepUntil(`until-${id}`, { at: clock.now() + ms * 1_000 });
        p.task(id, { after: [pause] }, () => noted(order, id, id));
      }
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(3_000);
    expect(await run.status()).toBe("succeeded");
    expect(order).toEqual(["a", "b", "c"]);
  });
});
