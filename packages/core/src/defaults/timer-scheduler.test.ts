import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { cron, every, type Schedule } from "../define/schedule.js";
import { RecordingLogger, startedEngine, stopNow, testEngine } from "../test-support/engines.js";
import { FaultyStorage, failsBefore } from "../test-support/faulty-storage.js";
import { gate } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { memoryStorage } from "./memory/memory-storage.js";
import { timerScheduler } from "./timer-scheduler.js";

leavesNothingBehind();

const HOUR = 3_600_000;

function host(clock: ManualClock, next: () => number | undefined) {
  const log = new RecordingLogger();
  const calls: number[] = [];
  return {
    calls,
    log,
    host: {
      clock,
      log,
      nextDue: async () => next(),
      due: async () => void calls.push(clock.now()),
    },
  };
}

describe("timerScheduler()", () => {
  it("looks at once, then at each next instant, and sets no timer without one", async () => {
    const clock = new ManualClock(0);
    let next: number | undefined = 1_000;
    const { calls, host: it } = host(clock, () => next);
    const scheduler = timerScheduler();
    await scheduler.start(it);
    await settled();
    expect(calls).toEqual([0]);
    await clock.advance(999);
    expect(calls).toEqual([0]);
    next = undefined;
    await clock.advance(1);
    expect(calls).toEqual([0, 1_000]);
    expect(clock.pendingTimers).toBe(0);
    await scheduler.stop();
  });

  it("looks again when schedules change, also while it is looking, with one timer at a time", async () => {
    const clock = new ManualClock(0);
    let next: number | undefined = 5_000;
    const looking = gate();
    const { host: it, calls } = host(clock, () => next);
    const scheduler = timerScheduler();
    let isFirst = true;
    const due = async () => {
      await it.due();
      if (isFirst) await looking.passed;
      isFirst = false;
    };
    await scheduler.start({ ...it, due });
    next = 2_000;
    scheduler.changed();
    scheduler.changed();
    looking.open();
    await settled();
    expect(calls).toEqual([0, 0]);
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(1_999);
    next = undefined;
    await clock.advance(1);
    expect(calls).toEqual([0, 0, 2_000]);
    await scheduler.stop();
    expect(clock.pendingTimers).toBe(0);
  });

  it("F19 goes on after a failure, for as long as it lasts", async () => {
    const clock = new ManualClock(0);
    const { host: it, log } = host(clock, () => undefined);
    let calls = 0;
    const scheduler = timerScheduler();
    await scheduler.start({
      ...it,
      due: async () => {
        if (++calls < 10) throw new Error("store is down");
      },
    });
    await clock.advance(10 * 60_000);
    expect(calls).toBe(10);
    expect(log.complaints).toHaveLength(9);
    expect(clock.pendingTimers).toBe(0);
    await scheduler.stop();
  });

  it("waits at its stop for the look that is under way, and looks no more", async () => {
    const clock = new ManualClock(0);
    const looking = gate();
    const { host: it } = host(clock, () => 1_000);
    const scheduler = timerScheduler();
    scheduler.changed();
    await scheduler.start({ ...it, due: () => looking.passed });
    let isStopped = false;
    const stopping = scheduler.stop().then(() => {
      isStopped = true;
    });
    await settled();
    expect(isStopped).toBe(false);
    looking.open();
    await stopping;
    scheduler.changed();
    await settled();
    expect(clock.pendingTimers).toBe(0);
    await scheduler.stop();
  });
});

describe("a scheduled pipeline", () => {
  const instants: number[] = [];
  const scheduled = (schedule: Schedule<Record<never, never>>) => {
    instants.length = 0;
    return pipeline("scheduled", { schedule }, (p) => {
      p.task("only", ({ run }) => void instants.push(run.instant!));
    });
  };

  it.each([
    ["every()", every("1h")],
    ["cron()", cron("0 * * * *")],
  ])("has one run for each instant of %s, never early", async (_what, schedule) => {
    const clock = new ManualClock(Date.UTC(2026, 0, 1, 0, 30));
    const work = scheduled(schedule);
    const engine = await startedEngine({ pipelines: [work], clock });
    await clock.advance(HOUR / 2 - 1);
    await engine.schedules.fireDue(); // a scheduler may call it too often
    await settled();
    expect(instants).toEqual([]);
    await clock.advance(1);
    expect(instants).toEqual([Date.UTC(2026, 0, 1, 1)]);
    await clock.advance(5 * HOUR);
    expect(instants).toEqual([1, 2, 3, 4, 5, 6].map((hour) => Date.UTC(2026, 0, 1, hour)));
    const runs = (await engine.runs.list()).items;
    expect(runs.map(({ instant, createdAt, schedule: id }) => [createdAt - instant!, id])).toEqual(
      Array.from({ length: 6 }, () => [0, "scheduled"]),
    );
    expect(await engine.schedules.list()).toMatchObject([
      { id: "scheduled", pipeline: "scheduled", nextAt: Date.UTC(2026, 0, 1, 7), lastAt: Date.UTC(2026, 0, 1, 6) },
    ]);
    expect(engine.schedules.next(work, 2)).toEqual([7, 8].map((hour) => Date.UTC(2026, 0, 1, hour)));
    expect(clock.pendingTimers).toBe(1);
  });

  it("F97 runs the latest instant after a pause, and says that others were missed", async () => {
    const storage = memoryStorage();
    const clock = new ManualClock(Date.UTC(2026, 0, 1, 0, 30));
    const work = scheduled(every("1h"));
    const first = await startedEngine({ pipelines: [work], storage, clock });
    await stopNow(first, clock);
    clock.jump(72 * HOUR);
    const log = new RecordingLogger();
    await startedEngine({ pipelines: [work], storage, clock, log });
    await settled();
    expect(instants).toEqual([Date.UTC(2026, 0, 4, 0)]);
    expect(log.complaints).toEqual(["instants were missed; running the latest"]);
    await clock.advance(HOUR);
    expect(instants).toEqual([Date.UTC(2026, 0, 4, 0), Date.UTC(2026, 0, 4, 1)]);
  });

  it("F52 does not run an instant twice when the wall clock goes back, nor early", async () => {
    const clock = new ManualClock(Date.UTC(2026, 0, 1, 0, 59));
    const work = scheduled(every("1h"));
    await startedEngine({ pipelines: [work], clock });
    await clock.advance(2 * 60_000);
    clock.jump(-HOUR);
    await clock.advance(HOUR + 58 * 60_000);
    expect(instants).toEqual([Date.UTC(2026, 0, 1, 1)]);
    await clock.advance(60_000);
    expect(instants).toEqual([1, 2].map((hour) => Date.UTC(2026, 0, 1, hour)));
  });

  it("F99 has one run for an instant although two engines share its storage", async () => {
    const storage = memoryStorage();
    const clock = new ManualClock(Date.UTC(2026, 0, 1, 0, 30));
    const work = scheduled(every("1h"));
    await startedEngine({ pipelines: [work], storage, clock });
    await startedEngine({ pipelines: [work], storage: FaultyStorage.sharing(storage), clock });
    await clock.advance(4 * HOUR);
    expect(instants).toEqual([1, 2, 3, 4].map((hour) => Date.UTC(2026, 0, 1, hour)));
  });

  it("passes its params for the instant, through the schema", async () => {
    const seen: unknown[] = [];
    const day = v.pipe(
      v.string(),
      v.transform((text) => new Date(text)),
    );
    const schedule = cron("0 2 * * *", {
      timeZone: "Europe/Berlin",
      params: ({ instant }) => ({ day: new Date(instant).toISOString().slice(0, 10) }),
    });
    const work = pipeline("work", { params: v.object({ day }), schedule }, (p) => {
      p.task("only", ({ params }) => void seen.push(params.day));
    });
    const clock = new ManualClock(Date.UTC(2026, 0, 1, 12));
    await startedEngine({ pipelines: [work], clock });
    await clock.advance(24 * HOUR);
    expect(seen).toEqual([new Date("2026-01-02")]);
  });

  it("passes over an instant whose params are refused or throw, loudly, and goes on", async () => {
    const clock = new ManualClock(Date.UTC(2026, 0, 1, 0, 30));
    const log = new RecordingLogger();
    const seen: unknown[] = [];
    const schedule = every("1h", {
      params: ({ instant }) => {
        const hour = new Date(instant).getUTCHours();
        if (hour === 1) throw new Error("no data yet");
        return { hour: hour === 2 ? ("wrong" as unknown as number) : hour };
      },
    });
    const work = pipeline("work", { params: v.object({ hour: v.number() }), schedule }, (p) => {
      p.task("only", ({ params }) => void seen.push(params.hour));
    });
    const engine = await startedEngine({ pipelines: [work], clock, log });
    await clock.advance(3 * HOUR);
    expect(seen).toEqual([3]);
    expect((await engine.runs.list()).items).toHaveLength(1);
    expect(log.complaints.filter((line) => line.includes("passed over"))).toHaveLength(2);
  });

  it("fires after storage was down at its instant", async () => {
    const faulty = new FaultyStorage();
    const clock = new ManualClock(Date.UTC(2026, 0, 1, 0, 30));
    const work = scheduled(every("1h"));
    await startedEngine({ pipelines: [work], storage: faulty.storage, clock });
    faulty.once("fire", failsBefore);
    await clock.advance(HOUR / 2 + 60_000);
    expect(instants).toEqual([Date.UTC(2026, 0, 1, 1)]);
  });

  it("F105 F98 waits for nobody: runs of earlier instants may still be going on", async () => {
    const end = gate();
    let started = 0;
    const clock = new ManualClock(Date.UTC(2026, 0, 1, 0, 30));
    const slow = pipeline("slow", { schedule: every("1h") }, (p) => {
      p.task("only", async () => {
        started++;
        await end.passed;
      });
    });
    await startedEngine({ pipelines: [slow], clock });
    await clock.advance(3 * HOUR);
    expect(started).toBe(3);
    end.open();
    await settled();
  });

  it("does nothing on an engine that was not started, nor after its stop", async () => {
    const clock = new ManualClock(Date.UTC(2026, 0, 1, 0, 30));
    const work = scheduled(every("1h"));
    const engine = testEngine({ pipelines: [work], clock });
    await clock.advance(2 * HOUR);
    await engine.start();
    await settled();
    await stopNow(engine, clock);
    await clock.advance(5 * HOUR);
    expect(instants).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });
});
