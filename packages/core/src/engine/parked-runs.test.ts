import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { RecordingLogger, startedEngine } from "../test-support/engines.js";
import { FaultyStorage, failsBefore } from "../test-support/faulty-storage.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { scaled, testStorage } from "../test-support/storages.js";
import { takenOver } from "../test-support/takeover.js";
import { ParkedRuns } from "./parked-runs.js";

leavesNothingBehind();

const HOUR = 3_600_000;

/** Sleeps for an hour, then does its task. */
function sleeper(ran: string[] = []) {
  return pipeline("sleeper", (p) => {
    const pause = p.sleep("pause", "1h");
    p.task("after", { after: [pause] }, ({ run }) => void ran.push(run.id));
  });
}

/** A storage that counts how often runs are read again. */
function counted() {
  const faulty = new FaultyStorage();
  const count = { loads: 0 };
  faulty.watch("loadTasks", () => count.loads++);
  return { faulty, count };
}

describe("a run that only waits", () => {
  it("is dropped from memory and read again when it wakes", async () => {
    const clock = new ManualClock();
    const { faulty, count } = counted();
    const ran: string[] = [];
    const work = sleeper(ran);
    const engine = await startedEngine({ pipelines: [work], clock, storage: faulty.storage });
    const run = await engine.trigger(work);
    const result = run.result();
    await clock.advance(HOUR - 1);
    expect(count.loads).toBe(0);
    await clock.advance(1);
    await result;
    expect([count.loads, ...ran]).toEqual([1, run.id]);
  });

  it.each([
    ["less than a second", "999ms", 0],
    ["a second", "1s", 1],
  ] as const)("of %s is read again or not", async (_what, length, loads) => {
    const clock = new ManualClock();
    const { faulty, count } = counted();
    const work = pipeline("work", (p) => void p.sleep("pause", length));
    const engine = await startedEngine({ pipelines: [work], clock, storage: faulty.storage });
    const run = await engine.trigger(work);
    await clock.advance(1_000);
    expect([await run.status(), count.loads]).toEqual(["succeeded", loads]);
  });

  it("F104 has no timer of its own: 2,000 sleep behind one", async () => {
    const clock = new ManualClock();
    const ran: string[] = [];
    const work = sleeper(ran);
    const engine = await startedEngine({ pipelines: [work], clock });
    const count = scaled(2_000);
    const limit = count / 2;
    for (let n = 0; n < count; n++) await engine.trigger(work);
    await settled(20);
    expect((await engine.runs.list({ status: ["waiting"] }, { limit })).items).toHaveLength(limit);
    expect(clock.workTimers).toBe(1);
    await clock.advance(HOUR);
    await settled(200);
    expect(new Set(ran).size).toBe(count);
    expect(ran).toHaveLength(count);
    expect((await engine.runs.list({ status: ["waiting", "running"] })).items).toEqual([]);
  });

  it("stays parked between the ends of its sleeps, and after each", async () => {
    const clock = new ManualClock();
    const woke: number[] = [];
    const start = clock.now();
    const work = pipeline("work", (p) => {
      for (const hours of [1, 2, 3]) {
        const pause = p.sleep(`sleep-${hours}`, `${hours}h`);
        p.task(`after-${hours}`, { after: [pause] }, () => void woke.push((clock.now() - start) / HOUR));
      }
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    for (const hours of [1, 2]) {
      await clock.advance(HOUR);
      expect(woke).toHaveLength(hours);
      expect([await run.status(), clock.workTimers]).toEqual(["waiting", 1]);
    }
    await clock.advance(HOUR);
    expect(await run.status()).toBe("succeeded");
    expect(woke).toEqual([1, 2, 3]);
  });

  it("keeps steps, outputs and retries that came before", async () => {
    const clock = new ManualClock();
    const done: string[] = [];
    const work = pipeline("work", (p) => {
      const rows = p.task("rows", () => [1, 2]);
      const pause = p.sleep("pause", { needs: { rows }, for: () => "1h" });
      p.task("flaky", { retry: { attempts: 2, delay: "30m", backoff: "fixed" } }, async ({ step, attempt }) => {
        await step("once", () => void done.push("once"));
        if (attempt === 1) throw new Error("not yet");
        done.push(`attempt ${attempt}`);
      });
      const sum = p.task("sum", { needs: { rows }, after: [pause] }, ({ input }) => input.rows.length);
      return { sum };
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(HOUR);
    expect(await run.result()).toEqual({ sum: 2 });
    expect(done).toEqual(["once", "attempt 2"]);
  });

  it("hears every message, also those that come while it is read again", async () => {
    const clock = new ManualClock();
    const work = pipeline("work", (p) => {
      const a = p.signal("a");
      const b = p.signal("b");
      return { a, b };
    });
    const faulty = new FaultyStorage();
    const engine = await startedEngine({ pipelines: [work], clock, storage: faulty.storage });
    const run = await engine.trigger(work);
    await settled();
    const letGo = faulty.hold("loadTasks");
    const said: Promise<unknown>[] = [];
    for (const say of [
      () => engine.runs.pause(run.id),
      () => run.signal("a", 1),
      () => run.signal("b", 2),
      () => engine.runs.unpause(run.id),
    ]) {
      said.push(say());
      await settled();
    }
    letGo();
    await Promise.all(said);
    expect(await run.result()).toEqual({ a: 1, b: 2 });
  });

  it("is cancelled while it is parked, and while it is read again", async () => {
    const clock = new ManualClock();
    const work = sleeper();
    const faulty = new FaultyStorage();
    const engine = await startedEngine({ pipelines: [work], clock, storage: faulty.storage });
    const [parked, loading] = [await engine.trigger(work), await engine.trigger(work)];
    await settled();
    await parked.cancel();
    const letGo = faulty.hold("getRun");
    await clock.advance(HOUR);
    letGo();
    const cancelled = loading.cancel();
    await cancelled;
    await settled();
    expect(await parked.status()).toBe("cancelled");
    expect(["cancelled", "succeeded"]).toContain(await loading.status());
    expect(clock.workTimers).toBe(0);
  });

  it("is not read again for messages that it knows", async () => {
    const clock = new ManualClock();
    const { faulty, count } = counted();
    const work = pipeline("work", (p) => {
      const pause = p.sleep("pause", "1h");
      const said = p.signal("said", { after: [pause] });
      return { said };
    });
    const engine = await startedEngine({ pipelines: [work], clock, storage: faulty.storage });
    const [run, other] = [await engine.trigger(work), await engine.trigger(work)];
    await settled();
    await run.signal("said", "early");
    await settled();
    const { loads } = count;
    for (let n = 0; n < 3; n++) await other.signal("said", n);
    await settled();
    expect(count.loads - loads).toBeLessThanOrEqual(3);
    await clock.advance(HOUR);
    expect([await run.result(), await other.result()]).toEqual([{ said: "early" }, { said: 0 }]);
  });

  it("is tried again when storage does not answer as it wakes", async () => {
    const clock = new ManualClock();
    const log = new RecordingLogger();
    const ran: string[] = [];
    const work = sleeper(ran);
    const faulty = new FaultyStorage();
    const engine = await startedEngine({ pipelines: [work], clock, storage: faulty.storage, log });
    const run = await engine.trigger(work);
    await settled();
    for (const method of ["getRun", "loadTasks", "receive"] as const) faulty.once(method, failsBefore);
    await clock.advance(HOUR + 5_000);
    expect(await run.status()).toBe("succeeded");
    expect(ran).toEqual([run.id]);
    expect(log.complaints).toContain("runs that waited could not be read again; trying once more");
  });

  it("starts nothing on an engine that stopped while it was read again", async () => {
    const clock = new ManualClock();
    const ran: string[] = [];
    const work = sleeper(ran);
    const faulty = new FaultyStorage();
    const options = { pipelines: [work], clock };
    const engine = await startedEngine({ ...options, storage: faulty.storage });
    const run = await engine.trigger(work);
    await settled();
    const letGo = faulty.hold("loadTasks");
    await clock.advance(HOUR);
    await engine.stop();
    letGo();
    await settled();
    expect([...ran, clock.workTimers]).toEqual([0]);
    await startedEngine({ ...options, storage: faulty.inner });
    await settled();
    expect(ran).toEqual([run.id]);
  });

  it("is left alone when it belongs to another engine by now", async () => {
    const clock = new ManualClock();
    const storage = testStorage();
    const ran: string[] = [];
    const work = sleeper(ran);
    const options = { pipelines: [work], clock, storage };
    const first = await startedEngine(options);
    const run = await first.trigger(work);
    await settled();
    const second = await takenOver(first, options);
    await clock.advance(HOUR);
    expect(await second.runs.get(run.id)).toMatchObject({ status: "succeeded" });
    expect(ran).toEqual([run.id]);
  });

  it("is in memory once when it comes back to the engine that parked it", async () => {
    const clock = new ManualClock();
    const storage = testStorage();
    const ran: string[] = [];
    const work = sleeper(ran);
    const options = { pipelines: [work], clock, storage, poll: "10m" } as const;
    const first = await startedEngine(options);
    const run = await first.trigger(work);
    await settled();
    const second = await takenOver(first, options);
    await settled();
    await storage.renewLease({ engineId: first.id, leaseMs: 3_600_000, isNew: false, definitions: [] });
    await second.stop();
    await settled();
    await clock.advance(HOUR);
    expect(await first.runs.get(run.id)).toMatchObject({ status: "succeeded" });
    expect(ran).toEqual([run.id]);
  });

  it("F89 F109 ends at a timeout of its run, or a retry of a task, in 60 days, on whichever engine", async () => {
    const clock = new ManualClock();
    const storage = testStorage();
    const start = clock.now();
    const attempts: number[] = [];
    const work = pipeline("work", { timeout: "60d" }, (p) => {
      const never = p.signal("never");
      p.task("after", { after: [never] }, () => 1);
      p.task("rare", { retry: { attempts: 2, delay: "50d", maxDelay: "50d", backoff: "fixed" } }, () => {
        attempts.push(clock.now() - start);
        throw new Error("down");
      });
    });
    const options = { pipelines: [work], clock, storage };
    const first = await startedEngine(options);
    const run = await first.trigger(work);
    await clock.advance(24 * HOUR);
    await first.stop();
    const second = await startedEngine(options);
    await clock.advance(59 * 24 * HOUR - 1);
    expect(await second.runs.get(run.id)).toMatchObject({ status: "waiting" });
    await clock.advance(1);
    const ended = { status: "failed", error: { code: "RUN_TIMEOUT" }, finishedAt: start + 60 * 24 * HOUR };
    expect(await second.runs.get(run.id)).toMatchObject(ended);
    expect(attempts).toEqual([0, 50 * 24 * HOUR]);
  });

  it("is explained as one in memory", async () => {
    const clock = new ManualClock();
    const work = sleeper();
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await settled();
    expect(await engine.runs.explain(run.id)).toMatchObject({ status: "waiting" });
    await run.cancel();
  });

  it("is not parked while it waits for a run of its own", async () => {
    const clock = new ManualClock();
    const child = sleeper();
    const parent = pipeline("parent", (p) => void p.run("child", child));
    const engine = await startedEngine({ pipelines: [parent, child], clock });
    const run = await engine.trigger(parent);
    await clock.advance(HOUR);
    expect(await run.status()).toBe("succeeded");
  });
});

describe("ParkedRuns", () => {
  it("wakes those that are parked still, and nobody after it was closed", async () => {
    const clock = new ManualClock();
    const woken: string[] = [];
    const parked = new ParkedRuns(clock, (ids) => void woken.push(...ids));
    parked.park("a", clock.now() + 1_000);
    parked.park("b", clock.now() + 1_000);
    parked.park("c", undefined);
    parked.leave("b");
    await clock.advance(1_000);
    expect(woken).toEqual(["a"]);
    expect(["a", "b", "c"].map((id) => parked.has(id))).toEqual([true, false, true]);
    parked.park("d", clock.now() + 1_000);
    parked.close();
    await clock.advance(1_000);
    expect(woken).toEqual(["a"]);
  });

  it("knows which messages are news to whom", () => {
    const parked = new ParkedRuns(new ManualClock(), () => {});
    parked.park("a", undefined, new Set(["known"]));
    expect([parked.isNews("a", "known"), parked.isNews("a", "new"), parked.isNews("b", "new")]).toEqual([
      false,
      true,
      false,
    ]);
  });
});
