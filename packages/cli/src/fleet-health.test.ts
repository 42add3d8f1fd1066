import { createColors } from "picocolors";
import { describe, expect, it } from "vitest";
import type { Survey } from "weftline";
import { type FleetFacts, fleetHealth, unusable } from "./fleet-health.js";
import { healthJson, healthReport } from "./report/health-report.js";

const NOW = Date.UTC(2026, 10, 28, 12);
const MINUTE = 60_000;

const engine = (id: string, leaseForMs: number, runs = 0) => ({
  id,
  leaseUntil: NOW + leaseForMs,
  definitions: [],
  runs,
});
const schedule = (id: string, dueForMs: number) => ({
  ...{ id, pipeline: id, spec: "", lastAt: undefined },
  nextAt: NOW - dueForMs,
});
const stray = { pipeline: "nightly", definition: "abc", runs: 2, runIds: ["r1", "r2"] };

function facts(survey: Partial<Survey>, more: Partial<FleetFacts> = {}): FleetFacts {
  const nothing = { storeNow: NOW, engines: [], backlog: { runs: 0, oldestAt: undefined }, unadoptable: [] };
  return {
    health: {
      reasons: [{ status: "red", kind: "not-running", message: "not started" }],
      survey: { ...nothing, ...survey },
    },
    schedules: [],
    quarantined: [],
    ...more,
  };
}

describe("fleetHealth()", () => {
  it("does not mind that its own engine was not started, and that none is there as long as none is needed", () => {
    expect(fleetHealth(facts({}))).toMatchObject({ status: "green", reasons: [] });
    expect(fleetHealth(facts({ engines: [engine("a", 8_000, 3)] }))).toMatchObject({ status: "green", reasons: [] });
    expect(fleetHealth(facts({}, { schedules: [schedule("hourly", MINUTE - 1)] })).status).toBe("green");
  });

  it.each<[string, FleetFacts, string]>([
    ["runs", facts({ unadoptable: [stray] }), "No engine is alive, and 2 runs wait for one."],
    ["a dead engine's run", facts({ engines: [engine("a", -1, 1)] }), "No engine is alive, and 1 run waits for one."],
    [
      "schedules",
      facts({}, { schedules: [schedule("hourly", MINUTE + 1), schedule("daily", 3 * MINUTE)] }),
      "No engine is alive, and schedules hourly, daily should have fired.",
    ],
  ])("is red when %s need an engine and none is alive", (_what, given, message) => {
    const health = fleetHealth(given);
    expect(health).toMatchObject({ status: "red", reasons: [{ kind: "no-engine" }] });
    expect(health.reasons[0]!.message).toContain(message);
    expect(health.reasons).toHaveLength(1);
  });

  it("is degraded when those that live leave something lying", () => {
    const alive = engine("alive", 8_000);
    const silent = fleetHealth(facts({ engines: [alive, engine("gone", -MINUTE - 1, 4)] }));
    expect(silent.reasons).toMatchObject([{ status: "degraded", kind: "silent-engine" }]);
    expect(silent.reasons[0]!.message).toContain(
      "Engine gone has been silent for 1m 00s, and nobody has taken over 4 runs",
    );
    expect(fleetHealth(facts({ engines: [alive, engine("just now", -5_000, 4)] })).status).toBe("green");
    const late = fleetHealth(facts({ engines: [alive] }, { schedules: [schedule("hourly", 2 * MINUTE)] }));
    expect(late).toMatchObject({ status: "degraded", reasons: [{ kind: "schedule" }] });
  });

  it("keeps what the core says of storage, the worst first", () => {
    const given = facts({ unadoptable: [stray], engines: [engine("alive", 8_000)] });
    const unadoptable = { status: "degraded", kind: "unadoptable", message: "NO_ENGINE_FOR_DAG: …" } as const;
    const storage = { status: "red", kind: "storage", message: "Storage does not answer" } as const;
    const health = fleetHealth({ ...given, health: { ...given.health, reasons: [unadoptable, storage] } });
    expect(health).toMatchObject({ status: "red", reasons: [storage, unadoptable] });
  });
});

describe("healthReport()", () => {
  const show = (given: FleetFacts) => healthReport(fleetHealth(given), createColors(false));

  it("shows the verdict, why, and what there is", () => {
    const engines = [engine("gone", -5 * MINUTE, 4), engine("alive", 8_200, 12)];
    const backlog = { runs: 3, oldestAt: NOW - MINUTE };
    const given = facts({ engines, backlog, unadoptable: [stray] }, { quarantined: ["q1", "q2", "q3", "q4"] });
    expect(show(given)).toMatchInlineSnapshot(`
      "! degraded
        ! Engine gone has been silent for 5m 00s, and nobody has taken over 4 runs of it. Look at the logs of the engines that live.
        engines      alive  12 runs, alive, its lease holds for 8.2s
                     gone  4 runs, silent since its lease ran out 5m 00s ago
        backlog      3 runs, the oldest due since 2026-11-28T11:59:00Z
        waiting      2 runs of nightly, version abc: r1, r2
        quarantined  q1, q2, q3 and 1 more
      "
    `);
  });

  it("shows a storage that cannot be asked", () => {
    const health = unusable({ kind: "storage", message: "Storage does not answer: \u001b[31mrefused" });
    expect(healthReport(health, createColors(false))).toBe("✗ red\n  ✗ Storage does not answer: refused\n");
    expect(JSON.parse(healthJson(health))).toMatchObject({ status: "red", reasons: [{ kind: "storage" }] });
  });

  it("says in JSON which engines are alive", () => {
    const json = healthJson(fleetHealth(facts({ engines: [engine("a", 1), engine("b", -1)] })));
    expect(JSON.parse(json)).toMatchObject({
      storeNow: NOW,
      engines: [
        { id: "a", isAlive: true, runs: 0 },
        { id: "b", isAlive: false },
      ],
    });
  });
});
