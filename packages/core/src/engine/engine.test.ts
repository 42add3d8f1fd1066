import * as v from "valibot";
import { describe, expect, it } from "vitest";
import type { Executor } from "../contracts/executor.js";
import { inProcess } from "../defaults/in-process.js";
import { memoryStorage } from "../defaults/memory/memory-storage.js";
import { pipeline } from "../define/pipeline.js";
import { WeftlineError } from "../errors.js";
import type { EngineEvents } from "../events.js";
import type { Logger } from "../logger.js";
import { RecordingLogger, startedEngine, stopNow, testEngine } from "../test-support/engines.js";
import { FaultyStorage, failsBefore, losesReply } from "../test-support/faulty-storage.js";
import { aborted, gate, Meter, noted } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { closeAfterTest, leavesNothingBehind } from "../test-support/nothing-left.js";
import { onlyOn, testStorage } from "../test-support/storages.js";
import { finishing } from "../test-support/virtual-time.js";
import { createEngine, type Engine } from "./engine.js";
import type { EngineOptions } from "./engine-options.js";

leavesNothingBehind();

const quick = pipeline("quick", (p) => ({ value: p.task("value", () => 42) }));

/** A pipeline whose task goes on until `end`, or until it is told to stop. */
function waiting(id = "waiting") {
  const end = gate<string>();
  const meter = new Meter();
  const work = pipeline(id, (p) => ({
    value: p.task("value", ({ signal, attempt }) =>
      meter.during(async () => `${await Promise.race([end.passed, aborted(signal)])} at attempt ${attempt}`),
    ),
  }));
  return { work, end, meter };
}

const refusalOf = (options: object): { code?: string; message?: string } => {
  try {
    createEngine(options as EngineOptions);
    return {};
  } catch (error) {
    return error as { code: string };
  }
};

describe("createEngine()", () => {
  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "5", null])(
    "F210 refuses concurrency %s",
    (concurrency) => {
      expect(refusalOf({ pipelines: [quick], concurrency }).code).toBe("ENGINE_INVALID");
    },
  );

  it.each<[string, object, string]>([
    ["no pipelines", {}, "ENGINE_INVALID"],
    ["something that is no pipeline", { pipelines: [{ id: "x" }] }, "ENGINE_INVALID"],
    ["nothing in the list", { pipelines: [undefined] }, "ENGINE_INVALID"],
    ["F206 a pipeline twice", { pipelines: [quick, quick] }, "ENGINE_INVALID"],
    ["an abortGrace that is no duration", { pipelines: [quick], abortGrace: "soon" }, "DURATION_INVALID"],
    ["a negative abortGrace", { pipelines: [quick], abortGrace: -1 }, "DURATION_INVALID"],
    ["maxValueBytes 0", { pipelines: [quick], limits: { maxValueBytes: 0 } }, "ENGINE_INVALID"],
    ["a lease that is over before it can be renewed", { pipelines: [quick], lease: 99 }, "ENGINE_INVALID"],
    ["a lease that is no duration", { pipelines: [quick], lease: "long" }, "DURATION_INVALID"],
    ["a poll without pause", { pipelines: [quick], poll: 1 }, "ENGINE_INVALID"],
    ["maxBlocked 0", { pipelines: [quick], maxBlocked: 0 }, "ENGINE_INVALID"],
    ["quarantineAfter 0", { pipelines: [quick], quarantineAfter: 0 }, "ENGINE_INVALID"],
    ["quarantineAfter 1.5", { pipelines: [quick], quarantineAfter: 1.5 }, "ENGINE_INVALID"],
    ["a retention that is no duration", { pipelines: [quick], retention: true }, "DURATION_INVALID"],
    ["maxValueDepth NaN", { pipelines: [quick], limits: { maxValueDepth: Number.NaN } }, "ENGINE_INVALID"],
  ])("F210 refuses %s", (_what, options, code) => {
    expect(refusalOf(options).code).toBe(code);
  });

  it("EXECUTOR_UNKNOWN names the task and the executors there are", () => {
    const picky = pipeline("picky", (p) => void p.task("heavy", { executor: "gpu" }, () => 1));
    const refusal = refusalOf({ pipelines: [picky], executors: { cpu: inProcess() } });
    expect(refusal.code).toBe("EXECUTOR_UNKNOWN");
    expect(refusal.message).toMatch(/"heavy".*"picky".*"gpu".*"cpu"/);
  });

  it("runs any executor name in-process when none is configured", async () => {
    const picky = pipeline("picky", (p) => ({ value: p.task("heavy", { executor: "gpu" }, () => 1) }));
    expect(await testEngine({ pipelines: [picky] }).run(picky)).toEqual({ value: 1 });
  });

  it("sets no timer and touches no storage by itself", () => {
    const clock = new ManualClock();
    const faulty = new FaultyStorage();
    let calls = 0;
    faulty.on("open", async (proceed) => {
      calls++;
      return proceed();
    });
    testEngine({ pipelines: [quick], storage: faulty.storage, clock });
    expect(calls).toBe(0);
    expect(clock.workTimers).toBe(0);
  });
});

describe("start()", () => {
  it("does nothing the second time, also while the first is under way", async () => {
    const faulty = new FaultyStorage();
    let opened = 0;
    faulty.on("open", async (proceed) => {
      opened++;
      return proceed();
    });
    const engine = testEngine({ pipelines: [quick], storage: faulty.storage });
    await Promise.all([engine.start(), engine.start()]);
    await engine.start();
    expect(opened).toBe(1);
    expect(await engine.run(quick)).toEqual({ value: 42 });
  });

  async function startsAgain(method: "open" | "renewLease" | "claimRuns" | "listen" | "putSchedules" | "look") {
    const faulty = new FaultyStorage();
    const { every } = await import("../define/schedule.js");
    const scheduled = pipeline("scheduled", { schedule: every("1h") }, (p) => void p.task("only", () => 1));
    let listening = 0;
    faulty.on("listen", async (proceed) => {
      const end = await proceed();
      listening++;
      return async () => {
        listening--;
        await end();
      };
    });
    faulty.once(method, failsBefore);
    const clock = new ManualClock();
    const engine = testEngine({ pipelines: [quick, scheduled], storage: faulty.storage, clock });
    const early = method === "open" ? undefined : await engine.trigger(quick);
    await expect(engine.start()).rejects.toThrow("connection refused");
    await engine.start();
    if (early) expect(await early.result()).toEqual({ value: 42 });
    expect(await (await engine.trigger(quick)).result()).toEqual({ value: 42 });
    expect(listening).toBe(faulty.inner.listen ? 1 : 0);
    await stopNow(engine, clock);
    expect(listening).toBe(0);
  }

  it.each(["open", "renewLease", "claimRuns", "putSchedules", "look"] as const)(
    "F57 really starts when it is called again after storage failed in %s()",
    startsAgain,
  );

  onlyOn("memory", "elsewhere engines of tests get no hints")(
    "F57 really starts when it is called again after storage failed in listen()",
    () => startsAgain("listen"),
  );

  it("F57 starts an executor once, however often start() is tried, and stops it once", async () => {
    const calls: string[] = [];
    const counted: Executor = {
      supports: { killable: true, remote: false, memoryLimit: false },
      slots: 1,
      execute: () => Promise.reject(new Error("never started")),
      start: async () => void calls.push("start"),
      stop: async () => void calls.push("stop"),
    };
    const faulty = new FaultyStorage();
    faulty.once("renewLease", failsBefore);
    const engine = testEngine({ pipelines: [quick], storage: faulty.storage, executors: { counted } });
    await expect(engine.start()).rejects.toThrow("connection refused");
    await engine.start();
    await engine.stop();
    expect(calls).toEqual(["start", "stop"]);
  });

  it("F57 fails with its executor, and stop() afterwards ends everything", async () => {
    let stops = 0;
    const broken: Executor = {
      supports: { killable: true, remote: false, memoryLimit: false },
      slots: 1,
      start: async () => {
        throw new Error("no threads left");
      },
      execute: () => Promise.reject(new Error("never started")),
      stop: async () => void stops++,
    };
    const engine = testEngine({ pipelines: [quick], executors: { broken } });
    await expect(engine.start()).rejects.toThrow("no threads left");
    await engine.stop();
    await expect(engine.start()).rejects.toMatchObject({ code: "ENGINE_STOPPED" });
  });

  it("runs what was triggered before it", async () => {
    const engine = testEngine({ pipelines: [quick] });
    const run = await engine.trigger(quick);
    expect(await run.status()).toBe("queued");
    const result = run.result();
    await settled();
    expect(await run.status()).toBe("queued");
    await engine.start();
    expect(await result).toEqual({ value: 42 });
  });

  it("takes up more runs than one claim brings", async () => {
    const ran: string[] = [];
    const work = pipeline("work", (p) => void p.task("only", ({ run }) => void ran.push(run.id)));
    const engine = testEngine({ pipelines: [work] });
    const runs = await Promise.all(Array.from({ length: 250 }, () => engine.trigger(work)));
    await engine.start();
    await Promise.all(runs.map((run) => run.result()));
    expect(ran.toSorted()).toEqual(runs.map(({ id }) => id).toSorted());
  });

  it("takes up a claimed run although reading it failed once", async () => {
    const faulty = new FaultyStorage();
    const engine = testEngine({ pipelines: [quick], storage: faulty.storage });
    const run = await engine.trigger(quick);
    faulty.once("loadTasks", failsBefore);
    await engine.start().catch(() => engine.start());
    expect(await run.result()).toEqual({ value: 42 });
  });

  it("starts a run with a later moment then, also on a storage that gives no hints", async () => {
    const clock = new ManualClock();
    const engine = await startedEngine({
      pipelines: [quick],
      clock,
      storage: new FaultyStorage(undefined, ["listen"]).storage,
    });
    const run = await engine.trigger(quick, {}, { at: new Date(clock.now() + 60_000) });
    await clock.advance(59_999);
    expect(await run.status()).toBe("queued");
    await clock.advance(1);
    expect(await run.status()).toBe("succeeded");
  });
});

describe("stop()", () => {
  it("F56 twice, before start(), and concurrently with start()", async () => {
    const before = testEngine({ pipelines: [quick] });
    await before.stop();
    await before.stop();
    await expect(before.start()).rejects.toMatchObject({ code: "ENGINE_STOPPED" });

    const during = testEngine({ pipelines: [quick] });
    const starting = during.start();
    await Promise.all([during.stop(), during.stop()]);
    await starting;
    await expect(during.trigger(quick)).rejects.toMatchObject({ code: "ENGINE_STOPPED" });
  });

  it("F56 inside a task", async () => {
    const engines: Engine[] = [];
    const stops: Promise<void>[] = [];
    const work = pipeline("work", (p) => {
      const first = p.task("first", () => {
        stops.push(engines[0]!.stop());
        return "done";
      });
      p.task("second", { after: [first] }, () => "never here");
    });
    const storage = testStorage();
    const engine = await startedEngine({ pipelines: [work], storage });
    engines.push(engine);
    const run = await engine.trigger(work);
    await expect(run.result()).rejects.toMatchObject({ code: "ENGINE_STOPPED" });
    await stops[0];
    const next = await startedEngine({ pipelines: [work], storage });
    const statuses = async () =>
      (await next.runs.tasks(run.id)).items.map(({ status, attempts }) => [status, attempts]);
    await expect.poll(statuses).toEqual([
      ["succeeded", 1],
      ["succeeded", 1],
    ]);
  });

  it("F56 awaited inside a task ends all the same", async () => {
    const engines: Engine[] = [];
    const clock = new ManualClock();
    const work = pipeline("work", (p) => void p.task("stops", () => engines[0]!.stop({ grace: "1s" })));
    const engine = await startedEngine({ pipelines: [work], clock, abortGrace: "2s" });
    engines.push(engine);
    await engine.trigger(work);
    await clock.advance(3_100);
    await engine.stop();
    expect(clock.workTimers).toBe(0);
  });

  it("refuses what comes after it with ENGINE_STOPPED", async () => {
    const engine = await startedEngine({ pipelines: [quick] });
    const run = await engine.trigger(quick);
    await run.result();
    await engine.stop();
    const stopped = { code: "ENGINE_STOPPED" };
    await expect(engine.start()).rejects.toMatchObject(stopped);
    await expect(engine.trigger(quick)).rejects.toMatchObject(stopped);
    await expect(engine.run(quick)).rejects.toMatchObject(stopped);
    await expect(engine.runs.list()).rejects.toMatchObject(stopped);
    await expect(run.status()).rejects.toMatchObject(stopped);
    await expect(run.result()).rejects.toMatchObject(stopped);
  });

  it("lets running attempts end within the grace, and starts nothing more", async () => {
    const { work, end, meter } = waiting();
    const engine = await startedEngine({ pipelines: [work], concurrency: 1 });
    const [running, queued] = [await engine.trigger(work), await engine.trigger(work)];
    const results = [running.result(), queued.result()].map((result) => result.catch((error: unknown) => error));
    await settled();
    const stopping = engine.stop();
    await settled();
    end.open("ended");
    await stopping;
    expect(await results[1]).toMatchObject({ code: "ENGINE_STOPPED" });
    expect(meter.total).toBe(1);
    expect(await results[0]).toEqual({ value: "ended at attempt 1" });
  });

  it("aborts after the grace with ENGINE_STOPPED, and a second engine goes on: numbers continue, no budget is spent", async () => {
    const storage = testStorage();
    const reasons: unknown[] = [];
    const calls: string[] = [];
    let isSecond = false;
    const work = pipeline("work", (p) => {
      const done = p.task("done", () => {
        calls.push("done");
        return "kept";
      });
      const long = p.task("long", { needs: { done }, retry: { attempts: 2, delay: 0 } }, async (context) => {
        const { attempt, signal, input } = context;
        calls.push(`long ${attempt}`);
        if (attempt === 2) throw new Error("fails once");
        if (isSecond) return `${input.done} ${attempt}`;
        try {
          return await aborted(signal);
        } catch (reason) {
          reasons.push(reason);
          throw reason;
        }
      });
      return { long };
    });
    const first = await startedEngine({ pipelines: [work], storage });
    const run = await first.trigger(work);
    await settled();
    await first.stop({ grace: 0 });
    expect(reasons).toMatchObject([{ code: "ENGINE_STOPPED" }]);
    isSecond = true;

    const second = await startedEngine({ pipelines: [work], storage });
    await expect.poll(async () => (await second.runs.get(run.id)).status).toBe("succeeded");
    expect(calls).toEqual(["done", "long 1", "long 2", "long 3"]);
    const attempts = (await second.runs.attempts(run.id)).items;
    expect(attempts.map(({ task, attempt, status, engineId }) => [task, attempt, status, engineId])).toEqual([
      ["done", 1, "succeeded", first.id],
      ["long", 1, "cancelled", first.id],
      ["long", 2, "failed", second.id],
      ["long", 3, "succeeded", second.id],
    ]);
    const tasks = (await second.runs.tasks(run.id)).items;
    expect(tasks[1]).toMatchObject({ task: "long", output: "kept 3", attempts: 3 });
  });

  it("F109 F35 keeps the deadlines of tasks and runs across engines", async () => {
    const storage = testStorage();
    const clock = new ManualClock();
    const work = pipeline("work", { timeout: "100s" }, (p) => {
      p.task("long", { timeout: { total: "30s" }, allowFailure: true }, ({ signal }) => aborted(signal));
      p.task("longer", ({ signal }) => aborted(signal));
    });
    const first = await startedEngine({ pipelines: [work], storage, clock });
    const run = await first.trigger(work);
    await clock.advance(20_000);
    await stopNow(first, clock);
    const second = await startedEngine({ pipelines: [work], storage, clock });
    const startedAt = (await second.runs.get(run.id)).startedAt!;
    const longOf = async () => (await second.runs.tasks(run.id, { task: "long" })).items[0]!;
    await clock.advance(startedAt + 29_999 - clock.now());
    expect((await longOf()).status).toBe("running");
    await clock.advance(1);
    expect(await longOf()).toMatchObject({ status: "failed", error: { code: "TASK_TIMEOUT" } });
    await clock.advance(startedAt + 99_999 - clock.now());
    expect((await second.runs.get(run.id)).status).toBe("running");
    await clock.advance(1);
    expect(await second.runs.get(run.id)).toMatchObject({
      status: "failed",
      error: { code: "RUN_TIMEOUT" },
      finishedAt: startedAt + 100_000,
    });
  });

  it("keeps the moment of a next attempt across engines", async () => {
    const storage = testStorage();
    const clock = new ManualClock();
    const times: number[] = [];
    const work = pipeline("work", (p) => {
      p.task("fails", { retry: { attempts: 2, delay: "60s", backoff: "fixed" } }, ({ attempt }) => {
        times.push(clock.now());
        if (attempt === 1) throw new Error("once");
      });
    });
    const first = await startedEngine({ pipelines: [work], storage, clock });
    const run = await first.trigger(work);
    await clock.advance(10_000);
    await stopNow(first, clock);
    const second = await startedEngine({ pipelines: [work], storage, clock });
    await clock.advance(100_000);
    expect(times[1]! - times[0]!).toBe(60_000);
    expect((await second.runs.get(run.id)).status).toBe("succeeded");
  });

  it("goes on with a half-done map: each item runs once, and items in flight again", async () => {
    const storage = testStorage();
    const clock = new ManualClock();
    const ran: string[] = [];
    const fan = pipeline("fan", (p) => {
      const list = p.task("list", () => ["a", "b", "c", "d"]);
      const each = p.map("each", { over: list, concurrency: 1, timeout: { total: "5s" } }, async (context) => {
        const { item, attempt, signal } = context;
        ran.push(`${item}${attempt}`);
        await new Promise<void>((resolve, reject) => {
          const clear = clock.timer(clock.now() + 3_000, resolve);
          signal.addEventListener("abort", () => {
            clear();
            reject(signal.reason as Error);
          });
        });
        return item.toUpperCase();
      });
      return { each };
    });
    const first = await startedEngine({ pipelines: [fan], storage, clock });
    const run = await first.trigger(fan);
    await clock.advance(4_000);
    await stopNow(first, clock);
    const second = await startedEngine({ pipelines: [fan], storage, clock });
    await clock.advance(20_000);
    expect(ran).toEqual(["a1", "b1", "b2", "c1", "d1"]);
    const tasks = (await second.runs.tasks(run.id, { task: "each" })).items;
    expect(tasks.map(({ status }) => status)).toEqual([
      "succeeded",
      "succeeded",
      "succeeded",
      "succeeded",
      "succeeded",
    ]);
    expect((await second.runs.get(run.id)).status).toBe("succeeded");
  });

  it("leaves runs of a definition that the next engine does not have", async () => {
    const storage = testStorage();
    const { work } = waiting();
    const first = testEngine({ pipelines: [work], storage });
    const run = await first.trigger(work);
    await first.stop();
    const second = await startedEngine({ pipelines: [quick], storage });
    expect(await second.run(quick)).toEqual({ value: 42 });
    expect((await second.runs.get(run.id)).status).toBe("queued");
  });

  it("leaves nothing behind when a trigger comes at the same moment", async () => {
    const clock = new ManualClock();
    const storage = testStorage();
    const engine = await startedEngine({ pipelines: [quick], storage, clock });
    const triggers = Array.from({ length: 3 }, () => engine.trigger(quick).catch((error: unknown) => error));
    const stopping = engine.stop({ grace: 0 });
    triggers.push(engine.trigger(quick).catch((error: unknown) => error));
    await clock.advance(10_000);
    await stopping;
    await clock.advance(60_000);
    expect(clock.workTimers).toBe(0);
    const outcomes = await Promise.all(triggers);
    const runs = outcomes.filter((outcome) => !(outcome instanceof Error)) as { id: string }[];
    const next = await startedEngine({ pipelines: [quick], storage, clock });
    await clock.advance(1_000);
    // Whoever got a handle has a run, and it is not stuck.
    for (const { id } of runs) expect((await next.runs.get(id)).status).toBe("succeeded");
    const { items } = await next.runs.list();
    expect(items.every(({ status }) => status === "succeeded")).toBe(true);
  });

  it("ends although storage fails on the way", async () => {
    const faulty = new FaultyStorage();
    const log = new RecordingLogger();
    const { work } = waiting();
    const engine = testEngine({ pipelines: [work], storage: faulty.storage, log });
    await engine.start();
    const run = await engine.trigger(work);
    const result = run.result().catch((error: unknown) => error);
    await settled();
    faulty.on("releaseLease", failsBefore);
    faulty.on("close", failsBefore);
    await engine.stop({ grace: 0 });
    expect(await result).toMatchObject({ code: "ENGINE_STOPPED" });
    expect(log.complaints.length).toBeGreaterThanOrEqual(2);
  });

  it("refuses a grace that is no duration", async () => {
    const engine = testEngine({ pipelines: [quick] });
    const grace = "soon" as "1s";
    await expect((async () => engine.stop({ grace }))()).rejects.toMatchObject({ code: "DURATION_INVALID" });
  });

  onlyOn("memory", "elsewhere it looks for what others did")(
    "F205 an idle engine has no timers, and a stopped one has none either",
    async () => {
      const clock = new ManualClock();
      const engine = await startedEngine({ pipelines: [quick], clock });
      expect(clock.pendingTimers).toBe(0);
      for (let count = 0; count < 20; count++) await engine.run(quick);
      await settled();
      expect(clock.pendingTimers).toBe(0);
      const { work } = waiting();
      const other = await startedEngine({ pipelines: [work], clock: new ManualClock() });
      await other.trigger(work);
      await settled();
    },
  );

  it("F135 an idle engine asks storage nothing", async () => {
    const faulty = new FaultyStorage();
    const clock = new ManualClock();
    let calls = 0;
    for (const method of ["claimRuns", "receive", "look", "renewLease", "commit", "getRun", "schedules"] as const) {
      faulty.watch(method, () => calls++);
    }
    const engine = await startedEngine({ pipelines: [quick], storage: faulty.storage, clock });
    await engine.run(quick);
    await settled();
    const before = calls;
    await clock.advance(3_600_000);
    expect(calls).toBe(before);
  });

  it("releases the handle's waiters and iterators without an unhandled rejection", async () => {
    const rejections: unknown[] = [];
    const onRejection = (reason: unknown) => void rejections.push(reason);
    const { work } = waiting();
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    const unread = run.events();
    const read = run.events();
    const reading = (async () => {
      for await (const _ of read);
    })();
    await settled();
    process.on("unhandledRejection", onRejection);
    await engine.stop({ grace: 0 });
    await settled();
    process.off("unhandledRejection", onRejection);
    expect(rejections).toEqual([]);
    await reading;
    expect(await unread.next()).toMatchObject({ done: true });
  });
});

describe("F204 two engines in one process", () => {
  it("have their own storage, pipelines and events", async () => {
    const heard: string[] = [];
    const [a, b] = [await startedEngine({ pipelines: [quick] }), await startedEngine({ pipelines: [quick] })];
    expect(a.id).not.toBe(b.id);
    b.on("run:finished", ({ runId }) => heard.push(runId));
    await a.run(quick);
    expect((await b.runs.list()).items).toEqual([]);
    await a.stop();
    expect(await b.run(quick)).toEqual({ value: 42 });
    expect(heard).toHaveLength(1);
  });

  it("share a storage: each run is done once, and either may wait for it", async () => {
    const storage = testStorage();
    const ran: string[] = [];
    const work = pipeline("work", (p) => ({ id: p.task("id", ({ run }) => noted(ran, run.id, run.id)) }));
    const a = await startedEngine({ pipelines: [work], storage });
    const b = await startedEngine({ pipelines: [work], storage: FaultyStorage.sharing(storage) });
    const runs = await Promise.all(
      Array.from({ length: 40 }, (_, n) => (n % 2 ? a : b).trigger(work, {}, { key: `${n}` })),
    );
    const again = await Promise.all(
      Array.from({ length: 40 }, (_, n) => (n % 2 ? b : a).trigger(work, {}, { key: `${n}` })),
    );
    expect(again.map(({ id }) => id)).toEqual(runs.map(({ id }) => id));
    const results = await Promise.all(again.map((run) => run.result()));
    expect(results.map(({ id }) => id)).toEqual(runs.map(({ id }) => id));
    expect(ran.toSorted()).toEqual(runs.map(({ id }) => id).toSorted());
  });

  it("cancels a run that the other engine has", async () => {
    const storage = testStorage();
    const { work } = waiting();
    const a = await startedEngine({ pipelines: [work], storage });
    const b = await startedEngine({ pipelines: [work], storage: FaultyStorage.sharing(storage) });
    const run = await a.trigger(work);
    await settled();
    expect(await b.runs.cancel(run.id)).toBe(true);
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_CANCELLED" });
  });
});

describe("trigger()", () => {
  const typed = pipeline("typed", { params: v.object({ day: v.string(), count: v.optional(v.number(), 3) }) }, (p) => ({
    params: p.task("params", ({ params }) => params),
  }));

  it("F209 refuses an unregistered pipeline before any row is written", async () => {
    const engine = await startedEngine({ pipelines: [quick] });
    await expect(engine.trigger(typed, { day: "x" })).rejects.toMatchObject({ code: "PIPELINE_UNKNOWN" });
    await expect(engine.trigger(undefined as never)).rejects.toMatchObject({ code: "PIPELINE_UNKNOWN" });
    const other = pipeline("quick", (p) => void p.task("another", () => 1));
    await expect(engine.trigger(other)).rejects.toThrow("another version");
    expect((await engine.runs.list()).items).toEqual([]);
  });

  it.each<[string, unknown]>([
    ["missing params", undefined],
    ["a missing field", {}],
    ["a wrong type", { day: 5 }],
    ["no object", "day"],
  ])("F209 refuses %s before any row is written", async (_what, params) => {
    const engine = await startedEngine({ pipelines: [typed] });
    await expect(engine.trigger(typed, params as never)).rejects.toMatchObject({ code: "PARAMS_INVALID" });
    expect((await engine.runs.list()).items).toEqual([]);
  });

  it("F209 refuses params where there are none", async () => {
    const engine = await startedEngine({ pipelines: [quick] });
    await expect(engine.trigger(quick, { day: 1 } as never)).rejects.toMatchObject({ code: "PARAMS_INVALID" });
    expect((await engine.runs.list()).items).toEqual([]);
  });

  it("passes what the schema made of the params", async () => {
    const engine = await startedEngine({ pipelines: [typed] });
    expect(await engine.run(typed, { day: "monday" })).toEqual({ params: { day: "monday", count: 3 } });
  });

  it("F209 refuses params that the schema accepts and storage cannot keep", async () => {
    const any = pipeline("any", { params: v.object({ value: v.any() }) }, (p) => void p.task("only", () => 1));
    const engine = await startedEngine({ pipelines: [any], limits: { maxValueBytes: 100 } });
    await expect(engine.trigger(any, { value: () => 1 })).rejects.toMatchObject({ code: "PARAMS_NOT_SERIALIZABLE" });
    await expect(engine.trigger(any, { value: "x".repeat(200) })).rejects.toMatchObject({ code: "PARAMS_TOO_LARGE" });
    expect((await engine.runs.list()).items).toEqual([]);
  });

  it("F211 refuses a transaction that storage cannot join, before anything is written", async () => {
    const engine = testEngine({ pipelines: [quick], storage: memoryStorage() });
    const tx = { query: async () => ({ rows: [] }) };
    await expect(engine.trigger(quick, {}, { tx })).rejects.toMatchObject({ code: "TRANSACTION_INVALID" });
    expect((await engine.runs.list()).items).toEqual([]);
  });

  it("F211 hands a transaction on to storage, and leaves the run to whoever claims it after the commit", async () => {
    const faulty = new FaultyStorage(memoryStorage());
    const storage = new Proxy(faulty.storage, {
      get: (target, name) =>
        name === "supports" ? { ...target.supports, hostTransactions: true } : Reflect.get(target, name),
    });
    const calls: unknown[] = [];
    faulty.on("createRuns", async (proceed, runs, options) => {
      calls.push([runs.map(({ owner }) => owner), options?.tx]);
      return proceed();
    });
    const engine = await startedEngine({ pipelines: [quick], storage });
    const tx = { query: async () => ({ rows: [] }) };
    const run = await engine.trigger(quick, {}, { tx });
    expect(calls).toEqual([[[undefined], tx]]);
    expect(await run.result()).toEqual({ value: 42 });
  });

  it("passes on what storage says, and the next one works", async () => {
    const faulty = new FaultyStorage();
    const engine = await startedEngine({ pipelines: [quick], storage: faulty.storage });
    faulty.once("createRuns", async () => {
      throw new WeftlineError("SCHEMA_MISSING", "there are no tables.");
    });
    await expect(engine.trigger(quick)).rejects.toMatchObject({ code: "SCHEMA_MISSING" });
    expect(await engine.run(quick)).toEqual({ value: 42 });
  });

  it("asks once more when storage failed before doing anything, or its answer was lost", async () => {
    const faulty = new FaultyStorage();
    const engine = await startedEngine({ pipelines: [quick], storage: faulty.storage });
    for (const fault of [failsBefore, losesReply]) {
      faulty.once("createRuns", fault);
      const run = await engine.trigger(quick);
      expect(await run.result()).toEqual({ value: 42 });
    }
    expect((await engine.runs.list()).items).toHaveLength(2);
  });

  it("leaves a run to the engine that has claimed it while its own answer was lost", async () => {
    let ran = 0;
    const shared = testStorage();
    const faulty = new FaultyStorage(shared);
    // Limited in number, so that it is anybody's.
    const finish = gate<void>();
    const work = pipeline("work", { maxActiveRuns: 1 }, (p) => {
      const value = p.task("value", async () => {
        ran++;
        await finish.passed;
        return ran;
      });
      return { value };
    });
    const engine = await startedEngine({ pipelines: [work], storage: faulty.storage });
    await startedEngine({ pipelines: [work], storage: FaultyStorage.sharing(shared) });
    faulty.on("claimRuns", async () => []);
    faulty.once("createRuns", losesReply);
    const run = await engine.trigger(work);
    await settled();
    finish.open();
    expect(await run.result()).toEqual({ value: 1 });
  });

  it("leaves no run without anybody who knows of it when every answer is lost", async () => {
    const faulty = new FaultyStorage();
    const clock = new ManualClock();
    const engine = await startedEngine({ pipelines: [quick], storage: faulty.storage, clock });
    const off = faulty.on("createRuns", losesReply);
    const triggered = engine.trigger(quick).catch((error: Error) => error.message);
    await clock.advance(5_000);
    expect(await triggered).toBe("connection reset");
    off();
    await clock.advance(2_000);
    expect((await engine.runs.list()).items).toMatchObject([{ status: "succeeded" }]);
  });
});

describe("events", () => {
  const eventful = pipeline("eventful", (p) => {
    const list = p.task("list", () => [1, 2]);
    p.map("each", { over: list, concurrency: 1 }, ({ item, progress, log }) => {
      progress(item / 2, "half");
      log.warn(`item ${item}`);
      return item;
    });
    p.task("fails", { retry: { attempts: 2, delay: "1s" }, allowFailure: true }, () => {
      throw new Error("always");
    });
    p.task("skips", { when: () => false }, () => 1);
  });

  it("come in the order of what happened, with all their parts", async () => {
    const clock = new ManualClock();
    const engine = await startedEngine({ pipelines: [eventful], clock });
    const heard: string[] = [];
    const failed: EngineEvents["task:failed"][] = [];
    const nameOf = (event: { task: string; index: readonly number[] }) => [event.task, ...event.index].join("/");
    engine.on("run:started", ({ resumed }) => heard.push(`run started ${resumed}`));
    engine.on("task:started", (event) => heard.push(`${nameOf(event)} started ${event.attempt} on ${event.executor}`));
    engine.on("task:retrying", (event) => heard.push(`${nameOf(event)} retrying ${event.error.message}`));
    engine.on("task:expanded", (event) => heard.push(`${nameOf(event)} expanded ${event.items}`));
    engine.on("task:progress", (event) => heard.push(`${nameOf(event)} progress ${event.fraction} ${event.message}`));
    engine.on("task:log", (event) => heard.push(`${nameOf(event)} ${event.level} ${event.message}`));
    engine.on("task:finished", (event) => heard.push(`${nameOf(event)} ${event.status} ${event.reason ?? ""}`.trim()));
    engine.on("task:failed", (event) => failed.push(event));
    engine.on("run:finished", ({ status, error }) => heard.push(`run ${status} ${error?.message ?? ""}`.trim()));
    const run = await engine.trigger(eventful);
    await finishing(clock, run.result());
    const of = (task: string) => heard.filter((line) => line.startsWith(task));
    expect(of("run")).toEqual(["run started false", "run succeeded"]);
    expect(heard[0]).toBe("run started false");
    expect(heard.at(-1)).toBe("run succeeded");
    expect(of("list")).toEqual(["list started 1 on default", "list succeeded"]);
    expect(of("fails")).toEqual([
      "fails started 1 on default",
      "fails retrying always",
      "fails started 2 on default",
      "fails failed",
    ]);
    expect(of("skips")).toEqual(["skips started 1 on default", "skips skipped its condition (when) did not hold"]);
    expect(of("each")[0]).toBe("each expanded 2");
    expect(of("each/0")).toEqual([
      "each/0 started 1 on default",
      "each/0 progress 0.5 half",
      "each/0 warn item 1",
      "each/0 succeeded",
    ]);
    expect(of("each").at(-1)).toBe("each succeeded");
    expect(failed).toMatchObject([
      { runId: run.id, pipeline: "eventful", task: "fails", index: [], attempt: 2, error: { message: "always" } },
    ]);
  });

  it("of one run end with it, and start from the call", async () => {
    const { work, end } = waiting();
    const engine = await startedEngine({ pipelines: [work] });
    const [run, other] = [await engine.trigger(work), await engine.trigger(work)];
    const events = run.events();
    await settled();
    end.open("go");
    await Promise.all([run.result(), other.result()]);
    await settled();
    const names: string[] = [];
    for await (const { name, runId } of events) {
      expect(runId).toBe(run.id);
      names.push(name);
    }
    expect(names.slice(-2)).toEqual(["task:finished", "run:finished"]);
  });

  it("stop for a listener that was taken off", async () => {
    const engine = await startedEngine({ pipelines: [quick] });
    let count = 0;
    const listener = () => void count++;
    const off = engine.on("run:finished", listener);
    await engine.run(quick);
    off();
    engine.on("run:finished", listener);
    engine.off("run:finished", listener);
    await engine.run(quick);
    expect(count).toBe(1);
  });

  it("F216 a listener or logger that throws, now or later, changes nothing for others", async () => {
    const complaints: string[] = [];
    const fail = (): never => {
      throw new Error("logger is broken");
    };
    const failLater = (() => Promise.reject(new Error("logger is broken later"))) as () => void;
    const logger: Logger = {
      debug: fail,
      info: failLater,
      warn: failLater,
      error: (_details, message) => {
        complaints.push(message);
        return complaints.length % 2 ? fail() : failLater();
      },
    };
    const clock = new ManualClock();
    const engine = await startedEngine({ pipelines: [eventful], log: logger, clock });
    const heard: string[] = [];
    for (const name of [
      "run:started",
      "task:started",
      "task:finished",
      "task:failed",
      "task:log",
      "run:finished",
    ] as const) {
      engine.on(name, () => {
        throw new Error("listener is broken");
      });
      engine.on(name, (() => Promise.reject(new Error("listener is broken later"))) as () => void);
      engine.on(name, () => void heard.push(name));
    }
    const run = await engine.trigger(eventful);
    await finishing(clock, run.result());
    await settled();
    expect(await run.status()).toBe("succeeded");
    expect(heard.filter((name) => name === "run:finished")).toHaveLength(1);
    expect(heard.filter((name) => name === "task:finished")).toHaveLength(6);
    expect(new Set(complaints)).toEqual(new Set(["a listener threw; the run goes on"]));
    expect(complaints.length).toBe(2 * heard.length);
  });
});

describe("concurrency", () => {
  const metered = (id: string, meter: Meter, options: { concurrency?: number } = {}, task: object = {}) =>
    pipeline(id, options, (p) => {
      p.map("each", { over: Array.from({ length: 30 }, (_, n) => n), ...task }, () => meter.during(() => settled(1)));
    });

  it.each([1, 2, 7])("bounds an engine to %i attempts at once", async (concurrency) => {
    const meter = new Meter();
    const [a, b] = [metered("a", meter), metered("b", meter)];
    const engine = await startedEngine({ pipelines: [a, b], concurrency });
    await Promise.all([engine.run(a), engine.run(b), engine.run(a)]);
    expect(meter).toMatchObject({ max: concurrency, total: 90, now: 0 });
  });

  it("F149 runs 64 at once by default", async () => {
    const meter = new Meter();
    const wide = pipeline("wide", (p) => {
      p.map("each", { over: Array.from({ length: 200 }, (_, n) => n) }, () => meter.during(() => settled(1)));
    });
    await (await startedEngine({ pipelines: [wide] })).run(wide);
    expect(meter).toMatchObject({ max: 64, total: 200 });
  });

  it("bounds a pipeline over all its runs, and not the others", async () => {
    const [narrow, free] = [new Meter(), new Meter()];
    const [a, b] = [metered("a", narrow, { concurrency: 3 }), metered("b", free)];
    const engine = await startedEngine({ pipelines: [a, b], concurrency: 20 });
    await Promise.all([engine.run(a), engine.run(a), engine.run(b)]);
    expect(narrow).toMatchObject({ max: 3, total: 60 });
    expect(free.max).toBeGreaterThan(10);
  });

  it("bounds a task over all runs", async () => {
    const meter = new Meter();
    const work = pipeline("work", (p) => {
      p.task("limited", { concurrency: 2 }, () => meter.during(() => settled(1)));
      p.task("free", () => 1);
    });
    const engine = await startedEngine({ pipelines: [work] });
    await Promise.all(Array.from({ length: 25 }, () => engine.run(work)));
    expect(meter).toMatchObject({ max: 2, total: 25 });
  });

  it("bounds a map in each run for itself", async () => {
    const meter = new Meter();
    const fan = metered("fan", meter, {}, { concurrency: 4 });
    const engine = await startedEngine({ pipelines: [fan] });
    await Promise.all([engine.run(fan), engine.run(fan), engine.run(fan)]);
    expect(meter).toMatchObject({ max: 12, total: 90 });
  });

  it("bounds an executor to its slots, shared by the names it has", async () => {
    const meter = new Meter();
    const inner = inProcess();
    const two: Executor = {
      supports: inner.supports,
      slots: 2,
      start: (host) => inner.start(host),
      execute: (job, port) => inner.execute(job, port),
      stop: (options) => inner.stop(options),
    };
    const work = pipeline("work", (p) => {
      for (let n = 0; n < 10; n++) p.task(`a${n}`, { executor: "one" }, () => meter.during(() => settled(1)));
      for (let n = 0; n < 10; n++) p.task(`b${n}`, { executor: "other" }, () => meter.during(() => settled(1)));
    });
    const engine = await startedEngine({ pipelines: [work], executors: { one: two, other: two } });
    await engine.run(work);
    expect(meter).toMatchObject({ max: 2, total: 20 });
  });

  it("gives the place of a task that threw or was cancelled back", async () => {
    const meter = new Meter();
    const mixed = pipeline("mixed", (p) => {
      p.map("each", { over: [0, 1, 2, 3, 4, 5], concurrency: 1 }, ({ item }) =>
        meter.during(async () => {
          await settled(1);
          if (item % 2) throw new Error("odd");
        }),
      );
    });
    const engine = await startedEngine({ pipelines: [mixed], concurrency: 1 });
    await engine.run(mixed).catch(() => undefined);
    const cancelled = await engine.trigger(mixed);
    await settled(1);
    await cancelled.cancel();
    await cancelled.result().catch(() => undefined);
    await engine.run(mixed).catch(() => undefined);
    expect(meter).toMatchObject({ max: 1, now: 0 });
    expect(meter.total).toBeGreaterThanOrEqual(13);
  });

  it("F155 a small run beside a huge one gets its turn", async () => {
    let done = 0;
    const huge = pipeline("huge", (p) => {
      p.map("each", { over: Array.from({ length: 3_000 }, (_, n) => n) }, async () => {
        await settled(1);
        done++;
      });
    });
    const engine = await startedEngine({ pipelines: [huge, quick], concurrency: 4 });
    const large = await engine.trigger(huge);
    await settled();
    const doneBefore = done;
    expect(await engine.run(quick)).toEqual({ value: 42 });
    expect(done - doneBefore).toBeLessThan(60);
    closeAfterTest(async () => {
      await large.result();
      expect(done).toBe(3_000);
    });
  });

  it("lets the host breathe while thousands of short tasks run", async () => {
    const wide = pipeline("wide", (p) => {
      p.map("each", { over: Array.from({ length: 100_000 }, (_, n) => n) }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [wide] });
    let turns = 0;
    let longest = 0;
    let last = performance.now();
    let isOver = false;
    const beat = () => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      turns++;
      if (!isOver) setImmediate(beat);
    };
    setImmediate(beat);
    await engine.run(wide);
    isOver = true;
    expect(turns).toBeGreaterThan(5);
    expect(longest).toBeLessThan(500);
  });
});

describe("F141 the host's asynchronous context", () => {
  it("does not reach tasks, whoever's call or end started them", async () => {
    const { AsyncLocalStorage } = await import("node:async_hooks");
    const request = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const work = pipeline("work", (p) => {
      const first = p.task("first", async () => {
        seen.push(request.getStore());
        await settled(1);
        await request.run("inside a task", () => settled(1));
      });
      p.task("second", { after: [first] }, () => void seen.push(request.getStore()));
    });
    const engine = await startedEngine({ pipelines: [work], concurrency: 1 });
    const runs = await Promise.all(["request 1", "request 2"].map((id) => request.run(id, () => engine.trigger(work))));
    await Promise.all(runs.map((run) => run.result()));
    expect(seen).toEqual([undefined, undefined, undefined, undefined]);
  });

  it("that one task enters does not reach the next one", async () => {
    const { AsyncLocalStorage } = await import("node:async_hooks");
    const tenant = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const work = pipeline("work", (p) => {
      const first = p.task("first", () => tenant.enterWith("of the first task"));
      p.task("second", { after: [first] }, () => void seen.push(tenant.getStore()));
    });
    const engine = await startedEngine({ pipelines: [work] });
    await engine.run(work);
    expect([...seen, tenant.getStore()]).toEqual([undefined, undefined]);
  });
});

describe("F121 the host's process", () => {
  it("keeps its own handlers: the engine installs none", async () => {
    const before = process.eventNames().map((name) => [name, process.listenerCount(name)]);
    const engine = await startedEngine({ pipelines: [quick] });
    await engine.run(quick);
    expect(process.eventNames().map((name) => [name, process.listenerCount(name)])).toEqual(before);
  });
});
