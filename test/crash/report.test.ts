import { describe, expect, it } from "vitest";
import { hasFailed, type PartReport, textOf } from "./report.js";

const DONE: PartReport = { name: "part", exercised: { kills: 1_200 }, required: ["kills"], problems: [] };

it("a report that exercised what it had to, and found nothing, is no failure", () => {
  expect(hasFailed(DONE)).toBe(false);
  expect(textOf(DONE)).toBe("part: 1,200 kills\npart: ok");
});

it("a report that exercised nothing is a failure, and says so", () => {
  for (const exercised of [{ kills: 0 }, {}]) {
    const report = { ...DONE, exercised };
    expect(hasFailed(report)).toBe(true);
    expect(textOf(report)).toContain("VACUOUS: there were no kills");
  }
});

it("a report with a problem is a failure, and says it", () => {
  const report = { ...DONE, problems: ["run 1 is gone"] };
  expect(hasFailed(report)).toBe(true);
  expect(textOf(report)).toContain("PROBLEM: run 1 is gone");
});

describe("a report on invariants", () => {
  const checked = new Map([
    [15, 1_300],
    [3, 2],
  ]);
  const notChecked = new Map([
    [44, "no hints"],
    [25, "nothing to check"],
    [37, "nothing to check"],
  ]);

  it("says how often each was checked, and why others were not", () => {
    const report = { ...DONE, invariants: { checked, notChecked, required: [3, 15] } };
    expect(hasFailed(report)).toBe(false);
    expect(textOf(report).split("\n").slice(1)).toEqual([
      "  invariants checked: 3 ×2, 15 ×1,300",
      "  not checked: 25, 37: nothing to check",
      "  not checked: 44: no hints",
      "part: ok",
    ]);
  });

  it("is a failure where one that has to be checked never was", () => {
    const report = { ...DONE, invariants: { checked, notChecked, required: [3, 25] } };
    expect(hasFailed(report)).toBe(true);
    expect(textOf(report)).toContain("VACUOUS: there were no checks of invariant 25 (nothing to check)");
  });
});
