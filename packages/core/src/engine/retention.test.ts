import { describe, expect, it } from "vitest";
import { memoryStorage } from "../defaults/memory/memory-storage.js";
import { pipeline } from "../define/pipeline.js";
import { RecordingLogger, testEngine } from "../test-support/engines.js";
import { FaultyStorage, failsBefore } from "../test-support/faulty-storage.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";

leavesNothingBehind();

const DAY = 86_400_000;
const quick = pipeline("quick", (p) => ({ value: p.task("value", () => 42) }));
const waits = pipeline("waits", (p) => void p.signal("go"));

/** A durable storage, as far as an engine can tell. */
function durableStorage() {
  const faulty = new FaultyStorage(memoryStorage());
  const storage = new Proxy(faulty.storage, {
    get(target, name) {
      return name === "supports" ? { ...target.supports, durable: true } : Reflect.get(target, name);
    },
  });
  return { faulty, storage };
}

describe("engine.prune()", () => {
  it("F24 deletes what ended longer ago, says how much, and never what has not ended", async () => {
    const clock = new ManualClock();
    const engine = testEngine({ pipelines: [quick, waits], clock });
    await engine.start();
    const active = await engine.trigger(waits);
    for (let n = 0; n < 500; n++) await engine.run(quick);
    await clock.advance(DAY + 1);
    await engine.run(quick);
    expect(await engine.prune({ olderThan: "2d" })).toBe(0);
    expect(await engine.prune({ olderThan: "1d" })).toBe(500);
    expect((await engine.runs.list()).items.map(({ pipeline: id }) => id).sort()).toEqual(["quick", "waits"]);
    await active.cancel();
    await settled();
    expect(await engine.prune({ olderThan: "1d" })).toBe(0); // it was active until now, however old
  });

  it("F53 needs no leader: of engines that prune at once, each run is deleted by one", async () => {
    const clock = new ManualClock();
    const storage = memoryStorage();
    const engines = [1, 2, 3].map(() => testEngine({ pipelines: [quick], clock, storage }));
    for (let n = 0; n < 900; n++) await engines[n % 3]!.run(quick);
    await clock.advance(DAY + 1);
    const deleted = await Promise.all(engines.map((engine) => engine.prune({ olderThan: "1d" })));
    expect(deleted.reduce((sum, count) => sum + count, 0)).toBe(900);
    expect((await engines[0]!.runs.list()).items).toEqual([]);
  });

  it("refuses what is no duration", async () => {
    const engine = testEngine({ pipelines: [quick] });
    await expect(engine.prune({ olderThan: "soon" as "1d" })).rejects.toMatchObject({ code: "DURATION_INVALID" });
  });
});

describe("the option retention", () => {
  it("F23 is on by default where history is durable: 30 days", async () => {
    const clock = new ManualClock();
    const { storage } = durableStorage();
    const engine = testEngine({ pipelines: [quick], storage, clock, retention: undefined as never });
    await engine.run(quick);
    await clock.advance(29 * DAY);
    expect((await engine.runs.list()).items).toHaveLength(1);
    await clock.advance(2 * DAY);
    expect((await engine.runs.list()).items).toHaveLength(0);
  });

  it("F23 warns when it is off there, and deletes nothing", async () => {
    const clock = new ManualClock();
    const log = new RecordingLogger();
    const { storage } = durableStorage();
    const engine = testEngine({ pipelines: [quick], storage, clock, log, retention: false });
    await engine.run(quick);
    await clock.advance(400 * DAY);
    expect((await engine.runs.list()).items).toHaveLength(1);
    expect(log.complaints).toEqual([
      "finished runs are kept for ever, as retention is off; delete them with engine.prune()",
    ]);
  });

  it("is off in memory, where an idle engine has no timers, and can be turned on", async () => {
    const clock = new ManualClock();
    const kept = testEngine({ pipelines: [quick], clock, storage: memoryStorage(), retention: undefined as never });
    await kept.run(quick);
    expect(clock.pendingTimers).toBe(0);
    const pruned = testEngine({ pipelines: [quick], clock, storage: memoryStorage(), retention: "7d" });
    await pruned.run(quick);
    await clock.advance(8 * DAY);
    expect([(await kept.runs.list()).items.length, (await pruned.runs.list()).items.length]).toEqual([1, 0]);
  });

  it("tries again later when storage does not answer", async () => {
    const clock = new ManualClock();
    const log = new RecordingLogger();
    const { faulty, storage } = durableStorage();
    const engine = testEngine({ pipelines: [quick], storage, clock, log, retention: "1d" });
    await engine.run(quick);
    const off = faulty.on("prune", failsBefore);
    await clock.advance(3 * DAY);
    expect((await engine.runs.list()).items).toHaveLength(1);
    off();
    await clock.advance(DAY / 24);
    expect((await engine.runs.list()).items).toHaveLength(0);
    expect(log.complaints).toContain("old runs could not be deleted; trying again later");
  });
});
