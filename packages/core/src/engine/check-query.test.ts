import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { startedEngine } from "../test-support/engines.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { checkedOptions, checkedQuery } from "./check-query.js";

leavesNothingBehind();

describe("filters of a listing", () => {
  it("are taken as they are when they are what they should be", () => {
    const query = { status: ["failed"], since: 0, task: "a", index: [0, 1], attempt: 1, key: undefined };
    expect(checkedQuery(query)).toBe(query);
  });

  it.each([
    [{ status: "failed" }, /"failed" as status\. Give a list of texts/],
    [{ status: [1] }, /an array as status/],
    [{ since: "2026" }, /as since\. Give epoch milliseconds/],
    [{ attempt: 0 }, /as attempt\. Give a whole number from 1/],
    [{ index: 3 }, /as index\. Give a list/],
    [{ task: 5 }, /as task\. Give a text/],
    [{ statu: ["failed"] }, /"statu" as the filter\. There are .*status/],
    [null, /null as the query/],
    [["failed"], /an array as the query/],
  ])("are refused in words: %o", (query, message) => {
    expect(() => checkedQuery(query as object)).toThrow(message);
    expect(() => checkedQuery(query as object)).toThrow(/^QUERY_INVALID: /);
  });
});

it("options are refused when they are no object, or of another type", () => {
  expect(() => checkedOptions(null as never)).toThrow(/null as the options/);
  expect(() => checkedOptions({ downstream: "yes" }, { downstream: "flag" })).toThrow(/"yes" as downstream/);
});

it("the engine refuses what is no run, no task, no query and no event", async () => {
  const work = pipeline("work", (p) => void p.task("a", () => 1));
  const engine = await startedEngine({ pipelines: [work] });
  const run = await engine.trigger(work);
  await run.result();
  const { runs } = engine;
  const refusals: readonly (readonly [() => Promise<unknown>, string])[] = [
    [() => runs.get(Symbol("id") as never), "RUN_UNKNOWN"],
    [() => runs.cancel(run.id, { task: {} as never }), "TASK_UNKNOWN"],
    [() => runs.rerun(run.id, { from: [null as never] }), "TASK_UNKNOWN"],
    [() => runs.tasks(run.id, { statuss: [] } as never), "QUERY_INVALID"],
    [() => runs.list({}, null as never), "QUERY_INVALID"],
    [() => engine.trigger(work, undefined, null as never), "QUERY_INVALID"],
  ];
  for (const [call, code] of refusals) await expect(call()).rejects.toMatchObject({ code });
  expect(await runs.delete(7 as never)).toBe(false);
  expect(() => engine.on("run:done" as never, () => {})).toThrow(/no event name "run:done", but run:started/);
  expect(() => engine.on("run:started", 1 as never)).toThrow(TypeError);
  expect(() => engine.schedules.next({} as never)).toThrow(/next\(pipeline, count\)/);
});

it("lists are short, and without holes", () => {
  for (const index of [
    new Array(2 ** 32 - 1),
    Object.assign(new Array(3), { 0: 0, 2: 1 }),
    Array.from({ length: 101 }, () => 0),
  ]) {
    expect(() => checkedOptions({ index }, { index: "places" })).toThrow(/^QUERY_INVALID/);
  }
});
