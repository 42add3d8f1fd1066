import { describe, expect, it } from "vitest";
import type { TimeoutOptions } from "../define/options.js";
import { pipeline } from "../define/pipeline.js";
import { RetryAfter, SkipTask } from "../execute/signals.js";
import { startedEngine, stopNow } from "../test-support/engines.js";
import { aborted, gate } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";
import { takenOver } from "../test-support/takeover.js";
import type { Engine } from "./engine.js";

leavesNothingBehind();

const taskOf = async (engine: Engine, runId: string, task = "file") =>
  (await engine.runs.tasks(runId, { task })).items[0]!;

/** A poll that notes when it looked and gives, or throws, what `probe` says. */
function polling(
  clock: ManualClock,
  probe: (look: number, signal: AbortSignal) => unknown,
  options: { timeout?: TimeoutOptions; retry?: { attempts: number; delay: number; backoff: "fixed" } } = {},
) {
  const start = clock.now();
  const looks: number[] = [];
  const work = pipeline("work", (p) => {
    const file = p.poll("file", { every: "30s", ...options }, ({ signal }) => {
      looks.push((clock.now() - start) / 1_000);
      return probe(looks.length, signal);
    });
    return { file };
  });
  return { work, looks };
}

describe("p.poll", () => {
  it("looks until it finds something, with a pause between looks", async () => {
    const clock = new ManualClock();
    const { work, looks } = polling(clock, (look) => look === 4 && { path: "/data" });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(45_000);
    expect(await run.status()).toBe("waiting");
    const wait = { kind: "poll", until: clock.now() + 15_000, probes: 2 };
    expect(await taskOf(engine, run.id)).toMatchObject({ status: "waiting", wait });
    await clock.advance(45_000);
    expect(await run.result()).toEqual({ file: { path: "/data" } });
    expect(looks).toEqual([0, 30, 60, 90]);
    expect(await taskOf(engine, run.id)).toMatchObject({ status: "succeeded", attempts: 1, wait: undefined });
    expect((await engine.runs.attempts(run.id)).items).toMatchObject([{ attempt: 1, status: "succeeded" }]);
  });

  it.each([null, 0, "", Number.NaN, [], true])("F80 ends with %j", async (found) => {
    const clock = new ManualClock();
    const { work, looks } = polling(clock, () => found);
    const engine = await startedEngine({ pipelines: [work], clock });
    expect(await engine.run(work)).toEqual({ file: found });
    expect(looks).toEqual([0]);
  });

  it.each([undefined, false])("F80 goes on after %s, now or from a promise", async (nothing) => {
    const clock = new ManualClock();
    const { work, looks } = polling(clock, (look) =>
      look === 3 ? "found" : look === 2 ? Promise.resolve(nothing) : nothing,
    );
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(60_000);
    expect(await run.result()).toEqual({ file: "found" });
    expect(looks).toEqual([0, 30, 60]);
  });

  it.each<[string, unknown]>([
    ["0", 0],
    ["missing", undefined],
    ["no duration", "often"],
  ])("refuses an every that is %s", (_what, every) => {
    const define = () => pipeline("work", (p) => void p.poll("file", { every: every as number }, () => 1));
    expect(define).toThrow(expect.objectContaining({ code: "DURATION_INVALID" }));
  });

  it("holds no slot between two looks", async () => {
    const clock = new ManualClock();
    const work = pipeline("work", (p) => {
      p.poll("never", { every: "1m", timeout: "1h" }, () => undefined);
      p.task("other", () => 1);
    });
    const engine = await startedEngine({ pipelines: [work], clock, concurrency: 1 });
    const run = await engine.trigger(work);
    await settled();
    expect(await taskOf(engine, run.id, "other")).toMatchObject({ status: "succeeded" });
    await run.cancel();
  });

  it("takes at most its timeout, over all looks", async () => {
    const clock = new ManualClock();
    const { work, looks } = polling(clock, () => undefined, {
      timeout: "70s",
      retry: { attempts: 5, delay: 0, backoff: "fixed" },
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    const failure = run.result().catch((error: unknown) => error);
    await clock.advance(70_000);
    expect(await failure).toMatchObject({ failures: [{ error: { code: "TASK_TIMEOUT" } }] });
    expect(looks).toEqual([0, 30, 60]);
    expect(clock.workTimers).toBe(0);
  });

  it("F89 may look for longer than 2^31-1 ms", async () => {
    const clock = new ManualClock();
    const work = pipeline("work", (p) => void p.poll("file", { every: "20d", timeout: "50d" }, () => undefined));
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(49 * 86_400_000);
    expect(await run.status()).toBe("waiting");
    await clock.advance(86_400_000);
    expect(await run.status()).toBe("failed");
  });

  it("stops a look that takes longer than { attempt }, and follows the retry policy", async () => {
    const clock = new ManualClock();
    const hangsOnce = (look: number, signal: AbortSignal) => (look === 2 ? aborted(signal) : look === 3 && "found");
    const { work, looks } = polling(clock, hangsOnce, {
      timeout: { attempt: "5s" },
      retry: { attempts: 2, delay: 1_000, backoff: "fixed" },
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(60_000);
    expect(await run.result()).toEqual({ file: "found" });
    expect(looks).toEqual([0, 30, 36]);
  });

  it("follows the retry policy when its probe fails, and looks on after that", async () => {
    const clock = new ManualClock();
    const flaky = (look: number) => {
      if (look === 2 || look === 4) throw new Error(`down ${look}`);
      return look === 5 && "found";
    };
    const { work, looks } = polling(clock, flaky, { retry: { attempts: 3, delay: 1_000, backoff: "fixed" } });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(120_000);
    expect(await run.result()).toEqual({ file: "found" });
    expect(looks).toEqual([0, 30, 31, 61, 62]);
    expect((await engine.runs.attempts(run.id)).items).toMatchObject([
      { attempt: 1, status: "failed", error: { message: "down 2" } },
      { attempt: 2, status: "failed", error: { message: "down 4" } },
      { attempt: 3, status: "succeeded" },
    ]);
  });

  it("fails when its probe fails and nothing is said about retries", async () => {
    const clock = new ManualClock();
    const { work, looks } = polling(clock, (look) => {
      if (look === 2) throw new Error("down");
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    const failure = run.result().catch((error: unknown) => error);
    await clock.advance(30_000);
    expect(await failure).toMatchObject({ failures: [{ task: "file", attempts: 1, error: { message: "down" } }] });
    expect(looks).toEqual([0, 30]);
  });

  it("lets its probe ask for a delay, or find that there is nothing to do", async () => {
    const clock = new ManualClock();
    const { work, looks } = polling(
      clock,
      (look) => {
        throw look === 1 ? new RetryAfter("7s") : new SkipTask("nobody needs it");
      },
      { retry: { attempts: 2, delay: 0, backoff: "fixed" } },
    );
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(7_000);
    expect(await run.status()).toBe("succeeded");
    expect(looks).toEqual([0, 7]);
    expect(await taskOf(engine, run.id)).toMatchObject({ status: "skipped", reason: "nobody needs it" });
  });

  it("leaves no attempt running in history when it ends between two looks", async () => {
    const clock = new ManualClock();
    const { work } = polling(clock, async () => {
      await settled(3); // long enough to be recorded as running
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await settled(20);
    expect(await taskOf(engine, run.id)).toMatchObject({ status: "waiting", attempts: 0 });
    await run.cancel();
    await settled();
    expect(await run.status()).toBe("cancelled");
    expect((await engine.runs.attempts(run.id, { status: ["running"] })).items).toEqual([]);
  });

  it.each(["between looks", "during a look"])("is cancelled %s", async (when) => {
    const clock = new ManualClock();
    const { work, looks } = polling(clock, (_, signal) => when === "during a look" && aborted(signal));
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await settled();
    await run.cancel();
    await clock.advance(120_000);
    expect(await run.status()).toBe("cancelled");
    expect(looks).toEqual([0]);
  });

  it("looks no more while its run is paused", async () => {
    const clock = new ManualClock();
    const { work, looks } = polling(clock, (look) => look === 2 && "found");
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await settled();
    await engine.runs.pause(run.id);
    await clock.advance(120_000);
    expect([await run.status(), ...looks]).toEqual(["paused", 0]);
    await engine.runs.unpause(run.id);
    await clock.advance(0);
    expect(await run.result()).toEqual({ file: "found" });
    expect(looks).toEqual([0, 120]);
  });

  it("F109 keeps its moments and its deadline when another engine takes the run over", async () => {
    const clock = new ManualClock();
    const storage = testStorage();
    const { work, looks } = polling(clock, () => undefined, { timeout: "100s" });
    const options = { pipelines: [work], clock, storage };
    const first = await startedEngine(options);
    const run = await first.trigger(work);
    await clock.advance(40_000);
    const second = await takenOver(first, options);
    await clock.advance(40_000);
    const third = await takenOver(second, options);
    await clock.advance(19_999);
    expect(await third.runs.get(run.id)).toMatchObject({ status: "waiting" });
    expect((await taskOf(third, run.id)).wait).toMatchObject({ probes: 4 });
    await clock.advance(1);
    expect(await third.runs.get(run.id)).toMatchObject({ status: "failed" });
    expect(looks).toEqual([0, 30, 60, 90]);
  });

  it("looks again at once when its engine stopped during a look", async () => {
    const clock = new ManualClock();
    const storage = testStorage();
    const hung = gate();
    const { work, looks } = polling(clock, (look) => (look === 1 ? hung.passed : "found"));
    const first = await startedEngine({ pipelines: [work], clock, storage });
    const run = await first.trigger(work);
    await settled();
    await stopNow(first, clock);
    const second = await startedEngine({ pipelines: [work], clock, storage });
    await settled();
    expect(await second.runs.get(run.id)).toMatchObject({ status: "succeeded" });
    expect(looks).toHaveLength(2);
    hung.open();
  });

  it("polls for each item of a mapped group, with input and item", async () => {
    const clock = new ManualClock();
    const looks: string[] = [];
    const work = pipeline("work", (p) => {
      const limit = p.task("limit", () => 2);
      p.group("each", { over: ["a", "b"] }, (g) => {
        g.poll("file", { needs: { limit }, every: "1m" }, ({ item, input }) => {
          looks.push(item);
          return looks.filter((other) => other === item).length === input.limit;
        });
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(60_000);
    expect(await run.status()).toBe("succeeded");
    expect(looks).toEqual(["a", "b", "a", "b"]);
  });
});
