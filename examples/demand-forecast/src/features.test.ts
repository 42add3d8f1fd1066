import { describe, expect, it } from "vitest";
import { addDays } from "./calendar.js";
import type { DailyDemand } from "./data.js";
import { buildFeatures, buildFeaturesAhead, columnOf, FEATURE_NAMES, HORIZON_DAYS, sliceTable } from "./features.js";

/** 400 days from Saturday, 1 January 2000, on which demand is the day's position. */
const demand: DailyDemand[] = Array.from({ length: 400 }, (_, position) => ({
  day: addDays("2000-01-01", position),
  births: position,
}));
const table = buildFeatures(demand);

function featuresOn(day: string): Record<string, number> {
  const row = table.rows[table.days.indexOf(day)] ?? [];
  return Object.fromEntries(FEATURE_NAMES.map((name, column) => [name, row[column]!]));
}

describe("buildFeatures()", () => {
  it("begins where every lag exists", () => {
    expect(table.days[0]).toBe("2000-12-30");
    expect(table.days).toHaveLength(36);
    expect(table.rows.flat().every(Number.isFinite)).toBe(true);
  });

  it("reads demand 7, 14 and 364 days before, and the four weeks that end 7 days before", () => {
    const features = featuresOn("2001-01-10"); // position 375
    expect(features["demand 7 days before"]).toBe(368);
    expect(features["demand 14 days before"]).toBe(361);
    expect(features["demand 364 days before"]).toBe(11);
    expect(features["four-week mean"]).toBe((341 + 368) / 2);
  });

  it("flags weekday and month, with Monday and January as base levels", () => {
    expect(featuresOn("2000-12-31")).toMatchObject({ Sunday: 1, Saturday: 0, Dec: 1 });
    const monday = featuresOn("2001-01-08");
    expect(FEATURE_NAMES.slice(0, 17).map((name) => monday[name])).toEqual(Array(17).fill(0));
  });

  it("flags holidays and the days next to them", () => {
    expect(featuresOn("2000-12-30")).toMatchObject({ holiday: 0, "next to a holiday": 0 });
    expect(featuresOn("2000-12-31")).toMatchObject({ holiday: 0, "next to a holiday": 1 });
    expect(featuresOn("2001-01-01")).toMatchObject({ holiday: 1, "next to a holiday": 0 });
    expect(featuresOn("2001-01-02")).toMatchObject({ holiday: 0, "next to a holiday": 1 });
  });

  it("uses nothing younger than the horizon", () => {
    const changed = demand.map((entry, position) => (position >= 390 ? { ...entry, births: -1e9 } : entry));
    const rows = buildFeatures(changed).rows;
    const firstAffected = rows.findIndex((row, index) => row.join() !== table.rows[index]?.join());
    expect(table.days[firstAffected]).toBe(addDays("2000-01-01", 390 + HORIZON_DAYS));
  });
});

describe("buildFeaturesAhead()", () => {
  it("knows all features of the days within the horizon", () => {
    const ahead = buildFeaturesAhead(demand.slice(0, 390));
    expect(ahead.days).toEqual(table.days.slice(26, 26 + HORIZON_DAYS));
    expect(ahead.rows).toEqual(table.rows.slice(26, 26 + HORIZON_DAYS));
  });

  it("is empty without a year of history", () => {
    expect(buildFeaturesAhead(demand.slice(0, 300))).toEqual({ days: [], rows: [] });
  });
});

describe("columnOf()", () => {
  it("refuses a feature that does not exist", () => {
    expect(() => columnOf(table, "moon")).toThrow('Cannot read feature "moon"');
  });
});

it("sliceTable() keeps days, births and rows together", () => {
  const part = sliceTable(table, 3, 5);
  expect(part.days).toEqual(table.days.slice(3, 5));
  expect(part.births).toEqual([367, 368]);
  expect(part.rows).toEqual(table.rows.slice(3, 5));
});
