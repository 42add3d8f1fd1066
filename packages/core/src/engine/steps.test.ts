import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { NonRetryableError } from "../execute/signals.js";
import { RecordingLogger, startedEngine, stopNow } from "../test-support/engines.js";
import { FaultyStorage, rejecting } from "../test-support/faulty-storage.js";
import { aborted, gate, noted } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";
import { takenOver } from "../test-support/takeover.js";
import type { Engine } from "./engine.js";

leavesNothingBehind();

const RETRY = { attempts: 3, delay: 0, backoff: "fixed" } as const;

const stepsOf = async (engine: Engine, runId: string) =>
  (await engine.runs.steps(runId)).items.map(({ task, index, step }) => `${[task, ...index].join("/")} ${step}`);

describe("step()", () => {
  it("does its work once, whatever attempts there are", async () => {
    const done: string[] = [];
    const work = pipeline("work", (p) => {
      const result = p.task("import", { retry: RETRY }, async ({ step, attempt }) => {
        const rows = await step("fetch", () => noted(done, `fetch ${attempt}`, [1, 2, 3]));
        const sum = await step("sum", async () => noted(done, `sum ${attempt}`, rows.length));
        if (attempt < 3) throw new Error("not yet");
        return sum;
      });
      return { result };
    });
    const engine = await startedEngine({ pipelines: [work] });
    expect(await engine.run(work)).toEqual({ result: 3 });
    expect(done).toEqual(["fetch 1", "sum 1"]);
  });

  it("keeps no failure: what threw is done again by the next attempt", async () => {
    const done: string[] = [];
    const work = pipeline("work", (p) => {
      p.task("import", { retry: RETRY }, async ({ step, attempt }) => {
        await step("good", () => noted(done, "good", 1));
        await step("bad", () => {
          done.push(`bad ${attempt}`);
          if (attempt === 1) throw new TypeError("broken");
        });
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    await engine.run(work);
    expect(done).toEqual(["good", "bad 1", "bad 2"]);
  });

  it("passes on what its function throws, as it is", async () => {
    const broken = new TypeError("broken");
    const work = pipeline("work", (p) => {
      const same = p.task("import", async ({ step }) => {
        const caught = await step("bad", () => Promise.reject(broken)).catch((error: unknown) => error);
        return caught === broken;
      });
      return { same };
    });
    const engine = await startedEngine({ pipelines: [work] });
    expect(await engine.run(work)).toEqual({ same: true });
  });

  it("counts calls with the same id as steps of their own, in loops and in Promise.all", async () => {
    const done: number[] = [];
    const work = pipeline("work", (p) => {
      const all = p.task("loop", { retry: RETRY }, async ({ step, attempt }) => {
        const one: number[] = [];
        for (let n = 0; n < 3; n++) one.push(await step("page", () => noted(done, n, n)));
        const two = await Promise.all([3, 4, 5].map((n) => step("page", async () => noted(done, n, n))));
        if (attempt === 1) throw new Error("again");
        return [...one, ...two];
      });
      return { all };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    expect(await run.result()).toEqual({ all: [0, 1, 2, 3, 4, 5] });
    expect(done).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await stepsOf(engine, run.id)).toEqual([
      "loop page",
      "loop page#2",
      "loop page#3",
      "loop page#4",
      "loop page#5",
      "loop page#6",
    ]);
  });

  it("gives a copy, the same one whether it was done now or before", async () => {
    const original = { when: new Date(0), set: new Set([1]), left: undefined };
    const seen: unknown[] = [];
    const work = pipeline("work", (p) => {
      p.task("copy", { retry: RETRY }, async ({ step, attempt }) => {
        const value = await step("make", () => original);
        seen.push(value);
        expect(value).not.toBe(original);
        value.set.add(2);
        if (attempt === 1) throw new Error("again");
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    await engine.run(work);
    expect(original.set).toEqual(new Set([1]));
    expect(seen).toEqual(Array.from({ length: 2 }, () => ({ ...original, set: new Set([1, 2]) })));
  });

  it.each([undefined, null, false, 0, "", Number.NaN])("F80 keeps %s as it keeps any other output", async (output) => {
    let calls = 0;
    const seen: unknown[] = [];
    const work = pipeline("work", (p) => {
      p.task("empty", { retry: RETRY }, async ({ step, attempt }) => {
        seen.push(await step("make", () => noted([], calls++, output)));
        if (attempt === 1) throw new Error("again");
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    await engine.run(work);
    expect(seen).toEqual([output, output]);
    expect(calls).toBe(1);
  });

  it("fails the attempt for good when an output cannot be stored", async () => {
    const work = pipeline("work", (p) => {
      p.task("bad", { retry: RETRY }, ({ step }) => step("function", () => () => 1));
    });
    const engine = await startedEngine({ pipelines: [work] });
    await expect(engine.run(work)).rejects.toMatchObject({
      failures: [{ attempts: 1, error: { code: "OUTPUT_NOT_SERIALIZABLE" } }],
    });
  });

  it.each<[string, unknown]>([
    ["empty", ""],
    ["too long", "x".repeat(201)],
    ["with a #", "page#2"],
    ["with NUL", "a\0b"],
    ["not well-formed", "\ud800"],
    ["a number", 5],
    ["missing", undefined],
  ])("refuses an id that is %s, and is not retried", async (_what, id) => {
    let calls = 0;
    const work = pipeline("work", (p) => {
      p.task("bad", { retry: RETRY }, ({ step }) => step(id as string, () => calls++));
    });
    const engine = await startedEngine({ pipelines: [work] });
    await expect(engine.run(work)).rejects.toMatchObject({
      failures: [{ attempts: 1, error: { code: "STEP_INVALID" } }],
    });
    expect(calls).toBe(0);
  });

  it("keeps the steps of each item apart", async () => {
    const done: number[] = [];
    const work = pipeline("work", (p) => {
      const each = p.map("each", { over: [10, 20], retry: RETRY }, async ({ item, step, attempt }) => {
        const value = await step("double", () => noted(done, item, item * 2));
        if (attempt === 1) throw new Error("again");
        return value;
      });
      return { each };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    expect(await run.result()).toEqual({ each: [20, 40] });
    expect(done).toEqual([10, 20]);
    expect((await stepsOf(engine, run.id)).sort()).toEqual(["each/0 double", "each/1 double"]);
  });

  it("is in history with its times, attempt and output", async () => {
    const clock = new ManualClock();
    const start = clock.now();
    const work = pipeline("work", (p) => {
      p.task("slow", async ({ step }) => {
        await step("wait", () => new Promise((resolve) => clock.timer(start + 500, () => resolve("done"))));
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(1_000);
    expect((await engine.runs.steps(run.id)).items).toEqual([
      {
        runId: run.id,
        task: "slow",
        index: [],
        generation: 1,
        attempt: 1,
        step: "wait",
        startedAt: start,
        at: start + 500,
        output: "done",
      },
    ]);
    expect((await engine.runs.steps(run.id, { task: "other" })).items).toEqual([]);
  });

  it("is durable before it resolves", async () => {
    const faulty = new FaultyStorage();
    const events: string[] = [];
    const work = pipeline("work", (p) => {
      p.task("one", async ({ step }) => {
        await step("a", () => noted(events, "done", 1));
        events.push("resolved");
      });
    });
    const engine = await startedEngine({ pipelines: [work], storage: faulty.storage });
    const letGo = faulty.hold("commit");
    const run = await engine.trigger(work);
    await settled();
    expect(events).toEqual(["done"]);
    expect(await stepsOf(engine, run.id)).toEqual([]);
    letGo();
    await run.result();
    expect(events).toEqual(["done", "resolved"]);
  });

  it("listens to the timeout while storage is slow, so that the task is tried again, with what was done", async () => {
    const clock = new ManualClock();
    const faulty = new FaultyStorage();
    const done: string[] = [];
    const reasons: unknown[] = [];
    const work = pipeline("work", (p) => {
      p.task("one", { timeout: "1s", retry: { attempts: 2, delay: 0 } }, async ({ step, attempt, signal }) => {
        await step("a", () => noted(done, `a${attempt}`, 1)).catch((error: unknown) => {
          reasons.push(error);
          throw error;
        });
        expect(signal.aborted).toBe(false);
      });
    });
    const engine = await startedEngine({ pipelines: [work], storage: faulty.storage, clock });
    const letGo = faulty.hold("commit");
    const run = await engine.trigger(work);
    await clock.advance(1_000);
    expect(reasons).toMatchObject([{ code: "TASK_TIMEOUT" }]);
    letGo();
    await run.result();
    expect(done).toEqual(["a1"]);
    expect((await engine.runs.attempts(run.id)).items.map(({ status }) => status)).toEqual(["failed", "succeeded"]);
  });

  it("is done after the abort too, where it cleans up", async () => {
    const clock = new ManualClock();
    const done: string[] = [];
    const work = pipeline("work", (p) => {
      p.task("one", { timeout: "1s" }, async ({ step, signal }) => {
        await aborted(signal).catch(() => undefined);
        await step("undo", () => noted(done, "undo", 1));
        done.push("durable");
        throw signal.reason as Error;
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(1_000);
    await run.result().catch(() => undefined);
    expect(done).toEqual(["undo", "durable"]);
    expect(await stepsOf(engine, run.id)).toEqual(["one undo"]);
  });

  it("is taken over by another engine on the same storage, and by one that starts later", async () => {
    const storage = testStorage();
    const done: string[] = [];
    const stuck = [gate(), gate(), gate()];
    let starts = 0;
    const work = pipeline("work", (p) => {
      const both = p.task("long", async ({ step, signal }) => {
        const nth = starts++;
        const a = await step("a", () => noted(done, "a", "A"));
        if (nth === 0)
          await Promise.race([stuck[0]!.passed, new Promise((_, stop) => signal.addEventListener("abort", stop))]);
        const b = await step("b", () => noted(done, "b", "B"));
        if (nth === 1)
          await Promise.race([stuck[1]!.passed, new Promise((_, stop) => signal.addEventListener("abort", stop))]);
        return a + b;
      });
      return { both };
    });
    const first = await startedEngine({ pipelines: [work], storage });
    const run = await first.trigger(work);
    await settled();
    const second = await takenOver(first, { pipelines: [work], storage });
    await settled();
    await stopNow(second, undefined);
    const third = await startedEngine({ pipelines: [work], storage });
    await settled();
    expect(await third.runs.get(run.id)).toMatchObject({ status: "succeeded" });
    expect(done).toEqual(["a", "b"]);
    for (const { open } of stuck) open();
  });

  it("is kept by a resume and done again by a rerun", async () => {
    const done: string[] = [];
    let broken = true;
    const work = pipeline("work", (p) => {
      p.task("task", async ({ step }) => {
        await step("a", () => noted(done, "a", 1));
        if (broken) throw new Error("broken");
        await step("b", () => noted(done, "b", 1));
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    broken = false;
    await (await engine.runs.resume(run.id)).result();
    expect(done).toEqual(["a", "b"]);
    await (await engine.runs.rerun(run.id, { from: "task" })).result();
    expect(done).toEqual(["a", "b", "a", "b"]);
    expect((await engine.runs.steps(run.id, { generation: 2 })).items.map(({ step }) => step)).toEqual(["a", "b"]);
    expect((await engine.runs.steps(run.id)).items).toHaveLength(4);
  });

  it("does nothing once its attempt has ended, and that harms nobody", async () => {
    const clock = new ManualClock();
    const released = gate();
    const done: string[] = [];
    const errors: unknown[] = [];
    const work = pipeline("work", (p) => {
      p.task("deaf", { timeout: "1s", allowFailure: true }, async ({ step }) => {
        await step("before", () => noted(done, "before", 1));
        await released.passed;
        await step("after", () => noted(done, "after", 1)).catch((error: unknown) => errors.push(error));
        void step("unheard", () => noted(done, "unheard", 1));
      });
      p.task("hasty", async ({ step }) => {
        void step("lost", () => released.passed);
      });
    });
    const log = new RecordingLogger();
    const engine = await startedEngine({ pipelines: [work], clock, log });
    const run = await engine.trigger(work);
    await clock.advance(2_000);
    await run.result();
    released.open();
    await settled();
    expect(done).toEqual(["before"]);
    expect(errors).toMatchObject([{ code: "ATTEMPT_ENDED" }]);
    expect(await stepsOf(engine, run.id)).toEqual(["deaf before"]);
    expect(log.complaints).toContain(
      "task code went on after its attempt had ended: did it forget to await something?",
    );
  });

  it("goes on when the store refuses another task's value in the same flush", async () => {
    const faulty = new FaultyStorage();
    faulty.on(
      "commit",
      rejecting(({ output }) => output?.includes("poison") ?? false),
    );
    const done: string[] = [];
    const work = pipeline("work", (p) => {
      p.task("bad", { allowFailure: true }, () => "poison");
      const good = p.task("good", async ({ step }) => {
        const a = await step("a", () => noted(done, "a", 1));
        const b = await step("b", () => noted(done, "b", 2));
        return a + b;
      });
      return { good };
    });
    const engine = await startedEngine({ pipelines: [work], storage: faulty.storage });
    const run = await engine.trigger(work);
    expect(await run.result()).toEqual({ good: 3 });
    expect(done).toEqual(["a", "b"]);
    expect(await stepsOf(engine, run.id)).toEqual(["good a", "good b"]);
  });

  it("fails with the store's reason when the store refuses its output, and only then", async () => {
    const faulty = new FaultyStorage();
    faulty.on("commit", async (proceed, { runs }) => {
      const refused = runs.flatMap(({ steps }) => steps).filter(({ output }) => output.includes("poison"));
      if (refused.length === 0) return proceed();
      return {
        kind: "rejected",
        values: refused.map(({ runId, task, index }) => ({ runId, task, index, message: "bad" })),
      };
    });
    const done: string[] = [];
    const work = pipeline("work", (p) => {
      p.task("bad", { retry: RETRY }, async ({ step, attempt }) => {
        await step("a", () => noted(done, `a ${attempt}`, 1));
        await step("b", () => noted(done, `b ${attempt}`, attempt === 1 ? "poison" : "fine"));
      });
    });
    const engine = await startedEngine({ pipelines: [work], storage: faulty.storage });
    const run = await engine.trigger(work);
    await run.result();
    expect(done).toEqual(["a 1", "b 1", "b 2"]);
    const [attempt] = (await engine.runs.attempts(run.id)).items;
    expect(attempt).toMatchObject({ status: "failed", error: { code: "VALUE_REJECTED" } });
  });

  it("is done again with its group", async () => {
    const done: string[] = [];
    const work = pipeline("work", (p) => {
      p.group("both", { retry: { attempts: 2, delay: 0, backoff: "fixed" } }, (g) => {
        const first = g.task("first", ({ step }) => step("a", () => noted(done, "a", 1)));
        g.task("second", { needs: { first } }, () => {
          if (done.length === 1) throw new NonRetryableError("once");
        });
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    await engine.run(work);
    expect(done).toEqual(["a", "a"]);
  });
});
