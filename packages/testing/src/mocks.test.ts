import { afterEach, describe, expect, it, vi } from "vitest";
import { type Executor, inProcess, pipeline, SkipTask } from "weftline";
import { errorThenValue, inTurn } from "./index.js";
import { stopTestEngines, testEngine } from "./test-support/test-engines.js";

afterEach(stopTestEngines);

const RETRIES = { attempts: 4, delay: "2s" } as const;

describe("mock()", () => {
  const chain = pipeline("chain", (p) => {
    const first = p.task("first", { title: "The first" }, () => new Date(0) as unknown);
    const items = p.map("items", { over: [1, 2] }, ({ item }) => item);
    const last = p.task("last", { needs: { first, items } }, ({ input }) => [input.first, input.items] as const);
    return { last };
  });
  const twin = pipeline("twin", (p) => ({ first: p.task("first", () => "twin's own") }));

  it("replaces a task by a value, which passes through the codec", async () => {
    const engine = testEngine({ pipelines: [chain] });
    const value = { at: new Date(5), set: new Set([1]) };
    engine.mock("first", value);
    const { last } = await (await engine.run(chain)).result();
    expect(last[0]).toEqual(value);
    expect(last[0]).not.toBe(value);

    engine.mock("first", { broken: () => 1 });
    const run = await engine.run(chain);
    await engine.expectStatuses(run, { first: "failed", last: "upstream-failed" });
    const { items } = await engine.runs.tasks(run.id, { task: "first" });
    expect(items[0]?.error?.code).toBe("OUTPUT_NOT_SERIALIZABLE");
  });

  it("hands a function the context of the task it replaces", async () => {
    const engine = testEngine({ pipelines: [chain], resources: { db: "a database" } as never });
    const seen: unknown[] = [];
    engine.mock("first", ({ task, attempt, resources, idempotencyKey, run, log: logger }) => {
      logger("from a mock");
      seen.push(task, attempt, resources, idempotencyKey, run.pipeline);
      return undefined;
    });
    engine.mock("items", ({ item, index }) => (index === 0 ? item * 100 : Promise.reject(new SkipTask("not this"))));
    const run = await engine.run(chain);
    expect(seen).toEqual([{ id: "first", title: "The first" }, 1, { db: "a database" }, `${run.id}/first`, "chain"]);
    await engine.expectStatuses(run, { items: "succeeded", "items[0]": "succeeded", "items[1]": "skipped" });
    expect((await run.result()).last).toEqual([undefined, [100]]);
    expect((await engine.runs.logs(run.id)).items.map(({ message }) => message)).toEqual(["from a mock"]);
  });

  it("of one pipeline goes before that of all, and unmock() and resetMocks() bring the real ones back", async () => {
    const engine = testEngine({ pipelines: [chain, twin] });
    const firsts = async () => {
      const { last } = await (await engine.run(chain)).result();
      return [last[0], (await (await engine.run(twin)).result()).first];
    };
    engine.mock("first", "any");
    engine.mock("twin/first", "twin's");
    expect(await firsts()).toEqual(["any", "twin's"]);
    engine.unmock("twin/first");
    expect(await firsts()).toEqual(["any", "any"]);
    engine.resetMocks();
    expect(await firsts()).toEqual([new Date(0), "twin's own"]);
  });

  it("refuses a task that no pipeline has", () => {
    const engine = testEngine({ pipelines: [twin] });
    expect(() => engine.mock("frist", 1)).toThrow(
      'Cannot mock "frist" as no pipeline of this engine has such a task: they have first, twin/first',
    );
    expect(() => engine.mock("chain/first", 1)).toThrow(TypeError);
    expect(() => engine.unmock("nope")).toThrow(TypeError);
  });

  it("leaves the other tasks to the executors given, each started once", async () => {
    const inner = inProcess();
    const seen: string[] = [];
    const spy: Executor = {
      supports: inner.supports,
      slots: 1,
      start: vi.fn((host) => inner.start(host)),
      execute(job, port) {
        seen.push(job.task);
        return inner.execute(job, port);
      },
      stop: (options) => inner.stop(options),
    };
    const engine = testEngine({ pipelines: [chain], executors: { default: spy, cpu: spy } });
    engine.mock("first", 1);
    await engine.run(chain);
    expect(seen).toEqual(["items", "items", "last"]);
    expect(spy.start).toHaveBeenCalledTimes(1);
    const other = pipeline("other", (p) => void p.task("a", { executor: "gpu" }, () => 1));
    expect(() => testEngine({ pipelines: [other], executors: { cpu: spy } })).toThrow("EXECUTOR_UNKNOWN");
    const free = testEngine({ pipelines: [other] });
    await free.expectStatuses(await free.run(other), { a: "succeeded" });
  });

  it("errorThenValue() fails the first attempts at each item and calls a function for the rest", async () => {
    const retried = pipeline("retried", { defaults: { retry: RETRIES } }, (p) => ({
      all: p.map("each", { over: ["a", "b"] }, ({ item }) => item),
    }));
    const engine = testEngine({ pipelines: [retried] });
    engine.mock(
      "each",
      errorThenValue(new Error("no"), ({ item }: { item: string }) => item.toUpperCase(), 2),
    );
    const run = await engine.run(retried);
    expect(await run.result()).toEqual({ all: ["A", "B"] });
    await engine.expectAttempts(run, { "each[0]": 3, "each[1]": 3 });
  });
});

describe("finish()", () => {
  const three = pipeline("three", (p) => {
    const rows = p.task("fetch", () => 1);
    const model = p.task("train", { needs: { rows } }, ({ input }) => input.rows + 1);
    const approved = p.signal("approve", { after: [model], timeout: "1d" });
    return { used: p.task("use", { needs: { model }, after: [approved] }, ({ input }) => input.model) };
  });

  it("goes on with a run that was resumed, signalled or rerun; mocks know what they have done before", async () => {
    const engine = testEngine({ pipelines: [three] });
    engine.mock("train", errorThenValue(new Error("no GPU"), 5));
    engine.mock("fetch", inTurn(10, 20));
    const run = await engine.run(three);
    await engine.expectStatuses(run, { fetch: "succeeded", train: "failed", approve: "upstream-failed" });

    await engine.runs.resume(run.id);
    await engine.waitFor(run, { task: "approve", status: "waiting" });
    await run.signal("approve");
    await engine.finish(run);
    expect(await run.result()).toEqual({ used: 5 });
    await engine.expectAttempts(run, { fetch: 1, train: 2, use: 1 });

    engine.unmock("train");
    const again = await engine.runs.rerun(run.id, { from: "fetch" });
    await run.signal("approve");
    await engine.finish(again);
    expect(await again.result()).toEqual({ used: 21 });
  });

  it("throws an Error that is given as a value", async () => {
    const engine = testEngine({ pipelines: [three] });
    engine.mock("fetch", new RangeError("always"));
    const run = await engine.run(three);
    const { items } = await engine.runs.tasks(run.id, { task: "fetch" });
    expect(items[0]!.error).toMatchObject({ name: "RangeError", message: "always" });
  });
});

describe("mocks of every kind of task", () => {
  it("replace tasks in groups, and count their calls over the passes of the group", async () => {
    const grouped = pipeline("grouped", (p) => {
      const prep = p.group("prep", { retry: { attempts: 3, delay: "1m", jitter: "none" } }, (g) => {
        const rows = g.task("fetch", () => [0]);
        return { clean: g.task("clean", { needs: { rows } }, ({ input }) => input.rows) };
      });
      return { prep };
    });
    const engine = testEngine({ pipelines: [grouped] });
    engine.mock("prep.fetch", [1, 2]);
    engine.mock(
      "prep.clean",
      errorThenValue(new Error("dirty"), ({ input }: { input: { rows: number[] } }) => input.rows, 2),
    );
    const run = await engine.run(grouped);
    expect(await run.result()).toEqual({ prep: { clean: [1, 2] } });
    expect(engine.events.filter((event) => event.name === "task:retrying")).toHaveLength(2);
    await engine.expectStatuses(run, { prep: "succeeded", "prep.fetch": "succeeded" });
  });

  it("replace tasks of mapped groups and the items of their maps", async () => {
    const regions = pipeline("regions", (p) => {
      const all = p.group("region", { over: ["eu", "us"] }, (g) => {
        const load = g.task("load", ({ item }) => item);
        const parts = g.map("part", { over: [1, 2], after: [load] }, ({ item, outer }) => `${outer}${item}`);
        return { load, parts };
      });
      return { all };
    });
    const engine = testEngine({ pipelines: [regions] });
    engine.mock("region.load", ({ item }) => item.toUpperCase());
    engine.mock(
      "region.part",
      inTurn(({ outer, item, index }: { outer: string; item: number; index: number }) => [outer, item, index]),
    );
    const run = await engine.run(regions);
    expect(await run.result()).toEqual({
      all: [
        {
          load: "EU",
          parts: [
            ["eu", 1, 0],
            ["eu", 2, 1],
          ],
        },
        {
          load: "US",
          parts: [
            ["us", 1, 0],
            ["us", 2, 1],
          ],
        },
      ],
    });
    await engine.expectAttempts(run, { "region.load[1]": 1, "region.part[1][0]": 1 });
  });

  it("choose the path of a branch", async () => {
    const gated = pipeline("gated", (p) => {
      const gate = p.branch("gate", {}, () => "keep" as "keep" | "deploy");
      p.task("deploy", { after: [gate.when("deploy")] }, () => 1);
      p.task("keep", { after: [gate.when("keep")] }, () => 2);
    });
    const engine = testEngine({ pipelines: [gated] });
    engine.mock("gate", "deploy");
    await engine.expectStatuses(await engine.run(gated), { deploy: "succeeded", keep: "skipped" });
  });

  it("answer polls look by look, in virtual time", async () => {
    const polled = pipeline("polled", (p) => ({ file: p.poll("arrived", { every: "10m" }, () => "real") }));
    const engine = testEngine({ pipelines: [polled] });
    engine.mock("arrived", inTurn(false, undefined, new Error("offline"), "never"));
    const failing = await engine.run(polled);
    await engine.expectStatuses(failing, { arrived: "failed" });

    engine.mock("arrived", inTurn(false, undefined, { name: "a.csv" }));
    const start = engine.clock.now();
    const run = await engine.run(polled);
    expect(await run.result()).toEqual({ file: { name: "a.csv" } });
    expect(engine.clock.now() - start).toBe(20 * 60_000);
  });

  it("decide checks, whose severity stays what it is", async () => {
    const checked = pipeline("checked", (p) => {
      p.check("hard", {}, () => true);
      p.check("soft", { severity: "warning" }, () => true);
    });
    const engine = testEngine({ pipelines: [checked] });
    engine.mock("hard", { passed: false, message: "too few rows", value: 3 });
    engine.mock("soft", false);
    const run = await engine.run(checked);
    await engine.expectStatuses(run, { hard: "failed", soft: "succeeded" });
    const { items } = await engine.runs.tasks(run.id);
    expect(items[0]!.error?.message).toContain("too few rows (measured: 3)");
    expect(items[1]!.warning).toBe("did not pass");
  });

  it("keep what surrounds a task: its condition, expectations, steps and cache", async () => {
    const kept = pipeline("kept", (p) => {
      p.task("unwanted", { when: () => false }, () => 1);
      p.task("bounded", { expect: { "output.rows": { min: 10 } } }, () => ({ rows: 20 }));
      p.task("stepped", { retry: { attempts: 2, delay: "1s" } }, () => "real");
      p.task("cached", { cache: { key: () => 1, ttl: "1h" } }, () => "real");
    });
    const engine = testEngine({ pipelines: [kept] });
    const calls: string[] = [];
    engine.mock("unwanted", () => calls.push("unwanted"));
    engine.mock("bounded", { rows: 5 });
    engine.mock("stepped", async ({ step, attempt }) => {
      await step("once", () => calls.push("step"));
      if (attempt === 1) throw new Error("after the step");
    });
    engine.mock("cached", () => calls.push("cached"));
    const run = await engine.run(kept);
    await engine.expectStatuses(run, {
      unwanted: "skipped",
      bounded: "failed",
      stepped: "succeeded",
      cached: "succeeded",
    });
    await engine.run(kept);
    expect(calls.toSorted()).toEqual(["cached", "step", "step"]);
    await engine.advance("1h");
    await engine.run(kept);
    expect(calls.toSorted()).toEqual(["cached", "cached", "step", "step", "step"]);
  });
});

describe("mocks of sub-pipelines, sleeps and signals", () => {
  const child = pipeline("child", (p) => ({ model: p.task("train", { pool: "gpu", slots: 3 }, () => "trained") }));
  const parent = pipeline("parent", (p) => {
    const trained = p.run("training", child, { retry: RETRIES });
    p.sleep("cool", { for: ({ attempt }) => attempt * 3_600_000, after: [trained] });
    return { trained, used: p.task("use", { needs: { trained } }, ({ input }) => input.trained.model.length) };
  });

  it("a value stands for the whole result of a sub-pipeline, and no run of it is started", async () => {
    const engine = testEngine({ pipelines: [parent] });
    engine.mock("training", errorThenValue(new Error("no GPU"), { model: "mocked" }));
    const run = await engine.run(parent);
    expect(await run.result()).toEqual({ trained: { model: "mocked" }, used: 6 });
    await engine.expectAttempts(run, { training: 2 });
    expect((await engine.runs.list()).items).toHaveLength(1);

    engine.unmock("training");
    expect(await (await engine.run(parent)).result()).toEqual({ trained: { model: "trained" }, used: 7 });
    expect((await engine.runs.list({ pipeline: "child" })).items).toHaveLength(1);
  });

  it("a task of a sub-pipeline is replaced in all of its runs, also where both pipelines are given", async () => {
    const engine = testEngine({ pipelines: [parent, child] });
    engine.mock("child/train", "by a mock");
    expect((await (await engine.run(parent)).result()).trained).toEqual({ model: "by a mock" });
    expect(await (await engine.run(child)).result()).toEqual({ model: "by a mock" });
  });

  it("a sleep takes its virtual time, and a mock of its function another", async () => {
    const engine = testEngine({ pipelines: [parent] });
    const start = engine.clock.now();
    await engine.run(parent);
    expect(engine.clock.now() - start).toBe(3_600_000);
    engine.mock("cool", "1d");
    await engine.run(parent);
    expect(engine.clock.now() - start).toBe(25 * 3_600_000);
  });

  it("what runs no code of its own is refused with the way out", () => {
    const idle = pipeline("idle", (p) => {
      p.sleep("nap", "1h");
      p.signal("approve");
      p.group("prep", (g) => void g.task("fetch", () => 1));
    });
    const engine = testEngine({ pipelines: [idle] });
    expect(() => engine.mock("nap", 1)).toThrow('Cannot mock "nap" as its length is fixed');
    expect(() => engine.mock("approve", 1)).toThrow("send it with run.signal()");
    expect(() => engine.mock("prep", 1)).toThrow("mock its tasks");
    expect(() => inTurn()).toThrow(TypeError);
  });

  it("does not change what a pipeline is: its graph and its hash stay", async () => {
    const engine = testEngine({ pipelines: [parent] });
    const run = await engine.run(parent);
    const graph = await engine.runs.graph(run.id);
    expect(graph.hash).toBe(parent.hash);
    expect(graph.tasks.map(({ kind }) => kind)).toEqual(["run", "sleep", "task"]);
  });
});
