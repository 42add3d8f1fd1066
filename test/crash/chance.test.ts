import { describe, expect, it } from "vitest";
import { chance, spread } from "./chance.js";

describe("spread()", () => {
  it("takes all where there are no more than asked for", () => {
    expect(spread(3, 5, chance(1))).toEqual([1, 2, 3]);
  });

  it("takes so many, each once, over the whole length", () => {
    const chosen = spread(100, 10, chance(7));
    expect(new Set(chosen).size).toBe(10);
    chosen.forEach((number, place) => {
      expect(Math.floor((number - chosen[0]!) / 10 + 0.05)).toBe(place);
    });
    expect(chosen.every((number) => number >= 1 && number <= 100)).toBe(true);
  });

  it("is the same for one seed, and moves with it until every number has had its turn", () => {
    expect(spread(100, 10, chance(7))).toEqual(spread(100, 10, chance(7)));
    const all = new Set(Array.from({ length: 200 }, (_, seed) => spread(100, 10, chance(seed))).flat());
    expect(all.size).toBe(100);
  });
});
