import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { startedEngine, testEngine } from "../test-support/engines.js";
import { aborted, gate, Meter } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";
import { takenOver } from "../test-support/takeover.js";
import { finishing, lasting } from "../test-support/virtual-time.js";
import type { Engine } from "./engine.js";

leavesNothingBehind();

const range = (length: number) => Array.from({ length }, (_, item) => item);

/** How many runs of each status there are. */
async function counts(engine: Engine): Promise<Record<string, number>> {
  const counted: Record<string, number> = {};
  for (const { status } of (await engine.runs.list({}, { limit: 1_000 })).items)
    counted[status] = (counted[status] ?? 0) + 1;
  return counted;
}

/** A pipeline of which so many runs may be active, with a run that ends when the test says so. */
function limited(maxActiveRuns: number) {
  const order: string[] = [];
  const gates = new Map<string, ReturnType<typeof gate>>();
  const work = pipeline("work", { params: v.object({ name: v.string() }), maxActiveRuns }, (p) => {
    p.task("t", async ({ params, signal }) => {
      order.push(params.name);
      const hold = gate<void>();
      gates.set(params.name, hold);
      await Promise.race([hold.passed, aborted(signal)]);
    });
  });
  const end = async (name: string) => {
    gates.get(name)!.open(undefined);
    await settled();
  };
  return { work, order, end, fail: (name: string) => gates.get(name)!.fail(new Error("no")) };
}

describe("maxActiveRuns", () => {
  it("queues what is too much, and starts it by priority, then age", async () => {
    const { work, order, end } = limited(2);
    const engine = await startedEngine({ pipelines: [work] });
    for (const [name, priority] of [
      ["a", 0],
      ["b", 0],
      ["c", 0],
      ["d", 1],
      ["e", 0],
      ["f", -1],
      ["g", 1],
    ] as const) {
      await engine.trigger(work, { name }, { priority });
    }
    await settled();
    expect([order, await counts(engine)]).toEqual([["a", "b"], { running: 2, queued: 5 }]);
    for (const name of ["b", "d", "a", "g", "c", "e", "f"]) await end(name);
    expect(order).toEqual(["a", "b", "d", "g", "c", "e", "f"]);
    expect(await counts(engine)).toEqual({ succeeded: 7 });
  });

  it.each(["fails", "is cancelled", "times out"])("makes room when a run %s", async (how) => {
    const clock = new ManualClock();
    const next = gate();
    const work = pipeline("work", { maxActiveRuns: 1, timeout: how === "times out" ? "1m" : "1d" }, (p) => {
      p.task("t", { allowFailure: false }, async ({ run, signal }) => {
        if (run.key === "second") return next.open();
        if (how === "fails") await lasting(clock, 1_000).then(() => Promise.reject(new Error("no")));
        await aborted(signal);
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const first = await engine.trigger(work, {}, { key: "first" });
    const second = await engine.trigger(work, {}, { key: "second" });
    await settled();
    expect(await second.status()).toBe("queued");
    if (how === "is cancelled") await first.cancel();
    await finishing(clock, second.result());
    await next.passed;
  });

  it.each(["waiting", "paused"])("counts runs that are %s", async (status) => {
    const work = pipeline("work", { maxActiveRuns: 1 }, (p) => void p.signal("approval"));
    const engine = await startedEngine({ pipelines: [work], clock: new ManualClock() });
    const first = await engine.trigger(work);
    await settled();
    if (status === "paused") await engine.runs.pause(first.id);
    const second = await engine.trigger(work);
    await settled();
    expect([await first.status(), await second.status()]).toEqual([status, "queued"]);
    if (status === "paused") await engine.runs.unpause(first.id);
    await first.signal("approval");
    await first.result();
    await settled();
    expect(await second.status()).toBe("waiting");
    await second.signal("approval");
    await second.result();
  });

  it("holds over two engines on one storage, in the order of all runs", async () => {
    const clock = new ManualClock();
    const storage = testStorage();
    const meter = new Meter();
    const work = pipeline("work", { maxActiveRuns: 3 }, (p) => {
      const first = p.task("first", () => meter.during(() => lasting(clock, 5)));
      p.task("second", { after: [first] }, () => lasting(clock, 5));
    });
    const engines = await Promise.all(range(2).map(() => startedEngine({ pipelines: [work], storage, clock })));
    const runs = await Promise.all(range(20).map((n) => engines[n % 2]!.trigger(work)));
    const active = async () => (await engines[0]!.runs.list({ status: ["running", "waiting"] })).items.length;
    let most = 0;
    for (let step = 0; step < 100; step++) {
      await clock.advance(1);
      most = Math.max(most, await active());
    }
    await finishing(clock, Promise.all(runs.map((run) => run.result())));
    expect([most, meter.max, meter.total]).toEqual([3, 3, 20]);
  });

  it("is freed by an engine that stops, and its runs go on elsewhere before those that wait", async () => {
    const storage = testStorage();
    const { work, order, end } = limited(1);
    const first = await startedEngine({ pipelines: [work], storage });
    for (const name of ["a", "b"]) await first.trigger(work, { name });
    await settled();
    await first.stop({ grace: 0 });
    const second = await startedEngine({ pipelines: [work], storage });
    await settled();
    expect([order, await counts(second)]).toEqual([["a", "a"], { running: 1, queued: 1 }]);
    await end("a");
    await end("b");
    expect(await counts(second)).toEqual({ succeeded: 2 });
  });

  it("holds for runs that are resumed or rerun, and for those of sub-pipelines", async () => {
    const { work, end, fail } = limited(1);
    const parent = pipeline("parent", (p) => void p.run("child", work, { params: () => ({ name: "child" }) }));
    const engine = await startedEngine({ pipelines: [work, parent] });
    const a = await engine.trigger(work, { name: "a" });
    await settled();
    fail("a");
    await a.result().catch(() => undefined);
    const b = await engine.trigger(work, { name: "b" });
    await settled();
    await engine.runs.resume(a.id);
    const outer = await engine.trigger(parent);
    await settled();
    expect([await a.status(), await b.status(), await outer.status()]).toEqual(["queued", "running", "waiting"]);
    await end("b");
    expect(await a.status()).toBe("running");
    await engine.runs.rerun(b.id, { from: "t" });
    await end("a");
    expect(await b.status()).toBe("running");
    await end("b");
    await end("child");
    await outer.result();
  });

  it("a queued run that is cancelled never starts, and one that is to start later takes no place", async () => {
    const clock = new ManualClock();
    const { work, order, end } = limited(1);
    const engine = await startedEngine({ pipelines: [work], clock });
    await engine.trigger(work, { name: "a" });
    const later = await engine.trigger(work, { name: "later" }, { at: clock.now() + 60_000, priority: 9 });
    const gone = await engine.trigger(work, { name: "gone" });
    await engine.trigger(work, { name: "b" });
    await settled();
    expect(await gone.cancel()).toBe(true);
    await end("a");
    await end("b");
    expect([order, await gone.status(), await later.status()]).toEqual([["a", "b"], "cancelled", "queued"]);
    await clock.advance(60_000);
    expect(order).toEqual(["a", "b", "later"]);
    await end("later");
  });

  it("keeps the place of a run whose engine was lost, whatever is queued", async () => {
    const storage = testStorage();
    const { work, order, end } = limited(1);
    const first = await startedEngine({ pipelines: [work], storage });
    await first.trigger(work, { name: "begun" });
    await settled();
    await first.trigger(work, { name: "urgent" }, { priority: 9 });
    const second = await takenOver(first, { pipelines: [work], storage });
    await settled();
    expect([order, await counts(second)]).toEqual([["begun", "begun"], { running: 1, queued: 1 }]);
    await end("begun");
    expect(order).toEqual(["begun", "begun", "urgent"]);
    await end("urgent");
  });

  it("does not hold up other pipelines", async () => {
    const { work, order, end } = limited(1);
    const free = pipeline("free", (p) => ({ t: p.task("t", () => "ran") }));
    const engine = testEngine({ pipelines: [work, free] });
    for (const name of ["a", "b", "c"]) await engine.trigger(work, { name }, { priority: 10 });
    expect(await engine.run(free)).toEqual({ t: "ran" });
    for (const name of ["a", "b", "c"]) await end(name);
    expect(order).toEqual(["a", "b", "c"]);
  });

  it("many queued runs all come to their end", async () => {
    const clock = new ManualClock();
    let ran = 0;
    const work = pipeline("work", { maxActiveRuns: 2 }, (p) => void p.task("t", () => ran++));
    const engine = await startedEngine({ pipelines: [work], clock });
    const runs = await Promise.all(range(500).map(() => engine.trigger(work)));
    await finishing(clock, Promise.all(runs.map((run) => run.result())));
    expect(ran).toBe(500);
  });
});
