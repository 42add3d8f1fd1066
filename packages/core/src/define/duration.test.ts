import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Duration, durationMs } from "./duration.js";

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const HUNDRED_YEARS_MS = 100 * 366 * UNITS.d;

describe("durationMs()", () => {
  it.each<[Duration, number]>([
    ["250ms", 250],
    ["30s", 30_000],
    ["10m", 600_000],
    ["6h", 21_600_000],
    ["7d", 604_800_000],
    ["1.5h", 5_400_000],
    ["0.25s", 250],
    ["007s", 7_000],
    ["0s", 0],
    [0, 0],
    [1, 1],
    [HUNDRED_YEARS_MS, HUNDRED_YEARS_MS],
    ["36600d", HUNDRED_YEARS_MS],
  ])("reads %j", (duration, ms) => {
    expect(durationMs(duration, "a test")).toBe(ms);
  });

  it.each<[Duration, number]>([
    ["0.1ms", 1],
    ["0.0001s", 1],
    [0.001, 1],
    [1.2, 2],
    ["1.0001s", 1_001],
  ])("rounds a fraction of a millisecond up: %j", (duration, ms) => {
    expect(durationMs(duration, "a test")).toBe(ms);
  });

  it.each<[Duration, number]>([
    ["16.1s", 16_100],
    ["0.07m", 4_200],
    ["1.001s", 1_001],
    [0.1 + 0.2 + 2.7, 3],
  ])("does not round up what is only the noise of a multiplication: %j", (duration, ms) => {
    expect(durationMs(duration, "a test")).toBe(ms);
  });

  it.each([
    ...["10 m", "1w", "1y", "10", "m", "", " 1s", "1s ", "-1s", "+1s", "1e3ms", ".5s", "1.s", "1,5s", "1S", "1s1ms"],
    ...["Infinityms", "NaNms", "٣s", "1s\n", "36601d"],
    ...[-1, -0.001, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e99, HUNDRED_YEARS_MS + 1],
    ...[null, undefined, true, {}, [], 5n, Symbol("s"), () => "1s", { attempt: "1s" }],
  ])("refuses %o and says what to write", (duration) => {
    const read = () => durationMs(duration as Duration, 'timeout of task "a"');
    expect(read).toThrow(expect.objectContaining({ code: "DURATION_INVALID" }));
    expect(read).toThrow(/timeout of task "a".*"250ms", "30s", "10m", "6h" or "7d", from 0 to 100 years/s);
  });

  it("does not repeat a long text in its message", () => {
    expect(() => durationMs("x".repeat(1_000_000) as Duration, "a test")).toThrow(/^.{0,400}$/);
  });

  it("reads what was written from whole numbers and units", () => {
    fc.assert(
      fc.property(fc.constantFrom(...(Object.keys(UNITS) as (keyof typeof UNITS)[])), fc.nat(36_600), (unit, n) => {
        expect(durationMs(`${n}${unit}`, "a test")).toBe(n * UNITS[unit]);
      }),
    );
  });

  it("reads what was written with up to three decimals exactly", () => {
    const units = fc.constantFrom("s" as const, "m" as const, "h" as const, "d" as const);
    fc.assert(
      fc.property(units, fc.nat(366_000), fc.integer({ min: 1, max: 3 }), (unit, n, decimals) => {
        const text = (n / 10 ** decimals).toFixed(decimals);
        expect(durationMs(`${text}${unit}` as Duration, "a test")).toBe((n * UNITS[unit]) / 10 ** decimals);
      }),
      { numRuns: 500 },
    );
  });

  it("is a whole number that is never shorter than what was asked for", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: HUNDRED_YEARS_MS, noNaN: true }), (number) => {
        const ms = durationMs(number, "a test");
        expect(Number.isSafeInteger(ms)).toBe(true);
        expect(ms).toBeGreaterThanOrEqual(Number(number.toPrecision(15)));
        expect(ms).toBeLessThan(number + 1.01);
        if (number > 0) expect(ms).toBeGreaterThan(0);
      }),
    );
  });
});
