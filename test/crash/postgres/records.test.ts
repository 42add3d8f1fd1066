import type { Fault, WitnessLine } from "@weftline/testing";
import { describe, expect, it } from "vitest";
import type { AttemptRecord, RunRecord, StepRecord, TaskRecord } from "weftline";
import type { StoredRun } from "../stored-runs.js";
import { byIdentity, executionsOf } from "./executions.js";
import { againstWitness, lostConfirmations, repeatedSteps, unfinishedBusiness } from "./records.js";

const PLACE = { runId: "r", task: "load", position: 0, index: [], generation: 1 } as const;
const task = { ...PLACE, status: "succeeded", finishedAt: 20, items: undefined } as unknown as TaskRecord;
const attempt = {
  ...PLACE,
  attempt: 1,
  status: "succeeded",
  engineId: "engine-1-x",
  startedAt: 10,
} as unknown as AttemptRecord;
const run = { id: "r", pipeline: "crash", status: "succeeded", owner: undefined } as RunRecord;
const sound: StoredRun = { run, tasks: [task], attempts: [attempt] };
const killed: Fault = { kind: "kill", engine: "engine-1", from: 15, to: 15 };
const slept: Fault = { kind: "pause", engine: "engine-1", from: 15, to: 30 };

describe("unfinishedBusiness()", () => {
  it("has nothing against a run that has ended with all its parts", () => {
    expect(unfinishedBusiness(sound, [])).toEqual([]);
  });

  it("lets an attempt be left as running only by an engine that lost the run", () => {
    const cutOff = { ...attempt, status: "running" } as const;
    const left = { ...sound, attempts: [cutOff, { ...attempt, attempt: 2, engineId: "engine-2-x" }] };
    expect(unfinishedBusiness(left, [killed])).toEqual([]);
    expect(unfinishedBusiness(left, [{ ...killed, to: 5 }])).toEqual([
      expect.stringMatching(/attempt 1 of .* running/),
    ]);
    expect(unfinishedBusiness(left, [{ ...killed, engine: "engine-2" }])).toHaveLength(1);
  });

  it.each([
    ["it has not ended", { run: { ...run, status: "running" } }, /r of crash is running/],
    ["it has an owner", { run: { ...run, owner: "engine-1-x" } }, /still has an owner/],
    ["a task of it waits", { tasks: [{ ...task, status: "waiting" }] }, /is waiting/],
    ["an attempt is missing", { attempts: [{ ...attempt, attempt: 2 }] }, /has the attempts 2/],
    ["a task succeeded twice", { attempts: [attempt, { ...attempt, attempt: 2 }] }, /succeeded 2 times/],
  ] as const)("finds it when %s", (_, change, problem) => {
    expect(unfinishedBusiness({ ...sound, ...(change as Partial<StoredRun>) }, []).join("\n")).toMatch(problem);
  });
});

function witnessOf(...all: readonly { engine: string; from: number; to?: number; attempt?: number }[]) {
  const lines = all.flatMap(({ engine, from, to, attempt = 1 }, place): WitnessLine[] => {
    const about = { runId: "r", task: "load", index: [], attempt, key: "r/load", engine, execution: String(place) };
    const start = { ...about, phase: "start", at: from } as const;
    return to === undefined ? [start] : [start, { ...about, phase: "end", at: to }];
  });
  return byIdentity(executionsOf(lines));
}

describe("againstWitness()", () => {
  const ran = { engine: "engine-1", from: 10, to: 19 };

  it("has nothing against a task that ran as it is stored", () => {
    expect(againstWitness(sound, witnessOf(ran), [])).toEqual({ problems: [], woken: 0 });
  });

  it.each([
    ["nobody ran it", witnessOf(), /is stored, and never returned/],
    ["it was cut off", witnessOf({ engine: "engine-1", from: 10 }), /is stored, and never returned/],
    ["it ran on another engine", witnessOf({ ...ran, engine: "engine-11" }), /is stored, and never returned/],
    ["another attempt ran", witnessOf({ ...ran, attempt: 2 }), /is stored, and never returned/],
    ["it began again", witnessOf(ran, { engine: "engine-2", from: 21 }), /began again on engine-2, 1 ms after/],
  ])("finds it when %s", (_, executions, problem) => {
    expect(againstWitness(sound, executions, []).problems.join("\n")).toMatch(problem);
  });

  it("allows an engine that just woke to begin it once more", () => {
    const executions = witnessOf({ ...ran, to: 19 }, { engine: "engine-1", from: 31 });
    expect(againstWitness(sound, executions, [slept])).toEqual({ problems: [], woken: 1 });
    expect(againstWitness(sound, executions, [killed]).problems).toHaveLength(1);
  });
});

describe("lostConfirmations()", () => {
  const line = { engine: "engine-1", runId: "r", task: "load", index: [], attempt: 1, status: "succeeded" } as const;

  it("finds an end that an engine told its listeners, and that is not stored as its own", () => {
    expect(lostConfirmations([line], [sound])).toEqual([]);
    expect(lostConfirmations([line], [{ ...sound, attempts: [] }])).toEqual([expect.stringMatching(/that of nobody/)]);
    const others = { ...sound, attempts: [{ ...attempt, engineId: "engine-12-x" }] };
    expect(lostConfirmations([line], [others])).toEqual([expect.stringMatching(/that of engine-12-x/)]);
    expect(lostConfirmations([{ ...line, attempt: 2 }], [sound])).toHaveLength(1);
  });

  it("asks for no attempt of what had none", () => {
    expect(lostConfirmations([{ ...line, attempt: 0, status: "skipped" }], [sound])).toEqual([]);
  });
});

describe("repeatedSteps()", () => {
  const step = { runId: "r", step: "step-1", at: 20 } as StepRecord;
  const effect = { runId: "r", task: "stepped#1", index: [], attempt: 1, phase: "effect", engine: "engine-1" } as const;

  it("finds a step that was done again after it was stored, unless its engine just woke", () => {
    expect(repeatedSteps([step], [{ ...effect, at: 20 }], [])).toEqual([]);
    expect(repeatedSteps([step], [{ ...effect, at: 21 }], [])).toEqual([expect.stringMatching(/1 ms after it was/)]);
    expect(repeatedSteps([step], [{ ...effect, at: 21 }], [slept])).toEqual([]);
  });
});
