import { describe, expect, it } from "vitest";
import type { RunMessage } from "../contracts/records.js";
import type { Storage } from "../contracts/storage.js";
import { memoryStorage } from "../defaults/memory/memory-storage.js";
import { pipeline } from "../define/pipeline.js";
import { WeftlineError } from "../errors.js";
import { RecordingLogger, testEngine } from "../test-support/engines.js";
import { FaultyStorage, failsBefore, losesReply } from "../test-support/faulty-storage.js";
import { aborted, gate } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { sharedStorage } from "../test-support/shared-storage.js";
import type { Engine } from "./engine.js";
import type { EngineOptions } from "./engine-options.js";

leavesNothingBehind();

const LEASE_MS = 10_000;
const POLL_MS = 2_000;
const PACE = { lease: LEASE_MS, poll: POLL_MS };
/** A poll with the most of its jitter. */
const LONGEST_POLL_MS = 2_400;

/** One task that says which engine runs it, and goes on until it is told to stop the first `hangs` times. */
function hanging(hangs = 1) {
  const starts: { engine: string; attempt: number; key: string }[] = [];
  const reasons: unknown[] = [];
  const work = pipeline("work", (p) => {
    const before = p.task("before", () => "kept");
    const long = p.task(
      "long",
      { needs: { before } },
      async ({ attempt, signal, idempotencyKey, resources, input }) => {
        starts.push({ engine: (resources as { name: string }).name, attempt, key: idempotencyKey });
        if (starts.length > hangs) return `${input.before}, done`;
        await aborted(signal).catch((reason: unknown) => reasons.push(reason));
        return "too late";
      },
    );
    return { long };
  });
  return { work, starts, reasons };
}

/** An engine that says its name to its tasks, with a clock of its own: one that is not moved stands for a process that is gone. */
async function started(name: string, clock: ManualClock, options: Omit<EngineOptions, "clock">): Promise<Engine> {
  const engine = testEngine({ name, clock, resources: { name }, ...PACE, ...options });
  await engine.start();
  return engine;
}

describe("an engine that is gone", () => {
  it("F42 F43 keeps its runs until its lease has run out, and then they go on elsewhere within one poll", async () => {
    const storage = sharedStorage();
    const { work, starts } = hanging();
    const first = await started("first", new ManualClock(), { pipelines: [work], storage });
    const run = await first.trigger(work);
    await settled();
    const clock = new ManualClock();
    const second = await started("second", clock, { pipelines: [work], storage });
    await clock.advance(LEASE_MS - 1);
    expect(starts.map(({ engine }) => engine)).toEqual(["first"]);
    await clock.advance(1 + LONGEST_POLL_MS);
    expect(starts.map(({ engine }) => engine)).toEqual(["first", "second"]);
    expect(starts[1]).toEqual({ engine: "second", attempt: 2, key: starts[0]!.key });
    expect(await second.runs.get(run.id)).toMatchObject({ status: "succeeded" });
  });

  it("F42 loses nothing for as long as it renews its lease, however long its tasks take", async () => {
    const storage = sharedStorage();
    const { work, starts } = hanging();
    const clock = new ManualClock();
    const first = await started("first", clock, { pipelines: [work], storage });
    await first.trigger(work);
    await started("second", clock, { pipelines: [work], storage });
    await clock.advance(20 * LEASE_MS);
    expect(starts.map(({ engine }) => engine)).toEqual(["first"]);
  });

  it("F46 has each run taken over by one of many, once", async () => {
    const storage = sharedStorage();
    const { work, starts } = hanging(10);
    const first = await started("first", new ManualClock(), { pipelines: [work], storage });
    const runs = [];
    for (let n = 0; n < 10; n++) runs.push(await first.trigger(work));
    await settled();
    const clock = new ManualClock();
    const others = await Promise.all(
      ["a", "b", "c"].map((name) => started(name, clock, { pipelines: [work], storage })),
    );
    await clock.advance(LEASE_MS + LONGEST_POLL_MS);
    expect(starts).toHaveLength(20);
    expect(new Set(starts.slice(10).map(({ key }) => key)).size).toBe(10);
    const epochs = await Promise.all(runs.map(async ({ id }) => (await storage.getRun(id))?.epoch));
    expect(new Set(epochs)).toEqual(new Set([2]));
    await Promise.all(others.map((engine) => engine.health()));
  });

  it("F45 has its runs found behind any number of runs that are well", async () => {
    const storage = sharedStorage();
    const ran: string[] = [];
    const work = pipeline(
      "work",
      (p) =>
        void p.task("long", ({ run, signal }) => {
          ran.push(run.id);
          return aborted(signal);
        }),
    );
    const gone = await started("gone", new ManualClock(), { pipelines: [work], storage });
    const orphan = await gone.trigger(work);
    const clock = new ManualClock();
    const healthy = await started("healthy", clock, { pipelines: [work], storage, concurrency: 2_000 });
    for (let n = 0; n < 1_100; n++) await healthy.trigger(work);
    await settled();
    await clock.advance(LEASE_MS + LONGEST_POLL_MS);
    expect(ran.filter((id) => id === orphan.id)).toHaveLength(2);
    expect(ran).toHaveLength(1_102);
  });

  it("F60 leaves thousands of runs that are taken over some at a time, none of them twice", async () => {
    const faulty = new FaultyStorage(memoryStorage());
    const storage = sharedStorage(faulty.storage);
    const batches: number[] = [];
    faulty.on("claimRuns", async (proceed) => {
      const claimed = await proceed();
      batches.push(claimed.length);
      return claimed;
    });
    const work = pipeline("work", (p) => void p.signal("go"));
    const first = await started("first", new ManualClock(), { pipelines: [work], storage });
    for (let n = 0; n < 2_000; n++) await first.trigger(work);
    await settled();
    const clock = new ManualClock();
    const others = await Promise.all(["a", "b"].map((name) => started(name, clock, { pipelines: [work], storage })));
    await clock.advance(LEASE_MS + LONGEST_POLL_MS);
    expect(Math.max(...batches)).toBeLessThanOrEqual(200);
    const health = await Promise.all(others.map((engine) => engine.health()));
    expect(health.reduce((sum, { runs }) => sum + runs, 0)).toBe(2_000);
  });

  it("F50 a cancellation that it did not hear is carried out by the next owner, before anything starts", async () => {
    const storage = sharedStorage();
    const { work, starts } = hanging();
    const first = await started("first", new ManualClock(), { pipelines: [work], storage });
    const run = await first.trigger(work);
    await settled();
    const message: RunMessage = {
      id: "m1",
      runId: run.id,
      sentAt: 0,
      kind: "cancel",
      task: undefined,
      index: [],
      downstream: false,
      reason: "enough",
    };
    await storage.send([message]);
    const clock = new ManualClock();
    const second = await started("second", clock, { pipelines: [work], storage });
    await clock.advance(LEASE_MS + LONGEST_POLL_MS);
    expect(starts).toHaveLength(1);
    expect((await second.runs.get(run.id)).status).toBe("cancelled");
  });

  it("F48 F54 F203 hands its runs over at once when it stops in order, and nobody counts that against them", async () => {
    const storage = sharedStorage();
    const { work, starts } = hanging(5);
    const clock = new ManualClock();
    let engine = await started("engine-0", clock, { pipelines: [work], storage });
    const run = await engine.trigger(work);
    await settled();
    for (let deploy = 1; deploy <= 5; deploy++) {
      const next = await started(`engine-${deploy}`, clock, { pipelines: [work], storage });
      const stopping = engine.stop({ grace: 0 });
      await clock.advance(200);
      await stopping;
      await clock.advance(LONGEST_POLL_MS);
      expect(starts).toHaveLength(deploy + 1);
      engine = next;
    }
    expect(await engine.runs.get(run.id)).toMatchObject({ status: "succeeded", crashes: 0 });
  });
});

describe("an engine that was suspended", () => {
  it("F41 F214 starts nothing once its lease may have run out, and writes nothing over what its successor wrote", async () => {
    const storage = sharedStorage();
    const finish = gate();
    const ran: string[] = [];
    const work = pipeline("work", (p) => {
      p.map("item", { over: [1, 2, 3], concurrency: 1 }, async ({ item, resources }) => {
        const { name } = resources as { name: string };
        ran.push(`${item} by ${name}`);
        if (name === "first") await finish.passed;
        return name;
      });
    });
    const clock = new ManualClock();
    const first = await started("first", clock, { pipelines: [work], storage });
    const run = await first.trigger(work);
    await settled();
    clock.jump(LEASE_MS); // no timer fires, as in a process that stands still
    const other = new ManualClock(clock.now());
    const second = await started("second", other, { pipelines: [work], storage });
    await settled();
    expect((await second.runs.get(run.id)).status).toBe("succeeded");
    finish.open();
    await settled();
    expect(ran).toEqual(["1 by first", "1 by second", "2 by second", "3 by second"]);
    const items = (await second.runs.tasks(run.id, { task: "item" })).items.slice(1);
    expect(items.map(({ output }) => output)).toEqual(["second", "second", "second"]);
    await clock.advance(LEASE_MS); // it wakes up, and learns of it
    expect(ran).toHaveLength(4);
  });

  it("takes up again what nobody else took meanwhile, with the attempts of before told to stop", async () => {
    const storage = sharedStorage();
    const { work, starts, reasons } = hanging();
    const log = new RecordingLogger();
    const clock = new ManualClock();
    const engine = await started("first", clock, { pipelines: [work], storage, log });
    const run = await engine.trigger(work);
    await settled();
    clock.jump(LEASE_MS + 1);
    await clock.advance(LEASE_MS);
    expect(reasons).toMatchObject([{ code: "LEASE_LOST" }]);
    expect(starts.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(await run.result()).toEqual({ long: "kept, done" });
    expect(log.complaints.join("\n")).toContain("the lease had run out");
  });

  it.each(["before", "after"])("begins what it was given under a new lease %s it heard of the loss", async (order) => {
    const faulty = new FaultyStorage(memoryStorage());
    const storage = sharedStorage(faulty.storage);
    const { work, starts } = hanging(0);
    const clock = new ManualClock();
    const engine = await started("first", clock, { pipelines: [work], storage });
    const [renewal, claim] = [gate(), gate()];
    faulty.once("renewLease", async (proceed) => {
      const state = await proceed();
      await renewal.passed;
      return state;
    });
    faulty.once("claimRuns", async (proceed) => {
      await claim.passed;
      return proceed();
    });
    clock.jump(LEASE_MS + 1);
    const client = testEngine({ ...PACE, pipelines: [work], storage, clock });
    const { id } = await client.trigger(work);
    await clock.advance(1); // its renewal is under way, and so is its question for runs
    for (const answer of order === "before" ? [claim, renewal] : [renewal, claim]) {
      answer.open();
      await settled();
    }
    await clock.advance(LONGEST_POLL_MS);
    expect(await engine.runs.get(id)).toMatchObject({ status: "succeeded" });
    expect(starts).toHaveLength(1);
  });

  it("F52 is not misled by a wall clock that jumps: neither back nor ahead", async () => {
    for (const jump of [-3_600_000, 3_600_000]) {
      const storage = sharedStorage();
      const { work, starts } = hanging();
      const clock = new ManualClock();
      const storeClock = new ManualClock();
      const engine = await started("first", clock, { pipelines: [work], storage });
      await started("store", storeClock, { pipelines: [work], storage });
      await engine.trigger(work);
      clock.jumpWall(jump);
      for (let s = 0; s < 3 * LEASE_MS; s += 1_000) {
        await clock.advance(1_000);
        await storeClock.advance(1_000);
      }
      expect((await engine.health()).leaseRemainingMs).toBeGreaterThan(0);
      expect(starts).toHaveLength(1);
    }
  });
});

describe("a run under which engines die", () => {
  /** Starts engines one after the other, each of which dies soon. */
  async function crashes(storage: Storage, work: Parameters<typeof testEngine>[0]["pipelines"][number], count: number) {
    let now = Date.UTC(2026, 0, 1);
    for (let n = 1; n <= count; n++) {
      const clock = new ManualClock(now);
      const engine = testEngine({
        ...PACE,
        name: `victim-${n}`,
        clock,
        pipelines: [work],
        storage,
        resources: { name: `victim-${n}` },
      });
      await engine.start();
      await clock.advance(LEASE_MS / 4);
      now = clock.now() + LEASE_MS; // from here on its clock stands still
    }
    return now;
  }

  it("F47 F49 F212 is quarantined after the third, with the reason, and its result() settles", async () => {
    const storage = sharedStorage();
    const { work, starts } = hanging(100);
    const first = testEngine({ ...PACE, pipelines: [work], storage, clock: new ManualClock() });
    const run = await first.trigger(work);
    const now = await crashes(storage, work, 3);
    expect(starts).toHaveLength(3);
    const clock = new ManualClock(now);
    const last = await started("last", clock, { pipelines: [work], storage });
    await clock.advance(LEASE_MS);
    expect(starts).toHaveLength(3);
    expect(await last.runs.get(run.id)).toMatchObject({ status: "quarantined", crashes: 3 });
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_QUARANTINED", runId: run.id });
    const explained = await last.runs.explain(run.id);
    expect(explained.sentence).toContain("3 engines died");
    expect(explained.tasks.map(({ task }) => task)).toEqual(["long"]);
    expect((await last.runs.explain(run.id, "long")).reasons).toContainEqual({ kind: "quarantined", crashes: 3 });

    const resumed = await last.runs.resume(run.id);
    await settled();
    expect(starts).toHaveLength(4);
    expect(await resumed.status()).toBe("running");
    expect((await storage.getRun(run.id))?.crashes).toBe(0);
  });

  it("F47 does not take innocent runs with it: suspects are taken up one at a time", async () => {
    const storage = sharedStorage();
    const starts: string[] = [];
    const work = pipeline("work", { params: { "~standard": anyParams } }, (p) => {
      p.task("only", async ({ params, signal, resources }) => {
        const { poison } = params as { poison: boolean };
        starts.push(`${poison ? "poison" : "innocent"} ${(resources as { name: string }).name}`);
        // What kills its process keeps all others from getting anywhere.
        if (poison || starts.some((start) => start === `poison ${(resources as { name: string }).name}`))
          await aborted(signal);
        return "done";
      });
    });
    const first = testEngine({ ...PACE, pipelines: [work], storage, clock: new ManualClock() });
    const poison = await first.trigger(work, { poison: true }, { priority: 1 });
    const innocent = [];
    for (let n = 0; n < 5; n++) innocent.push(await first.trigger(work, { poison: false }));
    const now = await crashes(storage, work, 3);
    const clock = new ManualClock(now);
    const last = await started("last", clock, { pipelines: [work], storage });
    await clock.advance(3 * LEASE_MS);
    expect((await last.runs.get(poison.id)).status).toBe("quarantined");
    for (const { id } of innocent) expect((await last.runs.get(id)).status).toBe("succeeded");
  });

  it("is trusted again with the very flush that records its progress", async () => {
    const faulty = new FaultyStorage(memoryStorage());
    const storage = sharedStorage(faulty.storage);
    let isFirst = true;
    const work = pipeline("work", (p) => {
      const a = p.task("a", ({ signal }) => {
        if (!isFirst) return undefined;
        isFirst = false;
        return aborted(signal);
      });
      p.task("b", { after: [a] }, ({ signal }) => aborted(signal));
    });
    const first = testEngine({ ...PACE, pipelines: [work], storage, clock: new ManualClock() });
    await first.trigger(work);
    await crashes(storage, work, 2);
    const progress = faulty.flushes
      .flatMap(({ runs }) => runs)
      .find(({ tasks }) => tasks.some(({ status }) => status === "succeeded"));
    expect(progress?.run?.crashes).toBe(0);
  });

  it("is trusted again as soon as it has made progress", async () => {
    const storage = sharedStorage();
    const started = gate();
    let isFirst = true;
    const work = pipeline("work", (p) => {
      const a = p.task("a", async ({ signal }) => {
        if (!isFirst) return;
        isFirst = false;
        started.open();
        await aborted(signal);
      });
      p.task("b", { after: [a] }, ({ signal }) => aborted(signal));
    });
    const first = testEngine({ ...PACE, pipelines: [work], storage, clock: new ManualClock() });
    const run = await first.trigger(work);
    const now = await crashes(storage, work, 2);
    expect((await storage.getRun(run.id))?.crashes).toBe(0);
    await crashesAfter(storage, work, now);
    expect((await storage.getRun(run.id))?.crashes).toBe(1);
  });

  async function crashesAfter(storage: Storage, work: EngineOptions["pipelines"][number], now: number): Promise<void> {
    const clock = new ManualClock(now);
    const engine = testEngine({ ...PACE, clock, pipelines: [work], storage });
    await engine.start();
    await clock.advance(POLL_MS);
  }
});

const anyParams = {
  version: 1,
  vendor: "test",
  validate: (value: unknown) => ({ value: value as { poison: boolean } }),
} as const;

describe("an answer that was lost", () => {
  it("of a claim leaves no run with an owner that does not know of it", async () => {
    const faulty = new FaultyStorage(memoryStorage());
    const clock = new ManualClock();
    const quick = pipeline("quick", (p) => ({ value: p.task("value", () => 42) }));
    const engine = testEngine({ ...PACE, pipelines: [quick], storage: sharedStorage(faulty.storage), clock });
    const run = await engine.trigger(quick);
    faulty.once("claimRuns", losesReply);
    await engine.start().catch(() => undefined);
    await engine.start();
    await clock.advance(5_000);
    expect(await run.result()).toEqual({ value: 42 });
  });

  it("of the first claim, with the lease lost already, keeps no engine from starting", async () => {
    const faulty = new FaultyStorage(memoryStorage());
    const clock = new ManualClock();
    const quick = pipeline("quick", (p) => ({ value: p.task("value", () => 42) }));
    faulty.once("claimRuns", async () => {
      throw new WeftlineError("LEASE_LOST", "the engine holds no lease.");
    });
    const engine = await started("first", clock, { pipelines: [quick], storage: sharedStorage(faulty.storage) });
    const run = await engine.trigger(quick);
    await clock.advance(5_000);
    expect(await run.result()).toEqual({ value: 42 });
  });

  it("to who waits for messages is no news to a run that was taken up since", async () => {
    const faulty = new FaultyStorage(memoryStorage());
    const clock = new ManualClock();
    const long = pipeline("long", (p) => void p.task("long", ({ signal }) => aborted(signal)));
    const engine = await started("first", clock, { pipelines: [long], storage: sharedStorage(faulty.storage) });
    const run = await engine.trigger(long);
    await settled();
    const held = gate();
    // The answer that holds the cancellation comes when the run has been cancelled, and goes on again.
    faulty.once("receive", async (proceed) => {
      const messages = await proceed();
      await held.passed;
      return messages;
    });
    const cancelled = run.cancel();
    await clock.advance(2 * POLL_MS);
    expect(await run.status()).toBe("cancelled");
    await engine.runs.resume(run.id);
    await clock.advance(2 * POLL_MS);
    expect(await run.status()).toBe("running");
    held.open();
    await cancelled;
    await clock.advance(2 * POLL_MS);
    expect(await run.status()).toBe("running");
  });

  it("F18 of a look is nothing to worry about: it looks again, for as long as it takes", async () => {
    const faulty = new FaultyStorage(memoryStorage(), ["listen"]);
    const clock = new ManualClock();
    const quick = pipeline("quick", (p) => ({ value: p.task("value", () => 42) }));
    const engine = await started("first", clock, { pipelines: [quick], storage: sharedStorage(faulty.storage) });
    const earlier = await engine.trigger(quick);
    await earlier.result();
    const off = faulty.on("look", failsBefore);
    await clock.advance(600_000);
    off();
    const [created] = await faulty.inner.createRuns([await newRunOf(earlier.id, faulty.inner)]);
    await clock.advance(LONGEST_POLL_MS);
    expect(created?.kind).toBe("created");
    expect((await engine.runs.list()).items).toMatchObject([{ status: "succeeded" }, { status: "succeeded" }]);
  });

  /** A run as another process would create it: like one that this engine made. */
  async function newRunOf(runId: string, storage: Storage) {
    const { crashes: _, epoch: __, ...record } = (await storage.getRun(runId))!;
    return { ...record, id: "by-another-process", owner: undefined };
  }
});

describe("a call that storage carries out long after it has failed", () => {
  const quick = pipeline("quick", (p) => ({ value: p.task("value", () => 42) }));

  it.each(["claimRuns", "createRuns"] as const)(
    "leaves no run without anybody who goes on with it: %s",
    async (method) => {
      const faulty = new FaultyStorage(memoryStorage());
      const clock = new ManualClock();
      const storage = sharedStorage(faulty.storage);
      const engine = await started("first", clock, { pipelines: [quick], storage });
      const beside = testEngine({ ...PACE, pipelines: [quick], storage, clock }); // is never started
      const late: (() => Promise<unknown>)[] = [];
      const off = faulty.on(method as "claimRuns", async (proceed) => {
        late.push(proceed);
        throw new Error("connection reset");
      });
      const by = method === "claimRuns" ? beside : engine;
      const triggered = by.trigger(quick).catch(() => undefined);
      await clock.advance(5_000);
      off();
      await triggered;
      const other = await engine.trigger(quick);
      await clock.advance(20_000);
      await late[0]!();
      await clock.advance(40_000);
      expect(await other.status()).toBe("succeeded");
      expect((await engine.runs.list()).items.map(({ status }) => status)).toEqual(["succeeded", "succeeded"]);
    },
  );

  it("creates no run again that others have ended and deleted meanwhile", async () => {
    const faulty = new FaultyStorage(memoryStorage());
    const storage = sharedStorage(faulty.storage);
    const clock = new ManualClock();
    const first = await started("first", clock, { pipelines: [quick], storage });
    faulty.once("createRuns", losesReply);
    const triggered = first.trigger(quick).then(
      () => "created",
      (error: WeftlineError) => error.code,
    );
    await settled();
    clock.jump(LEASE_MS); // no timer fires, as in a process that stands still
    const second = await started("second", new ManualClock(clock.now()), { pipelines: [quick], storage });
    await settled();
    const [run] = (await second.runs.list()).items;
    expect(run).toMatchObject({ status: "succeeded" });
    await second.runs.delete(run!.id);
    await clock.advance(LEASE_MS);
    expect(await triggered).toBe("LEASE_LOST");
    expect((await second.runs.list()).items).toEqual([]);
  });
});

describe("storage that confirms nothing", () => {
  it("F27 keeps the engine from taking on more, and says so, until it confirms again", async () => {
    const faulty = new FaultyStorage(memoryStorage());
    const clock = new ManualClock();
    const log = new RecordingLogger();
    const quick = pipeline("quick", (p) => ({ value: p.task("value", () => 42) }));
    const storage = sharedStorage(faulty.storage);
    const engine = await started("first", clock, { pipelines: [quick], storage, log });
    const off = faulty.on("commit", failsBefore);
    const run = await engine.trigger(quick);
    await clock.advance(30_000);
    expect(await engine.health()).toMatchObject({ status: "red", reasons: [{ kind: "writes" }] });
    const other = testEngine({ ...PACE, pipelines: [quick], storage, clock });
    const waiting = await other.trigger(quick);
    await clock.advance(10_000);
    expect((await storage.getRun(waiting.id))?.owner).toBeUndefined();
    expect(log.complaints.filter((line) => line.includes("did not confirm"))).toHaveLength(1);
    off();
    await clock.advance(10_000);
    expect(await run.result()).toEqual({ value: 42 });
    expect(await engine.runs.get(waiting.id)).toMatchObject({ status: "succeeded" });
    expect((await engine.health()).status).toBe("green");
  });
});

describe("hints that never come", () => {
  it("F58 F44 are made up for by polling: runs, messages and ends of other engines are found within one poll", async () => {
    const storage = sharedStorage(new FaultyStorage(memoryStorage(), ["listen"]).storage);
    const clock = new ManualClock();
    const work = pipeline("work", (p) => ({ answer: p.signal("answer") }));
    const worker = await started("worker", clock, { pipelines: [work], storage });
    const client = testEngine({ ...PACE, pipelines: [work], storage, clock }); // not started: it only triggers and waits
    const run = await client.trigger(work);
    const result = run.result();
    await clock.advance(LONGEST_POLL_MS);
    expect((await worker.runs.get(run.id)).status).toBe("waiting");
    await client.runs.signal(run.id, "answer", "yes");
    await clock.advance(LONGEST_POLL_MS + 1_000);
    expect(await result).toEqual({ answer: "yes" });
  });
});
