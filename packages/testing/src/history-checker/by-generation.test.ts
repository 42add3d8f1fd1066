import { describe, expect, it } from "vitest";
import { byGeneration } from "./by-generation.js";
import type { FlushedRun } from "./history.js";
import { RunModel } from "./run-model.js";
import { attempt, shape, state, task, taskShape } from "./test-support/story.js";

function flushed(...generations: readonly number[]): FlushedRun {
  return {
    ...{ runId: "r1", epoch: 1, fenced: false, run: state("running"), steps: [], consumed: ["m"], logs: 0 },
    tasks: generations.map((generation) => task("a", 0, "failed", { generation })),
    attempts: generations.map((generation) => attempt("a", 0, "failed", { generation })),
  };
}

describe("byGeneration()", () => {
  const run = new RunModel("r1");
  run.adoptShape("h", { h: shape([taskShape("a")]) });

  it("leaves a flush as it is that holds one generation of each task", () => {
    const part = flushed(2);
    expect(byGeneration(run, part)).toEqual([part]);
  });

  it("tells all passes of a flush apart, the oldest first, with the run's own state last", () => {
    const passes = byGeneration(run, flushed(1, 3, 2));
    expect(passes.map(({ tasks }) => tasks.map(({ generation }) => generation))).toEqual([[1], [2], [3]]);
    expect(passes.map(({ attempts }) => attempts.map(({ generation }) => generation))).toEqual([[1], [2], [3]]);
    expect(passes.map(({ run: own, consumed }) => [own?.status, consumed])).toEqual([
      [undefined, []],
      [undefined, []],
      ["running", ["m"]],
    ]);
  });
});
