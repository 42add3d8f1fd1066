import fc from "fast-check";
import * as v from "valibot";
import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { startedEngine } from "../test-support/engines.js";
import { gate } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { scaled } from "../test-support/storages.js";
import { finishing, lasting } from "../test-support/virtual-time.js";

leavesNothingBehind();

const range = (length: number) => Array.from({ length }, (_, item) => item);

/** The most starts within any stretch of `perMs`. */
function mostWithin(starts: readonly number[], perMs: number): number {
  const sorted = starts.toSorted((a, b) => a - b);
  return Math.max(0, ...sorted.map((from, place) => sorted.slice(place).filter((at) => at < from + perMs).length));
}

/** A clock that counts how many timers were ever armed. */
class CountingClock extends ManualClock {
  armed = 0;
  override timer(at: number, fire: () => void): () => void {
    this.armed++;
    return super.timer(at, fire);
  }
}

describe("a rate limit", () => {
  it("lets so many start at once, and the next when the first is long enough ago", async () => {
    const clock = new ManualClock();
    const starts: number[] = [];
    const begin = clock.now();
    const work = pipeline("work", (p) => {
      p.map(
        "each",
        { over: range(7), rateLimit: { limit: 3, per: "10s" } },
        () => void starts.push(clock.now() - begin),
      );
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    await finishing(clock, engine.run(work));
    expect(starts).toEqual([0, 0, 0, 10_000, 10_000, 10_000, 20_000]);
  });

  it("counts starts, not what runs: retries too, and attempts that end at once", async () => {
    const clock = new ManualClock();
    const starts: number[] = [];
    const begin = clock.now();
    const work = pipeline("work", (p) => {
      const options = { rateLimit: { limit: 2, per: "1s" }, retry: { attempts: 4, delay: 0 } } as const;
      p.task("t", options, ({ attempt }) => {
        starts.push(clock.now() - begin);
        if (attempt < 4) throw new Error("again");
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    await finishing(clock, engine.run(work));
    expect(starts).toEqual([0, 0, 1_000, 1_000]);
  });

  it("holds over all runs of the pipeline", async () => {
    const clock = new ManualClock();
    const starts: number[] = [];
    const work = pipeline(
      "work",
      (p) => void p.task("t", { rateLimit: { limit: 2, per: "1m" } }, () => void starts.push(clock.now())),
    );
    const engine = await startedEngine({ pipelines: [work], clock });
    const runs = await Promise.all(range(6).map(() => engine.trigger(work)));
    await finishing(clock, Promise.all(runs.map((run) => run.result())));
    expect(mostWithin(starts, 60_000)).toBe(2);
    expect(Math.max(...starts) - Math.min(...starts)).toBe(120_000);
  });

  it("counts separately by key", async () => {
    const clock = new ManualClock();
    const starts = new Map<string, number[]>([
      ["a", []],
      ["b", []],
    ]);
    const begin = clock.now();
    const work = pipeline("work", { params: v.object({ tenant: v.string() }) }, (p) => {
      p.task("t", { rateLimit: { limit: 1, per: "1s", key: ({ params }) => params.tenant } }, ({ params }) => {
        starts.get(params.tenant)!.push(clock.now() - begin);
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const runs = await Promise.all(["a", "a", "a", "b"].map((tenant) => engine.trigger(work, { tenant })));
    await finishing(clock, Promise.all(runs.map((run) => run.result())));
    expect(Object.fromEntries(starts)).toEqual({ a: [0, 1_000, 2_000], b: [0] });
  });

  it("never lets more start than it says in any stretch of time, with any tasks, and is not slower than it has to be", async () => {
    const scenario = fc.record({
      limit: fc.integer({ min: 1, max: 5 }),
      perMs: fc.integer({ min: 1, max: 500 }),
      concurrency: fc.integer({ min: 1, max: 4 }),
      tasks: fc.array(fc.record({ afterMs: fc.nat({ max: 400 }), lastsMs: fc.nat({ max: 300 }) }), {
        minLength: 1,
        maxLength: 25,
      }),
    });
    await fc.assert(
      fc.asyncProperty(scenario, async ({ limit, perMs, concurrency, tasks }) => {
        const clock = new ManualClock();
        const starts: number[] = [];
        const work = pipeline("work", { params: v.object({ lastsMs: v.number() }) }, (p) => {
          p.task("t", { rateLimit: { limit, per: perMs } }, async ({ params }) => {
            starts.push(clock.now());
            if (params.lastsMs > 0) await lasting(clock, params.lastsMs);
          });
        });
        const engine = await startedEngine({ pipelines: [work], concurrency, clock });
        const begin = clock.now();
        const results: Promise<unknown>[] = [];
        for (const { afterMs, lastsMs } of tasks) {
          await clock.advance(afterMs);
          results.push((await engine.trigger(work, { lastsMs })).result());
        }
        await finishing(clock, Promise.all(results));
        expect(starts).toHaveLength(tasks.length);
        expect(mostWithin(starts, perMs)).toBeLessThanOrEqual(limit);
        const inTurn =
          Math.ceil(tasks.length / limit) * perMs + tasks.reduce((ms, task) => ms + task.afterMs + task.lastsMs, 0);
        expect(Math.max(...starts) - begin).toBeLessThanOrEqual(inTurn);
        await engine.stop();
      }),
      { numRuns: scaled(40) },
    );
  });

  it("F135 one timer wakes what is held, however much that is and whatever else holds it back", async () => {
    const clock = new CountingClock();
    const work = pipeline("work", (p) => {
      p.task("holds", ({ signal }) => lasting(clock, 60_000, signal));
      p.map("each", { over: range(2_000), rateLimit: { limit: 1, per: "1s" } }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work], concurrency: 2, clock });
    const run = await engine.trigger(work);
    await settled();
    const before = clock.armed;
    await clock.advance(20_000);
    expect(clock.armed - before).toBeLessThanOrEqual(22);
    await run.cancel();
    await run.result().catch(() => undefined);
  });

  it("F135 looks for nothing while the engine has no place for what the rate would let start", async () => {
    const clock = new CountingClock();
    const hold = gate();
    const work = pipeline("work", (p) => {
      const each = p.map(
        "each",
        { over: range(2_000), rateLimit: { limit: 1, per: "1s" }, priority: 1 },
        () => hold.passed,
      );
      p.task("after", { after: [each] }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work], concurrency: 1, clock });
    const run = await engine.trigger(work);
    await clock.advance(1_000);
    const before = clock.armed;
    await clock.advance(100_000);
    expect(clock.armed - before).toBeLessThanOrEqual(2);
    hold.open();
    await clock.advance(5_000);
    expect(
      (await engine.runs.tasks(run.id, { task: "each", status: ["succeeded"] })).items.length,
    ).toBeGreaterThanOrEqual(5);
    await run.cancel();
  });

  it("what was cancelled while it was held uses up no starts", async () => {
    const clock = new ManualClock();
    const starts: string[] = [];
    const work = pipeline("work", { params: v.object({ name: v.string() }) }, (p) => {
      p.task("t", { rateLimit: { limit: 1, per: "1m" } }, ({ params }) => void starts.push(params.name));
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const runs = [];
    for (const name of ["first", "gone", "gone", "last"]) runs.push(await engine.trigger(work, { name }));
    await settled();
    for (const run of runs.slice(1, 3)) await run.cancel();
    await clock.advance(60_000);
    expect(starts).toEqual(["first", "last"]);
  });

  it("with a pool: both hold, and nobody is forgotten", async () => {
    const clock = new ManualClock();
    const starts: number[] = [];
    let running = 0;
    let most = 0;
    const work = pipeline("work", (p) => {
      p.map("each", { over: range(30), pool: "gpu", rateLimit: { limit: 2, per: "100ms" } }, async () => {
        starts.push(clock.now());
        most = Math.max(most, ++running);
        await lasting(clock, 150);
        running--;
      });
    });
    const engine = await startedEngine({ pipelines: [work], pools: { gpu: 2 }, clock });
    await finishing(clock, engine.run(work));
    expect([starts.length, most, running]).toEqual([30, 2, 0]);
    expect(mostWithin(starts, 100)).toBeLessThanOrEqual(2);
  });

  it("F135 ten thousand items behind a rate and a pool by turns cost no time of their own", async () => {
    const clock = new ManualClock();
    const work = pipeline("work", (p) => {
      p.map("each", { over: range(10_000), pool: "gpu", rateLimit: { limit: 1, per: "100ms" } }, ({ signal }) =>
        lasting(clock, 150, signal),
      );
    });
    const engine = await startedEngine({ pipelines: [work], pools: { gpu: 1 }, clock });
    const run = await engine.trigger(work);
    await clock.advance(1_000);
    const before = performance.now();
    await clock.advance(30_000);
    expect(performance.now() - before).toBeLessThan(3_000);
    await run.cancel();
    await run.result().catch(() => undefined);
  });

  it("its timer ends with the engine", async () => {
    const clock = new ManualClock();
    const work = pipeline("work", (p) => {
      p.map("each", { over: range(5), rateLimit: { limit: 1, per: "1h" } }, () => 1);
      p.map("keyed", { over: range(5), rateLimit: { limit: 1, per: "1h", key: ({ item }) => `${item % 2}` } }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    await engine.trigger(work);
    await settled();
    expect(clock.workTimers).toBeGreaterThan(0);
    const stopping = engine.stop({ grace: 0 });
    await clock.advance(10_000);
    await stopping;
    expect(clock.workTimers).toBe(0);
  });
});

it.each([
  [{}],
  [{ limit: 1 }],
  [{ per: "1s" }],
  [{ limit: 0, per: "1s" }],
  [{ limit: 1, per: 0 }],
  [{ limit: 1, per: "soon" }],
  [{ limit: 1, per: "1s", key: "k" }],
  [7],
])("rateLimit refuses %j", (rateLimit) => {
  expect(() => pipeline("bad", (p) => void p.task("t", { rateLimit } as never, () => 1))).toThrow(
    expect.objectContaining({ code: expect.stringMatching(/TASK_INVALID|DURATION_INVALID/) }),
  );
});
