import assert from "node:assert/strict";
import type { LeaseHolder, Renewal } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { idsOf, passTime, type StorageFixture } from "./fixture.js";
import { leaseRequest } from "./records.js";

/** In real time, and renewed often enough that a slow machine may be late several times. */
const LEASE_MS = 500;
const EVERY_MS = 100;
const POLL_MS = 10;
const PATIENCE_MS = 2_000;
/** As long as nobody may ever wait for. */
const LONG_MS = 60_000;

interface Held {
  readonly holder: LeaseHolder;
  readonly renewals: readonly Renewal[];
}

/** Lets the store hold the lease of `engine-1`, which owns `run-1`; does nothing where it cannot. */
async function withHeld(
  fixture: StorageFixture,
  check: (held: Held) => Promise<void>,
  maxBlockedMs = LONG_MS,
): Promise<void> {
  const { storage } = fixture;
  if (storage.holdLease === undefined) return;
  await fixture.register("engine-2");
  await storage.renewLease(leaseRequest("engine-1", { leaseMs: LEASE_MS }));
  const renewals: Renewal[] = [];
  const { isNew: _, ...lease } = leaseRequest("engine-1", { leaseMs: LEASE_MS });
  const onRenewal = (renewal: Renewal) => void renewals.push(renewal);
  const holder = await storage.holdLease({ ...lease, everyMs: EVERY_MS, maxBlockedMs, onRenewal });
  try {
    await fixture.create("run-1");
    assertEqual(idsOf(await fixture.claim("engine-1")), ["run-1"]);
    await check({ holder, renewals });
  } finally {
    await holder.stop();
  }
}

/** Nothing in this process happens for so long. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

async function waitUntil(isTrue: () => boolean, what: string): Promise<void> {
  for (let waited = 0; waited < PATIENCE_MS; waited += POLL_MS) {
    if (isTrue()) return;
    await passTime(POLL_MS);
  }
  assert.fail(`${what} within ${PATIENCE_MS} ms`);
}

export const heldLeases: ContractTopic<StorageFixture> = {
  name: "held leases",
  cases: [
    {
      name: "holdLease() renews the lease by itself, and tells how long it surely holds and of each renewal",
      check: (fixture) =>
        withHeld(fixture, async ({ holder, renewals }) => {
          let hasSunk = false;
          let last = holder.remainingMs();
          for (const end = Date.now() + 2 * LEASE_MS; Date.now() < end; await passTime(POLL_MS)) {
            const remaining = holder.remainingMs();
            assert.ok(remaining > 0 && remaining <= LEASE_MS, `the lease holds for another ${remaining} ms`);
            hasSunk ||= remaining < last;
            last = remaining;
          }
          assert.ok(hasSunk, "remainingMs() is the same all the time");
          assertEqual(await fixture.claim("engine-2"), []);
          assert.equal(holder.losses(), 0);
          assert.ok(renewals.length > 1, `onRenewal was called ${renewals.length} times`);
          for (const renewal of renewals) {
            assert.ok(renewal.kind === "renewed" && Number.isFinite(renewal.storeNow) && Number.isFinite(renewal.at));
          }
        }),
    },
    {
      name: "holdLease() renews the lease while the event loop of the process is blocked",
      check: (fixture) =>
        withHeld(fixture, async ({ holder }) => {
          block(2 * LEASE_MS);
          assert.ok(holder.remainingMs() > 0, `the lease holds for another ${holder.remainingMs()} ms`);
          assertEqual(await fixture.claim("engine-2"), []);
          assert.equal(holder.losses(), 0);
        }),
    },
    {
      name: "holdLease() leaves the lease to run out when the event loop is blocked for longer than it may be",
      check: (fixture) =>
        withHeld(
          fixture,
          async ({ holder }) => {
            block(3 * LEASE_MS);
            assert.ok(holder.remainingMs() <= 0, "the lease was renewed although the process was wedged");
            assertEqual(idsOf(await fixture.claim("engine-2")), ["run-1"]);
            await waitUntil(() => holder.losses() > 0 && holder.remainingMs() > 0, "the lease was not taken anew");
          },
          2 * EVERY_MS,
        ),
    },
    {
      name: "holdLease() counts a lease that was lost, and says so before it says that the new one holds",
      check: (fixture) =>
        withHeld(fixture, async ({ holder, renewals }) => {
          await fixture.storage.releaseLease("engine-1"); // as if it had died, and somebody else had noticed
          await waitUntil(() => holder.losses() > 0, "the loss was not counted");
          await waitUntil(() => renewals.some(({ kind }) => kind === "lost"), "the loss was not told");
          assert.equal(holder.losses(), 1);
          assert.ok(holder.remainingMs() > 0);
          const told = renewals.length;
          await waitUntil(() => renewals.length > told + 1, "the new lease was not renewed");
          assertEqual([holder.losses(), renewals.at(-1)?.kind], [1, "renewed"]);
          assertEqual(idsOf(await fixture.claim("engine-1")), ["run-1"]);
        }),
    },
    {
      name: "stop() of a held lease renews it no more, and leaves it as it is",
      check: (fixture) =>
        withHeld(fixture, async ({ holder, renewals }) => {
          await holder.stop();
          await holder.stop();
          const told = renewals.length;
          if (holder.remainingMs() > EVERY_MS)
            assertEqual(await fixture.claim("engine-2"), [], "the lease was given up");
          assert.equal((await fixture.run("run-1")).owner, "engine-1");
          await passTime(LEASE_MS + 2 * EVERY_MS);
          assert.ok(holder.remainingMs() <= 0, `the lease holds for another ${holder.remainingMs()} ms`);
          assert.equal(renewals.length, told, "onRenewal was called after stop()");
          assertEqual(idsOf(await fixture.claim("engine-2")), ["run-1"]);
        }),
    },
  ],
};
