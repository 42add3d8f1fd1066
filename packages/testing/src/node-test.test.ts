import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const FIXTURE = fileURLToPath(new URL("../test/fixtures/contracts.mjs", import.meta.url));

/** The numbers of a summary such as `# pass 12`. */
function count(output: string, what: string): number {
  return Number(new RegExp(`^# ${what} (\\d+)$`, "m").exec(output)?.[1]);
}

it("the suites run from node:test too, from the built package", { timeout: 60_000 }, async () => {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, ["--test", "--test-reporter=tap", FIXTURE], {
    env,
    maxBuffer: 2 ** 26,
  }).catch((error: { stdout: string }) => error);
  expect(stdout.split("\n").filter((line) => /^\s*not ok/.test(line))).toEqual([]);
  expect(count(stdout, "fail")).toBe(0);
  expect(count(stdout, "skipped")).toBe(0);
  expect(count(stdout, "pass")).toBeGreaterThan(200);
});
