import { expect, it } from "vitest";
import { growthOf } from "./growth.js";

const samplesOf = (values: readonly number[]) => values.map((heap) => ({ heap }));
const flat = (values: readonly number[], slack = 0) =>
  growthOf(samplesOf(values), { slack: { heap: slack } })[0]!.isFlat;

it("growthOf() finds what grows by 5 % or more after the warm-up", () => {
  expect(flat(Array.from({ length: 20 }, (_, n) => 100 + n))).toBe(false);
  expect(flat(Array.from({ length: 20 }, (_, n) => 100 + n / 10))).toBe(true);
});

it("growthOf() forgives the warm-up, peaks, and what shrinks", () => {
  expect(flat([10, 40, 80, 99, ...Array.from({ length: 12 }, () => 100)])).toBe(true);
  expect(flat(Array.from({ length: 20 }, (_, n) => (n % 7 === 0 ? 900 : 100)))).toBe(true);
  expect(flat(Array.from({ length: 20 }, (_, n) => 100 - n))).toBe(true);
});

it("growthOf() takes growth within the slack for none, and any growth from nothing for too much", () => {
  const values = Array.from({ length: 20 }, (_, n) => (n < 12 ? 0 : 2));
  expect(flat(values, 2)).toBe(true);
  expect(flat(values, 1)).toBe(false);
});

it("growthOf() says nothing of too few samples", () => {
  expect(() => growthOf(samplesOf([1, 2, 3, 4, 5]))).toThrow(RangeError);
});
