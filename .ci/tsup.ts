import type { Options } from "tsup";

/** What every package shares; dependencies stay imports, so that an application has one copy of each. */
const shared = {
  tsconfig: "../../.ci/tsconfig.build.json",
  target: "node20",
  platform: "node",
  clean: true,
  // tsup would drop the prefix, and `node:sqlite` does not exist without it.
  removeNodeProtocol: false,
} satisfies Options;

/** A library for both module systems, with declarations for each. */
export function library(entry: string[] = ["src/index.ts"]): Options {
  // The shim gives the CommonJS build a meaning for import.meta.url.
  return { ...shared, entry, format: ["esm", "cjs"], dts: true, shims: true };
}

/** A library or command for ES modules only. */
export function esmLibrary(entry: string[] = ["src/index.ts"]): Options {
  return { ...shared, entry, format: ["esm"], dts: true };
}

/** A program nobody imports: no declarations. */
export function program(entry: string[]): Options {
  return { ...shared, entry, format: ["esm"] };
}
