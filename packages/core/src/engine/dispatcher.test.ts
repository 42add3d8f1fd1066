import { describe, expect, it } from "vitest";
import { settled, WatchedClock } from "../test-support/manual-clock.js";
import { Breather } from "./breather.js";
import { type Dispatchable, Dispatcher, Lane } from "./dispatcher.js";
import { Limit } from "./limits.js";

/** A run whose attempts end when the test says so. */
class FakeRun implements Dispatchable {
  readonly lane = new Lane(this, 0);
  readonly running = new Map<number, () => void>();
  readonly cancelled = new Set<number>();

  constructor(
    readonly name: string,
    readonly started: string[],
    readonly limits: (instance: number) => readonly Limit[] = () => [],
  ) {}

  gatesOf(instance: number): readonly Limit[] {
    return this.limits(instance);
  }

  startAttempt(instance: number, release: () => void): boolean {
    if (this.cancelled.has(instance)) return false;
    this.started.push(`${this.name}${instance}`);
    this.running.set(instance, release);
    return true;
  }

  end(instance: number): void {
    const release = this.running.get(instance)!;
    this.running.delete(instance);
    release();
  }
}

const limit = (max: number) => new Limit(max, "a limit");

const setup = (concurrency: number) => {
  const started: string[] = [];
  const dispatcher = new Dispatcher(concurrency, new Breather(new WatchedClock()));
  const run = (name: string, limits?: (instance: number) => readonly Limit[]) => new FakeRun(name, started, limits);
  const take = () => started.splice(0);
  return { dispatcher, run, take };
};

describe("Dispatcher", () => {
  it("starts what is ready in its order, up to the limit, and goes on when a place is given back", () => {
    const { dispatcher, run, take } = setup(2);
    const a = run("a");
    dispatcher.enqueue(a.lane, [1, 2, 3, 4]);
    expect(take()).toEqual(["a1", "a2"]);
    expect(dispatcher.active).toBe(2);
    a.end(2);
    expect(take()).toEqual(["a3"]);
    a.end(1);
    a.end(3);
    a.end(4);
    expect(take()).toEqual(["a4"]);
    expect(dispatcher.active).toBe(0);
  });

  it("F155 lets runs take turns, however much each has", () => {
    const { dispatcher, run, take } = setup(1);
    const [a, b, c] = [run("a"), run("b"), run("c")];
    dispatcher.enqueue(a.lane, [1, 2, 3, 4, 5]);
    dispatcher.enqueue(b.lane, [1, 2]);
    dispatcher.enqueue(c.lane, [1]);
    const order: string[] = take();
    while (order.length < 8) {
      const last = order.at(-1)!;
      ({ a, b, c })[last[0] as "a" | "b" | "c"].end(Number(last[1]));
      order.push(...take());
    }
    // "a" had queued for its second turn before the others came.
    expect(order).toEqual(["a1", "a2", "b1", "c1", "a3", "b2", "a4", "a5"]);
  });

  it("F156 starts what fits although something before it does not", () => {
    const { dispatcher, run, take } = setup(10);
    const narrow = limit(1);
    const a = run("a", (instance) => (instance % 2 ? [narrow] : []));
    dispatcher.enqueue(a.lane, [1, 3, 5, 2, 4]);
    expect(take()).toEqual(["a1", "a2", "a4"]);
    a.end(2);
    expect(take()).toEqual([]);
    a.end(1);
    expect(take()).toEqual(["a3"]);
    a.end(3);
    expect(take()).toEqual(["a5"]);
  });

  it("counts two limits at once, and wakes whoever waits for either", () => {
    const { dispatcher, run, take } = setup(10);
    const [x, y] = [limit(1), limit(1)];
    const both = run("both", () => [x, y]);
    const onlyX = run("x", () => [x]);
    const onlyY = run("y", () => [y]);
    dispatcher.enqueue(onlyX.lane, [1]);
    dispatcher.enqueue(both.lane, [1]);
    dispatcher.enqueue(onlyY.lane, [1, 2]);
    expect(take()).toEqual(["x1", "y1"]);
    // x is free, but "both" needs y too; meanwhile x must not be kept for it.
    onlyX.end(1);
    dispatcher.enqueue(onlyX.lane, [2]);
    expect(take()).toEqual(["x2"]);
    onlyY.end(1);
    onlyX.end(2);
    const next = take();
    expect(next).toHaveLength(1);
    const [first] = next;
    (first === "both1" ? both : onlyY).end(first === "both1" ? 1 : 2);
    expect([...next, ...take()].toSorted()).toEqual(["both1", "y2"]);
    for (const { running } of [both, onlyY]) expect(running.size).toBeLessThanOrEqual(1);
    for (const [instance] of both.running) both.end(instance);
    for (const [instance] of onlyY.running) onlyY.end(instance);
    expect([x.active, y.active, dispatcher.active]).toEqual([0, 0, 0]);
  });

  it("F156 passes a place on when the one it was kept for waits for another limit too", () => {
    const { dispatcher, run, take } = setup(10);
    const [x, y] = [limit(1), limit(1)];
    const onlyX = run("x", () => [x]);
    const onlyY = run("y", () => [y]);
    const both = run("both", () => [y, x]);
    dispatcher.enqueue(onlyX.lane, [1]);
    dispatcher.enqueue(onlyY.lane, [1]);
    dispatcher.enqueue(both.lane, [1]);
    dispatcher.enqueue(onlyY.lane, [2]);
    expect(take()).toEqual(["x1", "y1"]);
    onlyY.end(1);
    expect(take()).toEqual(["y2"]);
    onlyX.end(1);
    onlyY.end(2);
    expect(take()).toEqual(["both1"]);
  });

  it("passes a place on when the one it was kept for is not ready any more", () => {
    const { dispatcher, run, take } = setup(10);
    const narrow = limit(1);
    const a = run("a", () => [narrow]);
    const b = run("b", () => [narrow]);
    dispatcher.enqueue(a.lane, [1, 2, 3]);
    dispatcher.enqueue(b.lane, [1]);
    expect(take()).toEqual(["a1"]);
    a.cancelled.add(2).add(3);
    a.end(1);
    expect(take()).toEqual(["b1"]);
    b.end(1);
    expect([narrow.isUnused, dispatcher.active]).toEqual([true, 0]);
  });

  it("never exceeds any limit and leaves nobody waiting, whatever comes and goes", async () => {
    const { dispatcher, run } = setup(7);
    const [x, y, z] = [limit(3), limit(2), limit(4)];
    const all = [x, y, z];
    let seed = 12_345;
    const random = (max: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % max;
    };
    const needs = new Map<number, Limit[]>();
    const limitsOf = (instance: number) => needs.get(instance)!;
    const runs = Array.from({ length: 5 }, (_, n) => run(`r${n}-`, limitsOf));
    let created = 0;
    for (let step = 0; step < 4_000; step++) {
      if (random(3) === 0 && created < 1_000) {
        const instances = Array.from({ length: 1 + random(3) }, () => created++);
        for (const instance of instances)
          needs.set(
            instance,
            all.filter(() => random(2) === 0),
          );
        dispatcher.enqueue(runs[random(5)]!.lane, instances);
      }
      const busy = runs.filter(({ running }) => running.size > 0);
      const chosen = busy[random(Math.max(1, busy.length))];
      if (chosen) chosen.end([...chosen.running.keys()][random(chosen.running.size)]!);
      expect(dispatcher.active).toBeLessThanOrEqual(7);
      for (const { active, max } of all) expect(active).toBeLessThanOrEqual(max);
    }
    await settled();
    for (let left = true; left; ) {
      left = false;
      for (const { running } of runs) {
        for (const instance of [...running.keys()]) {
          left = true;
          runs.find((run) => run.running.has(instance))?.end(instance);
        }
      }
      await settled(1);
    }
    expect(runs[0]!.started).toHaveLength(created);
    expect(new Set(runs[0]!.started).size).toBe(created);
    expect(all.map(({ isUnused }) => isUnused)).toEqual([true, true, true]);
  });

  it("starts nothing after close(), which settles when no place is taken", async () => {
    const { dispatcher, run, take } = setup(2);
    const a = run("a");
    dispatcher.enqueue(a.lane, [1, 2, 3]);
    let isIdle = false;
    const idle = dispatcher.close().then(() => {
      isIdle = true;
    });
    a.end(1);
    await settled();
    expect(isIdle).toBe(false);
    dispatcher.enqueue(a.lane, [4]);
    a.end(2);
    await idle;
    expect(take()).toEqual(["a1", "a2"]);
    await new Dispatcher(1, new Breather(new WatchedClock())).close();
  });
});
