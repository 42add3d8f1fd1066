import fc from "fast-check";
import * as v from "valibot";
import { expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { startedEngine } from "../test-support/engines.js";
import { Meter } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { finishing, lasting } from "../test-support/virtual-time.js";
import { Breather } from "./breather.js";
import { type Dispatchable, Dispatcher, Lane } from "./dispatcher.js";
import { type Gate, Limit, Pool, RateLimit } from "./limits.js";

leavesNothingBehind();

const range = (length: number) => Array.from({ length }, (_, item) => item);

/** Starts what it is told to, notes which gates that takes, and ends it when the test says so. */
class FakeRun implements Dispatchable {
  readonly lane: Lane;
  readonly running: { readonly instance: number; readonly release: () => void }[] = [];
  readonly started = new Set<number>();
  readonly cancelled = new Set<number>();

  constructor(
    priority: number,
    private readonly gates: (instance: number) => readonly Gate[],
  ) {
    this.lane = new Lane(this, priority);
  }

  gatesOf(instance: number): readonly Gate[] {
    return this.cancelled.has(instance) ? [] : this.gates(instance);
  }

  startAttempt(instance: number, release: () => void): boolean {
    if (this.cancelled.has(instance)) return false;
    expect(this.started.has(instance)).toBe(false);
    this.started.add(instance);
    if (instance % 5 === 0)
      release(); // ends before it returns
    else this.running.push({ instance, release });
    return true;
  }
}

const gateSets = fc.record({
  total: fc.integer({ min: 1, max: 6 }),
  limits: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
  pools: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 2 }),
  rate: fc.record({ limit: fc.integer({ min: 1, max: 4 }), perMs: fc.integer({ min: 1, max: 50 }) }),
  priorities: fc.array(fc.integer({ min: -2, max: 2 }), { minLength: 1, maxLength: 4 }),
  /** Which gates an instance has to pass, and how many slots of each pool. */
  needs: fc.array(
    fc.record({
      limits: fc.nat({ max: 7 }),
      slots: fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 5 })),
      rated: fc.boolean(),
    }),
    {
      minLength: 1,
      maxLength: 60,
    },
  ),
  steps: fc.array(fc.record({ kind: fc.constantFrom("end", "end", "tick", "cancel"), which: fc.nat() }), {
    maxLength: 80,
  }),
});

it("F134 F156 whatever gates there are and whatever ends or is cancelled: no limit is exceeded, everything starts, and nothing stays taken", async () => {
  await fc.assert(
    fc.asyncProperty(
      gateSets,
      async ({ total, limits: sizes, pools: poolSizes, rate: { limit, perMs }, priorities, needs, steps }) => {
        const clock = new ManualClock();
        const dispatcher = new Dispatcher(total, new Breather(clock));
        const limits = sizes.map((max, n) => new Limit(max, `limit ${n}`));
        const pools = poolSizes.map((slots, n) => new Pool(`pool ${n}`, slots));
        const rate = new RateLimit(limit, perMs, "rate", clock, (gate) => dispatcher.roomIn(gate));
        const rated: number[] = [];
        const gatesOf = (instance: number): readonly Gate[] => {
          const need = needs[instance]!;
          return [
            ...limits.filter((_, n) => need.limits & (1 << n)),
            ...(need.rated ? [rate] : []),
            ...pools.flatMap((pool, n) =>
              need.slots[n]! > 0 ? [pool.share(Math.min(need.slots[n]!, pool.slots))] : [],
            ),
          ];
        };
        const runs = priorities.map((priority) => new FakeRun(priority, gatesOf));
        const runOf = (instance: number) => runs[instance % runs.length]!;
        const check = () => {
          expect(dispatcher.active).toBeLessThanOrEqual(total);
          for (const gate of limits) expect(gate.active).toBeLessThanOrEqual(gate.max);
          for (const pool of pools) expect(pool.taken).toBeLessThanOrEqual(pool.slots);
        };
        const take = rate.take.bind(rate);
        rate.take = () => {
          rated.push(clock.now());
          take();
        };
        for (const instance of needs.keys()) {
          dispatcher.enqueue(runOf(instance).lane, [instance]);
          check();
        }
        const running = () => runs.flatMap((run) => run.running.map((attempt) => ({ run, attempt })));
        for (const { kind, which } of steps) {
          const busy = running();
          if (kind === "end" && busy.length > 0) {
            const { run, attempt } = busy[which % busy.length]!;
            run.running.splice(run.running.indexOf(attempt), 1);
            attempt.release();
          }
          if (kind === "cancel") {
            const instance = which % needs.length;
            if (!runOf(instance).started.has(instance)) runOf(instance).cancelled.add(instance);
          }
          if (kind === "tick") await clock.advance(which % 60);
          check();
        }
        const isOver = () =>
          range(needs.length).every(
            (instance) => runOf(instance).started.has(instance) || runOf(instance).cancelled.has(instance),
          );
        for (let round = 0; round < 500 && (!isOver() || running().length > 0 || clock.pendingTimers > 0); round++) {
          for (const { run, attempt } of running()) {
            run.running.splice(run.running.indexOf(attempt), 1);
            attempt.release();
            check();
          }
          await clock.advance(perMs);
        }
        await settled(); // the dispatcher may be pausing
        expect(isOver()).toBe(true);
        expect([
          dispatcher.active,
          ...limits.map(({ active }) => active),
          ...pools.map(({ taken, admitted }) => taken + admitted),
        ]).toEqual([0, ...limits.map(() => 0), ...pools.map(() => 0)]);
        for (const at of rated)
          expect(rated.filter((other) => other >= at && other < at + perMs).length).toBeLessThanOrEqual(limit);
        expect([rate.isUnused, ...limits.map(({ isUnused }) => isUnused)]).toEqual([
          clock.now() >= (rated.at(-1) ?? 0) + perMs,
          ...limits.map(() => true),
        ]);
        rate.close();
      },
    ),
    { numRuns: 500 },
  );
}, 30_000);

const engines = fc.record({
  concurrency: fc.integer({ min: 1, max: 5 }),
  ofPipeline: fc.integer({ min: 1, max: 4 }),
  ofMap: fc.integer({ min: 1, max: 3 }),
  ofGroup: fc.integer({ min: 1, max: 3 }),
  ofTenant: fc.integer({ min: 1, max: 3 }),
  pool: fc.integer({ min: 2, max: 4 }),
  runs: fc.array(
    fc.record({
      tenant: fc.constantFrom("a", "b"),
      priority: fc.integer({ min: -1, max: 1 }),
      cancelAfter: fc.option(fc.nat({ max: 60 })),
      pauseAfter: fc.option(fc.nat({ max: 60 })),
    }),
    { minLength: 1, maxLength: 5 },
  ),
  lasts: fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 7 }),
});

it("F134 all limits of an engine hold at once, through failures, retries, timeouts, pauses and cancellations", async () => {
  await fc.assert(
    fc.asyncProperty(engines, async ({ concurrency, ofPipeline, ofMap, ofGroup, ofTenant, pool, runs, lasts }) => {
      const clock = new ManualClock();
      const meters = new Map<string, Meter>();
      const max = (name: string) => meters.get(name)?.max ?? 0;
      let calls = 0;
      const during = (names: readonly string[], work: () => Promise<unknown>): Promise<unknown> => {
        const [name, ...others] = names;
        if (name === undefined) return work();
        const meter = meters.get(name) ?? new Meter();
        meters.set(name, meter);
        return meter.during(() => during(others, work));
      };
      const work = pipeline("work", { params: v.object({ tenant: v.string() }), concurrency: ofPipeline }, (p) => {
        const attempt = (names: readonly string[], attempts: number, signal: AbortSignal) =>
          during(["engine", "pipeline", ...names], async () => {
            const call = calls++;
            await lasting(clock, lasts[call % lasts.length]!, signal);
            if (attempts === 1 && call % 3 === 0) throw new Error("again");
          });
        const retry = { attempts: 2, delay: 3, jitter: "none" } as const;
        const keyed = { key: ({ params }: { params: { tenant: string } }) => params.tenant, limit: ofTenant };
        p.map("each", { over: range(6), concurrency: ofMap, retry, timeout: 15 }, ({ run, attempt: n, signal }) =>
          attempt([`map ${run.id}`], n, signal),
        );
        p.group("g", { concurrency: ofGroup }, (g) => {
          for (const n of range(4))
            g.task(`t${n}`, { pool: "gpu", slots: 1 + (n % 2), retry }, ({ run, attempt: tries, signal }) =>
              attempt([`group ${run.id}`, ...range(1 + (n % 2)).map(() => "pool")], tries, signal),
            );
        });
        p.map("tenants", { over: range(4), concurrency: keyed, pool: "gpu", retry }, ({ params, attempt: n, signal }) =>
          attempt([`tenant ${params.tenant}`, "pool"], n, signal),
        );
      });
      const free = pipeline("free", (p) => void p.task("all", { pool: "gpu", slots: pool }, () => 1));
      const engine = await startedEngine({ pipelines: [work, free], concurrency, pools: { gpu: pool }, clock });
      const handles = await Promise.all(
        runs.map(({ tenant, priority }) => engine.trigger(work, { tenant }, { priority })),
      );
      for (let ms = 0; ms <= 60; ms++) {
        for (const [n, { cancelAfter, pauseAfter }] of runs.entries()) {
          if (cancelAfter === ms) await handles[n]!.cancel();
          if (pauseAfter === ms) await engine.runs.pause(handles[n]!.id);
        }
        await clock.advance(1);
      }
      for (const { id } of handles) await engine.runs.unpause(id);
      await finishing(clock, Promise.allSettled(handles.map((run) => run.result())), 100_000);
      expect(max("engine")).toBeLessThanOrEqual(concurrency);
      expect(max("pipeline")).toBeLessThanOrEqual(ofPipeline);
      expect(max("pool")).toBeLessThanOrEqual(pool);
      for (const name of meters.keys()) {
        if (name.startsWith("map")) expect(max(name)).toBeLessThanOrEqual(ofMap);
        if (name.startsWith("group")) expect(max(name)).toBeLessThanOrEqual(ofGroup);
        if (name.startsWith("tenant")) expect(max(name)).toBeLessThanOrEqual(ofTenant);
      }
      expect([...meters.values()].every(({ now }) => now === 0)).toBe(true);
      const last = await engine.trigger(free);
      await settled();
      expect(await last.status()).toBe("succeeded");
      await engine.stop();
    }),
    { numRuns: 50 },
  );
}, 60_000);
