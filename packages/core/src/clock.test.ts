import { afterEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "./clock.js";
import { pipeline } from "./define/pipeline.js";
import { createEngine } from "./engine/engine.js";
import { leavesNothingBehind } from "./test-support/nothing-left.js";

leavesNothingBehind();

/** The real ones, whatever a test does to the globals. */
const { setTimeout: realTimeout, setImmediate: realImmediate } = globalThis;
const sleep = (ms: number) => new Promise((resolve) => realTimeout(resolve, ms));

describe("systemClock", () => {
  it("fires once, not before its moment and never synchronously", async () => {
    const fired: number[] = [];
    const at = systemClock.now() + 20;
    systemClock.timer(at, () => fired.push(systemClock.now()));
    systemClock.timer(at - 1_000, () => fired.push(0));
    expect(fired).toEqual([]);
    await sleep(60);
    expect(fired).toHaveLength(2);
    expect(fired[0]).toBe(0);
    expect(fired[1]).toBeGreaterThanOrEqual(at);
  });

  it("takes a timer back, also after it fired", async () => {
    let fired = 0;
    const clear = systemClock.timer(systemClock.now() + 5, () => fired++);
    clear();
    clear();
    const late = systemClock.timer(systemClock.now(), () => fired++);
    await sleep(30);
    late();
    expect(fired).toBe(1);
  });

  it("F89 waits longer than 2^31-1 ms, without a timer of 1 ms, and can be taken back", async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning);
    process.on("warning", onWarning);
    let fired = 0;
    const clears = [2 ** 31, 40 * 86_400_000, 100 * 366 * 86_400_000].map((ms) =>
      systemClock.timer(systemClock.now() + ms, () => fired++),
    );
    await sleep(30);
    expect(fired).toBe(0);
    for (const clear of clears) clear();
    process.off("warning", onWarning);
    expect(warnings).toEqual([]);
  });

  it("F89 arms a long wait again until its moment has come", async () => {
    vi.resetModules();
    const realNow = Date.now;
    const armed: { fire: () => void; ms: number }[] = [];
    let now = 0;
    globalThis.setTimeout = ((fire: () => void, ms: number) =>
      armed.push({ fire, ms })) as unknown as typeof setTimeout;
    Date.now = () => now;
    try {
      const { systemClock: fresh } = await import("./clock.js");
      let fired = 0;
      fresh.timer(2 ** 32, () => fired++);
      const step = 2 ** 31 - 1;
      expect(armed.at(-1)?.ms).toBe(step);
      now = step;
      armed.at(-1)!.fire();
      expect(armed.at(-1)?.ms).toBe(step);
      now = 2 * step;
      armed.at(-1)!.fire();
      expect([fired, armed.at(-1)?.ms]).toEqual([0, 2]);
      armed.at(-1)!.fire(); // Node's timers may be early by the wall clock
      expect(fired).toBe(0);
      now = 2 ** 32;
      armed.at(-1)!.fire();
      expect(fired).toBe(1);
    } finally {
      globalThis.setTimeout = realTimeout;
      Date.now = realNow;
    }
  });

  it("measures with a clock that does not go backwards, and gives the event loop a turn", async () => {
    const start = systemClock.monotonicMs();
    let isImmediate = false;
    realImmediate(() => {
      isImmediate = true;
    });
    await new Promise<void>((resolve) => systemClock.afterTurn(resolve));
    expect(isImmediate).toBe(true);
    expect(systemClock.monotonicMs()).toBeGreaterThanOrEqual(start);
  });
});

describe("a host that changes the globals", () => {
  const work = pipeline("work", (p) => {
    const first = p.task("first", { retry: { attempts: 3, delay: "2ms" }, timeout: "5s" }, ({ attempt, log }) => {
      log("trying");
      if (attempt < 3) throw new Error("again");
      return attempt;
    });
    return { second: p.task("second", { needs: { first } }, ({ input }) => input.first) };
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  it("F123 a task that patches them does not stop the engine", async () => {
    const originals = { now: Date.now, random: Math.random, performance: performance.now };
    const globals = globalThis as unknown as Record<string, unknown>;
    const names = ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate", "setInterval", "queueMicrotask"];
    const saved = names.map((name) => [name, globals[name]] as const);
    const broken = (): never => {
      throw new Error("patched");
    };
    const patching = pipeline("patching", (p) => {
      p.task("patches", () => {
        for (const name of names) globals[name] = broken;
        Date.now = broken;
        Math.random = broken;
        performance.now = broken;
        return 1;
      });
    });
    const engine = createEngine({ pipelines: [patching, work] });
    try {
      await engine.run(patching);
      expect(await engine.run(work)).toEqual({ second: 3 });
      await engine.stop();
    } finally {
      for (const [name, value] of saved) globals[name] = value;
      Date.now = originals.now;
      Math.random = originals.random;
      performance.now = originals.performance;
    }
  });

  it.each([undefined, 0, Date.UTC(2100, 0)])(
    "F124 an engine works under fake timers that stand still (at %s)",
    async (now) => {
      vi.useFakeTimers({
        ...(now !== undefined && { now }),
        toFake: [
          "setTimeout",
          "clearTimeout",
          "setImmediate",
          "clearImmediate",
          "setInterval",
          "Date",
          "performance",
          "queueMicrotask",
        ],
      });
      const engine = createEngine({ pipelines: [work] });
      expect(await engine.run(work)).toEqual({ second: 3 });
      await engine.stop();
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  it("F110 works in 1969, 2038 and 9999", async () => {
    const { ManualClock } = await import("./test-support/manual-clock.js");
    for (const year of [1969, 2038, 9999]) {
      const clock = new ManualClock(Date.UTC(year, 11, 31, 23, 59, 59));
      const engine = createEngine({ pipelines: [work], clock });
      await engine.start();
      const run = await engine.trigger(work);
      await clock.advance(10);
      expect(await run.result()).toEqual({ second: 3 });
      expect((await engine.runs.list({ since: clock.now() - 1_000 })).items).toHaveLength(1);
      await engine.stop();
    }
  });
});
