import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { WakeQueue } from "./wake-queue.js";

describe("WakeQueue", () => {
  it("wakes everybody once, in time and in order, with one timer", async () => {
    const sleepers = fc.array(
      fc.record({ at: fc.integer({ min: 0, max: 500 }), addedAt: fc.integer({ min: 0, max: 500 }) }),
      {
        maxLength: 60,
      },
    );
    await fc.assert(
      fc.asyncProperty(sleepers, async (list) => {
        const clock = new ManualClock(0);
        const woken: { id: string; at: number }[] = [];
        const queue = new WakeQueue(clock, (ids) => void woken.push(...ids.map((id) => ({ id, at: clock.now() }))));
        const ordered = list.map((sleeper, n) => ({ ...sleeper, id: `${n}` })).sort((a, b) => a.addedAt - b.addedAt);
        for (const { id, at, addedAt } of ordered) {
          await moveTo(clock, addedAt);
          queue.add(id, at);
          expect(clock.pendingTimers).toBe(1);
        }
        await moveTo(clock, 501);
        const expected = ordered.map(({ id, at, addedAt }) => ({ id, at: Math.max(at, addedAt) }));
        expect([...woken].sort(byId)).toEqual(expected.sort(byId));
        expect(woken.map(({ at }) => at)).toEqual(woken.map(({ at }) => at).sort((a, b) => a - b));
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it("gives those that are due together the order of their moments", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 1, maxLength: 200 }), (moments) => {
        let fire = () => {};
        const clock = {
          ...new ManualClock(),
          now: () => 100,
          timer: (_: number, wake: () => void) => {
            fire = wake;
            return () => {};
          },
        };
        const woken: string[] = [];
        const queue = new WakeQueue(clock as never, (ids) => void woken.push(...ids));
        for (const [n, at] of moments.entries()) queue.add(`${at}/${n}`, at);
        fire();
        expect(woken.map((id) => Number.parseInt(id, 10))).toEqual([...moments].sort((a, b) => a - b));
        expect(new Set(woken).size).toBe(moments.length);
      }),
    );
  });

  it("holds nothing after it was closed, and wakes nobody", async () => {
    const clock = new ManualClock();
    const woken: string[] = [];
    const queue = new WakeQueue(clock, (ids) => void woken.push(...ids));
    queue.add("a", clock.now() + 10);
    queue.close();
    queue.add("b", clock.now() + 5);
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(20);
    expect(woken).toEqual([]);
  });
});

/** Without waiting where there is nothing to wait for, as properties do this very often. */
async function moveTo(clock: ManualClock, moment: number): Promise<void> {
  if (clock.pendingTimers === 0) clock.jump(moment - clock.now());
  else await clock.advance(moment - clock.now());
  await settled(1);
}

const byId = (a: { id: string }, b: { id: string }) => Number(a.id) - Number(b.id);
