import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cron, every, type Schedule } from "./schedule.js";

const at = (iso: string): number => Date.parse(iso);

/** The instants after `from`, up to `until`. */
function instants(schedule: Schedule<unknown>, from: number, until: number): number[] {
  const found: number[] = [];
  for (let next = schedule.next(from); next !== undefined && next <= until; next = schedule.next(next)) {
    found.push(next);
    if (found.length > 10_000) throw new Error("too many instants");
  }
  return found;
}

const shown = (found: readonly number[]) => found.map((instant) => new Date(instant).toISOString().slice(0, 16));

describe("cron()", () => {
  // Berlin: from 02:00 +01 to 03:00 +02 on 29 March 2026, from 03:00 +02 to 02:00 +01 on 25 October 2026; times in UTC.
  const GAP = ["2026-03-28T12:00Z", "2026-03-29T12:59Z"] as const;
  const OVERLAP = ["2026-10-24T12:59Z", "2026-10-25T14:00Z"] as const;

  it.each([
    ["F90 30 2 * * *: the first moment after the gap", "30 2 * * *", GAP, ["2026-03-29T01:00"]],
    ["F91 30 2 * * *: once in the overlap, the first time", "30 2 * * *", OVERLAP, ["2026-10-25T00:30"]],
    [
      "F90 30 2,14 * * *: a list is as fixed as a single time",
      "30 2,14 * * *",
      GAP,
      ["2026-03-28T13:30", "2026-03-29T01:00", "2026-03-29T12:30"],
    ],
    ["F91 30 2,14 * * *: once in the overlap", "30 2,14 * * *", OVERLAP, ["2026-10-25T00:30", "2026-10-25T13:30"]],
    ["F90 0 2 * * *: at the gap's end", "0 2 * * *", GAP, ["2026-03-29T01:00"]],
    ["F90 30 1 * * *: as ever", "30 1 * * *", GAP, ["2026-03-29T00:30"]],
    ["F91 30 1 * * *: as ever", "30 1 * * *", OVERLAP, ["2026-10-24T23:30"]],
  ])("keeps daily times in Berlin: %s", (_, expression, [from, until], expected) => {
    const schedule = cron(expression, { timeZone: "Europe/Berlin" });
    expect(shown(instants(schedule, at(from), at(until)))).toEqual(expected);
  });

  it.each([
    [
      "*/30 * * * *",
      "2026-03-29T00:00Z",
      "2026-03-29T02:00Z",
      ["2026-03-29T00:30", "2026-03-29T01:00", "2026-03-29T01:30", "2026-03-29T02:00"],
    ],
    [
      "*/30 * * * *",
      "2026-10-24T23:45Z",
      "2026-10-25T02:00Z",
      ["2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30", "2026-10-25T02:00"],
    ],
    [
      "0 * * * *",
      "2026-10-24T23:30Z",
      "2026-10-25T02:00Z",
      ["2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00"],
    ],
  ])("keeps every real interval when Berlin's clocks change: %s from %s", (expression, from, until, expected) => {
    const schedule = cron(expression, { timeZone: "Europe/Berlin" });
    expect(shown(instants(schedule, at(from), at(until)))).toEqual(expected);
  });

  it.each([
    ["30 9 * * *", "Asia/Kolkata", "2026-01-01T00:00Z", ["2026-01-01T04:00", "2026-01-02T04:00"]],
    // Clocks go from 02:00 to 02:30.
    ["15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00Z", ["2026-10-03T15:30", "2026-10-04T15:15"]],
    // There was no 30 December 2011.
    ["0 12 * * *", "Pacific/Apia", "2011-12-29T12:00Z", ["2011-12-29T22:00", "2011-12-30T22:00"]],
    ["0 0 29 2 *", "UTC", "2026-01-01T00:00Z", ["2028-02-29T00:00", "2032-02-29T00:00"]],
    ["0 0 L * *", "UTC", "2026-02-01T00:00Z", ["2026-02-28T00:00", "2026-03-31T00:00"]],
    ["0 0 * * MON#1", "UTC", "2026-02-03T00:00Z", ["2026-03-02T00:00", "2026-04-06T00:00"]],
    ["0 0 15W * *", "UTC", "2026-02-01T00:00Z", ["2026-02-16T00:00", "2026-03-16T00:00"]],
    ["0 0 13 * FRI", "UTC", "2026-01-09T00:00Z", ["2026-01-13T00:00", "2026-01-16T00:00"]],
    ["@daily", "UTC", "2026-01-01T00:00Z", ["2026-01-02T00:00", "2026-01-03T00:00"]],
  ])("knows %s in %s", (expression, timeZone, from, expected) => {
    const schedule = cron(expression, { timeZone });
    const first = schedule.next(at(from))!;
    expect(shown([first, schedule.next(first)!])).toEqual(expected);
  });

  it("has six fields with seconds", () => {
    const schedule = cron("15 30 12 * * *");
    expect(new Date(schedule.next(at("2026-01-01T00:00Z"))!).toISOString()).toBe("2026-01-01T12:30:15.000Z");
  });

  it("is in UTC unless told otherwise, and says so", () => {
    expect(cron("0 2 * * *").spec).toBe("0 2 * * * UTC");
    expect(cron("0 2 * * *", { timeZone: "Europe/Berlin" }).spec).toBe("0 2 * * * Europe/Berlin");
    expect(cron("0 2 * * *").next(at("2026-07-01T00:00Z"))).toBe(at("2026-07-01T02:00Z"));
  });

  it("gives the first instant after, never the same one again", () => {
    const schedule = cron("0 * * * *");
    expect(schedule.next(at("2026-01-01T01:00Z"))).toBe(at("2026-01-01T02:00Z"));
    expect(schedule.next(at("2026-01-01T01:00Z") - 1)).toBe(at("2026-01-01T01:00Z"));
    expect(schedule.next(at("2026-01-01T01:00Z") + 1)).toBe(at("2026-01-01T02:00Z"));
  });

  it.each(["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 31 2 *", "0 0 0 31 6 *"])(
    "F93 refuses %s, which never fires",
    (text) => {
      expect(() => cron(text)).toThrow(
        expect.objectContaining({ code: "SCHEDULE_INVALID", message: expect.stringContaining("never fires") }),
      );
    },
  );

  it.each(["EST5", "Europe/Atlantis", "berlin", " ", ""])("F92 refuses the unknown zone %j", (timeZone) => {
    expect(() => cron("0 2 * * *", { timeZone })).toThrow(
      expect.objectContaining({ code: "SCHEDULE_INVALID", message: expect.stringContaining(`in zone "${timeZone}"`) }),
    );
  });

  it.each([
    ...["", " ", "* * * *", "61 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *"],
    ...["* * * * * * *", "0 0 0 1 1 * 2020", "2026-11-22T02:00:00", "10:30", "a b c d e", "5-1 * * * *", "L * * * *"],
    ...[undefined, null, 5, {}, new Date(0)],
  ])("F95 refuses %j, which is no expression with five or six fields", (expression) => {
    expect(() => cron(expression as string)).toThrow(
      expect.objectContaining({
        code: "SCHEDULE_INVALID",
        message: expect.stringMatching(/^SCHEDULE_INVALID: Cannot use .* as a schedule: .*Write five cron fields/s),
      }),
    );
  });

  const fields = fc.record({
    minutes: fc.uniqueArray(fc.nat({ max: 59 }), { minLength: 1, maxLength: 3 }),
    hours: fc.uniqueArray(fc.nat({ max: 23 }), { minLength: 1, maxLength: 3 }),
    days: fc.uniqueArray(fc.nat({ max: 6 }), { minLength: 1, maxLength: 3 }),
    everyHour: fc.boolean(),
    everyDay: fc.boolean(),
  });
  const moments = fc.integer({ min: at("2000-01-01T00:00Z") / 1_000, max: at("2100-01-01T00:00Z") / 1_000 });

  it("F94 gives the first instant whose fields match, for any time and day of the week", () => {
    fc.assert(
      fc.property(fields, moments, ({ minutes, hours, days, everyHour, everyDay }, second) => {
        const after = second * 1_000;
        const schedule = cron(`${minutes} ${everyHour ? "*" : hours} * * ${everyDay ? "*" : days}`);
        const matches = (date: Date): boolean =>
          minutes.includes(date.getUTCMinutes()) &&
          (everyHour || hours.includes(date.getUTCHours())) &&
          (everyDay || days.includes(date.getUTCDay()));
        let expected = Math.floor(after / 60_000 + 1) * 60_000;
        while (!matches(new Date(expected))) expected += 60_000;
        expect(schedule.next(after)).toBe(expected);
      }),
    );
  });

  const aroundChanges = fc
    .tuple(
      fc.constantFrom("2026-03-29T01:00Z", "2026-10-25T01:00Z", "2026-06-01T00:00Z"),
      fc.integer({ min: -72, max: 72 }),
    )
    .map(([change, quarters]) => at(change) + quarters * 900_000);

  it("latest() is the last instant that next() would have given, also when clocks change", () => {
    const expressions = fc.constantFrom(
      ...["30 2 * * *", "30 2,14 * * *", "*/30 * * * *", "0 * * * *", "0 3 * * *", "15 1-4 * * *", "0 0 * * MON"],
    );
    fc.assert(
      fc.property(expressions, aroundChanges, fc.integer({ min: 0, max: 300 }), (expression, after, quarters) => {
        const schedule = cron(expression, { timeZone: "Europe/Berlin" });
        const until = after + quarters * 900_000;
        expect(schedule.latest(after, until)).toBe(instants(schedule, after, until).at(-1));
      }),
      { numRuns: 150 },
    );
  });

  it("latest() includes its end and leaves out its beginning", () => {
    const schedule = cron("0 * * * *");
    const hour = at("2026-01-01T05:00Z");
    expect(schedule.latest(hour - 1, hour)).toBe(hour);
    expect(schedule.latest(hour, hour)).toBeUndefined();
    expect(schedule.latest(hour, hour + 3_599_999)).toBeUndefined();
    expect(schedule.latest(0, hour + 3 * 86_400_000)).toBe(hour + 3 * 86_400_000);
    expect(cron("* * * * * *").latest(hour - 5_000, hour)).toBe(hour);
  });
});

describe("every()", () => {
  it("fires on multiples of its interval since 1970", () => {
    const schedule = every("15m");
    const found = instants(schedule, at("2026-01-01T00:10Z"), at("2026-01-01T01:00Z"));
    expect(shown(found)).toEqual(["2026-01-01T00:15", "2026-01-01T00:30", "2026-01-01T00:45", "2026-01-01T01:00"]);
    expect(schedule.spec).toBe("every 900000ms");
  });

  it("knows the next instant and the latest one, before 1970 too", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1_000, max: 10 ** 10 }),
        fc.integer({ min: -(10 ** 13), max: 10 ** 13 }),
        fc.nat(10 ** 11),
        (interval, after, later) => {
          const schedule = every(interval);
          const next = schedule.next(after)!;
          expect(Math.abs(next % interval)).toBe(0);
          expect(next).toBeGreaterThan(after);
          expect(next - interval).toBeLessThanOrEqual(after);
          const latest = schedule.latest(after, after + later);
          if (latest === undefined) {
            expect(next).toBeGreaterThan(after + later);
            return;
          }
          expect(Math.abs(latest % interval)).toBe(0);
          expect(latest).toBeGreaterThan(after);
          expect(latest).toBeLessThanOrEqual(after + later);
          expect(latest + interval).toBeGreaterThan(after + later);
        },
      ),
    );
  });

  it.each([0, 999, "500ms"] as const)("refuses %j as shorter than a second", (interval) => {
    expect(() => every(interval)).toThrow(
      expect.objectContaining({ code: "SCHEDULE_INVALID", message: expect.stringContaining("every") }),
    );
  });

  it.each([-1, Number.NaN, "1w", undefined])("refuses %j as a duration", (interval) => {
    expect(() => every(interval as number)).toThrow(expect.objectContaining({ code: "DURATION_INVALID" }));
  });
});

describe("a schedule's params", () => {
  it("are made from the instant", () => {
    const params = ({ instant }: { readonly instant: number }) => ({
      day: new Date(instant).toISOString().slice(0, 10),
    });
    expect(cron("0 2 * * *", { params }).params?.({ instant: 0 })).toEqual({ day: "1970-01-01" });
    expect(every("1d", { params }).params?.({ instant: 0 })).toEqual({ day: "1970-01-01" });
    expect([cron("0 2 * * *").params, every("1d").params]).toEqual([undefined, undefined]);
  });
});
