import { addExercised, type Edition, type Exercised, simulate } from "@weftline/testing";
import { describe, expect, it } from "vitest";
import keptSeeds from "./kept-seeds.json" with { type: "json" };

const SEEDS = 120;
/** What so many worlds cannot fail to meet. */
const ALWAYS_MET: readonly (keyof Exercised)[] = [
  ...(["runs", "kills", "pauses", "takeovers", "lostReplies", "fencedWrites", "ambiguousCommits"] as const),
  ...(["lateCalls", "lateCommits", "deletes", "prunedRuns", "cacheHits"] as const),
  ...(["redeliveries", "rejectedValues", "schedulesFired", "retries", "joins", "sleeps", "signals", "stops"] as const),
];

/** The rules that were broken, for a message that says more than a number. */
async function brokenBy(seed: number, edition: Edition): Promise<readonly string[]> {
  const { problems } = await simulate(seed, { edition });
  return problems.map(({ rule, why }) => `${rule}: ${why} (npm run sim -- --seed ${seed} --edition ${edition})`);
}

describe("the engine, simulated", { timeout: 25_000 }, () => {
  it.each(keptSeeds)("keeps its promises where it once did not: seed $seed, $found", async ({ seed, edition }) => {
    expect(await brokenBy(seed, edition as Edition)).toEqual([]);
  });

  it("keeps its promises in a hundred worlds, which put it through everything that is common", async () => {
    let sum: Exercised | undefined;
    const broken: string[] = [];
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { problems, exercised } = await simulate(seed);
      sum = addExercised(sum, exercised);
      broken.push(...problems.map(({ rule, why }) => `${rule}: ${why} (npm run sim -- --seed ${seed})`));
    }
    expect(broken).toEqual([]);
    for (const what of ALWAYS_MET) expect(sum![what], what).toBeGreaterThan(0);
  });
});
