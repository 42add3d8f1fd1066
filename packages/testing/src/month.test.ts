import { afterEach, describe, expect, it } from "vitest";
import { cron, type NamedEvent, pipeline } from "weftline";
import { errorThenValue, inTurn, type TestEngine } from "./index.js";
import { stopTestEngines, testEngine } from "./test-support/test-engines.js";

afterEach(stopTestEngines);

const RETRIES = { attempts: 4, delay: "2s", backoff: "exponential", maxDelay: "5m" } as const;

const nightly = pipeline("nightly", { schedule: cron("0 2 * * *"), defaults: { retry: RETRIES } }, (p) => {
  const rows = p.task("fetch", () => [1, 2, 3]);
  const settled = p.sleep("settle", { for: "30m", after: [rows] });
  const approved = p.signal("approve", { after: [settled], timeout: "6h" });
  const doubled = p.map("double", { over: rows, after: [approved] }, ({ item }) => item * 2);
  const total = p.task("total", { needs: { doubled } }, ({ input }) => input.doubled.reduce((a, b) => a + b, 0));
  return { total };
});

/** Whoever approves does so an hour after being asked. */
function approveAll({ engine, clock, runs }: TestEngine): void {
  engine.on("task:waiting", ({ runId, task, wait }) => {
    if (wait.kind === "signal") void clock.sleep("1h").then(() => runs.signal(runId, task, { by: "ops" }));
  });
}

/** March on a new engine, in which two fetches fail each night. */
async function march(seed: number): Promise<TestEngine> {
  const engine = testEngine({ pipelines: [nightly], now: "2026-03-01", seed });
  engine.mock("fetch", errorThenValue(new Error("503"), [1, 2], 2));
  approveAll(engine);
  await engine.advanceTo("2026-04-01");
  return engine;
}

/** Stacks name the files of this process, and are the same only as long as nobody edits them. */
function asText(events: readonly NamedEvent[]): readonly string[] {
  return events.map((event) => JSON.stringify(event, (key, value: unknown) => (key === "stack" ? undefined : value)));
}

function withoutTimes(events: readonly NamedEvent[]): readonly string[] {
  return asText(events).map((text) => text.replaceAll(/"(at|retryAt|until|durationMs)":\d+/g, ""));
}

function retryDelays(events: readonly NamedEvent[]): readonly number[] {
  return events.flatMap((event) => (event.name === "task:retrying" ? event.retryAt - event.at : []));
}

describe("a month of a nightly schedule with retries, a sleep and a signal", () => {
  it("runs in milliseconds", async () => {
    const before = performance.now();
    const engine = await march(1);
    expect(performance.now() - before).toBeLessThan(2_000);

    const { items } = await engine.runs.list();
    expect(items).toHaveLength(31);
    for (const run of items) {
      expect(run.status).toBe("succeeded");
      expect(new Date(run.createdAt).getUTCHours()).toBe(2);
      expect(run.finishedAt! - run.createdAt).toBeGreaterThan(90 * 60_000);
    }
    const [last] = items;
    await engine.expectAttempts(last!.id, { fetch: 3, settle: 0, approve: 0, "double[1]": 1, total: 1 });
    await engine.expectOrder(last!.id, ["fetch", "settle", "approve", "double", "total"]);
    const { items: outputs } = await engine.runs.tasks(last!.id, { task: "approve" });
    expect(outputs[0]!.output).toEqual({ by: "ops" });
  });

  it("goes through exactly the same events in the same order with the same seed", async () => {
    const [first, again] = [await march(1), await march(1)];
    expect(first.events.length).toBeGreaterThan(31 * 15);
    expect(asText(again.events)).toEqual(asText(first.events));
  });

  it("with another seed does the same after other delays", async () => {
    const [first, other] = [await march(1), await march(2)];
    expect(withoutTimes(other.events).toSorted()).toEqual(withoutTimes(first.events).toSorted());
    const [delays, otherDelays] = [retryDelays(first.events), retryDelays(other.events)];
    expect(delays).toHaveLength(62);
    expect(otherDelays.filter((delay, place) => delay === delays[place]).length).toBeLessThan(3);
  });
});

describe("a pipeline that does everything that needs time or chance", () => {
  const retry = { attempts: 5, delay: "30s", backoff: "exponential" } as const;
  const child = pipeline("child", { defaults: { retry } }, (p) => {
    return { parts: p.map("part", { over: [1, 2, 3, 4], concurrency: 2, pool: "gpu" }, ({ item }) => item) };
  });
  const everything = pipeline("everything", { defaults: { retry } }, (p) => {
    const arrived = p.poll("arrived", { every: "10m" }, () => "a.csv");
    const regions = p.group("region", { over: ["eu", "us", "asia"], retry, concurrency: 2 }, (g) => {
      const load = g.task("load", { needs: { arrived }, rateLimit: { limit: 1, per: "5m" } }, ({ item }) => item);
      g.sleep("cool", { for: ({ index }) => (index + 1) * 60_000, after: [load] });
      return { load };
    });
    const trained = p.run("training", child, { after: [regions] });
    p.check("enough", { needs: { trained }, severity: "warning" }, ({ input }) => input.trained.parts.length > 4);
  });

  async function once(seed: number): Promise<TestEngine> {
    const engine = testEngine({ pipelines: [everything], seed, pools: { gpu: 2 } });
    engine.mock("arrived", inTurn(false, new Error("offline"), false, "a.csv"));
    engine.mock("region.load", errorThenValue(new Error("503"), "rows", 2));
    engine.mock("child/part", async ({ signal, attempt, index }) => {
      await engine.clock.sleep((index + 1) * 1_000, signal);
      if (attempt <= index) throw new Error("out of memory");
      return index;
    });
    const runs = [await engine.trigger(everything), await engine.trigger(everything), await engine.trigger(everything)];
    await engine.runUntilIdle();
    for (const run of runs) await engine.expectStatuses(run, { region: "succeeded", enough: "succeeded" });
    return engine;
  }

  it("goes through exactly the same events with the same seed, and waits for other times with another", async () => {
    const [first, again, other] = [await once(7), await once(7), await once(8)];
    expect(asText(again.events)).toEqual(asText(first.events));
    expect(again.clock.now()).toBe(first.clock.now());
    expect(retryDelays(other.events)).toHaveLength(retryDelays(first.events).length);
    expect(retryDelays(other.events)).not.toEqual(retryDelays(first.events));
  });
});
