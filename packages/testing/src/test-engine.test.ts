import { afterEach, describe, expect, it, vi } from "vitest";
import { cron, type Executor, inProcess, memoryStorage, pipeline, SkipTask } from "weftline";
import { createTestEngine, errorThenValue, type TestEngine, type TestEngineOptions } from "./index.js";

const engines: TestEngine[] = [];
const log = { debug() {}, info() {}, warn() {}, error() {} };

function testEngine(options: TestEngineOptions): TestEngine {
  const engine = createTestEngine({ log, ...options });
  engines.push(engine);
  return engine;
}

afterEach(async () => {
  for (const engine of engines.splice(0)) {
    await engine.stop({ grace: 0 });
    expect(engine.clock.pendingTimers).toBe(0);
  }
});

const RETRIES = { attempts: 4, delay: "2s", backoff: "exponential", maxDelay: "5m" } as const;

const nightly = pipeline("nightly", { schedule: cron("0 2 * * *"), defaults: { retry: RETRIES } }, (p) => {
  const rows = p.task("fetch", () => [1, 2, 3]);
  const doubled = p.map("double", { over: rows }, ({ item }) => item * 2);
  const total = p.task("total", { needs: { doubled } }, ({ input }) => input.doubled.reduce((a, b) => a + b, 0));
  return { total };
});

describe("a month of a nightly schedule with retries", () => {
  /** What happened in March, as text. */
  async function march(seed: number): Promise<string> {
    const engine = testEngine({ pipelines: [nightly], now: "2026-03-01", seed });
    engine.mock("fetch", errorThenValue(new Error("503"), [1, 2], 2));
    await engine.advanceTo("2026-04-01");
    const { items } = await engine.runs.list({ status: ["succeeded"] });
    expect(items).toHaveLength(31);
    // Stacks name the files of this process, and are the same only as long as nobody edits them.
    return JSON.stringify([engine.events, items], (key, value: unknown) => (key === "stack" ? undefined : value));
  }

  it("is the same for one seed and differs in its delays for another", async () => {
    const [first, again, other] = [await march(1), await march(1), await march(2)];
    expect(again).toBe(first);
    expect(other).not.toBe(first);
    const withoutTimes = (text: string) => text.replaceAll(/"(at|retryAt|startedAt|finishedAt|durationMs)":\d+/g, "");
    expect(withoutTimes(other)).toBe(withoutTimes(first));
  });

  it("takes milliseconds", async () => {
    const before = performance.now();
    await march(3);
    expect(performance.now() - before).toBeLessThan(2_000);
  });
});

describe("run()", () => {
  const patient = pipeline("patient", { schedule: cron("0 2 * * *") }, (p) => {
    const answer = p.task("ask", { retry: { attempts: 3, delay: "1h", jitter: "none", backoff: "fixed" } }, () => 42);
    return { answer };
  });

  it("moves time until the run has ended and no further", async () => {
    const engine = testEngine({ pipelines: [patient] });
    const start = engine.clock.now();
    const run = await engine.run(patient);
    expect(await run.result()).toEqual({ answer: 42 });
    expect(engine.clock.now()).toBe(start);

    engine.mock("ask", errorThenValue(new Error("not yet"), 43, 2));
    const second = await engine.run(patient);
    expect(await second.result()).toEqual({ answer: 43 });
    expect(engine.clock.now()).toBe(start + 7_200_000);
  });

  it("returns a failed run like any other", async () => {
    const engine = testEngine({ pipelines: [patient] });
    engine.mock("ask", () => {
      throw new Error("never");
    });
    const run = await engine.run(patient);
    expect(await run.status()).toBe("failed");
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_FAILED" });
  });

  it("waits for real work, and says which tasks run when nothing brings the run on", async () => {
    const stuck = pipeline("stuck", (p) => {
      p.task("done", () => new Promise((resolve) => setTimeout(resolve, 30)));
      p.task("hangs", () => new Promise(() => {}));
    });
    const engine = testEngine({ pipelines: [stuck] });
    const error: unknown = await engine.run(stuck).catch((reason: unknown) => reason);
    expect(String(error)).toMatch(/Cannot bring run \d+ of "stuck" \(running\) to its end as nothing waits/);
    expect(String(error)).toMatch(/done +succeeded +1\nhangs +running +1/);
  });

  it("lets slow mocks take virtual time, and timeouts end them", async () => {
    const slow = pipeline("slow", (p) => void p.task("crunch", { timeout: "10m" }, () => "real"));
    const engine = testEngine({ pipelines: [slow] });
    engine.mock("crunch", async ({ signal }) => engine.clock.sleep("9m", signal));
    await engine.expectStatuses(await engine.run(slow), { crunch: "succeeded" });
    engine.mock("crunch", async ({ signal }) => engine.clock.sleep("11m", signal));
    const start = engine.clock.now();
    await engine.expectStatuses(await engine.run(slow), { crunch: "failed" });
    expect(engine.clock.now() - start).toBe(600_000);
  });

  it("gives up an attempt that ignores its signal after its grace, without real waiting", async () => {
    const stubborn = pipeline("stubborn", (p) => void p.task("ignore", { timeout: "1s" }, () => "real"));
    const engine = testEngine({ pipelines: [stubborn] });
    engine.mock("ignore", async () => engine.clock.sleep("1h"));
    const run = await engine.run(stubborn);
    const { items } = await engine.runs.attempts(run.id);
    expect(items.map(({ status }) => status)).toEqual(["abandoned"]);
    await engine.advance("1h"); // the mock ends at last
  });
});

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

describe("waitFor()", () => {
  const steps = pipeline("steps", { defaults: { retry: RETRIES } }, (p) => {
    const a = p.task("a", () => 1);
    p.map("each", { over: [1, 2], after: [a] }, () => 2);
  });

  it("finds a state that is past already, without moving time", async () => {
    const engine = testEngine({ pipelines: [steps] });
    engine.mock("a", errorThenValue(new Error("once"), 1));
    const run = await engine.run(steps);
    const end = engine.clock.now();
    await engine.waitFor(run, { task: "a", status: "retrying" });
    await engine.waitFor(run.id, { task: "each[1]", status: "running" });
    await engine.waitFor(run, { status: "running" });
    await engine.waitFor(run, { status: "succeeded" });
    expect(engine.clock.now()).toBe(end);
  });

  it("moves time just far enough", async () => {
    const engine = testEngine({ pipelines: [steps] });
    engine.mock("a", errorThenValue(new Error("once"), 1, 3));
    const run = await engine.trigger(steps);
    await engine.waitFor(run, { status: "queued" });
    await engine.waitFor(run, { task: "a", status: "retrying" });
    expect(await run.status()).toBe("running");
    await engine.waitFor(run, { task: "each", status: "pending" });
    expect(await run.status()).toBe("running");
    await engine.waitFor(run, { task: "each[0]", status: "succeeded" });
    await engine.waitFor(run, { status: "succeeded" });
  });

  it("says where the run went instead", async () => {
    const engine = testEngine({ pipelines: [steps] });
    const run = await engine.trigger(steps);
    const failing: unknown = await engine.waitFor(run, { task: "a", status: "skipped" }).catch((e: unknown) => e);
    expect(String(failing)).toMatch(
      /Cannot bring run \d+ of "steps" \(succeeded\) until "a" is skipped as it ended succeeded:\n\ntask +status/,
    );
  });
});

describe("assertions", () => {
  const three = pipeline("three", (p) => {
    const a = p.task("a", () => 1);
    const b = p.task("b", { needs: { a } }, () => {
      throw new Error("boom");
    });
    p.task("c", { needs: { b } }, () => 3);
  });

  async function failedRun() {
    const engine = testEngine({ pipelines: [three] });
    return { engine, run: await engine.run(three) };
  }

  it("pass when everything is as expected", async () => {
    const { engine, run } = await failedRun();
    await engine.expectStatuses(run, { a: "succeeded", c: "upstream-failed" });
    await engine.expectAttempts(run.id, { a: 1, b: 1, c: 0 });
    await engine.expectOrder(run, ["a", "b"]);
  });

  it("expectStatuses() shows a table of what differs, and why", async () => {
    const { engine, run } = await failedRun();
    const error: unknown = await engine
      .expectStatuses(run, { a: "succeeded", b: "succeeded", x: "failed" })
      .catch((e) => e);
    expect(error).toMatchObject({
      name: "AssertionError",
      code: "ERR_ASSERTION",
      actual: { a: "succeeded", b: "failed" },
    });
    expect((error as Error).message).toMatchInlineSnapshot(`
      "Task statuses of run 00000002 of "three" (failed) differ:

         task  expected   actual
         a     succeeded  succeeded
      ✗  b     succeeded  failed        Error: boom
      ✗  x     failed     no such task

      It also has c."
    `);
  });

  it("expectAttempts() shows a table of what differs", async () => {
    const { engine, run } = await failedRun();
    const error: unknown = await engine.expectAttempts(run, { a: 1, b: 3 }).catch((e) => e);
    expect((error as Error).message).toMatchInlineSnapshot(`
      "Task attempts of run 00000002 of "three" (failed) differ:

         task  expected  actual
         a     1         1
      ✗  b     3         1       Error: boom"
    `);
  });

  it("expectOrder() shows both orders, and what never began", async () => {
    const { engine, run } = await failedRun();
    const error: unknown = await engine.expectOrder(run, ["b", "a", "c"]).catch((e) => e);
    expect((error as Error).message).toMatchInlineSnapshot(`
      "Order of run 00000002 of "three" (failed) differs:

            expected  actual
      ✗  1  b         a
      ✗  2  a         b
      ✗  3  c

      "c" never began."
    `);
  });
});

describe("an engine that follows another on the same storage", () => {
  it("goes on with its runs, under ids of its own", async () => {
    const storage = memoryStorage();
    const work = pipeline("work", (p) => void p.task("wait", { retry: RETRIES }, () => 1));
    const first = testEngine({ pipelines: [work], storage });
    first.mock("wait", errorThenValue(new Error("no"), 1, 3));
    await first.start();
    const run = await first.trigger(work);
    await first.waitFor(run, { task: "wait", status: "retrying" });
    await first.stop();

    const second = testEngine({ pipelines: [work], storage, now: first.clock.now() });
    const other = await second.run(work);
    await second.waitFor(run, { status: "succeeded" });
    await second.expectAttempts(run, { wait: 2 });
    expect(other.id).not.toBe(run.id);
    expect(second.engine.id).not.toBe(first.engine.id);
  });
});

it("stop() moves time as far as the grace of what still runs", async () => {
  const long = pipeline("long", (p) => void p.task("sleep", () => 1));
  const engine = testEngine({ pipelines: [long] });
  engine.mock("sleep", async ({ signal }) => engine.clock.sleep("1h", signal));
  await engine.start();
  await engine.trigger(long);
  const start = engine.clock.now();
  await engine.stop({ grace: "10s" });
  expect(engine.clock.now() - start).toBe(10_000);
});

it("runUntilIdle() ends where no schedule goes on", async () => {
  const once = pipeline("once", { defaults: { retry: RETRIES } }, (p) => void p.task("a", () => 1));
  const engine = testEngine({ pipelines: [once] });
  engine.mock("a", errorThenValue(new Error("no"), 1, 3));
  const run = await engine.trigger(once);
  await engine.runUntilIdle();
  await engine.expectAttempts(run, { a: 4 });
  const scheduled = testEngine({ pipelines: [nightly] });
  await expect(scheduled.runUntilIdle({ maxTimers: 20 })).rejects.toThrow("timers do not come to an end");
});
