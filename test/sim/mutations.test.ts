import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { bundle, type Replacements } from "./bundle.mjs";
import { findMutation, MUTATIONS, type Simulator } from "./mutations.mjs";

/** Of those that are found late, `npm run sim -- --mutations` speaks. */
const SOON = [
  ...["no-fence", "renewal-without-cas", "publish-before-flush", "join-counted-twice", "uncounted-takeover"],
  ...["attempts-stay", "outputs-left-behind", "wrong-places", "late-flush-counts"],
];
const MAX_SEEDS = 25;

async function load(name: string, source?: Replacements): Promise<Simulator> {
  return (await import(pathToFileURL(await bundle(name, source)).href)) as Simulator;
}

describe("the simulator", () => {
  it.each(MUTATIONS.filter(({ name }) => SOON.includes(name)))(
    "finds out that $what",
    async (mutation) => {
      const clean = await load("test-simulator");
      const found = await findMutation(
        await load(`test-${mutation.name}`, mutation.source),
        clean,
        mutation,
        MAX_SEEDS,
      );
      expect(found).toBeDefined();
    },
    25_000,
  );

  it("makes no mutation of a text that is not there any more", async () => {
    const replaced: Replacements = { "packages/core/src/engine/journal.ts": [["a text that nobody wrote", "another"]] };
    await expect(bundle("test-none", replaced)).rejects.toThrow("contains this 0 times, not once");
  });

  it("makes no mutation in a file that is not part of it", async () => {
    await expect(bundle("test-none", { "packages/core/src/no-such-file.ts": [] })).rejects.toThrow("is not part of");
  });
});
