import { describe, expect, it } from "vitest";
import type { Storage } from "weftline";
import { drawWorld } from "./simulator/draw-world.js";
import { addExercised, neverExercised, shrink, simulate, simulateWorld } from "./simulator.js";

/** A store that takes whatever a former owner writes. */
function withoutFence(inner: Storage): Storage {
  const commit: Storage["commit"] = async (flush) => {
    const outcome = await inner.commit(flush);
    return outcome.kind === "ok" ? { kind: "ok", fenced: [] } : outcome;
  };
  return new Proxy(inner, {
    get(target, name) {
      if (name === "commit") return commit;
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

/** A world takes some 30 ms, and several times that where others are at work. */
const TIMEOUT_MS = 25_000;

describe("simulate()", { timeout: TIMEOUT_MS }, () => {
  it("gives the same history for the same seed, byte for byte", async () => {
    for (const seed of [3, 12, 44]) {
      const [one, other] = [await simulate(seed), await simulate(seed)];
      expect(one.transcript.length).toBeGreaterThan(2_000);
      expect(other.transcript === one.transcript).toBe(true);
    }
  });

  it("gives other histories for other seeds", async () => {
    const transcripts = [];
    for (const seed of [1, 2, 3]) transcripts.push((await simulate(seed)).transcript);
    expect(new Set(transcripts).size).toBe(3);
  });

  it("does not depend on worlds that were played at the same time", async () => {
    const alone = await simulate(8);
    const [beside] = await Promise.all([simulate(8), simulate(9)]);
    expect(beside.transcript === alone.transcript).toBe(true);
  });

  it("plays the world that a seed stood for in an older edition", async () => {
    const isNew = (seed: number) => JSON.stringify(drawWorld(seed)) !== JSON.stringify(drawWorld(seed, 1));
    const seed = [1, 2, 3, 4, 5, 6, 7, 8, 9].find(isNew)!;
    expect((await simulate(seed, { edition: 1 })).world).toEqual(drawWorld(seed, 1));
    expect((await simulate(seed)).world).toEqual(drawWorld(seed));
  });

  it("says what it exercised, and what never happened", async () => {
    let sum: Parameters<typeof addExercised>[0];
    for (let seed = 1; seed <= 6; seed++) sum = addExercised(sum, (await simulate(seed)).exercised);
    expect(sum).toMatchObject({ runs: expect.any(Number), kills: expect.any(Number) });
    expect(sum!.runs).toBeGreaterThan(6);
    expect(neverExercised({ ...sum!, kills: 0 })).toContain("kills");
    expect(neverExercised(sum!)).not.toContain("runs");
  });
});

describe("shrink()", { timeout: TIMEOUT_MS }, () => {
  it("leaves out what a failure does not need", async () => {
    const world = drawWorld(5);
    expect(world.runs.length).toBeGreaterThan(1);
    const needed = world.runs[1]!.token;
    const smallest = await shrink(world, async ({ runs }) => runs.some(({ token }) => token === needed));
    expect(smallest.runs.map(({ token }) => token)).toEqual([needed]);
    expect(smallest).toMatchObject({ calls: [], mishaps: [], latencyMs: 0 });
    expect(smallest.slots).toHaveLength(1);
    expect(smallest.pipelines).toHaveLength(1);
    expect(smallest.pipelines[0]!.nodes).toHaveLength(1);
  });

  it("gives a world that still fails when it is played", async () => {
    const mutations = { store: withoutFence };
    let failed: Awaited<ReturnType<typeof simulate>> | undefined;
    for (let seed = 1; failed === undefined && seed <= 100; seed++) {
      const result = await simulate(seed, { mutations });
      const isNew = result.problems.length > 0 && (await simulate(seed)).problems.length === 0;
      if (isNew) failed = result;
    }
    const { world, problems } = failed!;
    const fails = async (smaller: typeof world): Promise<boolean> => {
      const again = await simulateWorld(smaller, { mutations });
      return again.problems.some(({ rule }) => rule === problems[0]!.rule);
    };
    const smallest = await shrink(world, fails, 12);
    expect(JSON.stringify(smallest).length).toBeLessThan(JSON.stringify(world).length);
    expect(await fails(smallest)).toBe(true);
  });
});
