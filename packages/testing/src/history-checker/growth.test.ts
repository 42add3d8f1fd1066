import { describe, expect, it } from "vitest";
import { checkGrowth } from "./growth.js";

const samples = (of: (place: number) => number, count = 100) => Array.from({ length: count }, (_, place) => of(place));
const judge = (values: readonly number[]) => checkGrowth([{ name: "heap", invariant: 50, samples: values }])[0]!;

describe("checkGrowth()", () => {
  it("takes what only warms up as bounded", () => {
    expect(judge(samples((place) => Math.min(place, 15) * 100 + 1_000))).toMatchObject({ growth: 0, isBounded: true });
  });

  it("finds a steady rise under noise", () => {
    const leak = judge(samples((place) => 1_000 + place * 2 + (place % 7) * 5));
    expect(leak.isBounded).toBe(false);
    expect(leak.growth).toBeGreaterThan(0.1);
  });

  it("is not misled by single high samples", () => {
    expect(judge(samples((place) => (place % 25 === 24 ? 9_000 : 1_000 + (place % 3)))).isBounded).toBe(true);
  });

  it("takes what shrinks as bounded, and what starts at nothing and grows as not", () => {
    expect(judge(samples((place) => 1_000 - place)).isBounded).toBe(true);
    expect(judge(samples((place) => Math.max(0, place - 20))).isBounded).toBe(false);
  });

  it("does not judge too few samples", () => {
    expect(judge([1, 1, 1])).toMatchObject({ growth: undefined, isBounded: false });
  });
});
