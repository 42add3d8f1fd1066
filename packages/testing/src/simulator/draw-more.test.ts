import { describe, expect, it } from "vitest";
import { drawWorld } from "./draw-world.js";

const SEEDS = Array.from({ length: 400 }, (_, place) => place + 1);

describe("drawWorld()", () => {
  it("leaves half of the worlds as the first edition drew them", () => {
    const same = SEEDS.filter((seed) => JSON.stringify(drawWorld(seed)) === JSON.stringify(drawWorld(seed, 1)));
    expect(same.length).toBeGreaterThan(150);
    expect(same.length).toBeLessThan(300);
  });

  it("adds to the others, and takes nothing from them", () => {
    for (const seed of SEEDS) {
      const [first, second] = [drawWorld(seed, 1), drawWorld(seed)];
      expect(second.runs).toEqual(first.runs);
      expect(second.slots).toEqual(first.slots);
      expect(second.calls.slice(0, first.calls.length)).toEqual(first.calls);
      for (const mishap of first.mishaps) expect(second.mishaps).toContainEqual(mishap);
    }
  });

  it("draws some of everything", () => {
    const worlds = SEEDS.map((seed) => drawWorld(seed));
    const kinds = new Set(worlds.flatMap(({ calls }) => calls.map(({ kind }) => kind)));
    for (const kind of ["delete", "delete-children", "prune", "remap"] as const) expect(kinds).toContain(kind);
    expect(worlds.some(({ dropsVersions }) => dropsVersions)).toBe(true);
    expect(worlds.some(({ late }) => late?.methods.includes("commit"))).toBe(true);
    expect(worlds.some(({ late }) => late !== undefined && !late.methods.includes("commit"))).toBe(true);
  });
});
