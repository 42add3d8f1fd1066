import { existsSync, readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What an engine does must not depend on where it keeps its runs. */
const ENGINE_TESTS = ["packages/core/src/engine/*.test.ts"];
/** Those that keep no runs, or need a store whose leases run out by the test's clock. */
const WITHOUT_STORAGE = ["dispatcher", "limits.property", "ownership", "priority-queue", "wake-queue"].map(
  (name) => `packages/core/src/engine/${name}.test.ts`,
);
/** Tests that use the server in `WEFTLINE_TEST_POSTGRES`. */
const POSTGRES_TESTS = [
  "adapters/storage-postgres/src/**/*.test.ts",
  "packages/*/src/**/*.postgres.test.ts",
  "test/**/*.postgres.test.ts",
];

interface Package {
  readonly name: string;
  readonly exports?: Readonly<Record<string, unknown>>;
}

/** Every workspace package by name, pointing at its source: tests never see a stale build. */
function sourceAliases(): { find: RegExp; replacement: string }[] {
  return ["packages", "adapters"]
    .map((folder) => join(root, folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((folder) => existsSync(join(folder, "package.json")))
    .flatMap((folder) => {
      const { name, exports = {} } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Package;
      const entries = Object.keys(exports).filter((entry) => entry !== "./package.json" && entry !== ".");
      return [
        { find: new RegExp(`^${name}$`), replacement: join(folder, "src/index.ts") },
        ...entries.map((entry) => ({
          find: new RegExp(`^${name}/${entry.slice(2)}$`),
          replacement: join(folder, `src/${entry.slice(2)}.ts`),
        })),
      ];
    });
}

type TestOptions = NonNullable<TestProjectInlineConfiguration["test"]>;

function project(name: string, options: TestOptions): TestProjectInlineConfiguration {
  return {
    resolve: { alias: sourceAliases() },
    // Processes, not threads (a tenth slower): a test may change the folder or send itself a signal.
    test: { name, pool: "forks", ...options },
  };
}

/** Starts a Postgres, unless one is given. Vitest does so only when a test of the project is to run. */
const postgres: TestOptions = { globalSetup: ["test/services/postgres-setup.ts"] };

/** The engine's tests once more, on another storage. */
function engineOn(storage: string, options: TestOptions = {}): TestProjectInlineConfiguration {
  return project(`engine-${storage}`, {
    include: ENGINE_TESTS,
    exclude: WITHOUT_STORAGE,
    env: { WEFTLINE_TEST_STORAGE: storage },
    testTimeout: 40_000,
    // Of engines that stop while the machine is busy, each may have to wait for its last flush and for its executors.
    hookTimeout: 40_000,
    ...options,
  });
}

export default defineConfig({
  test: {
    // One more than by default, as servers and child processes do much of the work: two cores take a third less time.
    maxWorkers: availableParallelism(),
    projects: [
      project("unit", {
        include: ["{packages,adapters,examples}/*/src/**/*.test.ts", "test/**/*.test.ts"],
        exclude: POSTGRES_TESTS,
        typecheck: {
          enabled: true,
          include: ["{packages,adapters,examples}/*/src/**/*.test-d.ts", "test/**/*.test-d.ts"],
          tsconfig: join(root, "tsconfig.json"),
          // A broken source file belongs to `tsc` in `npm run check`; here only the type tests' own claims count.
          ignoreSourceErrors: true,
        },
      }),
      project("postgres", { include: POSTGRES_TESTS, ...postgres }),
      engineOn("sqlite"),
      engineOn("postgres", postgres),
    ],
  },
});
