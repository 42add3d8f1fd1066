import { mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** Inside the repository, so that what stays an import is found. */
const folder = join(root, "node_modules/.cache/weftline-sim");
/** CommonJS packages that end up in the bundle ask for it. */
const REQUIRE =
  'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);';

/**
 * Bundles the simulator with the engine from their sources, some texts of which are replaced.
 *
 * @param name - Of the bundle.
 * @param replacements - By path from the root: what is replaced by what. Each text has to be there exactly once.
 * @returns The path of a module.
 */
export async function bundle(name, replacements = {}) {
  mkdirSync(folder, { recursive: true });
  const outfile = join(folder, `${name}.mjs`);
  const left = new Set(Object.keys(replacements));
  await build({
    entryPoints: [join(root, "test/sim/bundled.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: "inline",
    logLevel: "silent",
    external: ["better-sqlite3", "@photostructure/sqlite", "node:sqlite"],
    alias: { weftline: join(root, "packages/core/src/index.ts") },
    banner: { js: REQUIRE },
    plugins: [replacing(replacements, left)],
  });
  if (left.size > 0)
    throw new Error(`Cannot mutate ${[...left].join(", ")} as it is not part of the simulator any more`);
  return outfile;
}

function replacing(replacements, left) {
  return {
    name: "replacing",
    setup({ onLoad }) {
      for (const [path, edits] of Object.entries(replacements)) {
        const escaped = path.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
        onLoad({ filter: new RegExp(`${escaped}$`) }, async ({ path: file }) => {
          left.delete(path);
          return { contents: edited(path, await readFile(file, "utf8"), edits), loader: "ts" };
        });
      }
    },
  };
}

/** @throws {Error} When a text is not there, or more than once: the mutation would be none, or another. */
function edited(path, source, edits) {
  let text = source;
  for (const [from, to] of edits) {
    const times = text.split(from).length - 1;
    if (times !== 1) throw new Error(`Cannot mutate ${path} as it contains this ${times} times, not once:\n${from}`);
    text = text.replace(from, () => to);
  }
  return text;
}
