import { describe, expect, it } from "vitest";
import { ENTRIES } from "./entries.js";
import { fuzz } from "./fuzz.js";
import { isKnown } from "./known.js";
import { entryPoints } from "./surface.js";

/** `npm run fuzz` does more. */
const RUNS = 30;
const SEED = 20_261_128;

it("every way into the library is fuzzed", async () => {
  const fuzzed = new Set(ENTRIES.map(({ name }) => name));
  expect((await entryPoints()).filter((name) => !fuzzed.has(name))).toEqual([]);
});

describe("refuses what makes no sense in documented words, tells nothing of its inside, and lives on:", () => {
  it.each(ENTRIES.map((entry, place) => ({ entry, what: `${entry.name} (${place})` })))(
    "$what",
    { timeout: 60_000 },
    async ({ entry }) => {
      const { findings, calls } = await fuzz(entry, { runs: RUNS, seed: SEED });
      expect(findings.filter((finding) => !isKnown(finding))).toEqual([]);
      expect(calls).toBeGreaterThan(0);
    },
  );
});
