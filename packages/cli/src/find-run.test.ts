import { expect, it } from "vitest";
import { type Engine, type RunInfo, WeftlineError } from "weftline";
import { findRun } from "./find-run.js";

const IDS = [
  "01a20521-0000-7000-8000-00000000000c",
  "01a20521-0000-7000-8000-00000000000b",
  "01a10000-0000-7000-8000-00000000000a",
];

function engineWith(ids: readonly string[]): Pick<Engine, "runs"> {
  const runs = ids.map((id, place) => {
    // The newest is one that a task of another run started.
    const parent = place === 0 ? { runId: "x", task: "y", index: [] } : undefined;
    return { id, pipeline: "p", status: "failed", createdAt: 0, parent } as unknown as RunInfo;
  });
  const list = async () => ({ items: runs, next: undefined });
  const get = async (id: string) => {
    const run = runs.find((one) => one.id === id);
    if (run) return run;
    throw new WeftlineError("RUN_UNKNOWN", "no such run");
  };
  return { runs: { list, get } } as unknown as Pick<Engine, "runs">;
}

it.each([
  [IDS[1]!, IDS[1]],
  ["last", IDS[1]],
  ["01a1", IDS[2]],
  ["000c", IDS[0]],
])("finds %s", async (given, expected) => {
  expect((await findRun(engineWith(IDS), given)).id).toBe(expected);
});

it.each([
  ["01a2", "as 2 have it in their ids"],
  ["01a", "Give at least 4 characters"],
  ["01a20521-0000-7000-8000-0000000000cc", `Did you mean ${IDS[0]}?`],
  ["zzzzzz", "The newest are:\n  01a20521"],
])("says what %s could have been", async (given, expected) => {
  await expect(findRun(engineWith(IDS), given)).rejects.toThrow(expected);
});

it("says that there are none", async () => {
  await expect(findRun(engineWith([]), "last")).rejects.toThrow("there are no runs");
});
