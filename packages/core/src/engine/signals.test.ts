import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { pipeline } from "../define/pipeline.js";
import { RecordingLogger, startedEngine, testEngine } from "../test-support/engines.js";
import { FaultyStorage } from "../test-support/faulty-storage.js";
import { gate, noted } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";
import { takenOver } from "../test-support/takeover.js";
import type { Engine } from "./engine.js";

leavesNothingBehind();

const approval = pipeline("approval", (p) => {
  const answer = p.signal("approve");
  return { answer };
});

const Order = z.object({ order: z.string() });
/** Waits for a payment of its order. */
const payment = pipeline("payment", { params: Order }, (p) => {
  const paid = p.signal("paid", {
    key: ({ params }) => `order/${params.order}`,
    schema: z.object({ amount: z.number().positive(), currency: z.string().default("EUR") }),
  });
  return { paid };
});

const taskOf = async (engine: Engine, runId: string, task: string) =>
  (await engine.runs.tasks(runId, { task })).items[0]!;

describe("a signal to a run", () => {
  it("ends the wait with its payload", async () => {
    const clock = new ManualClock();
    const engine = await startedEngine({ pipelines: [approval], clock });
    const run = await engine.trigger(approval);
    await settled();
    expect(await run.status()).toBe("waiting");
    const wait = { kind: "signal", key: undefined };
    expect(await taskOf(engine, run.id, "approve")).toMatchObject({ status: "waiting", wait, attempts: 0 });
    await run.signal("approve", { by: "ann", at: new Date(0) });
    expect(await run.result()).toEqual({ answer: { by: "ann", at: new Date(0) } });
    expect(await taskOf(engine, run.id, "approve")).toMatchObject({ status: "succeeded", wait: undefined });
  });

  it.each([undefined, null, false, 0, ""])("F80 may say %j", async (payload) => {
    const engine = await startedEngine({ pipelines: [approval] });
    const run = await engine.trigger(approval);
    await engine.runs.signal(run.id, "approve", payload);
    expect(await run.result()).toEqual({ answer: payload });
  });

  it("F58 is kept when it comes before anybody waits: before the task, and before the run began", async () => {
    const storage = testStorage();
    const first = gate();
    const work = pipeline("work", (p) => {
      const before = p.task("before", () => first.passed);
      const answer = p.signal("approve", { after: [before] });
      return { answer };
    });
    const engine = testEngine({ pipelines: [work], storage });
    const early = await engine.trigger(work);
    await early.signal("approve", "before the engine started");
    await engine.start();
    const late = await engine.trigger(work);
    await settled();
    await late.signal("approve", "before the task waits");
    await settled();
    first.open();
    expect(await early.result()).toEqual({ answer: "before the engine started" });
    expect(await late.result()).toEqual({ answer: "before the task waits" });
  });

  it("ends one wait, in the order they were sent; the rest is kept for later ones", async () => {
    const sent = gate();
    const work = pipeline("work", (p) => {
      const list = p.group("each", { over: [1, 2, 3] }, (g) => {
        const said = g.signal("said");
        return { said };
      });
      p.task("open", () => sent.passed);
      return { list };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    for (const payload of ["a", "b", "c", "d"]) await run.signal("each.said", payload);
    sent.open();
    expect(await run.result()).toEqual({ list: ["a", "b", "c"].map((said) => ({ said })) });
  });

  it.each<[string, (engine: Engine, runId: string) => Promise<unknown>, object]>([
    ["a task that does not exist", (engine, id) => engine.runs.signal(id, "aprove"), { code: "TASK_UNKNOWN" }],
    ["a task that waits for none", (engine, id) => engine.runs.signal(id, "after"), { code: "SIGNAL_INVALID" }],
    ["a run that does not exist", (engine) => engine.runs.signal("nope", "approve"), { code: "RUN_UNKNOWN" }],
    [
      "a payload that cannot be stored",
      (engine, id) => engine.runs.signal(id, "approve", () => 1),
      { code: "SIGNAL_INVALID" },
    ],
    [
      "a payload that does not fit",
      (engine, id) => engine.runs.signal(id, "approve", "yes"),
      { code: "SIGNAL_INVALID" },
    ],
    [
      "a payload its schema throws at",
      (engine, id) => engine.runs.signal(id, "approve", "throw"),
      { code: "SIGNAL_INVALID" },
    ],
  ])("is refused for %s, and nothing is sent", async (_what, send, refusal) => {
    const picky = z.unknown().refine((value) => {
      if (value === "throw") throw new Error("schema broken");
      return value === true;
    }, "only true will do");
    const work = pipeline("work", (p) => {
      const approve = p.signal("approve", { schema: picky });
      p.task("after", { after: [approve] }, () => 1);
    });
    const faulty = new FaultyStorage();
    const engine = await startedEngine({ pipelines: [work], storage: faulty.storage });
    const run = await engine.trigger(work);
    await settled();
    let sent = 0;
    faulty.watch("send", () => sent++);
    await expect(send(engine, run.id)).rejects.toMatchObject(refusal);
    expect([await run.status(), sent]).toEqual(["waiting", 0]);
    await run.signal("approve", true);
    await run.result();
  });

  it("is refused when the run has ended", async () => {
    const engine = await startedEngine({ pipelines: [approval] });
    const run = await engine.trigger(approval);
    await run.signal("approve");
    await run.result();
    await expect(run.signal("approve")).rejects.toMatchObject({ code: "RUN_FINISHED" });
  });

  it("carries what its schema made of it", async () => {
    const work = pipeline("work", (p) => {
      const count = p.signal("count", { schema: z.string().transform(async (text) => text.length) });
      return { count };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.signal("count", "four");
    expect(await run.result()).toEqual({ count: 4 });
  });

  it("F109 comes in time or not: the timeout is a moment that survives a takeover", async () => {
    const clock = new ManualClock();
    const storage = testStorage();
    const work = pipeline("work", (p) => void p.signal("approve", { timeout: "1h" }));
    const options = { pipelines: [work], clock, storage };
    const first = await startedEngine(options);
    const run = await first.trigger(work);
    await clock.advance(1_800_000);
    const second = await takenOver(first, options);
    await clock.advance(1_799_999);
    expect(await second.runs.get(run.id)).toMatchObject({ status: "waiting" });
    await clock.advance(1);
    expect(await second.runs.get(run.id)).toMatchObject({ status: "failed" });
    expect(await taskOf(second, run.id, "approve")).toMatchObject({
      status: "failed",
      error: { code: "TASK_TIMEOUT" },
    });
  });

  it("F89 may be waited for longer than 2^31-1 ms", async () => {
    const clock = new ManualClock();
    const work = pipeline("work", (p) => void p.signal("approve", { timeout: "60d" }));
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(59 * 86_400_000);
    expect(await run.status()).toBe("waiting");
    await run.signal("approve");
    await settled();
    expect(await run.status()).toBe("succeeded");
  });

  it("is heard by the engine that took the run over, also when it was sent to nobody", async () => {
    const storage = testStorage();
    const options = { pipelines: [approval], storage };
    const first = await startedEngine(options);
    const [one, two] = [await first.trigger(approval), await first.trigger(approval)];
    await settled();
    await first.stop();
    const other = testEngine(options); // not started: it only talks to storage
    await other.runs.signal(one.id, "approve", 1);
    const second = await startedEngine(options);
    await other.runs.signal(two.id, "approve", 2);
    for (const [run, answer] of [
      [one, 1],
      [two, 2],
    ] as const) {
      await vi.waitFor(async () => expect(await second.runs.get(run.id)).toMatchObject({ status: "succeeded" }));
      expect(await taskOf(second, run.id, "approve")).toMatchObject({ output: answer });
    }
  });

  it("is taken once, although its consumption was not durable when the engine was lost", async () => {
    const storage = new FaultyStorage();
    const seen: unknown[] = [];
    const work = pipeline("work", (p) => {
      const answer = p.signal("approve");
      p.task("after", { needs: { answer } }, ({ input }) => void seen.push(input.answer));
    });
    const first = await startedEngine({ pipelines: [work], storage: storage.storage });
    const run = await first.trigger(work);
    await settled();
    const letGo = storage.hold("commit");
    await run.signal("approve", "yes");
    await settled();
    const second = await takenOver(first, { pipelines: [work], storage: storage.inner });
    await settled();
    letGo();
    await settled();
    expect(await second.runs.get(run.id)).toMatchObject({ status: "succeeded" });
    expect(seen).toEqual(["yes"]);
  });

  it("waits while the run is paused, and leaves what follows to the end of that", async () => {
    const work = pipeline("work", (p) => {
      const answer = p.signal("approve");
      const after = p.task("after", { needs: { answer } }, ({ input }) => input.answer);
      return { after };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    await engine.runs.pause(run.id);
    await run.signal("approve", 1);
    await settled();
    expect(await taskOf(engine, run.id, "after")).toMatchObject({ status: "pending" });
    await engine.runs.unpause(run.id);
    expect(await run.result()).toEqual({ after: 1 });
  });

  it("is waited for again after a resume", async () => {
    const clock = new ManualClock();
    const work = pipeline("work", (p) => ({ answer: p.signal("approve", { timeout: "1m" }) }));
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(60_000);
    expect(await run.status()).toBe("failed");
    await engine.runs.resume(run.id);
    await clock.advance(30_000);
    expect(await run.status()).toBe("waiting");
    await run.signal("approve", "at last");
    await settled();
    expect(await run.result()).toEqual({ answer: "at last" });
  });
});

describe("a signal to a key", () => {
  it("finds the run whose task waits for it", async () => {
    const engine = await startedEngine({ pipelines: [payment] });
    const [a, b] = [await engine.trigger(payment, { order: "a" }), await engine.trigger(payment, { order: "b" })];
    await settled();
    expect(await taskOf(engine, a.id, "paid")).toMatchObject({ wait: { kind: "signal", key: "order/a" } });
    await engine.runs.signalKey("order/b", { amount: 5 });
    expect(await b.result()).toEqual({ paid: { amount: 5, currency: "EUR" } });
    expect(await a.status()).toBe("waiting");
  });

  it("F58 is kept until a run that waits for it exists", async () => {
    const engine = await startedEngine({ pipelines: [payment] });
    await engine.runs.signalKey("order/a", { amount: 1 });
    await engine.runs.signalKey("order/a", { amount: 2 });
    expect(await engine.run(payment, { order: "a" })).toEqual({ paid: { amount: 1, currency: "EUR" } });
    expect(await engine.run(payment, { order: "a" })).toEqual({ paid: { amount: 2, currency: "EUR" } });
  });

  it("F58 is kept until an engine is started that has such a run, by a storage without hints too", async () => {
    const storage = testStorage();
    const faulty = new FaultyStorage(storage, ["listen"]);
    const sender = testEngine({ pipelines: [], storage });
    await sender.runs.signalKey("order/a", { amount: 1 });
    const engine = await startedEngine({ pipelines: [payment], storage: faulty.storage });
    expect(await engine.run(payment, { order: "a" })).toEqual({ paid: { amount: 1, currency: "EUR" } });
  });

  it("goes to the run that has waited longest, one run each", async () => {
    const clock = new ManualClock();
    const engine = await startedEngine({ pipelines: [payment], clock });
    const runs = [];
    for (let n = 0; n < 3; n++) {
      runs.push(await engine.trigger(payment, { order: "same" }));
      await clock.advance(5_000);
    }
    for (const amount of [1, 2, 3]) {
      await engine.runs.signalKey("order/same", { amount });
      await settled();
      expect(await Promise.all(runs.map((run) => run.status()))).toEqual(
        [1, 2, 3].map((n) => (n <= amount ? "succeeded" : "waiting")),
      );
      expect(await runs[amount - 1]!.result()).toMatchObject({ paid: { amount } });
    }
  });

  it("goes to one engine of two", async () => {
    const storage = testStorage();
    const options = { pipelines: [payment], storage };
    const [first, second] = [await startedEngine(options), await startedEngine(options)];
    const one = await first.trigger(payment, { order: "a" });
    await settled();
    const two = await second.trigger(payment, { order: "a" });
    await settled();
    await second.runs.signalKey("order/a", { amount: 1 });
    await settled();
    expect([await one.status(), await two.status()].sort()).toEqual(["succeeded", "waiting"]);
    await first.runs.signalKey("order/a", { amount: 2 });
    await settled();
    expect([await one.status(), await two.status()]).toEqual(["succeeded", "succeeded"]);
  });

  it("that does not fit is dropped with a warning, and the task waits on for the next one", async () => {
    const log = new RecordingLogger();
    const engine = await startedEngine({ pipelines: [payment], log });
    const run = await engine.trigger(payment, { order: "a" });
    await settled();
    await engine.runs.signalKey("order/a", { amount: -1 });
    await settled();
    expect(await run.status()).toBe("waiting");
    const dropped = log.lines.find(({ message }) => message === "a signal that does not fit was dropped");
    expect(dropped).toMatchObject({ level: "warn", details: { runId: run.id, task: "paid" } });
    await engine.runs.signalKey("order/a", { amount: 2 });
    expect(await run.result()).toEqual({ paid: { amount: 2, currency: "EUR" } });
  });

  it("that does not fit does not hold up those that were kept behind it", async () => {
    const engine = await startedEngine({ pipelines: [payment], log: new RecordingLogger() });
    for (const amount of [-1, -2, 3]) await engine.runs.signalKey("order/a", { amount });
    expect(await engine.run(payment, { order: "a" })).toEqual({ paid: { amount: 3, currency: "EUR" } });
  });

  it("is checked by a schema that takes its time, one signal for each wait", async () => {
    const slow = z.number().transform(async (n) => {
      await settled(2);
      return n * 10;
    });
    const work = pipeline("work", (p) => {
      const list = p.group("each", { over: [1, 2] }, (g) => ({
        said: g.signal("said", { key: () => "k", schema: slow }),
      }));
      return { list };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    await Promise.all([1, 2].map((n) => engine.runs.signalKey("k", n)));
    const { list } = await run.result();
    expect(list.map(({ said }) => said).sort()).toEqual([10, 20]);
  });

  it("may differ for each item of a mapped group", async () => {
    const work = pipeline("work", (p) => {
      const list = p.group("each", { over: ["x", "y"] }, (g) => {
        const said = g.signal("said", { key: ({ item }) => `item/${item}` });
        return { said };
      });
      return { list };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    await engine.runs.signalKey("item/y", "for y");
    await engine.runs.signalKey("item/x", "for x");
    expect(await run.result()).toEqual({ list: [{ said: "for x" }, { said: "for y" }] });
  });

  it.each<[string, unknown]>([
    ["empty", ""],
    ["too long", "x".repeat(501)],
    ["with NUL", "a\0"],
    ["not well-formed", "\ud800"],
    ["no text", 5],
  ])("is refused when the key is %s, where it is sent and where it is waited for", async (_what, key) => {
    const work = pipeline("work", (p) => void p.signal("said", { key: () => key as string }));
    const engine = await startedEngine({ pipelines: [work] });
    await expect(engine.runs.signalKey(key as string)).rejects.toMatchObject({ code: "SIGNAL_INVALID" });
    await expect(engine.run(work)).rejects.toMatchObject({ failures: [{ error: { code: "WAIT_INVALID" } }] });
  });

  it("is refused with a payload that cannot be stored", async () => {
    const engine = await startedEngine({ pipelines: [payment] });
    await expect(engine.runs.signalKey("order/a", { pay: () => 1 })).rejects.toMatchObject({ code: "SIGNAL_INVALID" });
  });

  it("fails the task whose key throws, and is not retried", async () => {
    let calls = 0;
    const key = (): string => {
      calls++;
      throw new TypeError("no key");
    };
    const work = pipeline(
      "work",
      { defaults: { retry: { attempts: 3, delay: 0 } } },
      (p) => void p.signal("said", { key }),
    );
    const engine = await startedEngine({ pipelines: [work] });
    await expect(engine.run(work)).rejects.toMatchObject({
      failures: [{ task: "said", error: { message: "no key" } }],
    });
    expect(calls).toBe(1);
  });

  it("may also be sent to the run and its task", async () => {
    const engine = await startedEngine({ pipelines: [payment] });
    const run = await engine.trigger(payment, { order: "a" });
    await expect(run.signal("paid", { amount: 0 })).rejects.toMatchObject({ code: "SIGNAL_INVALID" });
    await run.signal("paid", { amount: 1 });
    expect(await run.result()).toEqual({ paid: { amount: 1, currency: "EUR" } });
  });

  it("is for those that still wait: not for a run that was cancelled", async () => {
    const engine = await startedEngine({ pipelines: [payment] });
    const first = await engine.trigger(payment, { order: "a" });
    await settled();
    await first.cancel();
    await settled();
    await engine.runs.signalKey("order/a", { amount: 1 });
    const second = await engine.trigger(payment, { order: "a" });
    expect(await second.result()).toMatchObject({ paid: { amount: 1 } });
    expect(await first.status()).toBe("cancelled");
  });

  it("survives a takeover between its arrival and the end of the wait", async () => {
    const storage = testStorage();
    const slow = gate();
    const schema = z.number().refine(async () => {
      await slow.passed;
      return true;
    });
    const ran: number[] = [];
    const work = pipeline("work", (p) => {
      const said = p.signal("said", { key: () => "k", schema });
      p.task("after", { needs: { said } }, ({ input }) => void noted(ran, input.said, 1));
    });
    const options = { pipelines: [work], storage };
    const first = await startedEngine(options);
    const run = await first.trigger(work);
    await settled();
    await first.runs.signalKey("k", 7);
    await settled();
    const second = await takenOver(first, options);
    await settled();
    slow.open();
    await settled();
    expect(await second.runs.get(run.id)).toMatchObject({ status: "succeeded" });
    expect(ran).toEqual([7]);
  });
});

describe("p.signal", () => {
  it.each<[string, object, string]>([
    ["a schema that is none", { schema: {} }, "TASK_INVALID"],
    ["a key that is no function", { key: "order" }, "TASK_INVALID"],
    ["a timeout of 0", { timeout: 0 }, "DURATION_INVALID"],
    ["a timeout that is no duration", { timeout: "soon" }, "DURATION_INVALID"],
  ])("refuses %s", (_what, options, code) => {
    expect(() => pipeline("work", (p) => void p.signal("s", options))).toThrow(expect.objectContaining({ code }));
  });

  it("holds no slot", async () => {
    const work = pipeline("work", (p) => {
      p.signal("never");
      p.task("other", () => 1);
    });
    const engine = await startedEngine({ pipelines: [work], concurrency: 1 });
    const run = await engine.trigger(work);
    await settled();
    expect(await taskOf(engine, run.id, "other")).toMatchObject({ status: "succeeded" });
    expect(await run.status()).toBe("waiting");
  });
});
