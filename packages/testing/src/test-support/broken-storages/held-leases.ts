import { type HoldLeaseRequest, type LeaseHolder, LeaseRenewal, type Storage, systemClock } from "weftline";
import { HOLDING_LEASES } from "../sound-storages.js";
import type { Fault, Overrides } from "./fault.js";

/** Holds leases otherwise. */
function holds(
  change: (holder: LeaseHolder, inner: Storage, request: HoldLeaseRequest) => Partial<LeaseHolder>,
): Overrides {
  return (inner) => ({
    async holdLease(request) {
      const holder = await inner.holdLease!(request);
      return {
        remainingMs: () => holder.remainingMs(),
        losses: () => holder.losses(),
        stop: () => holder.stop(),
        ...change(holder, inner, request),
      };
    },
  });
}

/** Asks for something else than it was asked for. */
function asksToHold(change: (request: HoldLeaseRequest) => Partial<HoldLeaseRequest>): Overrides {
  return (inner) => ({ holdLease: (request) => inner.holdLease!({ ...request, ...change(request) }) });
}

/** Stores that go wrong when they hold leases by themselves. */
export const HELD_LEASE_FAULTS: readonly Fault[] = [
  [
    "renews a lease hardly ever",
    asksToHold(() => ({ everyMs: 60_000 })),
    "holdLease() renews the lease by itself, and tells how long it surely holds and of each renewal",
    HOLDING_LEASES,
  ],
  [
    "says at any time that the lease holds to its full length",
    holds((_, __, { leaseMs }) => ({ remainingMs: () => leaseMs })),
    "holdLease() renews the lease by itself, and tells how long it surely holds and of each renewal",
    HOLDING_LEASES,
  ],
  [
    "tells nobody of renewals",
    asksToHold(() => ({ onRenewal: () => {} })),
    "holdLease() renews the lease by itself, and tells how long it surely holds and of each renewal",
    HOLDING_LEASES,
  ],
  [
    "renews leases on the event loop of the process",
    (inner) => ({
      async holdLease({ leaseMs, everyMs, onRenewal, ...lease }) {
        const renew = () => inner.renewLease({ ...lease, leaseMs, isNew: false });
        const renewal = new LeaseRenewal({ renew, leaseMs, everyMs, onRenewal, clock: systemClock });
        renewal.start(systemClock.monotonicMs());
        return renewal;
      },
    }),
    "holdLease() renews the lease while the event loop of the process is blocked",
    HOLDING_LEASES,
  ],
  [
    "keeps the lease of a process that is wedged",
    asksToHold(() => ({ maxBlockedMs: Number.POSITIVE_INFINITY })),
    "holdLease() leaves the lease to run out when the event loop is blocked for longer than it may be",
    HOLDING_LEASES,
  ],
  [
    "counts no losses",
    holds(() => ({ losses: () => 0 })),
    "holdLease() counts a lease that was lost, and says so before it says that the new one holds",
    HOLDING_LEASES,
  ],
  [
    "gives up a lease that was lost",
    holds((holder) => ({
      remainingMs: () => (holder.losses() > 0 ? 0 : holder.remainingMs()),
    })),
    "holdLease() counts a lease that was lost, and says so before it says that the new one holds",
    HOLDING_LEASES,
  ],
  [
    "gives the runs back when it stops to hold their engine's lease",
    holds((holder, inner, { engineId }) => ({
      async stop() {
        await holder.stop();
        await inner.releaseLease(engineId);
      },
    })),
    "stop() of a held lease renews it no more, and leaves it as it is",
    HOLDING_LEASES,
  ],
  [
    "goes on after it was told to stop",
    holds((holder) => {
      let calls = 0;
      return { stop: async () => (++calls > 2 ? holder.stop() : undefined) };
    }),
    "stop() of a held lease renews it no more, and leaves it as it is",
    HOLDING_LEASES,
  ],
];
