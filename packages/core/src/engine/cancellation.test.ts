import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { WeftlineError } from "../errors.js";
import { RecordingLogger, startedEngine, testEngine } from "../test-support/engines.js";
import { FaultyStorage } from "../test-support/faulty-storage.js";
import { aborted, gate, Meter } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";
import type { Engine } from "./engine.js";

leavesNothingBehind();

const statusesOf = async (engine: Engine, runId: string) =>
  Object.fromEntries(
    (await engine.runs.tasks(runId)).items.map(({ task, index, status }) => [[task, ...index].join("/"), status]),
  );

const attemptsOf = async (engine: Engine, runId: string) =>
  (await engine.runs.attempts(runId)).items.map(({ task, attempt, status }) => `${task} ${attempt} ${status}`);

describe("cancelling a run", () => {
  it("reaches the code as one AbortSignal with the reason, and what waits never starts", async () => {
    const reasons: unknown[] = [];
    const started: string[] = [];
    const work = pipeline("work", (p) => {
      const waits = p.task("waits", async ({ signal }) => {
        started.push("waits");
        signal.addEventListener("abort", () => reasons.push(signal.reason));
        await aborted(signal);
      });
      p.task("next", { after: [waits] }, () => void started.push("next"));
      p.task("always", { after: [waits], triggerRule: "always" }, () => void started.push("always"));
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    expect(await run.cancel({ reason: "no longer needed" })).toBe(true);

    const error: unknown = await run.result().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: "RunCancelledError", code: "RUN_CANCELLED", runId: run.id });
    expect((error as Error).message).toContain("no longer needed");
    expect(reasons).toEqual([expect.any(WeftlineError)]);
    expect(reasons).toMatchObject([{ code: "RUN_CANCELLED" }]);
    expect(await run.status()).toBe("cancelled");
    // "always" starts at once; it is the rule that does not wait for its upstream.
    expect(started).not.toContain("next");
    expect(await statusesOf(engine, run.id)).toMatchObject({ waits: "cancelled", next: "cancelled" });
    expect(await attemptsOf(engine, run.id)).toContain("waits 1 cancelled");
  });

  it("ends a task that waits for its next attempt, without another one", async () => {
    const clock = new ManualClock();
    let attempts = 0;
    const work = pipeline("work", (p) => {
      p.task("fails", { retry: { attempts: 5, delay: "1h", backoff: "fixed" } }, () => {
        attempts++;
        throw new Error("down");
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await settled();
    expect(await statusesOf(engine, run.id)).toEqual({ fails: "retrying" });
    expect(await run.cancel()).toBe(true);
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_CANCELLED" });
    expect(clock.workTimers).toBe(0);
    expect(attempts).toBe(1);
    const [record] = (await engine.runs.tasks(run.id)).items;
    expect(record).toMatchObject({ status: "cancelled", retryAt: undefined });
  });

  it("twice is fine, and says that there was nothing left", async () => {
    const work = pipeline("work", (p) => void p.task("waits", ({ signal }) => aborted(signal)));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    const answers = await Promise.all([run.cancel(), run.cancel()]);
    expect(answers).toContain(true);
    await run.result().catch(() => undefined);
    expect(await run.cancel()).toBe(false);
    expect((await engine.runs.attempts(run.id)).items).toHaveLength(1);
  });

  it("F132 cancelled before its start: nothing starts", async () => {
    const storage = testStorage();
    const ran: string[] = [];
    const work = pipeline("work", (p) => void p.task("only", () => void ran.push("only")));
    const engine = testEngine({ pipelines: [work], storage });
    const run = await engine.trigger(work);
    expect(await run.cancel()).toBe(true);
    await engine.start();
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_CANCELLED" });
    expect(ran).toEqual([]);
    expect(await statusesOf(engine, run.id)).toEqual({ only: "cancelled" });
    expect((await engine.runs.attempts(run.id)).items).toEqual([]);
  });

  it("F132 cancelled between its claim and its start: nothing starts", async () => {
    const faulty = new FaultyStorage();
    const ran: string[] = [];
    const work = pipeline("work", (p) => void p.task("only", () => void ran.push("only")));
    const engine = testEngine({ pipelines: [work], storage: faulty.storage });
    const run = await engine.trigger(work);
    const cancelled = gate();
    faulty.once("receive", async (proceed) => {
      await cancelled.passed;
      return proceed();
    });
    const starting = engine.start();
    await settled();
    await run.cancel();
    cancelled.open();
    await starting;
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_CANCELLED" });
    expect(ran).toEqual([]);
  });

  it("F132 cancelled after its end: no effect", async () => {
    const work = pipeline("work", (p) => ({ value: p.task("value", () => 7) }));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    expect(await run.result()).toEqual({ value: 7 });
    expect(await run.cancel()).toBe(false);
    expect(await run.status()).toBe("succeeded");
    expect(await run.result()).toEqual({ value: 7 });
  });

  it("reaches a run that is to start later", async () => {
    const clock = new ManualClock();
    const ran: string[] = [];
    const work = pipeline("work", (p) => void p.task("only", () => void ran.push("only")));
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work, {}, { at: clock.now() + 3_600_000 });
    await settled();
    expect(await run.cancel()).toBe(true);
    await settled();
    expect(await run.status()).toBe("cancelled");
    await clock.advance(7_200_000);
    expect(ran).toEqual([]);
  });

  it("cancels the items of a map, waiting and running ones", async () => {
    const meter = new Meter();
    const fan = pipeline("fan", (p) => {
      p.map("each", { over: [1, 2, 3, 4, 5], concurrency: 2 }, ({ item, signal }) =>
        meter.during(async () => (item === 1 ? item : aborted(signal))),
      );
    });
    const engine = await startedEngine({ pipelines: [fan] });
    const run = await engine.trigger(fan);
    await settled();
    await run.cancel();
    await run.result().catch(() => undefined);
    expect(await statusesOf(engine, run.id)).toEqual({
      each: "cancelled",
      "each/0": "succeeded",
      "each/1": "cancelled",
      "each/2": "cancelled",
      "each/3": "cancelled",
      "each/4": "cancelled",
    });
    expect(meter.total).toBe(3);
  });

  it("F213 from inside a task of its own neither blocks nor is lost", async () => {
    const handles: { cancel(): Promise<boolean> }[] = [];
    const work = pipeline("work", (p) => {
      const cancels = p.task("cancels", async ({ signal }) => {
        await settled();
        expect(await handles[0]!.cancel()).toBe(true);
        expect(signal.aborted).toBe(true);
        return "too late";
      });
      p.task("next", { after: [cancels] }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    handles.push(run);
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_CANCELLED" });
    expect(await statusesOf(engine, run.id)).toEqual({ cancels: "cancelled", next: "cancelled" });
  });

  it("F213 a task that triggers its own run by the same key gets that run", async () => {
    const found: string[] = [];
    const engines: Engine[] = [];
    const work = pipeline("work", (p) => {
      p.task("again", async () => {
        const same = await engines[0]!.trigger(work, {}, { key: "the-key" });
        found.push(same.id, await same.status());
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    engines.push(engine);
    const run = await engine.trigger(work, {}, { key: "the-key" });
    await run.result();
    expect(found[0]).toBe(run.id);
    expect((await engine.runs.list()).items).toHaveLength(1);
  });
});

describe("cancelling one task", () => {
  it("ends that task alone; those that need it are upstream-failed and the others go on", async () => {
    const goOn = gate();
    const reasons: unknown[] = [];
    const work = pipeline("work", (p) => {
      const stuck = p.task("stuck", async ({ signal }) => {
        await aborted(signal).catch((reason: unknown) => reasons.push(reason));
        throw new Error("stopped");
      });
      const other = p.task("other", () => goOn.passed);
      p.task("after-stuck", { after: [stuck] }, () => 1);
      p.task("after-other", { after: [other] }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    expect(await run.cancel({ task: "stuck", reason: "hopeless" })).toBe(true);
    await settled();
    goOn.open();
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_FAILED" });
    expect(reasons).toMatchObject([{ code: "TASK_CANCELLED" }]);
    expect(await statusesOf(engine, run.id)).toEqual({
      stuck: "cancelled",
      other: "succeeded",
      "after-stuck": "upstream-failed",
      "after-other": "succeeded",
    });
    const stuck = (await engine.runs.tasks(run.id, { task: "stuck" })).items[0];
    expect(stuck?.reason).toContain("hopeless");
  });

  it("refuses a task or a run that does not exist", async () => {
    const work = pipeline("work", (p) => void p.task("waits", ({ signal }) => aborted(signal)));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await expect(run.cancel({ task: "other" })).rejects.toMatchObject({ code: "TASK_UNKNOWN" });
    await expect(engine.runs.cancel("nobody")).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
    await run.cancel();
    await run.result().catch(() => undefined);
  });
});

describe("code that does not stop", () => {
  const ignoring = (retry: { attempts: number; whileAbandoned?: boolean }) => {
    const ends = gate();
    const meter = new Meter();
    const work = pipeline("work", (p) => {
      p.task("deaf", { timeout: "10s", retry: { ...retry, delay: "1s", backoff: "fixed" } }, ({ attempt, log }) =>
        meter.during(async () => {
          if (attempt > 1) return "second";
          await ends.passed;
          log("said too late");
          return "late result";
        }),
      );
    });
    const others = pipeline("others", (p) => void p.task("short", () => 1));
    return { ends, meter, work, others };
  };

  it("F119 F106 is given up after its grace, keeps its slot until it ends, and is not retried", async () => {
    const clock = new ManualClock();
    const { ends, meter, work, others } = ignoring({ attempts: 3 });
    const engine = await startedEngine({ pipelines: [work, others], clock, abortGrace: "5s", concurrency: 1 });
    const run = await engine.trigger(work);
    const result = run.result().catch((error: unknown) => error);
    await clock.advance(14_999);
    expect(await run.status()).toBe("running");
    await clock.advance(1);
    expect(await result).toMatchObject({ code: "RUN_FAILED", failures: [{ error: { code: "TASK_TIMEOUT" } }] });
    expect(String(await result)).toContain("may still be running");
    expect(await attemptsOf(engine, run.id)).toEqual(["deaf 1 abandoned"]);

    const waiting = await engine.trigger(others);
    await clock.advance(60_000);
    expect(await waiting.status()).toBe("running");
    expect((await engine.runs.attempts(waiting.id)).items).toEqual([]);
    ends.open();
    await waiting.result();
    expect(meter).toMatchObject({ total: 1, now: 0 });
  });

  it("F119 is retried with whileAbandoned, at the price of running twice", async () => {
    const clock = new ManualClock();
    const { ends, meter, work } = ignoring({ attempts: 3, whileAbandoned: true });
    const engine = await startedEngine({ pipelines: [work], clock, abortGrace: "5s" });
    const run = await engine.trigger(work);
    await clock.advance(16_000);
    await run.result();
    expect(await attemptsOf(engine, run.id)).toEqual(["deaf 1 abandoned", "deaf 2 succeeded"]);
    expect(meter.max).toBe(2);
    ends.open();
    await settled();
  });

  it("F120 drops a late result, logs it, and never overwrites what came after", async () => {
    const clock = new ManualClock();
    const log = new RecordingLogger();
    const { ends, work } = ignoring({ attempts: 3, whileAbandoned: true });
    const late: object[] = [];
    const engine = await startedEngine({ pipelines: [work], clock, abortGrace: "5s", log });
    engine.on("task:late", ({ task, attempt, status }) => late.push({ task, attempt, status }));
    const run = await engine.trigger(work);
    await clock.advance(16_000);
    await run.result();
    ends.open();
    await settled();
    expect(late).toEqual([{ task: "deaf", attempt: 1, status: "abandoned" }]);
    expect(log.complaints).toContain("an attempt that had been told to stop ended late; what it returned was dropped");
    const [record] = (await engine.runs.tasks(run.id)).items;
    expect(record).toMatchObject({ status: "succeeded", output: "second", attempts: 2 });
    expect((await engine.runs.logs(run.id)).items).toEqual([]);
    expect(await attemptsOf(engine, run.id)).toEqual(["deaf 1 abandoned", "deaf 2 succeeded"]);
  });

  it("F120 drops what a cancelled attempt returns within its grace", async () => {
    const log = new RecordingLogger();
    const work = pipeline("work", (p) => {
      p.task("returns", async ({ signal }) => {
        await aborted(signal).catch(() => undefined);
        return "anyway";
      });
    });
    const engine = await startedEngine({ pipelines: [work], log });
    const run = await engine.trigger(work);
    await settled();
    await run.cancel();
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_CANCELLED" });
    const [record] = (await engine.runs.tasks(run.id)).items;
    expect(record).toMatchObject({ status: "cancelled", output: undefined });
    expect(log.complaints.filter((line) => line.includes("ended late"))).toHaveLength(1);
  });

  it("F106 a task that blocks the thread past its timeout does not stop the engine", async () => {
    const work = pipeline("work", (p) => {
      p.task("blocks", { timeout: "5ms" }, async () => {
        const until = performance.now() + 30;
        while (performance.now() < until);
        await new Promise((resolve) => setTimeout(resolve, 50));
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await expect(run.result()).rejects.toMatchObject({ failures: [{ error: { code: "TASK_TIMEOUT" } }] });
    await new Promise((resolve) => setTimeout(resolve, 60));
  });
});

describe("signals", () => {
  it("F131 10,000 tasks leave the number of listeners flat", async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning);
    process.on("warning", onWarning);
    const counts = new Set<number>();
    const signals = new Set<AbortSignal>();
    const fan = pipeline("fan", (p) => {
      p.map("each", { over: Array.from({ length: 10_000 }, (_, item) => item) }, async ({ signal }) => {
        signals.add(signal);
        await Promise.resolve();
        counts.add(getEventListeners(signal, "abort").length);
      });
    });
    const engine = await startedEngine({ pipelines: [fan] });
    await engine.run(fan);
    process.off("warning", onWarning);
    expect([...counts]).toEqual([0]);
    expect(signals.size).toBe(10_000);
    expect(warnings).toEqual([]);
  });

  it("is the same object on every reading, also when it is first read after the abort", async () => {
    const seen: unknown[] = [];
    const go = gate();
    const work = pipeline("work", (p) => {
      p.task("only", async (context) => {
        await go.passed;
        const { signal } = context;
        seen.push(signal.aborted, context.signal === signal, signal.reason);
        throw new Error("stopped");
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    await run.cancel();
    go.open();
    await run.result().catch(() => undefined);
    expect(seen).toEqual([true, true, expect.objectContaining({ code: "RUN_CANCELLED" })]);
  });
});

describe("F212 result()", () => {
  it("settles for a cancelled, an unknown, a deleted and a stopped run", async () => {
    const storage = testStorage();
    const clock = new ManualClock();
    const work = pipeline("work", (p) => void p.task("waits", ({ signal }) => aborted(signal)));
    const quick = pipeline("quick", (p) => void p.task("only", () => 1));
    const engine = await startedEngine({ pipelines: [work, quick], storage, clock });
    const cancelled = await engine.trigger(work);
    await cancelled.cancel();
    await expect(cancelled.result()).rejects.toMatchObject({ code: "RUN_CANCELLED" });

    const deleted = await engine.trigger(quick);
    await deleted.result();
    await clock.advance(10);
    expect(await storage.prune({ before: clock.now(), limit: 10 })).toBe(2);
    await expect(deleted.result()).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
    await expect(engine.runs.resume(deleted.id)).rejects.toMatchObject({ code: "RUN_UNKNOWN" });

    const unfinished = await engine.trigger(work);
    const result = unfinished.result().catch((error: unknown) => error);
    const stopping = engine.stop({ grace: 0 });
    await clock.advance(1_000);
    await stopping;
    expect(await result).toMatchObject({ code: "ENGINE_STOPPED" });
    await expect(unfinished.result()).rejects.toMatchObject({ code: "ENGINE_STOPPED" });
  });

  it("may be asked for by many, before and after the end", async () => {
    const go = gate();
    const work = pipeline("work", (p) => ({ value: p.task("value", () => go.passed.then(() => 1)) }));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    const results = [run.result(), run.result(), run.result()];
    await settled();
    go.open();
    expect(await Promise.all(results)).toEqual([{ value: 1 }, { value: 1 }, { value: 1 }]);
    expect(await run.result()).toEqual({ value: 1 });
  });
});
