import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LeaseState, Renewal } from "../contracts/storage.js";
import { ManualClock } from "../test-support/manual-clock.js";
import { LeaseBoard } from "./lease-board.js";
import { LeaseRenewal, type LeaseRenewalOptions } from "./lease-renewal.js";

const LEASE_MS = 9_000;
const EVERY_MS = 3_000;
/** The store's clock is ahead of ours by so much. */
const AHEAD_MS = 5_000;

/** A store whose answers come `delayMs` after it was asked, and a renewal of a lease there, not started yet. */
function world(options: Partial<LeaseRenewalOptions> = {}) {
  const clock = new ManualClock();
  const asked: number[] = [];
  const told: Renewal[] = [];
  const store: { delayMs: number; answer: () => LeaseState } = {
    delayMs: 0,
    answer: () => ({ now: clock.now() + AHEAD_MS, lost: false }),
  };
  const renew = async () => {
    asked.push(clock.monotonicMs() - start);
    if (store.delayMs > 0) await new Promise<void>((goOn) => clock.timer(clock.now() + store.delayMs, goOn));
    return store.answer();
  };
  const start = clock.monotonicMs();
  const onRenewal = (renewal: Renewal) => void told.push(renewal);
  const renewal = new LeaseRenewal({ renew, leaseMs: LEASE_MS, everyMs: EVERY_MS, clock, onRenewal, ...options });
  return { clock, store, renewal, asked, told, start };
}

function refuse(): never {
  throw new Error("connection refused");
}

describe("LeaseRenewal", () => {
  it("renews every so often until it is stopped, and tells of each renewal", async () => {
    const { clock, renewal, asked, told, start } = world();
    renewal.start(start);
    expect(renewal.remainingMs()).toBe(LEASE_MS);
    await clock.advance(2_999);
    expect([asked, renewal.remainingMs()]).toEqual([[], LEASE_MS - 2_999]);
    await clock.advance(7_000);
    expect(asked).toEqual([3_000, 6_000, 9_000]);
    expect(renewal.remainingMs()).toBe(LEASE_MS - 999);
    const at = [3_000, 6_000, 9_000].map((ms) => start + ms);
    expect(told).toEqual(at.map((moment) => ({ kind: "renewed", storeNow: moment + AHEAD_MS, at: moment })));
    await renewal.stop();
    expect([clock.pendingTimers, renewal.losses()]).toEqual([0, 0]);
    await clock.advance(20_000);
    expect([asked.length, renewal.remainingMs()]).toEqual([3, LEASE_MS - 20_999]);
  });

  it("goes on from when the lease was asked for", async () => {
    const { clock, renewal, start } = world();
    await clock.advance(1_000);
    renewal.start(start);
    expect(renewal.remainingMs()).toBe(LEASE_MS - 1_000);
    await renewal.stop();
  });

  it("counts a lease from when its renewal was sent, as nobody knows when it arrived", async () => {
    const { clock, store, renewal, asked, start } = world();
    store.delayMs = 800;
    renewal.start(start);
    await clock.advance(3_799);
    expect(renewal.remainingMs()).toBe(LEASE_MS - 3_799); // the answer is not there yet
    await clock.advance(1);
    expect(renewal.remainingMs()).toBe(LEASE_MS - 800);
    await clock.advance(3_000);
    expect(asked).toEqual([3_000, 6_800]);
    await clock.advance(800);
    await renewal.stop();
  });

  it("asks four times as often after a failure, and lets the time that is left go down", async () => {
    const { clock, store, renewal, asked, told, start } = world();
    const { answer } = store;
    renewal.start(start);
    store.answer = refuse;
    await clock.advance(5_000);
    expect(asked).toEqual([3_000, 3_750, 4_500]);
    expect(told).toEqual(asked.map(() => ({ kind: "failed", error: new Error("connection refused") })));
    expect([renewal.remainingMs(), renewal.losses()]).toEqual([LEASE_MS - 5_000, 0]);
    await clock.advance(5_000);
    expect(renewal.remainingMs()).toBe(-1_000); // it may have run out
    store.answer = answer;
    await clock.advance(500);
    // One of those without an answer may have said that the lease was lost.
    expect([told.at(-1)?.kind, renewal.losses(), renewal.remainingMs()]).toEqual(["doubtful", 1, LEASE_MS]);
    await clock.advance(2_999);
    expect(asked.at(-1)).toBe(10_500);
    await renewal.stop();
  });

  it("counts each loss, before it shows that the new lease holds", async () => {
    const board = new LeaseBoard();
    const states: [losses: number, renewedAt: number][] = [];
    class Watched extends LeaseBoard {
      override lost(): void {
        super.lost();
        states.push([this.losses, this.renewedAt]);
      }
    }
    const { clock, store, renewal, told, start } = world({ board: new Watched(board.buffer) });
    renewal.start(start);
    store.answer = () => ({ now: clock.now(), lost: told.length < 2 });
    await clock.advance(9_000);
    expect(told.map(({ kind }) => kind)).toEqual(["lost", "lost", "renewed"]);
    expect(states).toEqual([
      [1, start],
      [2, start + 3_000],
    ]);
    expect([renewal.losses(), renewal.remainingMs(), board.losses]).toEqual([2, LEASE_MS, 2]);
    await renewal.stop();
  });

  it("leaves the lease alone while its process is wedged, and renews it when that is over", async () => {
    const board = new LeaseBoard();
    const { clock, renewal, asked, start } = world({ board, maxBlockedMs: 4_000 });
    board.beat(start);
    renewal.start(start);
    await clock.advance(12_000); // 3,000 ms without a beat is well, 6,000 is not
    expect(asked).toEqual([3_000]);
    expect(renewal.remainingMs()).toBe(0);
    board.beat(clock.monotonicMs());
    await clock.advance(3_000);
    expect(asked).toEqual([3_000, 15_000]);
    expect(renewal.remainingMs()).toBe(LEASE_MS);
    await renewal.stop();
  });

  it("does not care for what the wall clock is set to", async () => {
    const { clock, renewal, asked, start } = world();
    renewal.start(start);
    for (const ms of [3_600_000, -7_200_000]) {
      clock.jumpWall(ms);
      expect(renewal.remainingMs()).toBe(LEASE_MS);
      await clock.advance(3_000);
      expect(renewal.remainingMs()).toBe(LEASE_MS);
    }
    expect(asked).toEqual([3_000, 6_000]);
    await renewal.stop();
  });

  it("stop() waits for a renewal that is under way, and nobody is told of it", async () => {
    const { clock, store, renewal, asked, told, start } = world();
    store.delayMs = 500;
    renewal.start(start);
    await clock.advance(3_100);
    let isStopped = false;
    const stopping = renewal.stop().then(() => {
      isStopped = true;
    });
    await clock.advance(300);
    expect(isStopped).toBe(false);
    await clock.advance(100);
    await stopping;
    await renewal.stop();
    expect([asked, told, clock.pendingTimers]).toEqual([[3_000], [], 0]);
  });

  it("stop() before start() leaves nothing behind", async () => {
    const { clock, renewal, start } = world();
    await renewal.stop();
    renewal.start(start);
    expect(clock.pendingTimers).toBe(0);
  });

  it("never says that a lease holds for longer than it does, or held where it did not, whatever the network does", async () => {
    const call = fc.record({
      there: fc.integer({ min: 0, max: 4_000 }),
      back: fc.integer({ min: 0, max: 4_000 }),
      outcome: fc.constantFrom("answered", "answered", "refused", "lost reply"),
    });
    const plan = fc.array(call, { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(plan, async (calls) => {
        const clock = new ManualClock();
        const wait = (ms: number) => new Promise<void>((goOn) => clock.timer(clock.now() + ms, goOn));
        let leaseUntil = clock.now() + LEASE_MS;
        /** The store has lost it, and said so to nobody. */
        let isUnheard = false;
        let place = 0;
        const renew = async (): Promise<LeaseState> => {
          const { there, back, outcome } = calls[place++ % calls.length]!;
          await wait(there);
          if (outcome === "refused") refuse();
          const hasRunOut = leaseUntil <= clock.now();
          if (hasRunOut) isUnheard = true;
          leaseUntil = clock.now() + LEASE_MS;
          await wait(back);
          if (outcome === "lost reply") refuse();
          return { now: clock.now(), lost: hasRunOut };
        };
        const told: Renewal[] = [];
        const onRenewal = (renewal: Renewal) => {
          told.push(renewal);
          if (renewal.kind === "renewed") expect(isUnheard).toBe(false);
          else if (renewal.kind !== "failed") isUnheard = false;
        };
        const renewal = new LeaseRenewal({ renew, leaseMs: LEASE_MS, everyMs: EVERY_MS, clock, onRenewal });
        renewal.start(clock.monotonicMs());
        for (let step = 0; step < 60; step++) {
          await clock.advance(700);
          const remaining = renewal.remainingMs();
          if (remaining > 0) expect(clock.now() + remaining).toBeLessThanOrEqual(leaseUntil);
          expect(remaining).toBeLessThanOrEqual(LEASE_MS);
        }
        expect(renewal.losses()).toBe(told.filter(({ kind }) => kind === "lost" || kind === "doubtful").length);
        const stopping = renewal.stop();
        await clock.advance(8_000);
        await stopping;
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 40 },
    );
  });
});
