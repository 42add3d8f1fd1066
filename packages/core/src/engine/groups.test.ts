import { describe, expect, it } from "vitest";
import type { Builder } from "../define/builder.js";
import type { ResultNodes } from "../define/handles.js";
import { type Pipeline, pipeline } from "../define/pipeline.js";
import { SkipTask } from "../execute/signals.js";
import { startedEngine } from "../test-support/engines.js";
import { FaultyStorage } from "../test-support/faulty-storage.js";
import { aborted, gate, Meter, noted } from "../test-support/gates.js";
import { attempts, statuses } from "../test-support/history.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { scaled, testStorage } from "../test-support/storages.js";
import type { Engine } from "./engine.js";

leavesNothingBehind();

type P = Builder<Record<never, never>>;

/** Runs a pipeline to its end, whatever that is. */
async function ended(work: Pipeline<Record<never, never>, unknown>, options: { clock?: ManualClock } = {}) {
  const engine = await startedEngine({ pipelines: [work as unknown as Pipeline], random: () => 0, ...options });
  const run = await engine.trigger(work);
  await run.result().catch(() => undefined);
  return { engine, run, statuses: await statuses(engine, run.id), status: await run.status() };
}

const endedOf = (build: (p: P) => ResultNodes | void) => ended(pipeline("work", build));

const broken = (_?: unknown): never => {
  throw new Error("broken");
};

const errorOf = async (engine: Engine, runId: string, task: string) =>
  (await engine.runs.tasks(runId, { task })).items[0]!.error;

it("a task that failed, in a group that begins anew in the same flush, stays in history as it was", async () => {
  let passes = 0;
  const work = pipeline("work", (p) => {
    p.group("g", { retry: { attempts: 2, delay: 0 } }, (g) => {
      g.task("x", () => {
        if (passes++ === 0) throw new Error("broken");
        return passes;
      });
    });
  });
  const engine = await startedEngine({ pipelines: [work] });
  const run = await engine.trigger(work);
  await run.result();
  const statuses = async (generation: number) =>
    (await engine.runs.tasks(run.id, { generation, task: "g.x" })).items.map(({ status }) => status);
  expect([await statuses(1), await statuses(2)]).toEqual([["failed"], ["succeeded"]]);
});

describe("a group", () => {
  it("hands its named outputs on, as an object or one by one", async () => {
    const work = pipeline("work", (p) => {
      const source = p.task("source", () => 20);
      const prep = p.group("prep", (g) => {
        const a = g.task("a", { needs: { source } }, ({ input }) => input.source + 1);
        const b = g.task("b", { needs: { a } }, ({ input }) => `b${input.a}`);
        return { a, b };
      });
      const whole = p.task("whole", { needs: { prep } }, ({ input }) => input.prep);
      const single = p.task("single", { needs: { a: prep.outputs.a } }, ({ input }) => input.a * 2);
      return { prep, whole, single, b: prep.outputs.b };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    const prep = { a: 21, b: "b21" };
    expect(await run.result()).toEqual({ prep, whole: prep, single: 42, b: "b21" });
    expect(await statuses(engine, run.id)).toEqual({
      source: "succeeded",
      prep: "succeeded",
      "prep.a": "succeeded",
      "prep.b": "succeeded",
      whole: "succeeded",
      single: "succeeded",
    });
  });

  it("without named outputs puts out nothing", async () => {
    const work = pipeline("work", (p) => {
      const prep = p.group("prep", (g) => void g.task("a", () => 1));
      return { seen: p.task("seen", { needs: { prep } }, ({ input }) => [input.prep]) };
    });
    const engine = await startedEngine({ pipelines: [work] });
    expect(await engine.run(work)).toEqual({ seen: [undefined] });
  });

  it("in a group has both ids in front, and hands its outputs through", async () => {
    const work = pipeline("work", (p) => {
      const outer = p.group("outer", (g) => {
        const x = g.task("x", () => 1);
        const inner = g.group("inner", (h) => ({ y: h.task("y", { needs: { x } }, ({ input }) => input.x + 1) }));
        const z = g.task("z", { needs: { inner } }, ({ input }) => input.inner.y + 1);
        return { inner, y: inner.outputs.y, z };
      });
      return { outer, y: outer.outputs.y };
    });
    const engine = await startedEngine({ pipelines: [work] });
    expect(work.taskIds).toEqual(["outer", "outer.x", "outer.inner", "outer.inner.y", "outer.z"]);
    expect(await engine.run(work)).toEqual({ outer: { inner: { y: 2 }, y: 2, z: 3 }, y: 2 });
  });

  it("begins as one, when all that its tasks need is there, and ends as one", async () => {
    const open = { left: gate(), right: gate(), slow: gate() };
    const log: string[] = [];
    const work = pipeline("work", (p) => {
      const left = p.task("left", () => open.left.passed);
      const right = p.task("right", () => open.right.passed);
      const both = p.group("both", (g) => {
        const a = g.task("a", { needs: { left } }, () => void log.push("a"));
        g.task("b", { needs: { right } }, () => noted(log, "b", open.slow.passed));
        return { a };
      });
      p.task("after", { needs: { a: both.outputs.a } }, () => void log.push("after"));
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    open.left.open();
    await settled();
    expect(log).toEqual([]);
    open.right.open();
    await settled();
    expect(log).toEqual(["a", "b"]);
    expect(await statuses(engine, run.id)).toMatchObject({ both: "running", "both.a": "succeeded", after: "pending" });
    open.slow.open();
    await run.result();
    expect(log).toEqual(["a", "b", "after"]);
  });

  const upstreams: [string, (p: P) => ReturnType<P["task"]>, string, string][] = [
    ["fails", (p) => p.task("up", broken), "upstream-failed", "failed"],
    ["is skipped", (p) => p.task("up", { when: () => false }, () => 1), "skipped", "succeeded"],
  ];
  it.each(upstreams)("ends as a whole when its upstream %s", async (_, up, expected, status) => {
    const result = await endedOf((p) => {
      const before = up(p);
      const prep = p.group("prep", { after: [before] }, (g) => {
        const a = g.task("a", () => 1);
        g.group("inner", (h) => void h.task("b", { needs: { a } }, () => 1));
        g.map("each", { over: [1, 2] }, () => 1);
        g.group("items", { over: [1, 2] }, (h) => void h.task("c", () => 1));
      });
      p.task("after", { after: [prep] }, () => 1);
    });
    expect(result.status).toBe(status);
    const inside = ["prep", "prep.a", "prep.inner", "prep.inner.b", "prep.each", "prep.items", "after"];
    expect(result.statuses).toEqual({
      up: expected === "skipped" ? "skipped" : "failed",
      ...Object.fromEntries(inside.map((id) => [id, expected])),
    });
  });

  it("on a path that a branch did not choose is skipped as a whole", async () => {
    const result = await endedOf((p) => {
      const choose = p.branch("choose", {}, () => "x" as "x" | "y");
      const x = p.group("x", { after: [choose.when("x")] }, (g) => ({ a: g.task("a", () => 1) }));
      const y = p.group("y", { after: [choose.when("y")] }, (g) => ({ a: g.task("a", () => 1) }));
      p.task("join", { needs: { x, y }, triggerRule: "none-failed-min-one-success" }, ({ input }) => input);
    });
    expect(result.statuses).toEqual({
      ...{ choose: "succeeded", x: "succeeded", "x.a": "succeeded", y: "skipped", "y.a": "skipped", join: "succeeded" },
    });
    const [join] = (await result.engine.runs.tasks(result.run.id, { task: "join" })).items;
    expect(join!.output).toEqual({ x: { a: 1 } });
  });

  it("may branch inside, and is skipped when all its tasks are", async () => {
    const result = await endedOf((p) => {
      p.group("some", (g) => {
        const choose = g.branch("choose", {}, () => "l" as "l" | "r");
        g.task("l", { after: [choose.when("l")] }, () => 1);
        g.task("r", { after: [choose.when("r")] }, () => 1);
      });
      const none = p.group("none", (g) => void g.task("a", () => Promise.reject(new SkipTask("nothing to do"))));
      p.task("after", { after: [none] }, () => 1);
    });
    expect(result.statuses).toEqual({
      ...{ some: "succeeded", "some.choose": "succeeded", "some.l": "succeeded", "some.r": "skipped" },
      ...{ none: "skipped", "none.a": "skipped", after: "skipped" },
    });
  });

  it("fails with the number of its tasks that failed, which the run's error names", async () => {
    const {
      engine,
      run,
      statuses: ends,
    } = await endedOf((p) => {
      const prep = p.group("prep", (g) => {
        const a = g.task("a", broken);
        g.task("b", broken);
        g.task("c", { needs: { a } }, () => 1);
        g.task("d", () => 1);
      });
      p.task("after", { after: [prep] }, () => 1);
    });
    expect(ends).toEqual({
      ...{ prep: "failed", "prep.a": "failed", "prep.b": "failed", "prep.c": "upstream-failed", "prep.d": "succeeded" },
      after: "upstream-failed",
    });
    expect(await errorOf(engine, run.id, "prep")).toMatchObject({
      code: "TASK_FAILED",
      message: /2 of its tasks failed/,
    });
    const error = await run.result().catch((thrown: unknown) => thrown);
    expect((error as { failures: { task: string }[] }).failures.map(({ task }) => task)).toEqual(["prep.a", "prep.b"]);
  });

  it("with allowFailure does not fail the run, a task with allowFailure not the group", async () => {
    const result = await endedOf((p) => {
      p.group("lenient", { allowFailure: true }, (g) => void g.task("a", broken));
      const strict = p.group("strict", (g) => {
        g.task("a", { allowFailure: true }, broken);
        return { b: g.task("b", () => 1) };
      });
      p.task("after", { needs: { strict } }, () => 1);
    });
    expect(result.status).toBe("succeeded");
    expect(result.statuses).toMatchObject({ lenient: "failed", strict: "succeeded", after: "succeeded" });
  });

  it("that may fail neither retries the group around it nor fails the run fast", async () => {
    let passes = 0;
    const result = await ended(
      pipeline("work", { failFast: true }, (p) => {
        const slow = gate();
        p.group("outer", { retry: { attempts: 3, delay: 0 } }, (g) => {
          g.task("pass", () => void passes++);
          g.group("inner", { allowFailure: true }, (h) => void h.task("a", broken));
          g.task("slow", () => void setImmediate(() => slow.open()));
          g.task("waits", () => slow.passed);
        });
        p.group("mapped", { over: [1], allowFailure: true }, (g) => void g.task("a", broken));
      }),
    );
    expect(result.statuses).toMatchObject({ outer: "succeeded", "outer.inner": "failed", mapped: "failed" });
    expect(result.status).toBe("succeeded");
    expect(passes).toBe(1);
  });

  it("F144 may stand in 100 others", async () => {
    const work = pipeline("work", (p) => {
      let deepest = "";
      const nest = (g: P, depth: number): void => {
        if (depth === 0) deepest = g.task("t", () => 1).id;
        else g.group("g", (h) => nest(h, depth - 1));
      };
      nest(p, 90);
      expect(deepest.split(".")).toHaveLength(91);
    });
    const { status, statuses: ends } = await ended(work);
    expect(status).toBe("succeeded");
    expect(Object.keys(ends)).toHaveLength(91);
  });

  it("F144 a chain of 10,000 tasks in a group whose first fails, and is retried", async () => {
    const length = scaled(10_000);
    let passes = 0;
    const { status, engine, run } = await endedOf((p) => {
      p.group("g", { retry: { attempts: 2, delay: 0 } }, (g) => {
        let last = g.task("t0", () => (++passes === 1 ? broken() : 0));
        for (let n = 1; n < length; n++) last = g.task(`t${n}`, { needs: { last } }, ({ input }) => input.last + 1);
        return { last };
      });
    });
    expect(status).toBe("succeeded");
    expect((await engine.runs.tasks(run.id, { task: `g.t${length - 1}` })).items).toMatchObject([
      { output: length - 1, generation: 2 },
    ]);
  });
});

describe("a group's concurrency", () => {
  it("bounds its tasks in one run, nested groups and maps included", async () => {
    const meters = { outer: new Meter(), inner: new Meter() };
    const work = pipeline("work", (p) => {
      p.group("outer", { concurrency: 3 }, (g) => {
        const task = () => meters.outer.during(() => settled(2));
        for (const n of [1, 2, 3]) g.task(`t${n}`, task);
        g.map("m", { over: [1, 2, 3, 4] }, task);
        g.group("inner", { concurrency: 1 }, (h) => {
          for (const n of [1, 2, 3])
            h.task(`i${n}`, () => meters.outer.during(() => meters.inner.during(() => settled(2))));
        });
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    await Promise.all([engine.run(work)]);
    expect(meters.outer).toMatchObject({ max: 3, total: 10 });
    expect(meters.inner).toMatchObject({ max: 1, total: 3 });
    await Promise.all([engine.run(work), engine.run(work)]); // each run has its own
    expect(meters.outer.max).toBe(6);
  });
});

describe("a group's retry", () => {
  const retry = { attempts: 3, delay: "10s", backoff: "fixed" } as const;

  it("stops the siblings of a failed task, and runs all again together as a new generation", async () => {
    const clock = new ManualClock();
    const log: string[] = [];
    let pass = 0;
    const work = pipeline("work", (p) => {
      const g = p.group("g", { retry }, (b) => {
        const first = b.task("first", () => noted(log, "first", ++pass));
        b.task("fails", { needs: { first } }, async ({ input }) => {
          await settled(2);
          if (input.first < 2) broken();
        });
        const long = b.task("long", { needs: { first } }, async ({ input, signal }) => {
          if (input.first > 1) return input.first;
          return aborted(signal).catch((reason: { code: string }) => noted(log, reason.code, 0));
        });
        const later = b.task("later", { needs: { long } }, () => noted(log, "later", 1));
        return { long, later };
      });
      return { g };
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await settled(20);
    expect(log).toEqual(["first", "GROUP_STOPPED"]);
    expect(await statuses(engine, run.id)).toEqual({
      ...{ g: "retrying", "g.first": "succeeded", "g.fails": "failed", "g.long": "cancelled", "g.later": "cancelled" },
    });
    const reasons = (await engine.runs.tasks(run.id, { task: "g.later" })).items.map(({ reason }) => reason);
    expect(reasons).toEqual([expect.stringContaining('task "g.fails" failed, and group "g" is retried')]);
    expect(await run.status()).toBe("waiting");
    await clock.advance(10_000);
    await clock.advance(10);
    expect(await run.result()).toEqual({ g: { long: 2, later: 1 } });
    expect(log).toEqual(["first", "GROUP_STOPPED", "first", "later"]);
    expect(await attempts(engine, run.id)).toEqual([
      ...["g.first 1/1 succeeded", "g.first 2/1 succeeded", "g.fails 1/1 failed", "g.fails 2/1 succeeded"],
      ...["g.long 1/1 cancelled", "g.long 2/1 succeeded", "g.later 2/1 succeeded"],
    ]);
    expect((await engine.runs.get(run.id)).generation).toBe(2);
    const before = await engine.runs.tasks(run.id, { generation: 1, task: "g.fails" });
    expect(before.items).toMatchObject([{ status: "failed", error: { message: "broken" } }]);
  });

  it("comes after those of its tasks, and is one for all of them", async () => {
    const clock = new ManualClock();
    let calls = 0;
    const work = pipeline("work", (p) => {
      p.group("g", { retry }, (g) => {
        g.task("a", { retry: { attempts: 2, delay: "1s", backoff: "fixed" } }, () => broken(calls++));
        g.task("b", broken);
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(60_000);
    expect(await run.status()).toBe("failed");
    expect(calls).toBe(4); // cancelled before its second attempt twice; all of them in the last pass
    expect((await engine.runs.tasks(run.id, { task: "g" })).items).toMatchObject([{ status: "failed", attempts: 3 }]);
  });

  it("of an outer group counts each pass over the inner one anew", async () => {
    const clock = new ManualClock();
    let calls = 0;
    const work = pipeline("work", (p) => {
      p.group("outer", { retry: { ...retry, attempts: 2 } }, (g) => {
        g.group("inner", { retry: { ...retry, attempts: 2 } }, (h) => void h.task("a", () => broken(calls++)));
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(120_000);
    expect(await run.status()).toBe("failed");
    expect(calls).toBe(4);
  });

  it("takes the innermost group that can still be retried", async () => {
    const clock = new ManualClock();
    const log: string[] = [];
    let fails = 2;
    const work = pipeline("work", (p) => {
      p.group("outer", { retry }, (g) => {
        g.task("x", () => void log.push("x"));
        g.group("inner", (h) => void h.task("a", () => noted(log, "a", fails-- > 0 ? broken() : 1)));
        g.group("other", { retry }, (h) => void h.task("b", () => void log.push("b")));
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(60_000);
    expect(await run.status()).toBe("succeeded");
    expect(log.filter((entry) => entry === "x")).toHaveLength(3);
    expect((await engine.runs.tasks(run.id, { task: "outer.other" })).items).toMatchObject([{ generation: 3 }]);
  });

  it("expands the maps inside it again, over what the list is by then", async () => {
    let pass = 0;
    const work = pipeline("work", (p) => {
      const g = p.group("g", { retry: { attempts: 3, delay: 0 } }, (b) => {
        const list = b.task(
          "list",
          () =>
            [
              [1, 2, 3],
              [4, 5],
              [6, 7, 8, 9],
            ][pass++]!,
        );
        const each = b.map("each", { over: list }, ({ item }) => (item === 2 || item === 5 ? broken() : item));
        const items = b.group("items", { over: list }, (h) => {
          const a = h.task("a", ({ item }) => item * 10);
          return { b: h.task("b", { needs: { a } }, ({ input }) => input.a + 1) };
        });
        return { each, b: items.outputs.b };
      });
      return { g };
    });
    const engine = await startedEngine({ pipelines: [work], random: () => 0 });
    const run = await engine.trigger(work);
    expect(await run.result()).toEqual({ g: { each: [6, 7, 8, 9], b: [61, 71, 81, 91] } });
    const { items } = await engine.runs.tasks(run.id, {}, { limit: 1_000 });
    const wrong = items.filter(({ task, generation }) => task !== "g" && generation !== 3);
    expect(wrong).toEqual([]);
    expect(items).toHaveLength(2 + 5 + 5 + 8);
  });

  it("asks its predicate for nothing of a cancelled run, and lets nothing start again", async () => {
    const clock = new ManualClock();
    let calls = 0;
    const work = pipeline("work", (p) => {
      p.group("g", { retry }, (g) => void g.task("a", () => broken(calls++)));
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await settled();
    await run.cancel();
    await clock.advance(60_000);
    expect(await run.status()).toBe("cancelled");
    expect(await statuses(engine, run.id)).toEqual({ g: "cancelled", "g.a": "failed" });
    expect(calls).toBe(1);
  });

  it("is not made while code of a stopped task still runs, so that no task runs twice at once", async () => {
    const meter = new Meter();
    const deaf = gate();
    const result = await endedOf((p) => {
      p.group("g", { retry: { attempts: 3, delay: 0 } }, (g) => {
        g.task("deaf", () => meter.during(() => deaf.passed));
        g.task("fails", () => settled().then(broken));
      });
    });
    deaf.open();
    expect(meter).toMatchObject({ max: 1, total: 1 });
    expect(result.statuses).toEqual({ g: "failed", "g.deaf": "cancelled", "g.fails": "failed" });
    expect((await errorOf(result.engine, result.run.id, "g"))?.message).toContain("may still be running");
    await settled();
  });

  it("goes on under the next engine, with the same budget and at the same moment", async () => {
    const clock = new ManualClock();
    const storage = testStorage();
    let calls = 0;
    const work = pipeline("work", (p) => {
      p.group("g", { retry }, (g) => void g.task("a", () => broken(calls++)));
    });
    const first = await startedEngine({ pipelines: [work], storage, clock });
    const run = await first.trigger(work);
    await clock.advance(5_000);
    await first.stop({ grace: 0 });
    expect(calls).toBe(1);
    const second = await startedEngine({ pipelines: [work], storage, clock });
    await clock.advance(4_900);
    expect(calls).toBe(1);
    await clock.advance(200);
    expect(calls).toBe(2);
    await clock.advance(10_000);
    expect(calls).toBe(3);
    expect((await second.runs.get(run.id)).status).toBe("failed");
  });

  it("after a resume has its whole budget again, and what succeeded stays", async () => {
    const clock = new ManualClock();
    const log: string[] = [];
    let fails = 5;
    const work = pipeline("work", (p) => {
      p.group("g", { retry: { ...retry, attempts: 2 } }, (g) => {
        g.task("good", () => void log.push("good"));
        g.task("bad", () => noted(log, "bad", fails-- > 0 ? broken() : 1));
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(30_000);
    expect(await run.status()).toBe("failed");
    log.length = 0;
    await engine.runs.resume(run.id);
    await settled();
    // Only what failed runs in the pass that goes on; a further pass is one over all tasks.
    expect(log).toEqual([]);
    await clock.advance(10_000);
    expect(log.filter((entry) => entry === "good")).toHaveLength(1);
    expect(fails).toBe(1);
    expect(await run.status()).toBe("failed");
  });
});

describe("a group's timeout", () => {
  it("is for one pass, which stops tasks whatever their own retry, and after which the group is retried", async () => {
    const clock = new ManualClock();
    const codes: string[] = [];
    let pass = 0;
    const retry = { attempts: 2, delay: "1s", backoff: "fixed" } as const;
    const work = pipeline("work", (p) => {
      p.group("g", { timeout: "10s", retry }, (g) => {
        const a = g.task("a", { retry: { ...retry, delay: "1h" } }, async ({ signal }) => {
          if (++pass === 1) await aborted(signal).catch((reason: { code: string }) => codes.push(reason.code));
        });
        g.task("b", { after: [a] }, () => pass);
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(9_999);
    expect(codes).toEqual([]);
    await clock.advance(2);
    expect(codes).toEqual(["GROUP_STOPPED"]);
    expect(await statuses(engine, run.id)).toEqual({ g: "retrying", "g.a": "cancelled", "g.b": "cancelled" });
    expect(await errorOf(engine, run.id, "g")).toMatchObject({ code: "TASK_TIMEOUT" });
    await clock.advance(1_000);
    expect(await run.status()).toBe("succeeded");
  });

  it("goes on while the run only waits", async () => {
    const clock = new ManualClock();
    const work = pipeline("work", (p) => {
      p.group("g", { timeout: "10m" }, (g) => {
        const first = g.sleep("first", "6m");
        g.sleep("second", { after: [first], for: "6m" });
        g.poll("poll", { every: "1m" }, () => false);
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(600_001);
    expect(await run.status()).toBe("failed");
    expect(await errorOf(engine, run.id, "g")).toMatchObject({ code: "TASK_TIMEOUT" });
    expect(await statuses(engine, run.id)).toMatchObject({ "g.first": "succeeded", "g.second": "cancelled" });
  });

  it("in total ends the group for good, also in a delay, a wait and a nested group", async () => {
    const clock = new ManualClock();
    const work = pipeline("work", (p) => {
      p.group("g", { timeout: { total: "10s" }, retry: { attempts: 9, delay: 0 } }, (g) => {
        g.sleep("sleep", "1h");
        g.signal("signal");
        g.group("inner", (h) => void h.task("a", { retry: { attempts: 2, delay: "1h", backoff: "fixed" } }, broken));
      });
      p.group("ok", { timeout: { total: "10s" } }, (g) => void g.sleep("sleep", "9s"));
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(10_000);
    expect(await run.status()).toBe("failed");
    expect(await statuses(engine, run.id)).toEqual({
      ...{
        g: "failed",
        "g.sleep": "cancelled",
        "g.signal": "cancelled",
        "g.inner": "cancelled",
        "g.inner.a": "cancelled",
      },
      ...{ ok: "succeeded", "ok.sleep": "succeeded" },
    });
    expect(await errorOf(engine, run.id, "g")).toMatchObject({ code: "TASK_TIMEOUT" });
    expect(clock.workTimers).toBe(0);
  });
});

describe("cancelling", () => {
  it("a group ends all its tasks, and what needs it cannot run", async () => {
    const codes: string[] = [];
    const work = pipeline("work", (p) => {
      const g = p.group("g", { retry: { attempts: 3, delay: 0 } }, (b) => {
        const a = b.task("a", ({ signal }) =>
          aborted(signal).catch((reason: { code: string }) => codes.push(reason.code)),
        );
        b.group("inner", (h) => void h.task("b", { after: [a] }, () => 1));
        b.sleep("s", "1h");
      });
      p.task("after", { after: [g] }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    expect(await engine.runs.cancel(run.id, { task: "g" })).toBe(true);
    await run.result().catch(() => undefined);
    expect(codes).toEqual(["TASK_CANCELLED"]);
    expect(await statuses(engine, run.id)).toEqual({
      ...{ g: "cancelled", "g.a": "cancelled", "g.inner": "cancelled", "g.inner.b": "cancelled", "g.s": "cancelled" },
      after: "upstream-failed",
    });
    expect(await run.status()).toBe("failed");
  });

  it("a task in a group leaves its siblings alone", async () => {
    const open = gate();
    const work = pipeline("work", (p) => {
      p.group("g", (g) => {
        g.task("a", () => open.passed);
        g.task("b", ({ signal }) => aborted(signal));
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    await engine.runs.cancel(run.id, { task: "g.b" });
    await settled();
    expect(await statuses(engine, run.id)).toEqual({ g: "running", "g.a": "running", "g.b": "cancelled" });
    open.open();
    await run.result().catch(() => undefined);
    expect(await statuses(engine, run.id)).toEqual({ g: "cancelled", "g.a": "succeeded", "g.b": "cancelled" });
  });

  it("a run ends its groups, and a resume goes on with them", async () => {
    const log: string[] = [];
    let hang = true;
    const work = pipeline("work", (p) => {
      const g = p.group("g", (b) => {
        const a = b.task("a", () => void log.push("a"));
        const s = b.task("b", { after: [a] }, ({ signal }) => noted(log, "b", hang ? aborted(signal) : 1));
        b.group("inner", (h) => void h.task("c", { after: [s] }, () => void log.push("c")));
      });
      p.group("next", { after: [g] }, (b) => void b.task("d", () => void log.push("d")));
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    await run.cancel();
    await run.result().catch(() => undefined);
    expect(new Set(Object.values(await statuses(engine, run.id)))).toEqual(new Set(["cancelled", "succeeded"]));
    hang = false;
    await (await engine.runs.resume(run.id)).result();
    expect(log).toEqual(["a", "b", "b", "c", "d"]);
    expect(new Set(Object.values(await statuses(engine, run.id)))).toEqual(new Set(["succeeded"]));
  });

  it("runs the teardown inside a group that is stopped", async () => {
    const log: string[] = [];
    const work = pipeline("work", (p) => {
      p.group("g", (g) => {
        const setup = g.task("setup", () => void log.push("setup"));
        const use = g.task("use", { after: [setup] }, ({ signal }) => aborted(signal));
        g.task("down", { needs: { setup }, after: [use], teardown: true }, () => void log.push("down"));
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    await engine.runs.cancel(run.id, { task: "g" });
    await run.result().catch(() => undefined);
    await settled();
    expect(log).toEqual(["setup", "down"]);
    expect(await run.status()).toBe("failed");
  });
});

describe("a rerun", () => {
  const cases: [string, string, string[]][] = [
    ["a task in a group", "g.b", ["b", "c", "after"]],
    ["a task of a mapped group", "each.x", ["x0", "x1", "y0", "y1", "end"]],
    ["a group", "g", ["a", "b", "c", "after"]],
    ["a mapped group", "each", ["x0", "x1", "y0", "y1", "end"]],
    ["a task before a group", "source", ["source", "a", "b", "c", "after"]],
  ];
  it.each(cases)("from %s runs that again, and what depends on it", async (_, from, again) => {
    const log: string[] = [];
    const work = pipeline("work", (p) => {
      const source = p.task("source", () => noted(log, "source", 1));
      const g = p.group("g", (b) => {
        const first = b.task("a", { needs: { source } }, () => noted(log, "a", 1));
        const second = b.task("b", { needs: { first } }, () => noted(log, "b", 1));
        return { c: b.task("c", { needs: { second } }, () => noted(log, "c", log.length)) };
      });
      const after = p.task("after", { needs: { g } }, ({ input }) => noted(log, "after", input.g.c));
      const each = p.group("each", { over: [0, 1] }, (b) => {
        const x = b.task("x", ({ item }) => noted(log, `x${item}`, item));
        return { y: b.task("y", { needs: { x } }, ({ item }) => noted(log, `y${item}`, item)) };
      });
      return { after, end: p.task("end", { needs: { each } }, () => noted(log, "end", 1)) };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    log.length = 0;
    await (await engine.runs.rerun(run.id, { from })).result();
    expect(log.sort()).toEqual([...again].sort());
    expect(new Set(Object.values(await statuses(engine, run.id)))).toEqual(new Set(["succeeded"]));
  });
});

describe("taking over", () => {
  it("a group goes on where it was", async () => {
    const storage = testStorage();
    const log: string[] = [];
    let hang = true;
    const work = pipeline("work", (p) => {
      const g = p.group("g", (b) => {
        const a = b.task("a", () => noted(log, "a", 1));
        const s = b.task("b", { needs: { a } }, ({ signal }) => noted(log, "b", hang ? aborted(signal) : 2));
        return { c: b.task("c", { needs: { a, s } }, ({ input }) => noted(log, "c", input)) };
      });
      return { g };
    });
    const first = await startedEngine({ pipelines: [work], storage });
    const run = await first.trigger(work);
    await settled();
    await first.stop({ grace: 0 });
    hang = false;
    const second = await startedEngine({ pipelines: [work], storage });
    await settled();
    expect((await second.runs.get(run.id)).status).toBe("succeeded");
    expect(log).toEqual(["a", "b", "b", "c"]);
    expect((await second.runs.tasks(run.id, { task: "g" })).items).toMatchObject([
      { status: "succeeded", attempts: 1 },
    ]);
  });

  it("F151 a group whose first flush was refused goes on, and fails by the task whose value it was", async () => {
    const real = testStorage();
    const storage = new FaultyStorage(real);
    const open = gate();
    const log: string[] = [];
    let refused = false;
    storage.on("commit", async (proceed, flush) => {
      if (refused) return proceed();
      const run = flush.runs.find(({ tasks }) => tasks.some(({ task }) => task === "g.bad"));
      if (run === undefined) return proceed();
      refused = true;
      const value = { runId: run.runId, task: "g.bad", index: [], message: "no" };
      return { kind: "rejected", values: [value] };
    });
    const work = pipeline("work", (p) => {
      const g = p.group("g", (b) => {
        b.task("bad", () => noted(log, "bad", 1));
        const long = b.task("long", () => noted(log, "long", open.passed));
        b.task("next", { after: [long] }, () => void log.push("next"));
      });
      p.task("after", { after: [g], triggerRule: "all-done" }, () => void log.push("after"));
    });
    const engine = await startedEngine({ pipelines: [work], storage: storage.storage });
    const run = await engine.trigger(work);
    await settled();
    open.open();
    await settled();
    expect(refused).toBe(true);
    expect(log).toEqual(["bad", "long", "next", "after"]);
    expect(await statuses(engine, run.id)).toEqual({
      ...{ g: "failed", "g.bad": "failed", "g.long": "succeeded", "g.next": "succeeded", after: "succeeded" },
    });
  });
});
