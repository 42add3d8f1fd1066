import { expect, it } from "vitest";
import { createEngine, NonRetryableError, pipeline, RetryAfter, SkipTask } from "weftline";
import { printProgress } from "./progress.js";

const sample = pipeline("sample", { defaults: { retry: { attempts: 2 } } }, (p) => {
  const items = p.task("items", ({ attempt, log }) => {
    if (attempt === 1) throw new RetryAfter(20, "not yet");
    log("two of them");
    return ["good", "bad"];
  });
  p.map("each", { over: items }, ({ item }) => {
    if (item === "bad") throw new NonRetryableError("it is bad");
  });
  p.task("rest", () => {
    throw new SkipTask("no need");
  });
});

it("printProgress() prints a line for each change and each log", async () => {
  const lines: string[] = [];
  const engine = createEngine({ pipelines: [sample] });
  printProgress(engine, (line) => lines.push(line.replace(/^ *[\d.]+ s {2}/, "").replace(/\d+ ms/g, "N ms")));
  await engine.run(sample, {}).catch(() => undefined);
  await engine.stop();

  expect(lines.toSorted()).toEqual(
    [
      "items       running",
      "items       retrying        not yet; attempt 2 in N ms",
      "items       running         attempt 2",
      "items       log             two of them",
      "items       succeeded       N ms, attempt 2",
      "each        expanded        2 items",
      "each[0]     running",
      "each[0]     succeeded       N ms",
      "each[1]     running",
      "each[1]     failed          N ms, it is bad",
      "each        failed          TASK_FAILED: 1 of 2 items failed",
      "rest        running",
      "rest        skipped         N ms, no need",
      "Run failed after N ms\n",
    ].toSorted(),
  );
});
