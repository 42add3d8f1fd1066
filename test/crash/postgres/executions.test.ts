import type { Fault, WitnessLine } from "@weftline/testing";
import { describe, expect, it } from "vitest";
import { byIdentity, executionsOf, hasJustSlept, overlaps, redeliveriesIn } from "./executions.js";

interface Ran {
  readonly engine: string;
  readonly from: number;
  /** Left out: it was cut off. */
  readonly to?: number;
}

function witnessOf(...all: readonly Ran[]): readonly WitnessLine[] {
  return all.flatMap(({ engine, from, to }, place) => {
    const about = { runId: "r", task: "t", index: [], attempt: 1, key: "r/t", engine, execution: String(place) };
    const start: WitnessLine = { ...about, phase: "start", at: from };
    return to === undefined ? [start] : [start, { ...about, phase: "end", at: to } satisfies WitnessLine];
  });
}

function executed(...all: readonly Ran[]) {
  return byIdentity(executionsOf(witnessOf(...all)));
}

const paused: Fault = { kind: "pause", engine: "a", from: 5, to: 100 };

describe("overlaps()", () => {
  const first = { engine: "a", from: 0, to: 120 };
  const second = { engine: "b", from: 50, to: 60 };

  it("allows another engine to run a task whose first engine stood still", () => {
    expect(overlaps(executed(first, second), [paused])).toEqual({ allowed: 1, problems: [] });
  });

  it.each([
    ["the first was awake", [first, second], []],
    ["the other one stood still", [first, second], [{ ...paused, engine: "b" }]],
    ["both were on one engine", [first, { ...second, engine: "a" }], [paused]],
    ["the first stood still long before", [first, second], [{ ...paused, from: -9, to: -5 }]],
  ] as const)("does not when %s", (_, ran, faults) => {
    expect(overlaps(executed(...ran), faults).problems).toHaveLength(1);
  });

  it("takes an execution that was cut off as over with its process", () => {
    const killed: Fault = { kind: "kill", engine: "a", from: 40, to: 45 };
    expect(overlaps(executed({ engine: "a", from: 0 }, second), [killed])).toEqual({ allowed: 0, problems: [] });
    expect(overlaps(executed({ engine: "a", from: 0 }, second), [{ ...killed, to: 55 }]).problems).toHaveLength(1);
  });

  it("keeps generations apart", () => {
    const lines = witnessOf(first, second).map((line) => (line.engine === "b" ? { ...line, key: "r/t@2" } : line));
    expect(overlaps(byIdentity(executionsOf(lines)), [])).toEqual({ allowed: 0, problems: [] });
  });
});

describe("redeliveriesIn()", () => {
  it("counts what was cut off and begun anew, and no attempt after one that ended", () => {
    expect(redeliveriesIn(executed({ engine: "a", from: 0 }, { engine: "b", from: 9, to: 10 }))).toBe(1);
    expect(redeliveriesIn(executed({ engine: "a", from: 0, to: 5 }, { engine: "b", from: 9, to: 10 }))).toBe(0);
    expect(redeliveriesIn(executed({ engine: "a", from: 0 }))).toBe(0);
  });
});

describe("hasJustSlept()", () => {
  it.each([
    [50, true],
    [100, true],
    [1_100, true],
    [1_101, false],
    [4, false],
  ])("of a pause from 5 to 100, at %d: %s", (at, expected) => {
    expect(hasJustSlept([paused], "a", 0, at)).toBe(expected);
    expect(hasJustSlept([paused], "b", 0, at)).toBe(false);
    expect(hasJustSlept([{ ...paused, kind: "kill" }], "a", 0, at)).toBe(false);
  });
});
