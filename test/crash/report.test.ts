import { expect, it } from "vitest";
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
