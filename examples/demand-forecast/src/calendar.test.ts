import { describe, expect, it } from "vitest";
import { addDays, holidayOn, monthOf, toDay, WEEKDAYS, weekdayOf, yearOf } from "./calendar.js";

describe("days", () => {
  it("toDay() pads month and day", () => expect(toDay(2004, 2, 9)).toBe("2004-02-09"));

  it.each([
    ["2004-02-28", 1, "2004-02-29"],
    ["2003-02-28", 1, "2003-03-01"],
    ["2000-01-01", -1, "1999-12-31"],
    ["2014-12-31", -364, "2014-01-01"],
  ])("addDays(%s, %i) is %s", (day, count, expected) => expect(addDays(day, count)).toBe(expected));

  it("weekdayOf() counts from Monday", () => {
    expect(WEEKDAYS[weekdayOf("2014-12-31")]).toBe("Wednesday");
    expect(WEEKDAYS[weekdayOf("2000-01-01")]).toBe("Saturday");
  });

  it("yearOf() and monthOf() read their part", () => {
    expect([yearOf("2009-11-05"), monthOf("2009-11-05")]).toEqual([2009, 11]);
  });
});

describe("holidayOn()", () => {
  // https://www.opm.gov/policy-data-oversight/pay-leave/federal-holidays/
  it.each([
    ["2014-01-01", "New Year's Day"],
    ["2014-05-26", "Memorial Day"],
    ["2010-05-31", "Memorial Day"],
    ["2014-07-04", "Independence Day"],
    ["2014-09-01", "Labor Day"],
    ["2009-09-07", "Labor Day"],
    ["2014-11-27", "Thanksgiving"],
    ["2012-11-22", "Thanksgiving"],
    ["2014-12-25", "Christmas Day"],
  ])("%s is %s", (day, name) => expect(holidayOn(day)).toBe(name));

  it("is undefined on other days", () => expect(holidayOn("2014-11-20")).toBeUndefined());

  it("finds six in every year", () => {
    for (let year = 2000; year <= 2014; year++) {
      const days = Array.from({ length: 366 }, (_, index) => addDays(toDay(year, 1, 1), index));
      const holidays = days.filter((day) => yearOf(day) === year && holidayOn(day) !== undefined);
      expect(holidays).toHaveLength(6);
    }
  });
});
