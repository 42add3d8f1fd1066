import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { LAST_DAY } from "./data.js";
import { type DemoOptions, runDemo } from "./demo.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "demand-forecast-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function run(
  options: Partial<DemoOptions> = {},
): Promise<{ readonly exitCode: number; readonly output: string }> {
  const lines: string[] = [];
  const store = join(folder, "runs.db");
  const defaults = { day: LAST_DAY, flaky: false, failAt: undefined, folder, store, isFresh: false, trace: undefined };
  const exitCode = await runDemo({ ...defaults, ...options }, (line) => lines.push(line));
  return { exitCode, output: lines.join("\n") };
}

it("prints the accuracies, and writes model and report", async () => {
  const { exitCode, output } = await run();
  expect(exitCode).toBe(0);
  expect(output).toMatch(/candidate +2\.62 % +272 +2\.79 %/);
  expect(output).toMatch(/same weekday last year +3\.37 % +353 +3\.61 %/);
  expect(output).toMatch(/same weekday last week +4\.22 % +438 +4\.39 %/);
  const files = (await readdir(folder)).filter((name) => !name.startsWith("runs.db-"));
  expect(files).toEqual(["metrics.json", "model.json", "report.html", "runs.db"]);
  expect(await readFile(join(folder, "report.html"), "utf8")).toContain("<strong>Deploy</strong>");
});

it("keeps the model on the second run", async () => {
  await run();
  const { output } = await run();
  expect(output).toContain("Decision: keep. Not at least 1 % better");
  expect(output).toMatch(/deployed model +2\.62 %/);
  expect(await readFile(join(folder, "report.html"), "utf8")).toContain("<strong>Keep</strong>");
});

it("--flaky shows two retries", async () => {
  const { exitCode, output } = await run({ flaky: true });
  expect(exitCode).toBe(0);
  expect(output.match(/fetch +retrying +Connection reset/g)).toHaveLength(2);
});

it("--fail-at shows what failed, and what ran again", async () => {
  const { exitCode, output } = await run({ failAt: "train" });
  expect(exitCode).toBe(0);
  expect(output).toContain('task "train[3]" after 3 attempts: Error: Out of memory (simulated)');
  expect(output).toMatch(/ fetch +1 +0\n/);
  expect(output).toMatch(/ train +14 +1\n/);
  expect(output).toMatch(/ report +0 +1\n/);
  expect(output).toContain("Nothing that had succeeded before the failure ran again.");
});

it("--fail-at says so when nothing failed", async () => {
  const { exitCode, output } = await run({ failAt: "keep" });
  expect(exitCode).toBe(0);
  expect(output).toContain('did not get to what "--fail-at keep" breaks');
});

it("a run that fails for a reason of its own ends with 1", async () => {
  const { exitCode, output } = await run({ day: "2015-06-30" });
  expect(exitCode).toBe(1);
  expect(output).toContain("the newest row is of 2014-12-31, 2015-06-30 expected");
  const again = await run({ day: "2015-06-30" });
  expect(again.output).toMatch(/^Run \S+ failed\. Going on from there: 2 of 14 tasks were done before\./);
  expect(again.output).not.toMatch(/ fetch +running/);
  expect((await run({ day: "2015-06-30", isFresh: true })).output).toMatch(/ fetch +running/);
});
