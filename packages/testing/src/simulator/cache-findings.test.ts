import { describe, expect, it } from "vitest";
import { encode, type TaskRecord } from "weftline";
import { hashOf } from "../history-checker/hash-of.js";
import { attempt, START, Story, task } from "../history-checker/test-support/story.js";
import { findCacheFaults } from "./cache-findings.js";
import { drawWorld } from "./draw-world.js";
import { cacheKey } from "./task-code.js";

const WORLD = { ...drawWorld(1, 1), mishaps: [] };
const KEY = cacheKey({ pipeline: "p", task: "a", token: "t", index: [] }, { keys: 1, doings: 1 });
const OUTPUT = encode({ cached: KEY, made: "e1#1." }, "output");
const ENTRY = { key: `p/a/${KEY}`, output: OUTPUT, runId: "r1", expiresAt: START + 1_000 };

/** `a` of one run is kept, and `a` of another takes it. */
function hit({
  fenced = false,
  returns = true,
  takenAt = START + 10,
  taken = {} as Partial<TaskRecord>,
  task: name = "a",
} = {}) {
  const story = new Story();
  for (const runId of ["r1", "r2"]) story.created(runId, { params: encode({ token: "t" }, "params") });
  if (returns) story.saw("end", "a", { outcome: "returned", outputHash: hashOf(OUTPUT) });
  const made = task("a", 0, "succeeded", { output: OUTPUT });
  story.flush({ runId: "r1", fenced, tasks: [made], attempts: [attempt("a", 0, "succeeded")], cached: [ENTRY] });
  const record = task(name, 0, "succeeded", { runId: "r2", output: OUTPUT, cachedFrom: "r1", ...taken });
  story.flush({ runId: "r2", tasks: [record], attempts: [attempt(name, 0, "succeeded", { startedAt: takenAt })] });
  return findCacheFaults({ world: WORLD, evidence: story.evidence() }).map(({ why }) => why);
}

describe("findCacheFaults()", () => {
  it("finds nothing wrong with an output that is taken in time", () => {
    expect(hit()).toEqual([]);
  });

  it("finds an output that was taken although it had expired", () => {
    expect(hit({ takenAt: START + 1_000 })).toEqual([expect.stringContaining("had expired")]);
  });

  it("finds an output that a former owner had kept", () => {
    expect(hit({ fenced: true })).toEqual([expect.stringContaining("had not kept")]);
  });

  it("finds an output that nothing returned", () => {
    expect(hit({ returns: false })).toEqual([expect.stringContaining("nothing returned it")]);
  });

  it("finds an output that was taken under another key", () => {
    expect(hit({ task: "b" })).toEqual([expect.stringContaining("its key was")]);
  });

  it("finds an output other than the one that was kept", () => {
    const output = encode({ cached: KEY, made: "e2#1." }, "output");
    expect(hit({ taken: { output } })).toEqual([expect.stringContaining("had not kept")]);
  });
});
