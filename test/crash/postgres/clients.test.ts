import { describe, expect, it } from "vitest";
import type { RunRecord } from "weftline";
import { EXPECTED } from "../pipeline.js";
import type { StoredRun } from "../stored-runs.js";
import { brokenPromises, callsOf } from "./clients.js";
import type { ClientLine } from "./world.js";

function call(operation: ClientLine["operation"], more: Partial<ClientLine> = {}): ClientLine {
  const about = { operation, client: "c", call: 1, key: "run-1", invokedAt: 0, returnedAt: 1 };
  return { ...about, outcome: "ok", runId: "r", ...more };
}

function stored(more: Partial<RunRecord> = {}): StoredRun {
  return { run: { id: "r", key: "run-1", status: "succeeded", ...more } as RunRecord, tasks: [], attempts: [] };
}

const triggered = call("trigger");
const result = call("result", { status: "succeeded", report: EXPECTED });
const cancelled = call("result", { status: "cancelled" });

describe("callsOf()", () => {
  it("takes a call that never returned as unknown", () => {
    const made = { operation: "trigger", client: "c", call: 1, key: "run-1", invokedAt: 0 } as const;
    const returned = { ...made, call: 2, returnedAt: 5, outcome: "fail" } as const;
    expect(callsOf([made, { ...made, call: 2 }, returned])).toEqual([{ ...made, outcome: "unknown" }, returned]);
  });
});

describe("brokenPromises()", () => {
  it("has nothing against a run that ended as its client was told", () => {
    expect(brokenPromises([triggered, result], [stored()])).toEqual([]);
    const calls = [triggered, call("cancel"), call("signal", { outcome: "fail", code: "RUN_FINISHED" }), cancelled];
    expect(brokenPromises(calls, [stored({ status: "cancelled" })])).toEqual([]);
    expect(brokenPromises([call("trigger", { outcome: "unknown", runId: undefined }), result], [stored()])).toEqual([]);
  });

  it.each([
    ["a run that was confirmed is gone", [triggered], [], /confirmed for run r, and stored is none/],
    ["two runs have one key", [triggered, result], [stored(), stored({ id: "other" })], /there are 2 runs of the key/],
    [
      "two calls of one key gave two runs",
      [call("trigger", { runId: "s" }), result],
      [stored()],
      /for run s, and stored/,
    ],
    ["another status is stored", [triggered, result], [stored({ status: "running" })], /told that run-1 is succeeded/],
    ["the result is wrong", [triggered, { ...result, report: { sum: 1 } }], [stored()], /the result of run-1 is/],
    ["nobody cancelled it", [triggered, cancelled], [stored({ status: "cancelled" })], /nobody cancelled run-1/],
    [
      "a call failed",
      [call("trigger", { outcome: "fail", code: "LEASE_LOST" }), result],
      [stored()],
      /with LEASE_LOST/,
    ],
    ["no result ever came", [triggered], [stored()], /no client was told how run-1 ended/],
  ] as const)("finds it when %s", (_, calls, runs, problem) => {
    expect(brokenPromises(calls, runs).join("\n")).toMatch(problem);
  });
});
