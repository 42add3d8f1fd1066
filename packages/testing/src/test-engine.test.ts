import { afterEach, describe, expect, it } from "vitest";
import { cron, memoryStorage, pipeline } from "weftline";
import { errorThenValue } from "./index.js";
import { overridden } from "./test-support/overridden.js";
import { stopTestEngines, testEngine } from "./test-support/test-engines.js";

afterEach(stopTestEngines);

const RETRIES = { attempts: 4, delay: "2s", backoff: "exponential", maxDelay: "5m" } as const;

const nightly = pipeline("nightly", { schedule: cron("0 2 * * *"), defaults: { retry: RETRIES } }, (p) => {
  const rows = p.task("fetch", () => [1, 2, 3]);
  const doubled = p.map("double", { over: rows }, ({ item }) => item * 2);
  const total = p.task("total", { needs: { doubled } }, ({ input }) => input.doubled.reduce((a, b) => a + b, 0));
  return { total };
});

describe("createTestEngine()", () => {
  it("rarely looks into a storage that others may use too, so that time is quick to move", async () => {
    const inner = memoryStorage();
    let looks = 0;
    const storage = overridden(inner, {
      supports: { ...inner.supports, manyProcesses: true },
      look(request) {
        looks++;
        return inner.look(request);
      },
    });
    const engine = testEngine({ pipelines: [nightly], storage, lease: "10d" });
    await engine.advance("30d");
    expect((await engine.runs.list({ status: ["succeeded"] })).items).toHaveLength(30);
    expect(looks).toBeGreaterThan(30 * 20);
    expect(looks).toBeLessThan(30 * 60);
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
    expect(await run.status()).toBe("waiting"); // its one task that may start waits for its next attempt
    await engine.waitFor(run, { task: "each", status: "pending" });
    expect(await run.status()).toBe("waiting");
    await engine.waitFor(run, { task: "each[0]", status: "succeeded" });
    await engine.waitFor(run, { status: "succeeded" });
  });

  it("knows tasks and runs that wait, also when they do no more", async () => {
    const asked = pipeline("asked", (p) => {
      const nap = p.sleep("nap", "1h");
      p.signal("approve", { after: [nap] });
    });
    const engine = testEngine({ pipelines: [asked] });
    const run = await engine.trigger(asked);
    await engine.waitFor(run, { task: "nap", status: "waiting" });
    await engine.waitFor(run, { task: "approve", status: "waiting" });
    await engine.waitFor(run, { status: "waiting" });
    const error: unknown = await engine.waitFor(run, { status: "succeeded" }).catch((e: unknown) => e);
    expect(String(error)).toMatch(/approve +waiting +0 +for a signal: run\.signal\("approve", payload\)$/m);
    await run.signal("approve", "yes");
    await engine.waitFor(run, { status: "succeeded" });
    await engine.waitFor(run, { task: "approve", status: "waiting" });
    await engine.expectOrder(run, ["nap", "approve"]);
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

describe("pools", () => {
  const training = pipeline("training", (p) => {
    p.map("train", { over: [1, 2, 3], pool: "gpu", slots: 2 }, () => 1);
  });
  const together = pipeline("together", (p) => void p.run("sub", training));

  /** The most items that ran at once. */
  async function mostAtOnce(pools?: Readonly<Record<string, number>>): Promise<number> {
    const engine = testEngine({ pipelines: [together], ...(pools && { pools }) });
    let [active, most] = [0, 0];
    engine.mock("train", async () => {
      most = Math.max(most, ++active);
      await engine.clock.sleep("1m");
      active--;
    });
    await engine.expectStatuses(await engine.run(together), { sub: "succeeded" });
    return most;
  }

  it("have room for all by default, and the size that is given otherwise", async () => {
    expect(await mostAtOnce()).toBe(3);
    expect(await mostAtOnce({ gpu: 3 })).toBe(1);
    expect(await mostAtOnce({ gpu: 4 })).toBe(2);
    expect(() => testEngine({ pipelines: [together], pools: {} })).toThrow("POOL_UNKNOWN");
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
