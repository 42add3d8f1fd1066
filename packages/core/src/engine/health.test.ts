import { describe, expect, it } from "vitest";
import { memoryStorage } from "../defaults/memory/memory-storage.js";
import { pipeline } from "../define/pipeline.js";
import { RecordingLogger, testEngine } from "../test-support/engines.js";
import { FaultyStorage, failsBefore } from "../test-support/faulty-storage.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { sharedStorage } from "../test-support/shared-storage.js";
import { type HealthFacts, healthOf } from "./health.js";

leavesNothingBehind();

const NOW = Date.UTC(2026, 0, 1);

/** An engine that is well. */
const WELL: HealthFacts = {
  engineId: "engine-1",
  isRunning: true,
  now: NOW,
  journal: { lastWriteAt: NOW - 1_000, failingSince: undefined, failure: undefined },
  lease: { remainingMs: 8_000, losses: 0, failure: undefined },
  clockSkewMs: 3,
  runs: 2,
  attempts: 1,
  survey: { storeNow: NOW, engines: [], backlog: { runs: 0, oldestAt: undefined }, unadoptable: [] },
  surveyError: undefined,
};
const survey = WELL.survey!;
const stray = { pipeline: "report", definition: "report@1", runs: 5, runIds: ["a", "b", "c", "d", "e"] };

describe("healthOf()", () => {
  it("is green without reasons when all is well, and passes the facts on", () => {
    const { journal, lease, ...facts } = WELL;
    expect(healthOf(WELL)).toMatchObject({ status: "green", reasons: [], runs: 2, attempts: 1, clockSkewMs: 3 });
    expect(healthOf(WELL)).toMatchObject({ lastWriteAt: journal.lastWriteAt, leaseRemainingMs: lease.remainingMs });
    expect(facts.engineId).toBe(healthOf(WELL).engineId);
  });

  it.each<[string, Partial<HealthFacts>, string, string, string]>([
    ["does not run", { isRunning: false }, "red", "not-running", "not been started"],
    [
      "cannot reach storage",
      { survey: undefined, surveyError: new Error("connection refused") },
      "red",
      "storage",
      "connection refused",
    ],
    [
      "waits for a write",
      { journal: { lastWriteAt: NOW, failingSince: NOW - 5_000, failure: new Error("STORAGE_FULL: no room") } },
      "degraded",
      "writes",
      "for 5 s: STORAGE_FULL: no room",
    ],
    [
      "has waited for a write for long",
      { journal: { lastWriteAt: NOW, failingSince: NOW - 11_000, failure: new Error("no room") } },
      "red",
      "writes",
      "for 11 s",
    ],
    [
      "has no lease any more",
      { lease: { remainingMs: -1, losses: 0, failure: undefined } },
      "red",
      "lease",
      "blocked or suspended",
    ],
    [
      "could not renew its lease",
      { lease: { remainingMs: 4_000, losses: 0, failure: new Error("timeout") } },
      "degraded",
      "lease",
      "timeout",
    ],
    ["has a clock that is behind", { clockSkewMs: 1_500 }, "degraded", "clock-skew", "1.5 s ahead of this machine's"],
    ["has a clock that is ahead", { clockSkewMs: -300_000 }, "degraded", "clock-skew", "5 min behind this machine's"],
    [
      "leaves runs lying",
      { survey: { ...survey, backlog: { runs: 7, oldestAt: NOW - 61_000 } } },
      "degraded",
      "backlog",
      "7 runs are due",
    ],
    [
      "sees runs that nobody can take",
      { survey: { ...survey, unadoptable: [stray] } },
      "degraded",
      "unadoptable",
      `NO_ENGINE_FOR_DAG: 5 runs of pipeline "report" wait for an engine that has version report@1 of it (a, b, c, …)`,
    ],
  ])("says so of an engine that %s", (_, facts, status, kind, words) => {
    const health = healthOf({ ...WELL, ...facts });
    expect(health.status).toBe(status);
    expect(health.reasons).toMatchObject([{ status, kind }]);
    expect(health.reasons[0]!.message).toContain(words);
  });

  it("leaves a backlog that is young, and a skew within a second, alone", () => {
    const backlog = { runs: 900, oldestAt: NOW - 59_000 };
    expect(healthOf({ ...WELL, clockSkewMs: -1_000, survey: { ...survey, backlog } }).status).toBe("green");
  });

  it("names the worst first", () => {
    const health = healthOf({ ...WELL, clockSkewMs: 5_000, isRunning: false });
    expect(health.reasons.map(({ kind }) => kind)).toEqual(["not-running", "clock-skew"]);
    expect(health.status).toBe("red");
  });
});

describe("engine.health()", () => {
  const quick = pipeline("quick", (p) => ({ value: p.task("value", () => 42) }));

  it("never throws: not before start(), not after stop(), not when storage is out of reach", async () => {
    const faulty = new FaultyStorage(memoryStorage());
    const engine = testEngine({ pipelines: [quick], storage: faulty.storage });
    expect((await engine.health()).reasons).toMatchObject([{ kind: "not-running" }]);
    await engine.run(quick);
    expect(await engine.health()).toMatchObject({ status: "green", engineId: engine.id, leaseRemainingMs: undefined });
    faulty.once("survey", failsBefore);
    expect(await engine.health()).toMatchObject({ status: "red", survey: undefined, reasons: [{ kind: "storage" }] });
    await engine.stop();
    expect(await engine.health()).toMatchObject({ status: "red" });
  });

  it("F51 reports a clock that differs from the store's, once in the log", async () => {
    const clock = new ManualClock();
    const log = new RecordingLogger();
    const faulty = new FaultyStorage(memoryStorage());
    faulty.on("renewLease", async (proceed) => ({ ...(await proceed()), now: clock.now() + 300_000 }));
    faulty.on("look", async (proceed) => ({ ...(await proceed()), storeNow: clock.now() + 300_000 }));
    const storage = sharedStorage(faulty.storage);
    const engine = testEngine({ pipelines: [quick], storage, clock, log, lease: "10s", poll: "2s" });
    await engine.start();
    await clock.advance(60_000);
    await settled();
    expect(await engine.health()).toMatchObject({ clockSkewMs: 300_000, reasons: [{ kind: "clock-skew" }] });
    expect(log.complaints.filter((line) => line.includes("clock"))).toHaveLength(1);
    expect(await engine.run(quick)).toEqual({ value: 42 });
  });
});
