import { describe, expect, it } from "vitest";
import { type BirthRecord, findProblems, LAST_DAY, toDailyDemand, usBirths } from "./data.js";

const { signal } = new AbortController();
const records = await usBirths.fetch(LAST_DAY, signal);

function replaced(index: number, change: Partial<BirthRecord>): BirthRecord[] {
  return records.map((record, other) => (other === index ? { ...record, ...change } : record));
}

describe("usBirths.fetch()", () => {
  it("returns every day of 2000 to 2014", () => {
    expect(records).toHaveLength(5479);
    expect(toDailyDemand(records).at(-1)).toEqual({ day: "2014-12-31", births: 11990 });
  });

  it("returns nothing after the day it is asked for", async () => {
    const known = toDailyDemand(await usBirths.fetch("2013-06-30", signal));
    expect(known.at(-1)?.day).toBe("2013-06-30");
  });

  it("rejects once its signal is aborted", async () => {
    await expect(usBirths.fetch(LAST_DAY, AbortSignal.abort())).rejects.toThrow("aborted");
  });
});

describe("findProblems()", () => {
  it("finds none in the real data", () => expect(findProblems(records, LAST_DAY)).toEqual([]));

  it("finds too few rows", () => {
    expect(findProblems(records.slice(-10), LAST_DAY)).toEqual(["10 rows, at least 1825 expected"]);
    expect(findProblems([], LAST_DAY)).toEqual(["0 rows, at least 1825 expected"]);
  });

  it("finds a stale export", () => {
    expect(findProblems(records, "2015-01-01")).toEqual(["the newest row is of 2014-12-31, 2015-01-01 expected"]);
  });

  it("finds a missing day", () => {
    expect(findProblems(records.toSpliced(100, 1), LAST_DAY)).toEqual(["2000-04-11 follows 2000-04-09"]);
  });

  it("finds a doubled day", () => {
    const doubled = records.toSpliced(100, 0, records[100]!);
    expect(findProblems(doubled, LAST_DAY)).toEqual(["2000-04-10 follows 2000-04-10"]);
  });

  it("finds a weekday that does not fit its date", () => {
    expect(findProblems(replaced(0, { day_of_week: 1 }), LAST_DAY)).toEqual(["2000-01-01 has weekday 1"]);
  });

  it.each([0, 150_000, 9000.5, Number.NaN])("finds an implausible count: %s", (births) => {
    expect(findProblems(replaced(0, { births }), LAST_DAY)).toEqual([`2000-01-01 has ${births} births`]);
  });

  it("names the first few problems and counts the rest", () => {
    const problems = findProblems(
      records.map((record) => ({ ...record, births: 0 })),
      LAST_DAY,
    );
    expect(problems).toHaveLength(6);
    expect(problems.at(-1)).toBe("and 5474 more");
  });
});
