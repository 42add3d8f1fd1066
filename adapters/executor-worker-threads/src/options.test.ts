import { expect, it } from "vitest";
import { workerThreads } from "./index.js";

const module = new URL("./test-support/pipelines.ts", import.meta.url);

it("workerThreads() has a slot for each thread", () => {
  expect(workerThreads({ module, maxThreads: 3 }).slots).toBe(3);
  expect(workerThreads({ module }).slots).toBeGreaterThan(0);
});

it.each([
  [{}, /module is undefined/],
  [{ module: "./pipelines.js" }, /no absolute path/],
  [{ module, maxThreads: 0 }, /maxThreads is 0/],
  [{ module, maxThreads: 1.5 }, /maxThreads is 1.5/],
  [{ module, minThreads: 3, maxThreads: 2 }, /minThreads is 3 and maxThreads 2/],
  [{ module, tasksPerThread: 0 }, /tasksPerThread is 0/],
  [{ module, leftovers: "keep" }, /leftovers is "keep"/],
  [{ module, resourceLimits: { maxOldGenerationSizeMb: -1 } }, /maxOldGenerationSizeMb is -1/],
])("workerThreads(%o) is refused with EXECUTOR_INVALID", (options, reason) => {
  const make = () => workerThreads(options as never);
  expect(make).toThrow(reason);
  expect(make).toThrow(expect.objectContaining({ code: "EXECUTOR_INVALID" }));
});

it("workerThreads() refuses durations that are none", () => {
  expect(() => workerThreads({ module, idleTimeout: "soon" as never })).toThrow(
    expect.objectContaining({ code: "DURATION_INVALID" }),
  );
});
