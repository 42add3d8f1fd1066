import { expect } from "vitest";
import type { Engine, Pipeline } from "weftline";
import * as work from "./limits.pipelines.js";
import { ended, eventually, mostAtOnce, type Ran, ran, type Span, started, statuses } from "./runs.js";
import { onEachExecutor } from "./world.js";

const setup = {
  module: new URL("./limits.pipelines.ts", import.meta.url),
  exports: work,
  options: () => ({ pools: { gpu: 2, single: 1 } }),
};

async function ranAtOnce(engine: Engine, pipeline: Pipeline, times: number, params?: unknown): Promise<readonly Ran[]> {
  const runs = await Promise.all(Array.from({ length: times }, () => started(engine, pipeline, params)));
  return Promise.all(runs.map((run) => ended(engine, run)));
}

/** Engines of which three tasks have run at once: that there are fewer is the doing of a limit, not of workers that start. */
const warm = new WeakMap<Engine, Promise<void>>();

function warmed(engine: Engine): Promise<void> {
  if (!warm.has(engine)) {
    const isWarm = async () => mostAtOnce(spans((await ran(engine, work.unlimited)).result.each)) >= 3;
    warm.set(engine, eventually(isWarm, "three at once"));
  }
  return warm.get(engine)!;
}

const spans = (value: unknown) => value as readonly Span[];

onEachExecutor(setup, (behaviour) => {
  behaviour("concurrency of a map: so many items at once, and no fewer where there is room", async (engine) => {
    await warmed(engine);
    const run = await ran(engine, work.limitedMap);
    expect(mostAtOnce(spans(run.result.each))).toBe(2);
    return statuses(run);
  });

  behaviour("concurrency of a task holds over all runs", async (engine) => {
    await warmed(engine);
    const runs = await ranAtOnce(engine, work.limitedTask, 4);
    expect(mostAtOnce(spans(runs.map(({ result }) => result.only)))).toBe(1);
    return runs.map(statuses);
  });

  behaviour("concurrency of a group holds for its tasks together", async (engine) => {
    await warmed(engine);
    const run = await ran(engine, work.limitedGroup);
    expect(mostAtOnce(Object.values(run.result.group as Record<string, Span>))).toBe(2);
    return statuses(run);
  });

  behaviour("concurrency of a mapped group is one of items: one ends before the next begins", async (engine) => {
    await warmed(engine);
    const run = await ran(engine, work.limitedItems);
    const items = run.result.group as readonly { readonly first: Span; readonly second: Span }[];
    expect(mostAtOnce(items.map(({ first, second }) => ({ from: first.from, to: second.to })))).toBe(1);
    return statuses(run);
  });

  behaviour("concurrency of a pipeline holds for all tasks of its runs", async (engine) => {
    await warmed(engine);
    const runs = await ranAtOnce(engine, work.limitedPipeline, 3);
    expect(mostAtOnce(runs.flatMap(({ result }) => spans(Object.values(result))))).toBe(1);
    return runs.map(statuses);
  });

  behaviour("maxActiveRuns: one run ends before the next begins", async (engine) => {
    await warmed(engine);
    const runs = await ranAtOnce(engine, work.oneRun, 3);
    expect(mostAtOnce(spans(runs.map(({ result }) => result.a)))).toBe(1);
    return runs.map(statuses);
  });

  behaviour("a pool's slots are never exceeded, whatever number of them each takes", async (engine) => {
    await warmed(engine);
    const run = await ran(engine, work.pooled);
    const small = spans(run.result.small);
    const large = spans(run.result.large);
    expect(mostAtOnce([...small, ...large, ...large])).toBe(2);
    return statuses(run);
  });

  behaviour("of what waits for a place the highest priority starts first", async (engine) => {
    const order: string[] = [];
    const off = engine.on("task:started", ({ task, pipeline }) => {
      if (pipeline === "prioritised") order.push(task);
    });
    const run = await ran(engine, work.prioritised);
    off();
    expect(order.filter((task) => task !== "holder")).toEqual(["higher", "high", "plain", "low"]);
    return run.history;
  });

  behaviour("a rate limit lets no more start within any stretch of its time", async (engine) => {
    const run = await ran(engine, work.rated);
    const { items } = await engine.runs.attempts(run.id);
    const starts = items.map(({ startedAt }) => startedAt).toSorted((a, b) => a - b);
    expect(starts).toHaveLength(6);
    for (let n = 2; n < 6; n++) expect(starts[n]! - starts[n - 2]!).toBeGreaterThanOrEqual(120);
    return statuses(run);
  });

  behaviour("concurrency by key: each tenant has its own, over all runs", async (engine) => {
    const [a, b] = await Promise.all([
      ranAtOnce(engine, work.keyedTask, 2, { tenant: "a" }),
      ranAtOnce(engine, work.keyedTask, 2, { tenant: "b" }),
    ]);
    for (const runs of [a, b]) expect(mostAtOnce(runs.flatMap(({ result }) => spans(result.each)))).toBe(1);
    return [...a, ...b].map(statuses);
  });

  behaviour("F134 concurrency by what an item says; a key that throws fails its item alone", async (engine) => {
    const run = await ran(engine, work.keyedItems);
    const each = run.result.each as readonly (Span & { readonly item: string })[];
    for (const key of ["a", "b"]) expect(mostAtOnce(each.filter(({ item }) => item === key))).toBe(1);
    expect(statuses(run)).toMatchObject({ "broken[0]": "succeeded", "broken[1]": "failed" });
    return statuses(run);
  });
});
