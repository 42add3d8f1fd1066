import { expect } from "vitest";
import { ran, statuses } from "./runs.js";
import * as work from "./shapes.pipelines.js";
import { pause } from "./task-helpers.js";
import { onEachExecutor } from "./world.js";

const setup = { module: new URL("./shapes.pipelines.ts", import.meta.url), exports: work };

onEachExecutor(setup, (behaviour) => {
  behaviour("outputs go from task to task, a copy to each reader", async (engine) => {
    const run = await ran(engine, work.diamond);
    expect(run.result).toEqual({ d: [1, 2, 1, 3] });
    return run.history;
  });

  behaviour("every trigger rule decides on every mixture of ends", async (engine) => {
    const run = await ran(engine, work.rules);
    const of = statuses(run);
    expect([of["all-all-success"], of["all-all-done"], of["all-one-failed"], of["bad-skip-one-success"]]).toEqual([
      "upstream-failed",
      "succeeded",
      "succeeded",
      "upstream-failed",
    ]);
    expect([of["skip-all-skipped"], of["skip-all-success"], of["ok-bad-all-failed"]]).toEqual([
      "succeeded",
      "skipped",
      "skipped",
    ]);
    expect(Object.keys(of)).toHaveLength(3 + 7 * 12);
    return run.history;
  });

  behaviour("an input that does not exist is undefined, and one that is undefined is there", async (engine) => {
    const run = await ran(engine, work.missing);
    expect(run.result).toEqual({ seen: [["ok"], undefined, undefined] });
    return run.history;
  });

  behaviour("order() makes one task wait for another without its output", async (engine) => {
    const run = await ran(engine, work.ordered);
    expect(run.tasks.second!.startedAt).toBeGreaterThanOrEqual(run.tasks.first!.finishedAt!);
    return statuses(run);
  });

  behaviour(
    "a map runs over a list of run time, of another map, or a fixed one, and keeps the order",
    async (engine) => {
      const run = await ran(engine, work.mapping);
      expect(run.result).toEqual({
        each: [
          ["a", 0, 3],
          ["b", 1, 3],
          ["c", 2, 3],
        ],
        joined: ["abc", [2, 4]],
      });
      return run.history;
    },
  );

  behaviour("a map of 200 items", async (engine) => {
    const run = await ran(engine, work.wide);
    expect(run.result).toEqual({ sum: (199 * 200 * 399) / 6 });
    expect(run.history.metrics).toHaveLength(200);
    return run.history;
  });

  behaviour("an empty list skips its map", async (engine) => {
    const run = await ran(engine, work.emptyMap);
    expect(statuses(run)).toEqual({ list: "succeeded", each: "skipped", next: "skipped", tidy: "succeeded" });
    return run.history;
  });

  behaviour("items are retried, skipped and fail each by itself", async (engine) => {
    const run = await ran(engine, work.mixedItems);
    expect(statuses(run)).toMatchObject({
      each: "failed",
      "each[0]": "succeeded",
      "each[1]": "failed",
      "each[2]": "succeeded",
      "each[3]": "skipped",
    });
    expect(run.tasks["each[2]"]!.output).toBe("2/3");
    return run.history;
  });

  behaviour("what is no list, or too long a one, fails the map before anything starts", async (engine) => {
    const run = await ran(engine, work.notAList);
    expect(statuses(run)).toEqual({ list: "succeeded", each: "failed", long: "succeeded", few: "failed" });
    return run.history;
  });

  behaviour("a map in a mapped group sees both of its items", async (engine) => {
    const run = await ran(engine, work.nested);
    expect(run.tasks["row.cell[0][1]"]!.output).toEqual([2, 1, 2]);
    expect(run.result.all).toEqual([{ size: [0, 2] }, { size: [1, 0] }, { size: [2, 1] }]);
    return run.history;
  });

  behaviour("a group hands on its named outputs, through groups in it", async (engine) => {
    const run = await ran(engine, work.grouped);
    expect(run.result.seen).toEqual([{ one: 20, inner: { two: "both.inner.two 20" } }, 20]);
    return run.history;
  });

  behaviour("a group that is retried runs again as a whole, under other idempotency keys", async (engine) => {
    const run = await ran(engine, work.regrouping);
    expect(run.history.run.generation).toBe(3);
    expect(run.lines).toEqual(["opens", "works", "opens", "works", "opens", "works"]);
    return run.history;
  });

  behaviour("a retry of a group stops what else runs in it", async (engine) => {
    const run = await ran(engine, work.passes);
    expect(statuses(run)).toMatchObject({ pass: "failed", "pass.fails": "failed", after: "upstream-failed" });
    expect(run.history.run.generation).toBe(2);
    return [run.history.run, run.history.tasks.filter(({ task }) => task !== "pass.beside")];
  });

  behaviour("a mapped group runs as a whole for each item", async (engine) => {
    const run = await ran(engine, work.mappedGroups);
    expect(run.result.seen).toEqual([{ check: "north0 1" }, { check: "south1 2" }, { check: "east2 1" }]);
    return run.history;
  });

  behaviour("a mapped group fails for the item that fails", async (engine) => {
    const run = await ran(engine, work.brokenRegion);
    expect(statuses(run)).toMatchObject({
      "region[0]": "succeeded",
      "region[1]": "failed",
      "region.next[1]": "upstream-failed",
      after: "succeeded",
    });
    return run.history;
  });

  behaviour("a branch skips what it did not choose, and the paths join again", async (engine) => {
    const [left, right] = [
      await ran(engine, work.branching, { choice: "left" }),
      await ran(engine, work.branching, { choice: "right" }),
    ];
    expect([left.result, right.result]).toEqual([
      { join: ["went left", undefined] },
      { join: [undefined, "went right"] },
    ]);
    expect(statuses(right)).toMatchObject({ left: "skipped", further: "skipped" });
    return [left.history, right.history];
  });

  behaviour("a branch may choose a path that no task follows", async (engine) => {
    const run = await ran(engine, work.branching, { choice: "up" });
    expect(statuses(run)).toMatchObject({ gate: "succeeded", left: "skipped", right: "skipped", join: "skipped" });
    return run.history;
  });

  behaviour("checks pass, warn and fail with the value they measured", async (engine) => {
    const run = await ran(engine, work.checking);
    expect(statuses(run)).toEqual({
      rows: "succeeded",
      plain: "succeeded",
      worded: "succeeded",
      soft: "succeeded",
      hard: "failed",
      broken: "failed",
      nonsense: "failed",
    });
    expect(run.tasks.soft!.warning).toContain("few rows");
    return run.history;
  });

  behaviour("expectations bound metrics and numbers in the output", async (engine) => {
    const run = await ran(engine, work.expecting);
    expect(statuses(run)).toEqual({
      good: "succeeded",
      few: "failed",
      high: "failed",
      long: "failed",
      silent: "failed",
      warned: "succeeded",
    });
    return run.history;
  });

  behaviour("`when` skips a task, or an item, that it does not want", async (engine) => {
    const run = await ran(engine, work.conditional);
    expect(statuses(run)).toMatchObject({ yes: "succeeded", no: "skipped", "after-no": "skipped", broken: "failed" });
    expect(statuses(run)).toMatchObject({ "odd[0]": "succeeded", "odd[1]": "skipped", odd: "succeeded" });
    return run.history;
  });

  behaviour("F80 the cache gives the output of an earlier run for an equal key", async (engine) => {
    const key = { of: new Map([["a", [1n, new Date(0)]]]) };
    const first = await ran(engine, work.caching, { key });
    const second = await ran(engine, work.caching, { key });
    const other = await ran(engine, work.caching, { key: "another" });
    expect([first, second, other].map(({ lines }) => lines.length)).toEqual([2, 0, 2]);
    expect(second.tasks.made!.cachedFrom).toBe(first.id);
    expect(second.result).toEqual(first.result);
    return [first, second, other].map(({ history }) => history);
  });

  behaviour("the cache forgets an output when its time is over", async (engine) => {
    const runs = [await ran(engine, work.briefCache)];
    await pause(20);
    runs.push(await ran(engine, work.briefCache));
    expect(runs.map(({ lines }) => lines)).toEqual([["works"], ["works"]]);
    return runs.map(({ history }) => history);
  });

  behaviour("the cache keeps no failure", async (engine) => {
    const bad = await ran(engine, work.caching, { key: "bad", fails: true });
    const good = await ran(engine, work.caching, { key: "bad" });
    expect([bad.tasks.made!.status, good.tasks.made!.cachedFrom]).toEqual(["failed", undefined]);
    return [bad.history, good.history];
  });

  behaviour("a cache key that throws, or is no value, is the task's failure", async (engine) => {
    const run = await ran(engine, work.brokenCache);
    expect(statuses(run)).toEqual({ throws: "failed", unstorable: "failed" });
    return run.history;
  });

  behaviour("a sub-pipeline's result is the task's output", async (engine) => {
    const run = await ran(engine, work.parent, { n: 7 });
    expect(run.result).toEqual({ seen: { square: 49, pipeline: "child" } });
    return run.history;
  });

  behaviour("a sub-pipeline's failure is the task's, with its cause", async (engine) => {
    const run = await ran(engine, work.parent, { n: -1 });
    expect(JSON.stringify(run.tasks.sub!.error)).toContain("no root of -1");
    return run.history;
  });

  behaviour("sub-pipelines in sub-pipelines, in mapped groups, and retried", async (engine) => {
    const run = await ran(engine, work.grandparent);
    expect(run.result.seen).toEqual([2, 3].map((n) => ({ sub: { seen: { square: n * n, pipeline: "child" } } })));
    expect(run.attempts.filter((attempt) => attempt.startsWith("retried"))).toHaveLength(2);
    return statuses(run);
  });

  behaviour("what a task produces is recorded when it succeeds", async (engine) => {
    const run = await ran(engine, work.producing);
    expect(run.history.assets.map(({ task, asset }) => `${task} ${asset}`)).toEqual([
      "each part",
      "made table",
      "made model",
    ]);
    return run.history;
  });
});
