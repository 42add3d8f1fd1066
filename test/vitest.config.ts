import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Every workspace package by name, pointing at its source: tests never see a stale build. */
function sourceAliases(): { find: RegExp; replacement: string }[] {
  return ["packages", "adapters"]
    .map((folder) => join(root, folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((folder) => existsSync(join(folder, "package.json")))
    .map((folder) => {
      const { name } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { name: string };
      return { find: new RegExp(`^${name}$`), replacement: join(folder, "src/index.ts") };
    });
}

export default defineConfig({
  resolve: { alias: sourceAliases() },
  test: {
    include: [
      "packages/*/src/**/*.test.ts",
      "adapters/*/src/**/*.test.ts",
      "examples/*/src/**/*.test.ts",
      "test/**/*.test.ts",
    ],
    // Processes, not threads (a tenth slower): a test may change the folder or send itself a signal.
    pool: "forks",
    typecheck: {
      enabled: true,
      include: ["{packages,adapters,examples}/*/src/**/*.test-d.ts", "test/**/*.test-d.ts"],
      tsconfig: join(root, "tsconfig.json"),
      // A broken source file belongs to `tsc` in `npm run check`; here only the type tests' own claims count.
      ignoreSourceErrors: true,
    },
  },
});
