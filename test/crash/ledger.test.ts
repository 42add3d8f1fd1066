import type { WitnessLine } from "@weftline/testing";
import { describe, expect, it } from "vitest";
import type { RunRecord, TaskRecord } from "weftline";
import { changedSince, orphans, redeliveries, repeatedEffects } from "./ledger.js";
import type { StoredRun } from "./stored-runs.js";

const TASK = { runId: "run", task: "load", index: [], generation: 1, status: "succeeded", output: "j1:1" };
const PARENT = { id: "run", parent: undefined, status: "succeeded", finishedAt: 9 };
const CHILD = { id: "child", parent: { runId: "run", task: "call", index: [] }, status: "succeeded", finishedAt: 8 };

function stored(run: object, ...tasks: readonly object[]): StoredRun {
  return { run: run as RunRecord, tasks: tasks as TaskRecord[], attempts: [] };
}

function line(phase: WitnessLine["phase"], key = "run/load"): WitnessLine {
  return { runId: "run", task: "load", index: [], attempt: 1, phase, key, at: 1 };
}

describe("changedSince()", () => {
  const before = { runs: [stored(PARENT, TASK)], witness: [line("start"), line("end")] };

  it("finds nothing where what had ended is as it was", () => {
    expect(changedSince(before, before)).toEqual([]);
  });

  it("finds a task that had ended and is gone, has another output, or began again", () => {
    expect(changedSince(before, { ...before, runs: [stored(PARENT)] })).toHaveLength(1);
    expect(changedSince(before, { ...before, runs: [stored(PARENT, { ...TASK, output: "j1:2" })] })).toHaveLength(1);
    expect(changedSince(before, { ...before, witness: [...before.witness, line("start")] })).toHaveLength(1);
  });

  it("minds neither a task that was under way, nor another generation", () => {
    const running = { ...before, runs: [stored(PARENT, { ...TASK, status: "running" })] };
    expect(changedSince(running, { runs: before.runs, witness: [...before.witness, line("start")] })).toEqual([]);
    const anew = line("start", "run/load@2");
    expect(changedSince(before, { ...before, witness: [...before.witness, anew] })).toEqual([]);
  });
});

describe("orphans()", () => {
  it("finds a child without its parent, one that has not ended, and a second of one task", () => {
    expect(orphans([stored(PARENT), stored(CHILD)])).toEqual([]);
    expect(orphans([stored(CHILD)])).toHaveLength(1);
    expect(orphans([stored(PARENT), stored({ ...CHILD, status: "running", finishedAt: undefined })])).toHaveLength(1);
    expect(orphans([stored(PARENT), stored(CHILD), stored({ ...CHILD, id: "other" })])).toHaveLength(1);
  });
});

describe("repeatedEffects()", () => {
  it("allows one for each owner that the run had, and no other", () => {
    const twice = [line("effect"), line("effect")];
    expect(repeatedEffects({ runs: [stored({ ...PARENT, epoch: 2 })], witness: twice })).toEqual([]);
    expect(repeatedEffects({ runs: [stored({ ...PARENT, epoch: 1 })], witness: twice })).toHaveLength(1);
  });
});

it("redeliveries() counts the starts of a key beyond its first", () => {
  expect(redeliveries([line("start"), line("end"), line("start"), line("start", "run/other")])).toBe(1);
});
