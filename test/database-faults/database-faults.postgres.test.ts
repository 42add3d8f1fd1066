import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FAULTS } from "./faults.js";
import { World } from "./world.js";

let world: World | undefined;

beforeAll(async () => {
  world = await World.start();
}, 60_000);
afterAll(() => world?.stop(), 60_000);

describe("while engines work, every run ends once and nothing confirmed is done again, though", () => {
  it.each(FAULTS.map((fault) => [fault.name, fault] as const))(
    "%s",
    async (_, fault) => {
      const faulty = world!;
      let happened = 0;
      const { runs, violations } = await faulty.underLoad(async () => {
        happened = await fault.happen(faulty);
      });
      expect(violations.slice(0, 5)).toEqual([]);
      expect(happened).toBeGreaterThan(0);
      expect(runs).toBeGreaterThan(6);
      expect(faulty.complaints).toBe("");
    },
    90_000,
  );
});
