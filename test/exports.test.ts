import { expect, it } from "vitest";
import * as weftline from "weftline";

it("weftline exports exactly these values", () => {
  expect(Object.keys(weftline).sort()).toMatchInlineSnapshot(`
    [
      "ERROR_CODES",
      "EVENT_NAMES",
      "LeaseBoard",
      "LeaseRenewal",
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
      "findRejected",
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

it.each([
  [
    "weftline/remote",
    [
      "LentResources",
      "OutputLines",
      "RemoteAttempt",
      "TaskServer",
      "captureOutput",
      "checkDefinitions",
      "definitionsOf",
      "findPipelines",
      "loadTaskModule",
      "plainJob",
      "withSubPipelines",
      "workerError",
    ],
  ],
  ["@weftline/storage-sqlite", ["sqliteStorage"]],
  ["@weftline/storage-postgres", ["postgresStorage"]],
])("%s exports exactly these values", async (name, values) => {
  expect(Object.keys((await import(name)) as object).sort()).toEqual(values);
});
