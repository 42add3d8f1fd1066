import { describe, expect, it } from "vitest";
import type { RetryOptions } from "../define/options.js";
import { pipeline } from "../define/pipeline.js";
import { NonRetryableError, RetryAfter } from "../execute/signals.js";
import { seededRandom } from "../random.js";
import { RecordingLogger, startedEngine } from "../test-support/engines.js";
import { FaultyStorage } from "../test-support/faulty-storage.js";
import { aborted, gate, noted } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";
import type { Engine } from "./engine.js";
import type { EngineOptions } from "./engine-options.js";

leavesNothingBehind();

/** A pipeline with one task that notes when each attempt began and fails with what `thrown` gives. */
function failing(
  clock: ManualClock,
  retry: RetryOptions,
  thrown: (attempt: number) => unknown = () => new Error("down"),
) {
  const starts: number[] = [];
  const work = pipeline("work", (p) => {
    p.task("fails", { retry }, ({ attempt }) => {
      starts.push(clock.now());
      throw thrown(attempt);
    });
  });
  return { work, starts, gaps: () => starts.slice(1).map((start, place) => start - starts[place]!) };
}

async function gapsOf(
  retry: RetryOptions,
  thrown?: (attempt: number, clock: ManualClock) => unknown,
  options: Partial<EngineOptions> = {},
): Promise<{ gaps: number[]; engine: Engine; runId: string }> {
  const clock = new ManualClock();
  const { work, gaps } = failing(clock, retry, thrown && ((attempt) => thrown(attempt, clock)));
  const engine = await startedEngine({ pipelines: [work], clock, ...options });
  const run = await engine.trigger(work);
  const result = run.result().catch((error: unknown) => error);
  await clock.advance(40 * 86_400_000);
  expect(await result).toMatchObject({ code: "RUN_FAILED" });
  expect(clock.workTimers).toBe(0);
  return { gaps: gaps(), engine, runId: run.id };
}

const recordOf = async (engine: Engine, runId: string, task: string) =>
  (await engine.runs.tasks(runId, { task })).items[0]!;

const statusesOf = async (engine: Engine, runId: string) =>
  (await engine.runs.tasks(runId)).items.map(({ task, index, status }) => `${[task, ...index].join("/")} ${status}`);

describe("retries", () => {
  it("make as many attempts as the policy says, and one without a policy", async () => {
    expect((await gapsOf({ attempts: 1 })).gaps).toEqual([]);
    const clock = new ManualClock();
    let calls = 0;
    const work = pipeline("work", (p) => {
      p.task("fails", () => {
        calls++;
        throw new Error("once");
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    await expect(engine.run(work)).rejects.toMatchObject({ failures: [{ attempts: 1 }] });
    expect(calls).toBe(1);
  });

  it.each<[string, RetryOptions, number[]]>([
    ["fixed", { attempts: 4, delay: "2s", backoff: "fixed" }, [2_000, 2_000, 2_000]],
    ["linear", { attempts: 4, delay: "2s", backoff: "linear" }, [2_000, 4_000, 6_000]],
    [
      "exponential",
      { attempts: 5, delay: "2s", backoff: "exponential", jitter: "none" },
      [2_000, 4_000, 8_000, 16_000],
    ],
    ["capped", { attempts: 5, delay: "2s", maxDelay: "5s", jitter: "none" }, [2_000, 4_000, 5_000, 5_000]],
    ["F89 longer than 2^31-1 ms", { attempts: 2, delay: "30d", maxDelay: "40d", backoff: "fixed" }, [30 * 86_400_000]],
    ["0", { attempts: 3, delay: 0, backoff: "fixed" }, [0, 0]],
  ])("wait as long as %s backoff says", async (_what, retry, expected) => {
    expect((await gapsOf(retry)).gaps).toEqual(expected);
  });

  it("F107 draw full jitter from the engine's chance: repeatable by seed, different between tasks, never 0, below the cap", async () => {
    const retry: RetryOptions = { attempts: 8, delay: "1s", maxDelay: "10s" };
    const [first, again, other] = await Promise.all(
      [1, 1, 2].map((seed) => gapsOf(retry, undefined, { random: seededRandom(seed) })),
    );
    expect(first!.gaps).toEqual(again!.gaps);
    expect(first!.gaps).not.toEqual(other!.gaps);
    first!.gaps.forEach((gap, place) => {
      expect(gap).toBeGreaterThan(0);
      expect(gap).toBeLessThanOrEqual(Math.min(10_000, 1_000 * 2 ** place));
    });
  });

  it("F107 do not return in step when many fail at once", async () => {
    const clock = new ManualClock();
    const seconds = new Map<number, number>();
    const wide = pipeline("wide", (p) => {
      const over = Array.from({ length: 400 }, (_, n) => n);
      p.map("each", { over, retry: { attempts: 2, delay: "100s" } }, ({ attempt }) => {
        if (attempt === 1) throw new Error("dependency down");
        const second = Math.floor(clock.now() / 10_000);
        seconds.set(second, (seconds.get(second) ?? 0) + 1);
      });
    });
    const engine = await startedEngine({ pipelines: [wide], clock, random: seededRandom(7) });
    const run = await engine.trigger(wide);
    await clock.advance(100_000);
    await run.result();
    expect(seconds.size).toBeGreaterThanOrEqual(10);
    expect(Math.max(...seconds.values())).toBeLessThan(80);
  });

  it("ask retry.when with what was thrown", async () => {
    const asked: unknown[] = [];
    const errors = [new TypeError("transient"), { status: 503 }, new Error("fatal"), new Error("never reached")];
    const when = (error: unknown) => {
      asked.push(error);
      return !(error instanceof Error && error.message === "fatal");
    };
    const { gaps } = await gapsOf(
      { attempts: 10, delay: "1s", backoff: "fixed", when },
      (attempt) => errors[attempt - 1],
    );
    expect(gaps).toHaveLength(2);
    expect(asked).toEqual(errors.slice(0, 3));
  });

  it("F153 retry although retry.when threw, and say so in the task's log", async () => {
    const when = (): never => {
      throw new Error("predicate broken");
    };
    const { gaps, engine, runId } = await gapsOf({ attempts: 3, delay: "1s", backoff: "fixed", when });
    expect(gaps).toHaveLength(2);
    const lines = (await engine.runs.logs(runId)).items;
    expect(lines[0]).toMatchObject({ level: "warn", task: "fails", attempt: 1 });
    expect(lines[0]!.message).toContain("predicate broken");
  });

  it("are not made after a NonRetryableError, of another copy of this library or a subclass too", async () => {
    class Fatal extends NonRetryableError {
      override readonly name = "Fatal";
    }
    const copy = Object.assign(new Error("from elsewhere"), { name: "NonRetryableError" });
    for (const error of [new NonRetryableError("no use"), new Fatal("no use"), copy]) {
      expect((await gapsOf({ attempts: 5, delay: "1s" }, () => error)).gaps).toEqual([]);
    }
  });

  it.each<[string, (clock: ManualClock) => RetryAfter, number]>([
    ["milliseconds", () => new RetryAfter(7_000), 7_000],
    ["a text", () => new RetryAfter("3m"), 180_000],
    ["a Date", (clock) => new RetryAfter(new Date(clock.now() + 90_000)), 90_000],
    ["a past Date", () => new RetryAfter(new Date(0)), 0],
    ["0", () => new RetryAfter(0), 0],
    ["an ISO duration that is none", () => new RetryAfter("PT5S" as "5s"), 2_000],
    ["F108 NaN", () => new RetryAfter(Number.NaN), 2_000],
    ["F108 a negative number", () => new RetryAfter(-5), 0],
    ["F108 1e99", () => new RetryAfter(1e99), 2_000],
    ["F108 Infinity", () => new RetryAfter(Number.POSITIVE_INFINITY), 2_000],
    ["F108 an invalid Date", () => new RetryAfter(new Date(Number.NaN)), 2_000],
    ["F108 the year 9999", () => new RetryAfter(new Date(Date.UTC(9999, 0))), 2_000],
    ["F108 undefined", () => new RetryAfter(undefined as unknown as number), 2_000],
    ["F108 an object", () => new RetryAfter({} as unknown as number), 2_000],
    ["F108 something that cannot be shown", () => new RetryAfter(Object.create(null) as number, "later"), 2_000],
  ])("wait as long as RetryAfter says: %s", async (what, make, expected) => {
    const { gaps, engine, runId } = await gapsOf({ attempts: 2, delay: "2s", backoff: "fixed" }, (_attempt, clock) =>
      make(clock),
    );
    expect(gaps).toEqual([expected]);
    const isUsable = expected !== 2_000 || !/F108|none/.test(what);
    expect((await engine.runs.logs(runId)).items.map(({ level }) => level)).toEqual(isUsable ? [] : ["warn", "warn"]);
  });

  it("F34 keep each attempt's error and moment in history", async () => {
    const { engine, runId } = await gapsOf(
      { attempts: 3, delay: "1s", backoff: "fixed" },
      (attempt) => new Error(`number ${attempt}`),
    );
    const attempts = (await engine.runs.attempts(runId)).items;
    expect(attempts.map(({ attempt, status, error }) => [attempt, status, error?.message])).toEqual([
      [1, "failed", "number 1"],
      [2, "failed", "number 2"],
      [3, "failed", "number 3"],
    ]);
    expect(attempts[1]!.startedAt - attempts[0]!.finishedAt!).toBe(1_000);
    const record = await recordOf(engine, runId, "fails");
    expect(record).toMatchObject({ status: "failed", attempts: 3, error: { message: "number 3" }, retryAt: undefined });
    expect(record.startedAt).toBe(attempts[0]!.startedAt);
  });

  it("F81 read their inputs again, whatever the attempt before did to them", async () => {
    const inputs: unknown[] = [];
    const work = pipeline("work", (p) => {
      const parent = p.task("parent", () => ({ list: [1, 2], at: new Date(0) }));
      p.task("child", { needs: { parent }, retry: { attempts: 3, delay: 0 } }, ({ input, attempt }) => {
        inputs.push(structuredClone(input.parent));
        input.parent.list.length = 0;
        if (attempt < 3) throw new Error("again");
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    await engine.run(work);
    expect(inputs).toEqual(Array.from({ length: 3 }, () => ({ list: [1, 2], at: new Date(0) })));
  });

  it("keep the same idempotency key for every attempt and another for every item", async () => {
    const keys: string[] = [];
    const fan = pipeline("fan", (p) => {
      p.map("each", { over: ["a", "b"], retry: { attempts: 2, delay: 0 } }, ({ idempotencyKey, attempt }) => {
        keys.push(idempotencyKey);
        if (attempt === 1) throw new Error("once");
      });
    });
    const engine = await startedEngine({ pipelines: [fan] });
    const run = await engine.trigger(fan);
    await run.result();
    expect(keys.toSorted()).toEqual([0, 0, 1, 1].map((item) => `${run.id}/each/${item}`));
  });
});

describe("timeouts", () => {
  it("end each attempt by itself, and the next one begins afresh", async () => {
    const clock = new ManualClock();
    const reasons: unknown[] = [];
    const work = pipeline("work", (p) => {
      const retry: RetryOptions = { attempts: 2, delay: "1s", backoff: "fixed" };
      p.task("hangs", { timeout: "10s", retry }, async ({ signal }) => {
        await aborted(signal).catch((reason: unknown) => {
          reasons.push(reason);
          throw new Error("what the code says of it");
        });
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    const result = run.result().catch((error: unknown) => error);
    await clock.advance(20_999);
    expect(await run.status()).toBe("running");
    await clock.advance(1);
    expect(await result).toMatchObject({ failures: [{ attempts: 2, error: { code: "TASK_TIMEOUT" } }] });
    expect(reasons).toMatchObject([{ code: "TASK_TIMEOUT" }, { code: "TASK_TIMEOUT" }]);
    expect(clock.workTimers).toBe(0);
  });

  it("leave no timer behind when the attempt ends in time", async () => {
    const clock = new ManualClock();
    const end = gate();
    const work = pipeline("work", (p) => {
      p.task("quick", { timeout: { attempt: "1h", total: "2h" } }, () => 1);
      p.task("long", () => end.passed);
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await settled();
    expect(clock.workTimers).toBe(0);
    end.open();
    await run.result();
  });

  it("over all attempts are absolute: no attempt begins that the deadline forbids", async () => {
    const clock = new ManualClock();
    const { work, gaps } = failing(clock, { attempts: 100, delay: "10s", backoff: "fixed" });
    const bounded = pipeline("bounded", (p) => {
      p.task("fails", { timeout: { total: "35s" }, retry: { attempts: 100, delay: "10s", backoff: "fixed" } }, () =>
        work.plan.tasks[0]!.run({ attempt: 1 } as never),
      );
    });
    const engine = await startedEngine({ pipelines: [bounded], clock });
    const run = await engine.trigger(bounded);
    const result = run.result().catch((error: unknown) => error);
    await clock.advance(60_000);
    expect(await result).toMatchObject({ failures: [{ attempts: 4, error: { message: "down" } }] });
    expect(gaps()).toEqual([10_000, 10_000, 10_000]);
  });

  it("over all attempts abort what runs then, and fail what waits then", async () => {
    const clock = new ManualClock();
    const work = pipeline("work", (p) => {
      const timeout = { total: "30s" } as const;
      const retry: RetryOptions = { attempts: 5, delay: "1s", backoff: "fixed" };
      p.task("runs", { timeout, retry }, ({ signal }) => aborted(signal));
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    const result = run.result().catch((error: unknown) => error);
    await clock.advance(29_999);
    expect(await run.status()).toBe("running");
    await clock.advance(1);
    expect(await result).toMatchObject({ failures: [{ attempts: 1, error: { code: "TASK_TIMEOUT" } }] });
    expect(clock.workTimers).toBe(0);
  });

  it("over all attempts count while the task waits for a place", async () => {
    const clock = new ManualClock();
    const end = gate();
    const work = pipeline("work", (p) => {
      p.task("blocks", { concurrency: 1 }, () => end.passed);
      p.task("fails", { timeout: { total: "10s" }, retry: { attempts: 2, delay: "5s", backoff: "fixed" } }, () => {
        throw new Error("first");
      });
    });
    const one = pipeline("one", (p) => void p.task("fills", () => end.passed));
    const engine = await startedEngine({ pipelines: [work, one], clock, concurrency: 2 });
    const run = await engine.trigger(work);
    await settled();
    await engine.trigger(one);
    await clock.advance(9_999);
    expect((await recordOf(engine, run.id, "fails")).status).not.toBe("failed");
    await clock.advance(1);
    expect(await recordOf(engine, run.id, "fails")).toMatchObject({
      status: "failed",
      error: { code: "TASK_TIMEOUT" },
    });
    end.open();
    await settled();
    expect((await engine.runs.attempts(run.id, { task: "fails" })).items).toHaveLength(1);
  });

  it("of a run end everything in it with RUN_TIMEOUT; a resume gives it the time again", async () => {
    const clock = new ManualClock();
    const reasons: unknown[] = [];
    let isMended = false;
    const work = pipeline("work", { timeout: "1h" }, (p) => {
      const done = p.task("done", () => 1);
      const hangs = p.task("hangs", { after: [done] }, async ({ signal }) => {
        if (isMended) return;
        await aborted(signal).catch((reason: unknown) => {
          reasons.push(reason);
          throw reason;
        });
      });
      p.task("next", { after: [hangs] }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    const result = run.result().catch((error: unknown) => error);
    await clock.advance(3_600_000);
    expect(String(await result)).toContain("RUN_TIMEOUT");
    expect(reasons).toMatchObject([{ code: "RUN_TIMEOUT" }]);
    expect(await engine.runs.get(run.id)).toMatchObject({ status: "failed", error: { code: "RUN_TIMEOUT" } });
    expect(await statusesOf(engine, run.id)).toEqual(["done succeeded", "hangs cancelled", "next cancelled"]);
    await clock.advance(3_600_000);
    isMended = true;
    const resumed = await engine.runs.resume(run.id);
    await resumed.result();
    expect(await engine.runs.get(run.id)).toMatchObject({ status: "succeeded", error: undefined });
    expect((await engine.runs.get(run.id)).deadlineAt).toBe(clock.now() + 3_600_000);
    expect(clock.workTimers).toBe(0);
  });
});

describe("resume()", () => {
  it("goes on from the point of failure: nothing that succeeded runs again", async () => {
    const calls: string[] = [];
    let isBroken = true;
    const work = pipeline("work", (p) => {
      const a = p.task("a", () => noted(calls, "a", "a"));
      const b = p.task("b", { needs: { a }, retry: { attempts: 2, delay: 0 } }, ({ input, attempt }) => {
        calls.push(`b${attempt}`);
        if (isBroken) throw new Error("broken");
        return `${input.a}b`;
      });
      const side = p.task("side", { needs: { a } }, () => noted(calls, "side", 1));
      const cleanup = p.task("cleanup", { after: [b], triggerRule: "all-done" }, () => void calls.push("cleanup"));
      const c = p.task("c", { needs: { b }, after: [side] }, ({ input }) => noted(calls, "c", `${input.b}c`));
      p.task("last", { after: [c, cleanup] }, () => void calls.push("last"));
      return { c };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_FAILED" });
    expect(calls.toSorted()).toEqual(["a", "b1", "b2", "cleanup", "side"]);
    const started: boolean[] = [];
    engine.on("run:started", ({ resumed }) => started.push(resumed));
    isBroken = false;
    calls.length = 0;
    const resumed = await engine.runs.resume(run.id);
    expect(resumed.id).toBe(run.id);
    expect(await resumed.result()).toEqual({ c: "abc" });
    expect(calls).toEqual(["b3", "c", "last"]);
    expect(started).toEqual([true]);
    expect(await run.result()).toEqual({ c: "abc" });
    const attempts = (await engine.runs.attempts(run.id, { task: "b" })).items.map(({ attempt, status }) => [
      attempt,
      status,
    ]);
    expect(attempts).toEqual([
      [1, "failed"],
      [2, "failed"],
      [3, "succeeded"],
    ]);
  });

  it("gives each task its retries again, and can be done again and again", async () => {
    let calls = 0;
    let failUntil = 5;
    const work = pipeline("work", (p) => ({
      value: p.task("value", { retry: { attempts: 2, delay: 0 } }, () => {
        if (++calls < failUntil) throw new Error(`call ${calls}`);
        return calls;
      }),
    }));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    await (await engine.runs.resume(run.id)).result().catch(() => undefined);
    expect(calls).toBe(4);
    failUntil = 6;
    expect(await (await engine.runs.resume(run.id)).result()).toEqual({ value: 6 });
    expect((await engine.runs.attempts(run.id)).items.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("runs only the failed items of a map again, and the join sees all of them", async () => {
    const ran: string[] = [];
    const seen: unknown[] = [];
    const bad = new Set([1, 3]);
    const fan = pipeline("fan", (p) => {
      const list = p.task("list", () => noted(ran, "list", [0, 1, 2, 3]));
      const each = p.map("each", { over: list }, ({ item, attempt }) => {
        ran.push(`${item}.${attempt}`);
        if (bad.has(item)) throw new Error("bad");
        return item * 10;
      });
      p.task("report", { needs: { each }, triggerRule: "all-done" }, ({ input }) => void seen.push(input.each));
      return { sum: p.task("sum", { needs: { each } }, ({ input }) => noted(ran, "sum", input.each)) };
    });
    const engine = await startedEngine({ pipelines: [fan] });
    const run = await engine.trigger(fan);
    await expect(run.result()).rejects.toMatchObject({
      failures: [
        { task: "each", index: [1], attempts: 1 },
        { task: "each", index: [3], attempts: 1 },
      ],
    });
    expect(seen).toEqual([[0, 20]]);
    bad.delete(1);
    ran.length = 0;
    await (await engine.runs.resume(run.id)).result().catch(() => undefined);
    expect(ran.toSorted()).toEqual(["1.2", "3.2"]);
    bad.clear();
    ran.length = 0;
    expect(await (await engine.runs.resume(run.id)).result()).toEqual({ sum: [0, 10, 20, 30] });
    expect(ran).toEqual(["3.3", "sum"]);
  });

  it("goes on with a cancelled run", async () => {
    let isBlocked = true;
    const work = pipeline("work", (p) => {
      const first = p.task("first", ({ signal }) => (isBlocked ? aborted(signal) : 1));
      return { second: p.task("second", { needs: { first } }, ({ input }) => Number(input.first) + 1) };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    await run.cancel();
    await run.result().catch(() => undefined);
    isBlocked = false;
    expect(await (await engine.runs.resume(run.id)).result()).toEqual({ second: 2 });
  });

  it("leaves the path a branch did not choose, and takes the chosen one to its end", async () => {
    const calls: string[] = [];
    let isBroken = true;
    const work = pipeline("work", (p) => {
      const gate = p.branch("gate", {}, () => noted(calls, "gate", "left" as "left" | "right"));
      const left = p.task("left", { after: [gate.when("left")] }, () => {
        calls.push("left");
        if (isBroken) throw new Error("broken");
      });
      const right = p.task("right", { after: [gate.when("right")] }, () => void calls.push("right"));
      p.task("end", { after: [left, right], triggerRule: "none-failed-min-one-success" }, () => void calls.push("end"));
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    isBroken = false;
    await (await engine.runs.resume(run.id)).result();
    expect(calls).toEqual(["gate", "left", "left", "end"]);
    expect(await statusesOf(engine, run.id)).toEqual([
      "gate succeeded",
      "left succeeded",
      "right skipped",
      "end succeeded",
    ]);
  });

  it("F159 pins what a task reads: a resumed task sees the outputs of the attempts that succeeded", async () => {
    let version = 0;
    const seen: number[] = [];
    let isBroken = true;
    const diamond = pipeline("diamond", (p) => {
      const top = p.task("top", () => ++version);
      const left = p.task("left", { needs: { top } }, ({ input }) => input.top);
      const right = p.task("right", { needs: { top } }, ({ input }) => {
        if (isBroken) throw new Error("broken");
        return input.top;
      });
      p.task("bottom", { needs: { left, right } }, ({ input }) => void seen.push(input.left, input.right));
    });
    const engine = await startedEngine({ pipelines: [diamond] });
    const run = await engine.trigger(diamond);
    await run.result().catch(() => undefined);
    isBroken = false;
    await (await engine.runs.resume(run.id)).result();
    expect(seen).toEqual([1, 1]);
  });

  it("refuses with RUN_ACTIVE, RUN_FINISHED, RUN_UNKNOWN and DAG_CHANGED", async () => {
    const storage = testStorage();
    const end = gate();
    const work = pipeline("work", (p) => void p.task("only", () => end.passed));
    const fails = pipeline("fails", (p) => {
      p.task("only", () => {
        throw new Error("no");
      });
    });
    const engine = await startedEngine({ pipelines: [work, fails], storage });
    const run = await engine.trigger(work);
    await settled();
    await expect(engine.runs.resume(run.id)).rejects.toMatchObject({ code: "RUN_ACTIVE" });
    end.open();
    await run.result();
    await expect(engine.runs.resume(run.id)).rejects.toMatchObject({ code: "RUN_FINISHED" });
    await expect(engine.runs.resume("nobody")).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
    const failed = await engine.trigger(fails);
    await failed.result().catch(() => undefined);
    await engine.stop();
    const changed = pipeline("fails", (p) => void p.task("another", () => 1));
    const next = await startedEngine({ pipelines: [changed], storage });
    await expect(next.runs.resume(failed.id)).rejects.toMatchObject({ code: "DAG_CHANGED" });
    expect((await next.runs.get(failed.id)).status).toBe("failed");
  });

  it("twice at once resumes once", async () => {
    let calls = 0;
    const work = pipeline("work", (p) => {
      p.task("only", async () => {
        calls++;
        await settled(2);
        throw new Error("no");
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    const [first, second] = await Promise.allSettled([engine.runs.resume(run.id), engine.runs.resume(run.id)]);
    expect(first.status).toBe("fulfilled");
    expect(second).toMatchObject({ status: "rejected", reason: { code: "RUN_ACTIVE" } });
    await run.result().catch(() => undefined);
    expect(calls).toBe(2);
  });

  it("is applied once although its message is delivered again before it is consumed", async () => {
    const faulty = new FaultyStorage();
    let calls = 0;
    const work = pipeline("work", (p) => {
      p.task("other", () => 1);
      p.task("only", () => {
        calls++;
        throw new Error("no");
      });
    });
    const engine = await startedEngine({ pipelines: [work], storage: faulty.storage });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    const letGo = faulty.hold("commit");
    await engine.runs.resume(run.id);
    await settled();
    // Any other message has the whole inbox delivered again.
    await engine.runs.cancel(run.id, { task: "other" });
    await settled();
    letGo();
    await run.result().catch(() => undefined);
    await settled();
    expect(calls).toBe(2);
    expect(await run.status()).toBe("failed");
  });

  it("works on an engine that was not there when the run failed", async () => {
    const storage = testStorage();
    const calls: string[] = [];
    let isBroken = true;
    const work = pipeline("work", (p) => {
      const a = p.task("a", () => noted(calls, "a", new Map([["k", 1n]])));
      return {
        b: p.task("b", { needs: { a } }, ({ input }) => {
          calls.push("b");
          if (isBroken) throw new Error("broken");
          return input.a.get("k");
        }),
      };
    });
    const first = await startedEngine({ pipelines: [work], storage });
    const run = await first.trigger(work);
    await run.result().catch(() => undefined);
    await first.stop();
    isBroken = false;
    const second = await startedEngine({ pipelines: [work], storage });
    expect(await (await second.runs.resume(run.id)).result()).toEqual({ b: 1n });
    expect(calls).toEqual(["a", "b", "b"]);
  });
});

describe("how failures count", () => {
  const throws = (): never => {
    throw new Error("no");
  };

  it("allowFailure keeps the run from failing, and what needs the task is upstream-failed", async () => {
    const work = pipeline("work", (p) => {
      const optional = p.task("optional", { allowFailure: true }, throws);
      p.task("needs-it", { after: [optional], allowFailure: true }, () => 1);
      p.task("whatever", { after: [optional], triggerRule: "all-done" }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    expect(await statusesOf(engine, run.id)).toEqual([
      "optional failed",
      "needs-it upstream-failed",
      "whatever succeeded",
    ]);
  });

  it('failWhen: "leaves" counts only tasks without downstream', async () => {
    const work = pipeline("work", { failWhen: "leaves" }, (p) => {
      const fails = p.task("fails", throws);
      p.task("handles", { after: [fails], triggerRule: "one-failed" }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    expect(await run.status()).toBe("succeeded");
  });

  it("failFast ends everything else at the first failure", async () => {
    const reasons: unknown[] = [];
    const work = pipeline("work", { failFast: true }, (p) => {
      p.task("fails", async () => {
        await settled(2);
        throws();
      });
      const long = p.task("long", ({ signal }) => aborted(signal).catch((reason: unknown) => reasons.push(reason)));
      p.task("next", { after: [long] }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_FAILED", failures: [{ task: "fails" }] });
    expect(reasons).toHaveLength(1);
    expect(await statusesOf(engine, run.id)).toEqual(["fails failed", "long cancelled", "next cancelled"]);
  });

  it("RunFailedError names the tasks, the tries and the causes", async () => {
    const work = pipeline("work", (p) => {
      p.task("first", { retry: { attempts: 2, delay: 0 } }, () => {
        throw new Error("cannot load", { cause: new TypeError("bad row") });
      });
      p.task("second", throws);
    });
    const engine = await startedEngine({ pipelines: [work], log: new RecordingLogger() });
    const run = await engine.trigger(work);
    const error: unknown = await run.result().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: "RunFailedError", runId: run.id, pipeline: "work" });
    const { message } = error as Error;
    expect(message).toContain('task "first" after 2 attempts: Error: cannot load (caused by: TypeError: bad row)');
    expect(message).toContain('task "second" after 1 attempt: Error: no');
    expect(message).toContain(`engine.runs.resume("${run.id}")`);
  });
});
