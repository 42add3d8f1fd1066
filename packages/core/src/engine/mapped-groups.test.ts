import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { SkipTask } from "../execute/signals.js";
import { startedEngine } from "../test-support/engines.js";
import { aborted, gate, Meter, noted } from "../test-support/gates.js";
import { attempts, statuses } from "../test-support/history.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";

leavesNothingBehind();

const range = (length: number) => Array.from({ length }, (_, item) => item);
const broken = (): never => {
  throw new Error("broken");
};

describe("a mapped group", () => {
  it("runs as a whole for each item, and puts out what its items put out in their order", async () => {
    const work = pipeline("work", (p) => {
      const list = p.task("list", () => ["a", "b", "c"]);
      const factor = p.task("factor", () => 2);
      const each = p.group("each", { over: list }, (g) => {
        const x = g.task("x", { needs: { factor } }, async ({ item, index, input }) => {
          await settled(3 - index);
          return item.repeat(input.factor);
        });
        const y = g.task("y", { needs: { x } }, ({ input, item, index }) => `${index}${item}${input.x}`);
        return { x, y };
      });
      const all = p.task("all", { needs: { each } }, ({ input }) => input.each.map(({ y }) => y));
      const ys = p.map("ys", { over: each.outputs.y }, ({ item }) => item.length);
      return { each, all, ys, xs: each.outputs.x };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    const all = ["0aaa", "1bbb", "2ccc"];
    expect(await run.result()).toEqual({
      each: [
        { x: "aa", y: "0aaa" },
        { x: "bb", y: "1bbb" },
        { x: "cc", y: "2ccc" },
      ],
      all,
      ys: [4, 4, 4],
      xs: ["aa", "bb", "cc"],
    });
    expect(await statuses(engine, run.id)).toEqual(
      Object.fromEntries(
        ["list", "factor", "each", "each[0]", "each[1]", "each[2]"]
          .concat(["each.x[0]", "each.x[1]", "each.x[2]", "each.y[0]", "each.y[1]", "each.y[2]"])
          .concat(["all", "ys", "ys[0]", "ys[1]", "ys[2]"])
          .map((name) => [name, "succeeded"]),
      ),
    );
  });

  it("holds maps, mapped groups and plain groups, whose places have a number for each list around them", async () => {
    const seen: string[] = [];
    const work = pipeline("work", (p) => {
      const outer = p.group("o", { over: ["a", "b"] }, (g) => {
        const list = g.task("list", ({ item, index }) => range(index + 1).map((n) => `${item}${n}`));
        const each = g.map("m", { over: list }, ({ item, index, outer: o }) =>
          noted(seen, `m ${o} ${item} ${index}`, item),
        );
        const inner = g.group("i", { over: each }, (h) => {
          const plain = h.group("g", (k) => ({
            t: k.task("t", ({ item, index, outer: o }) => noted(seen, `t ${o} ${item} ${index}`, `${item}!`)),
          }));
          const deep = h.map("d", { over: [1, 2] }, ({ item, outer: o }) => `${o}${item}`);
          return { t: plain.outputs.t, deep };
        });
        const joined = g.task("j", { needs: { ts: inner.outputs.t, inner } }, ({ input }) => input.ts.join());
        return { ts: inner.outputs.t, joined, deep: inner.outputs.deep };
      });
      return { outer, ts: outer.outputs.ts };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    expect(await run.result()).toEqual({
      outer: [
        { ts: ["a0!"], joined: "a0!", deep: [["a01", "a02"]] },
        {
          ts: ["b0!", "b1!"],
          joined: "b0!,b1!",
          deep: [
            ["b01", "b02"],
            ["b11", "b12"],
          ],
        },
      ],
      ts: [["a0!"], ["b0!", "b1!"]],
    });
    expect(seen.sort()).toEqual([
      ...["m a a0 0", "m b b0 0", "m b b1 1"],
      ...["t a0 a0 0", "t b0 b0 0", "t b1 b1 1"].map((line) => line.replace(/t (.)\d/, "t $1")),
    ]);
    const { items } = await engine.runs.tasks(run.id, {}, { limit: 1_000 });
    const places = (task: string) => items.filter((record) => record.task === task).map(({ index }) => index.join());
    expect(places("o")).toEqual(["", "0", "1"]);
    expect(places("o.m")).toEqual(["0", "0,0", "1", "1,0", "1,1"]);
    expect(places("o.i")).toEqual(["0", "0,0", "1", "1,0", "1,1"]);
    expect(places("o.i.g.t")).toEqual(["0,0", "1,0", "1,1"]);
    expect(places("o.i.d")).toEqual(["0,0", "0,0,0", "0,0,1", "1,0", "1,0,0", "1,0,1", "1,1", "1,1,0", "1,1,1"]);
    expect(items.every(({ status }) => status === "succeeded")).toBe(true);
  });

  it("F146 over nothing is skipped, as what needs it is, and a list inside may be empty for one item", async () => {
    const work = pipeline("work", (p) => {
      const none = p.group("none", { over: [] as number[] }, (g) => ({ a: g.task("a", () => 1) }));
      p.task("after", { needs: { none } }, () => 1);
      const lenient = p.task(
        "lenient",
        { needs: { none, a: none.outputs.a }, triggerRule: "none-failed" },
        ({ input }) => input,
      );
      const some = p.group("some", { over: [0, 2] }, (g) => {
        const list = g.task("list", ({ item }) => range(item));
        const each = g.map("each", { over: list }, ({ item }) => item);
        const inner = g.group("inner", { over: list }, (h) => ({ b: h.task("b", () => 1) }));
        return { n: g.task("n", { needs: { each, inner }, triggerRule: "none-failed" }, ({ input }) => input) };
      });
      return { none, lenient, some };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    expect(await run.result()).toEqual({
      none: [],
      lenient: { none: [], a: [] },
      some: [{ n: { each: [], inner: [] } }, { n: { each: [0, 1], inner: [{ b: 1 }, { b: 1 }] } }],
    });
    expect(await statuses(engine, run.id)).toMatchObject({
      ...{ none: "skipped", after: "skipped", lenient: "succeeded" },
      ...{ "some.each[0]": "skipped", "some.inner[0]": "skipped", "some.inner[1]": "succeeded" },
    });
    const [record] = (await engine.runs.tasks(run.id, { task: "none" })).items;
    expect(record).toMatchObject({ items: 0, reason: "its list is empty" });
  });

  it("F147 with more items than it may have fails before any of them starts", async () => {
    let started = 0;
    const work = pipeline("work", (p) => {
      const list = p.task("list", () => range(6));
      const each = p.group("each", { over: list, maxItems: 5 }, (g) => void g.task("a", () => started++));
      p.task("after", { after: [each] }, () => started++);
      p.group("outer", { over: [1], allowFailure: true }, (g) => {
        g.group("inner", { over: [1, 2, 3], maxItems: 2 }, (h) => void h.task("b", () => started++));
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await expect(run.result()).rejects.toMatchObject({
      failures: [
        { task: "each", error: { code: "FANOUT_LIMIT" } },
        {
          task: "outer.inner",
          index: [0],
          error: { code: "FANOUT_LIMIT", message: expect.stringContaining("3 items") },
        },
      ],
    });
    expect(await statuses(engine, run.id)).toMatchObject({ each: "failed", after: "upstream-failed" });
    expect(started).toBe(0);
  });

  it("over what is no list fails, and names it", async () => {
    const work = pipeline("work", (p) => {
      const list = p.task("list", () => "abc" as unknown as string[]);
      p.group("each", { over: list }, (g) => void g.task("a", () => 1));
    });
    const engine = await startedEngine({ pipelines: [work] });
    await expect(engine.run(work)).rejects.toMatchObject({
      failures: [{ task: "each", error: { code: "MAP_INVALID", message: expect.stringContaining('group "each"') } }],
    });
  });

  it("leaves out the items that failed or were skipped, and fails when one failed", async () => {
    const work = pipeline("work", (p) => {
      const each = p.group("each", { over: [0, 1, 2, 3] }, (g) => {
        const a = g.task("a", ({ item }) => {
          if (item === 1) broken();
          if (item === 2) throw new SkipTask("not this one");
          return item;
        });
        return { b: g.task("b", { needs: { a } }, ({ input }) => input.a * 10) };
      });
      const rest = p.task(
        "rest",
        { needs: { each, b: each.outputs.b }, triggerRule: "all-done" },
        ({ input }) => input,
      );
      return { rest };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    const error = await run.result().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ failures: [{ task: "each.a", index: [1] }] });
    expect(await statuses(engine, run.id)).toEqual({
      ...{ each: "failed", "each[0]": "succeeded", "each[1]": "failed", "each[2]": "skipped", "each[3]": "succeeded" },
      ...{ "each.a[0]": "succeeded", "each.a[1]": "failed", "each.a[2]": "skipped", "each.a[3]": "succeeded" },
      ...{ "each.b[0]": "succeeded", "each.b[1]": "upstream-failed", "each.b[2]": "skipped", "each.b[3]": "succeeded" },
      rest: "succeeded",
    });
    const [rest] = (await engine.runs.tasks(run.id, { task: "rest" })).items;
    expect(rest!.output).toEqual({ each: [{ b: 0 }, { b: 30 }], b: [0, 30] });
    const [each] = (await engine.runs.tasks(run.id, { task: "each" }, { limit: 1 })).items;
    expect(each).toMatchObject({ items: 4, error: { message: "TASK_FAILED: 1 of 4 items failed" } });
  });

  it("F148 of 2,000 items runs each of them once", async () => {
    const seen = new Set<number>();
    const calls: number[] = [];
    const work = pipeline("work", (p) => {
      const each = p.group("each", { over: range(2_000), concurrency: 50 }, (g) => {
        const a = g.task("a", ({ item }) => item);
        return { b: g.task("b", { needs: { a } }, ({ input }) => seen.add(input.a) && noted(calls, input.a, input.a)) };
      });
      return { b: each.outputs.b };
    });
    const engine = await startedEngine({ pipelines: [work] });
    expect(await engine.run(work)).toEqual({ b: range(2_000) });
    expect([seen.size, calls.length]).toEqual([2_000, 2_000]);
  });

  it("may be over items that are undefined, null or objects", async () => {
    const items = [undefined, null, { deep: [1] }, "x"];
    const work = pipeline("work", (p) => {
      const each = p.group("each", { over: items }, (g) => ({ a: g.task("a", ({ item }) => [item]) }));
      return { a: each.outputs.a };
    });
    const engine = await startedEngine({ pipelines: [work] });
    expect(await engine.run(work)).toEqual({ a: items.map((item) => [item]) });
  });
});

describe("its concurrency", () => {
  it("is how many items are under way at once, each with all its tasks", async () => {
    const meter = new Meter();
    let tasks = 0;
    const work = pipeline("work", (p) => {
      p.group("each", { over: range(7), concurrency: 2 }, (g) => {
        const ends = new Map<number, () => void>();
        const first = g.task("first", ({ item }) => {
          void meter.during(() => new Promise<void>((resolve) => ends.set(item, resolve)));
        });
        const twice = ["x", "y"].map((id) => g.task(id, { after: [first] }, () => settled(2).then(() => tasks++)));
        g.task("last", { after: twice }, ({ item }) => ends.get(item)!());
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    expect(tasks).toBe(14);
    expect(meter).toMatchObject({ total: 7 });
    expect(meter.max).toBeLessThanOrEqual(2);
  });

  it("counts an item that waits for its next pass, and not one that was cancelled before its turn", async () => {
    const clock = new ManualClock();
    const entered: number[] = [];
    const work = pipeline("work", (p) => {
      const retry = { attempts: 2, delay: "10s", backoff: "fixed" } as const;
      p.group("each", { over: range(5), concurrency: 1, retry }, (g) => {
        g.task("a", ({ item }) => {
          entered.push(item);
          if (entered.length === 1) broken();
        });
        g.sleep("s", "1s");
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await settled();
    expect(entered).toEqual([0]);
    await engine.runs.cancel(run.id, { task: "each", index: [3] });
    await clock.advance(9_000);
    expect(entered).toEqual([0]);
    await clock.advance(1_500);
    expect(entered).toEqual([0, 0]);
    await clock.advance(60_000);
    expect(entered).toEqual([0, 0, 1, 2, 4]);
    expect(await run.status()).toBe("failed");
    await engine.runs.resume(run.id);
    await clock.advance(10_000);
    expect(entered).toEqual([0, 0, 1, 2, 4, 3]);
    expect(await run.status()).toBe("succeeded");
  });

  it("is kept by the next engine", async () => {
    const storage = testStorage();
    const meter = new Meter();
    const work = pipeline("work", (p) => {
      p.group("each", { over: range(6), concurrency: 2 }, (g) => {
        g.task("a", ({ signal }) => meter.during(() => Promise.race([aborted(signal), settled(20)])));
      });
    });
    const first = await startedEngine({ pipelines: [work], storage });
    const run = await first.trigger(work);
    await settled(30);
    await first.stop({ grace: 0 });
    const second = await startedEngine({ pipelines: [work], storage });
    await settled(300);
    expect((await second.runs.get(run.id)).status).toBe("succeeded");
    expect(meter.max).toBe(2);
  });
});

describe("its retry", () => {
  it("is each item's own: all tasks of the item run again, and no other item's", async () => {
    const clock = new ManualClock();
    const log: string[] = [];
    const work = pipeline("work", (p) => {
      const each = p.group("each", { over: ["a", "b"], retry: { attempts: 2, delay: "1s", backoff: "fixed" } }, (g) => {
        const x = g.task("x", ({ item }) => noted(log, `x${item}`, item));
        const y = g.task("y", { needs: { x } }, ({ item, input }) => {
          const isFirst = !log.includes(`y${item}`);
          log.push(`y${item}`);
          return isFirst && item === "b" ? broken() : input.x;
        });
        return { y };
      });
      return { y: each.outputs.y };
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await settled();
    expect(await statuses(engine, run.id)).toMatchObject({
      "each[0]": "succeeded",
      "each[1]": "retrying",
      each: "running",
    });
    await clock.advance(1_000);
    expect(await run.result()).toEqual({ y: ["a", "b"] });
    expect(log).toEqual(["xa", "xb", "ya", "yb", "xb", "yb"]);
    expect(await attempts(engine, run.id)).toEqual([
      ...["each.x[0] 1/1 succeeded", "each.x[1] 1/1 succeeded", "each.x[1] 2/1 succeeded"],
      ...["each.y[0] 1/1 succeeded", "each.y[1] 1/1 failed", "each.y[1] 2/1 succeeded"],
    ]);
  });

  it("of an inner item keeps what its neighbours in the same list did", async () => {
    const storage = testStorage();
    const clock = new ManualClock();
    let fails = 1;
    const calls: string[] = [];
    const work = pipeline("work", (p) => {
      const retry = { attempts: 3, delay: "5s", backoff: "fixed" } as const;
      const outer = p.group("o", { over: [0, 1] }, (g) => {
        const inner = g.group("i", { over: [0, 1], retry }, (h) => ({
          t: h.task("t", ({ item, outer: o }) => {
            calls.push(`${o}${item}`);
            if (o === 1 && item === 1 && fails-- > 0) broken();
          }),
        }));
        return { t: inner.outputs.t };
      });
      return { t: outer.outputs.t };
    });
    const first = await startedEngine({ pipelines: [work], storage, clock });
    const run = await first.trigger(work);
    await settled();
    await first.stop({ grace: 0 });
    const second = await startedEngine({ pipelines: [work], storage, clock });
    await clock.advance(5_000);
    expect((await second.runs.get(run.id)).status).toBe("succeeded");
    expect(calls).toEqual(["00", "01", "10", "11", "11"]);
    const { items } = await second.runs.tasks(run.id, { task: "o.i.t" });
    expect(items.map(({ index, generation }) => [...index, generation])).toEqual([
      ...[
        [0, 0, 1],
        [0, 1, 1],
        [1, 0, 1],
        [1, 1, 2],
      ],
    ]);
  });

  it("after which the item fails for good does not stop the others", async () => {
    const clock = new ManualClock();
    const work = pipeline("work", (p) => {
      p.group("each", { over: [0, 1], retry: { attempts: 2, delay: "1s" } }, (g) => {
        const a = g.task("a", ({ item }) => (item === 0 ? broken() : 1));
        g.sleep("s", "1m");
        g.task("b", { needs: { a } }, () => 1);
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(200_000);
    expect(await statuses(engine, run.id)).toMatchObject({
      "each[0]": "failed",
      "each[1]": "succeeded",
      each: "failed",
    });
    const failed = (await engine.runs.tasks(run.id, { task: "each" })).items.find(({ index }) => index[0] === 0);
    expect(failed).toMatchObject({ attempts: 2, error: { code: "TASK_FAILED" } });
  });
});

describe("a mapped group in a group that is retried", () => {
  it("has lost its items as soon as it is opened anew, though its own list is not read yet", async () => {
    const clock = new ManualClock();
    const second = gate();
    let passes = 0;
    const work = pipeline("work", (p) => {
      const retry = { attempts: 2, delay: "1s", backoff: "fixed", jitter: "none" } as const;
      p.group("all", { retry }, (g) => {
        const list = g.task("list", () => (passes++ === 0 ? ["a", "b", "c"] : second.passed.then(() => ["a"])));
        const each = g.group("each", { over: list }, (inner) => void inner.task("x", ({ item }) => item));
        g.task("fails-once", { after: [each] }, () => (passes === 1 ? broken() : undefined));
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    const items = async () =>
      (await engine.runs.tasks(run.id)).items.filter(({ index }) => index.length > 0).map(({ task }) => task);
    await settled();
    expect(await items()).toEqual(["all.each", "all.each", "all.each", "all.each.x", "all.each.x", "all.each.x"]);
    await clock.advance(1_000);
    expect(await items()).toEqual([]);
    second.open();
    await run.result();
    expect(await items()).toEqual(["all.each", "all.each.x"]);
    const { items: before } = await engine.runs.tasks(run.id, { generation: 1, task: "all.each.x" });
    expect(before).toHaveLength(3);
  });
});

describe("resuming a run with a mapped group", () => {
  it("goes on with the items that failed, from their point of failure", async () => {
    const calls: string[] = [];
    let isBroken = true;
    const work = pipeline("work", (p) => {
      const each = p.group("each", { over: [0, 1, 2] }, (g) => {
        const a = g.task("a", ({ item }) => noted(calls, `a${item}`, item));
        const list = g.map("m", { over: [0, 1] }, ({ item, outer }) => {
          calls.push(`m${outer}${item}`);
          return isBroken && outer === 1 && item === 1 ? broken() : item;
        });
        return { c: g.task("c", { needs: { a, list } }, ({ input }) => noted(calls, `c${input.a}`, input.list)) };
      });
      return { c: each.outputs.c, after: p.task("after", { needs: { each } }, () => calls.push("after")) };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    calls.length = 0;
    isBroken = false;
    const result = await (await engine.runs.resume(run.id)).result();
    expect(result).toMatchObject({
      c: [
        [0, 1],
        [0, 1],
        [0, 1],
      ],
    });
    expect(calls).toEqual(["m11", "c1", "after"]);
  });

  it("keeps its list, although the one it was read from is another by then", async () => {
    let isBroken = true;
    const seen: number[] = [];
    const work = pipeline("work", (p) => {
      const first = p.group("first", { over: [1, 2, 3] }, (g) => ({
        v: g.task("v", ({ item }) => (isBroken && item === 1 ? broken() : item)),
      }));
      p.group("second", { over: first.outputs.v }, (g) => void g.task("w", ({ item }) => void seen.push(item)));
      const third = p.group("third", { over: [0, 1] }, (g) => {
        const list = g.map("list", { over: [10, 20] }, ({ item, outer }) =>
          isBroken && outer === 0 && item === 10 ? broken() : item,
        );
        g.map("each", { over: list, triggerRule: "all-done" }, ({ item, outer }) => {
          seen.push(outer * 100 + item);
          if (isBroken && outer === 0) broken();
        });
      });
      p.task("after", { after: [third] }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    expect(seen.sort((a, b) => a - b)).toEqual([20, 110, 120]);
    seen.length = 0;
    isBroken = false;
    await (await engine.runs.resume(run.id)).result();
    expect(seen.sort((a, b) => a - b)).toEqual([1, 2, 3, 20]);
  });
});

describe("cancelling in a mapped group", () => {
  const work = (open: Promise<void>) =>
    pipeline("work", (p) => {
      const each = p.group("each", { over: [0, 1, 2] }, (g) => {
        const a = g.task("a", ({ signal }) => Promise.race([open, aborted(signal)]));
        g.task("b", { after: [a] }, () => 1);
      });
      p.task("after", { after: [each], triggerRule: "all-done" }, () => 1);
    });
  const cases: [string, object, string[]][] = [
    ["an item", { task: "each", index: [1] }, ["each[1]", "each.a[1]", "each.b[1]"]],
    ["a task of an item", { task: "each.a", index: [1] }, ["each[1]", "each.a[1]"]],
    [
      "a task of all items",
      { task: "each.b" },
      ["each[0]", "each[1]", "each[2]", "each.b[0]", "each.b[1]", "each.b[2]"],
    ],
  ];
  it.each(cases)("%s ends that alone", async (_, options, cancelled) => {
    const open = gate();
    const engine = await startedEngine({ pipelines: [work(open.passed)] });
    const run = await engine.trigger(work(open.passed));
    await settled();
    await engine.runs.cancel(run.id, options);
    await settled();
    open.open();
    await run.result().catch(() => undefined);
    const ends = await statuses(engine, run.id);
    const names = Object.keys(ends).filter((name) => ends[name] === "cancelled");
    expect(names.sort()).toEqual([...cancelled, "each"].sort());
    expect(ends.after).toBe("succeeded");
  });
});

describe("a list that is expanded anew after a retry or a rerun", () => {
  it("has nothing of what stood there before, under the next engine neither", async () => {
    const storage = testStorage();
    const calls: string[] = [];
    let hang = false;
    const work = pipeline("work", (p) => {
      const list = p.task("list", () => ["a", "b"]);
      const each = p.group("each", { over: list, concurrency: 1 }, (g) => {
        const x = g.task("x", ({ item, signal }) => noted(calls, `x${item}`, hang ? aborted(signal) : item));
        return { y: g.task("y", { needs: { x } }, ({ item }) => noted(calls, `y${item}`, item)) };
      });
      return { y: each.outputs.y };
    });
    const first = await startedEngine({ pipelines: [work], storage });
    const run = await first.trigger(work);
    await run.result();
    hang = true;
    await first.runs.rerun(run.id, { from: "list" });
    await settled(20);
    await first.stop({ grace: 0 });
    expect(calls).toEqual(["xa", "ya", "xb", "yb", "xa"]);
    hang = false;
    calls.length = 0;
    const second = await startedEngine({ pipelines: [work], storage });
    await settled(40);
    expect((await second.runs.get(run.id)).status).toBe("succeeded");
    expect(calls).toEqual(["xa", "ya", "xb", "yb"]);
    expect(await attempts(second, run.id)).toContain("each.y[1] 2/1 succeeded");
  });
});
