import { expect, it } from "vitest";
import * as weftline from "weftline";

it("weftline exports exactly these values", () => {
  expect(Object.keys(weftline).sort()).toMatchInlineSnapshot(`
    [
      "ERROR_CODES",
      "EVENT_NAMES",
      "NonRetryableError",
      "RUN_STATUSES",
      "RetryAfter",
      "RunCancelledError",
      "RunFailedError",
      "SkipTask",
      "TASK_STATUSES",
      "TRIGGER_RULES",
      "WeftlineError",
      "createEngine",
      "cron",
      "decode",
      "describeError",
      "describePipeline",
      "diffPipelines",
      "durationMs",
      "encode",
      "every",
      "fromGraph",
      "inProcess",
      "isRunFinished",
      "memoryStorage",
      "pipeline",
      "runAttempt",
      "seededRandom",
      "systemClock",
      "taskName",
      "timerScheduler",
      "toDot",
      "toErrorRecord",
      "toMermaid",
    ]
  `);
});
