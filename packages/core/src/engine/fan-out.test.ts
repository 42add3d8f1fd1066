import { describe, expect, it } from "vitest";
import type { Builder } from "../define/builder.js";
import { pipeline } from "../define/pipeline.js";
import type { TriggerRule } from "../define/trigger-rules.js";
import { SkipTask } from "../execute/signals.js";
import { startedEngine } from "../test-support/engines.js";
import { settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { scaled } from "../test-support/storages.js";
import type { Engine } from "./engine.js";

leavesNothingBehind();

const range = (length: number) => Array.from({ length }, (_, item) => item);

/** Runs a pipeline of one's own making and gives its tasks' statuses, whatever the run's end. */
async function statusesOf(build: (p: Builder<Record<never, never>>) => void): Promise<Record<string, string>> {
  const work = pipeline("work", build);
  const engine = await startedEngine({ pipelines: [work] });
  const run = await engine.trigger(work);
  await run.result().catch(() => undefined);
  return taskStatuses(engine, run.id);
}

async function taskStatuses(engine: Engine, runId: string): Promise<Record<string, string>> {
  const { items } = await engine.runs.tasks(runId, {}, { limit: 1_000 });
  return Object.fromEntries(items.map(({ task, index, status }) => [[task, ...index].join("/"), status]));
}

describe("size", () => {
  it("F144 a chain of 10,000 tasks", async () => {
    const length = scaled(10_000);
    let calls = 0;
    const chain = pipeline("chain", (p) => {
      let last = p.task("t0", () => {
        calls++;
        return 0;
      });
      for (let n = 1; n < length; n++) {
        last = p.task(`t${n}`, { needs: { last } }, ({ input }) => {
          calls++;
          return input.last + 1;
        });
      }
      return { last };
    });
    const engine = await startedEngine({ pipelines: [chain] });
    expect(await engine.run(chain)).toEqual({ last: length - 1 });
    expect(calls).toBe(length);
  });

  it("F144 a chain of 10,000 tasks whose first one fails", async () => {
    const chain = pipeline("chain", (p) => {
      let last = p.task("t0", (): number => {
        throw new Error("first");
      });
      for (let n = 1; n < 10_000; n++) last = p.task(`t${n}`, { needs: { last } }, ({ input }) => input.last);
    });
    const engine = await startedEngine({ pipelines: [chain] });
    const run = await engine.trigger(chain);
    await expect(run.result()).rejects.toMatchObject({ failures: [{ task: "t0" }] });
    const [, , last] = await Promise.all([
      run.status(),
      engine.runs.tasks(run.id, { task: "t5000" }),
      engine.runs.tasks(run.id, { task: "t9999" }),
    ]);
    expect(last.items).toMatchObject([{ status: "upstream-failed" }]);
  });

  it("F145 F154 20,000 tasks side by side and a join that reads them all", async () => {
    const wide = pipeline("wide", (p) => {
      const needs = Object.fromEntries(range(20_000).map((n) => [`t${n}`, p.task(`t${n}`, () => n)]));
      return { sum: p.task("sum", { needs }, ({ input }) => Object.values(input).reduce((sum, n) => sum + n, 0)) };
    });
    const engine = await startedEngine({ pipelines: [wide] });
    expect(await engine.run(wide)).toEqual({ sum: (19_999 * 20_000) / 2 });
  });

  it("F148 all 5,000 items of a map, once and in order", async () => {
    const seen: number[] = [];
    const fan = pipeline("fan", (p) => {
      const list = p.task("list", () => range(5_000));
      const each = p.map("each", { over: list }, async ({ item, index }) => {
        expect(index).toBe(item);
        if (item % 7 === 0) await settled(1);
        seen.push(item);
        return item;
      });
      return { each, count: p.task("count", { needs: { each } }, ({ input }) => input.each.length) };
    });
    const engine = await startedEngine({ pipelines: [fan] });
    const run = await engine.trigger(fan);
    const { each, count } = await run.result();
    expect(each).toEqual(range(5_000));
    expect(count).toBe(5_000);
    expect(seen).toHaveLength(5_000);
    expect(new Set(seen).size).toBe(5_000);
    const [record] = (await engine.runs.tasks(run.id, { task: "each" }, { limit: 1 })).items;
    expect(record).toMatchObject({ items: 5_000, status: "succeeded", index: [] });
  });
});

describe("maps", () => {
  it("F146 over nothing are skipped, and what follows does not wait", async () => {
    const fan = pipeline("fan", (p) => {
      const list = p.task("list", (): number[] => []);
      const each = p.map("each", { over: list }, ({ item }) => item);
      const join = p.task("join", { needs: { each } }, () => "never");
      p.task("whatever", { needs: { each }, triggerRule: "none-failed" }, ({ input }) => input.each?.length ?? "none");
      return { each, join };
    });
    const engine = await startedEngine({ pipelines: [fan] });
    const run = await engine.trigger(fan);
    expect(await run.result()).toEqual({ each: [], join: undefined });
    expect(await taskStatuses(engine, run.id)).toEqual({
      list: "succeeded",
      each: "skipped",
      join: "skipped",
      whatever: "succeeded",
    });
    const whatever = (await engine.runs.tasks(run.id, { task: "whatever" })).items[0]!;
    expect(whatever.output).toBe(0);
  });

  it.each([4, undefined])("F147 over more than maxItems (%s) fail before anything starts", async (maxItems) => {
    let started = 0;
    const fan = pipeline("fan", (p) => {
      const list = p.task("list", () => range(maxItems === undefined ? 100_001 : 5));
      p.map("each", { over: list, ...(maxItems && { maxItems }) }, () => {
        started++;
      });
    });
    const engine = await startedEngine({ pipelines: [fan] });
    const run = await engine.trigger(fan);
    await expect(run.result()).rejects.toMatchObject({ failures: [{ task: "each", error: { code: "FANOUT_LIMIT" } }] });
    expect(started).toBe(0);
    expect((await engine.runs.tasks(run.id, { task: "each" })).items).toMatchObject([
      { items: undefined, attempts: 0 },
    ]);
  });

  it.each<[string, unknown]>([
    ["a text", "abc"],
    ["an object", { length: 3 }],
    ["null", null],
    ["nothing", undefined],
    ["a Map", new Map([[1, 2]])],
  ])("over %s fail with MAP_INVALID", async (_what, list) => {
    const fan = pipeline("fan", (p) => {
      const source = p.task("list", () => list as number[]);
      p.map("each", { over: source }, ({ item }) => item);
    });
    const engine = await startedEngine({ pipelines: [fan] });
    await expect(engine.run(fan)).rejects.toMatchObject({
      failures: [{ task: "each", error: { code: "MAP_INVALID" } }],
    });
  });

  it("that cannot expand count as a failure: failFast ends the run, allowFailure does not fail it", async () => {
    const notAList = (): number[] => 5 as unknown as number[];
    const fast = pipeline("fast", { failFast: true }, (p) => {
      const list = p.task("list", notAList);
      p.map("each", { over: list }, ({ item }) => item);
      p.task("long", ({ signal }) => new Promise((_, stop) => signal.addEventListener("abort", stop)));
    });
    const allowed = pipeline("allowed", (p) => {
      const list = p.task("list", notAList);
      p.map("each", { over: list, allowFailure: true }, ({ item }) => item);
    });
    const engine = await startedEngine({ pipelines: [fast, allowed] });
    await expect(engine.run(fast)).rejects.toMatchObject({ failures: [{ task: "each" }] });
    await engine.run(allowed);
  });

  it("over a fixed list, holes and undefined included, read it as it was at the definition", async () => {
    const list: unknown[] = ["a", undefined, null, { at: new Date(0) }];
    const fan = pipeline("fan", (p) => {
      const each = p.map("each", { over: list }, ({ item }) => [item]);
      return { each };
    });
    list.push("later");
    const engine = await startedEngine({ pipelines: [fan] });
    expect(await engine.run(fan)).toEqual({ each: [["a"], [undefined], [null], [{ at: new Date(0) }]] });
  });

  it("over a map's output take what its items put out, without those that were skipped", async () => {
    const fan = pipeline("fan", (p) => {
      const first = p.map("first", { over: range(6), when: ({ item }) => item !== 1 }, ({ item }) => {
        if (item === 4) throw new SkipTask("not this one");
        return `#${item}`;
      });
      const second = p.map("second", { over: first }, ({ item, index }) => `${index}:${item}`);
      return { first, second };
    });
    const engine = await startedEngine({ pipelines: [fan] });
    const run = await engine.trigger(fan);
    expect(await run.result()).toEqual({
      first: ["#0", "#2", "#3", "#5"],
      second: ["0:#0", "1:#2", "2:#3", "3:#5"],
    });
    expect(await taskStatuses(engine, run.id)).toMatchObject({
      first: "succeeded",
      "first/1": "skipped",
      "first/4": "skipped",
    });
    const items = (await engine.runs.tasks(run.id, { task: "first", status: ["skipped"] })).items;
    expect(items.map(({ reason }) => reason)).toEqual(["its condition (when) did not hold", "not this one"]);
  });

  it("whose every item is skipped are skipped", async () => {
    expect(
      await statusesOf((p) => {
        const each = p.map("each", { over: [1, 2], when: () => false }, ({ item }) => item);
        p.task("next", { after: [each] }, () => 1);
      }),
    ).toEqual({ each: "skipped", "each/0": "skipped", "each/1": "skipped", next: "skipped" });
  });

  it("fail when an item does; the others run to their end, and each is retried by itself", async () => {
    const attempts: string[] = [];
    const fan = pipeline("fan", (p) => {
      p.map("each", { over: ["a", "b", "c"], retry: { attempts: 3, delay: 0 } }, ({ item, attempt }) => {
        attempts.push(`${item}${attempt}`);
        if (item === "b" || (item === "c" && attempt < 3)) throw new Error(`${item} failed`);
        return item;
      });
    });
    const engine = await startedEngine({ pipelines: [fan] });
    const run = await engine.trigger(fan);
    await expect(run.result()).rejects.toMatchObject({ failures: [{ task: "each", index: [1], attempts: 3 }] });
    expect(attempts.toSorted()).toEqual(["a1", "b1", "b2", "b3", "c1", "c2", "c3"]);
    expect(await taskStatuses(engine, run.id)).toEqual({
      each: "failed",
      "each/0": "succeeded",
      "each/1": "failed",
      "each/2": "succeeded",
    });
    const [record] = (await engine.runs.tasks(run.id, { task: "each" })).items;
    expect(record?.error?.message).toContain("1 of 3 items failed");
  });

  it("read items as deep and as large as the engine's limits allow", async () => {
    let deep: unknown = 1;
    for (let level = 0; level < 700; level++) deep = [deep];
    const fan = pipeline("fan", (p) => {
      const list = p.task("list", () => [deep]);
      const each = p.map("each", { over: list }, ({ item }) => JSON.stringify(item).length);
      return { each };
    });
    const engine = await startedEngine({ pipelines: [fan], limits: { maxValueDepth: 1_000 } });
    expect(await engine.run(fan)).toEqual({ each: [1_401] });
  });

  it("with needs of their own read them for each item", async () => {
    const fan = pipeline("fan", (p) => {
      const factor = p.task("factor", () => ({ by: 3 }));
      const each = p.map("each", { over: [1, 2], needs: { factor } }, ({ item, input }) => {
        const result = item * input.factor.by;
        (input.factor as { by: number }).by = 0;
        return result;
      });
      return { each };
    });
    const engine = await startedEngine({ pipelines: [fan] });
    expect(await engine.run(fan)).toEqual({ each: [3, 6] });
  });
});

describe("branches", () => {
  const routed = (choice: string) =>
    statusesOf((p) => {
      const gate = p.branch("gate", {}, () => choice as "left" | "right");
      const left = p.task("left", { after: [gate.when("left")] }, () => 1);
      const right = p.task("right", { after: [gate.when("right")] }, () => 1);
      p.task("deeper", { after: [right] }, () => 1);
      p.task("both", { after: [gate.when("left"), gate.when("right")] }, () => 1);
      p.task("end", { after: [left, right], triggerRule: "none-failed-min-one-success" }, () => 1);
    });

  it("skip the paths they did not choose, and what lies behind those", async () => {
    const common = { gate: "succeeded", both: "succeeded", end: "succeeded" };
    expect(await routed("left")).toEqual({ ...common, left: "succeeded", right: "skipped", deeper: "skipped" });
    expect(await routed("right")).toEqual({ ...common, left: "skipped", right: "succeeded", deeper: "succeeded" });
  });

  it("that choose a path nobody follows skip all of them", async () => {
    const skipped = { left: "skipped", right: "skipped", deeper: "skipped", both: "skipped", end: "skipped" };
    expect(await routed("nowhere")).toEqual({ gate: "succeeded", ...skipped });
  });

  it("say which choice it was", async () => {
    const work = pipeline("work", (p) => {
      const gate = p.branch("gate", {}, () => "left" as "left" | "right");
      p.task("right", { after: [gate.when("right")] }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    const [right] = (await engine.runs.tasks(run.id, { task: "right" })).items;
    expect(right).toMatchObject({ status: "skipped", attempts: 0 });
    expect(right?.reason).toContain('branch "gate" chose "left"');
  });
});

describe("skipping", () => {
  it("by when or SkipTask has the rest follow its rules", async () => {
    expect(
      await statusesOf((p) => {
        const off = p.task("off", { when: async () => false }, () => 1);
        const itself = p.task("itself", () => {
          throw new SkipTask();
        });
        const on = p.task("on", { when: ({ run }) => run.pipeline === "work" }, () => 1);
        p.task("needs-off", { needs: { off } }, () => 1);
        p.task("one-of", { after: [off, on], triggerRule: "one-success" }, () => 1);
        p.task("none-skipped", { after: [itself, on], triggerRule: "none-skipped" }, () => 1);
      }),
    ).toEqual({
      off: "skipped",
      itself: "skipped",
      on: "succeeded",
      "needs-off": "skipped",
      "one-of": "succeeded",
      "none-skipped": "skipped",
    });
  });

  it("does not use up a retry, nor fail the run", async () => {
    const work = pipeline("work", (p) => {
      p.task("later", { retry: { attempts: 3, delay: 0 } }, ({ attempt }) => {
        if (attempt === 1) throw new Error("once");
        throw new SkipTask("nothing left");
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    expect((await engine.runs.attempts(run.id)).items.map(({ status }) => status)).toEqual(["failed", "skipped"]);
    expect((await engine.runs.tasks(run.id)).items).toMatchObject([{ status: "skipped", reason: "nothing left" }]);
  });
});

describe("F151 every task comes to an end", () => {
  const rules: TriggerRule[] = [
    "all-success",
    "all-failed",
    "all-done",
    "all-done-min-one-success",
    "all-skipped",
    "one-success",
    "one-failed",
    "one-done",
    "none-failed",
    "none-failed-min-one-success",
    "none-skipped",
    "always",
  ];

  it.each(rules)("under %s, whatever mix of ends comes before it", async (triggerRule) => {
    const statuses = await statusesOf((p) => {
      const ends = {
        ok: () => 1,
        no: () => {
          throw new Error("no");
        },
        skip: () => {
          throw new SkipTask();
        },
      };
      const kinds = Object.keys(ends) as (keyof typeof ends)[];
      for (const a of kinds) {
        for (const b of kinds) {
          const [first, second] = [p.task(`${a}-${b}-1`, ends[a]), p.task(`${a}-${b}-2`, ends[b])];
          const lost = p.task(`${a}-${b}-lost`, { after: [first] }, () => 1);
          const end = p.task(`${a}-${b}-end`, { after: [first, second, lost], triggerRule }, () => 1);
          p.task(`${a}-${b}-after`, { after: [end] }, () => 1);
        }
      }
    });
    const open = Object.entries(statuses).filter(
      ([, status]) => !["succeeded", "failed", "skipped", "upstream-failed"].includes(status),
    );
    expect(open).toEqual([]);
    expect(Object.keys(statuses)).toHaveLength(45);
  });
});
