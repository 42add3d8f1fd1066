import { WeftlineError } from "weftline";
import { type Fault, pause } from "./fault.js";

/** Stores that go wrong about what engines rely on: capabilities, opening and closing, leases. */
export const ENGINE_FAULTS: readonly Fault[] = [
  [
    "claims to notify and never hints",
    () => ({ listen: async () => async () => {} }),
    "notify: hints come when runs are created, end or get messages, and when schedules change",
  ],
  [
    "keeps quiet about signals",
    (inner) => {
      let isQuiet = false;
      return {
        listen: (onHint) => inner.listen!((hint) => (isQuiet ? undefined : onHint(hint))),
        async sendSignals(signals) {
          isQuiet = true;
          await inner.sendSignals(signals);
          await pause();
          isQuiet = false;
        },
      };
    },
    "notify: hints come when runs are created, end or get messages, and when schedules change",
  ],
  [
    "hints and says that it does not",
    (inner) => ({ supports: { ...inner.supports, notify: false } }),
    "notify: listen() is there exactly when supports.notify is true",
  ],
  [
    "claims to notify without listen()",
    () => ({ listen: undefined as never }),
    "notify: listen() is there exactly when supports.notify is true",
  ],
  [
    "goes on hinting after the subscription ended",
    (inner) => ({
      async listen(onHint) {
        await inner.listen!(onHint);
        return async () => {};
      },
    }),
    "notify: no hint comes after the subscription was ended",
  ],
  [
    "claims to be durable and is not",
    (inner) => ({ supports: { ...inner.supports, durable: true } }),
    "durable: what was confirmed is there after close() and opening the same place again",
  ],
  [
    "claims to serve many processes and does not",
    (inner) => ({ supports: { ...inner.supports, manyProcesses: true } }),
    "manyProcesses: a second store on the same data sees every change, and shares claims and leases",
  ],
  [
    "leaves out a capability",
    (inner) => ({ supports: { ...inner.supports, durable: undefined as never } }),
    "supports says yes or no to each capability, and says the same after open()",
  ],
  [
    "works on after close()",
    () => ({ close: async () => {} }),
    "close() makes every later call reject with STORAGE_CLOSED",
  ],
  [
    "rejects after close() with an error of its own",
    (inner) => ({ getRun: (id) => inner.getRun(id).catch(() => Promise.reject(new Error("connection ended"))) }),
    "close() makes every later call reject with STORAGE_CLOSED",
  ],
  [
    "fails when it is closed twice",
    (inner) => {
      let isClosed = false;
      return {
        close() {
          if (isClosed) return Promise.reject(new Error("closed already"));
          isClosed = true;
          return inner.close();
        },
      };
    },
    "close() called twice does nothing more",
  ],
  [
    "keeps an engine's lease after it was released",
    () => ({ releaseLease: async () => {} }),
    "releaseLease() gives every run of the engine back at once, as it is",
  ],
  [
    "never says that a lease was lost",
    (inner) => ({ renewLease: async (request) => ({ ...(await inner.renewLease(request)), lost: false }) }),
    "renewLease() says once that the lease had run out",
  ],
  [
    "makes every lease endless",
    (inner) => ({ renewLease: (request) => inner.renewLease({ ...request, leaseMs: Number.POSITIVE_INFINITY }) }),
    "claimRuns() takes over what an engine owned when its lease has run out, under the next epoch",
  ],
  [
    "makes every lease last for an hour",
    (inner) => ({ renewLease: (request) => inner.renewLease({ ...request, leaseMs: 3_600_000 }) }),
    "renewLease() with a shorter lease makes it end earlier",
  ],
  [
    "lets a lease end when it first said",
    (inner) => ({
      async renewLease(request) {
        if (request.isNew) return inner.renewLease(request);
        return { now: (await inner.look({ ...request, now: 0 })).storeNow, lost: false };
      },
    }),
    "renewLease() counts from the call: a renewed lease outlasts its first end",
  ],
  [
    "takes every engine that it does not know for a new one",
    (inner) => ({ renewLease: (request) => inner.renewLease({ ...request, isNew: true }) }),
    "renewLease() registers an engine that the store does not know, which is a loss for one that renews",
  ],
  [
    "registers an engine that claims without a lease",
    (inner) => ({
      async claimRuns(request) {
        await inner.renewLease({ ...request, leaseMs: 60_000, isNew: true });
        return inner.claimRuns(request);
      },
    }),
    "claimRuns() and createRuns() reject with LEASE_LOST for an engine without a lease, and change nothing",
  ],
  [
    "creates the runs that nobody is to own, before it looks at leases",
    (inner) => ({
      async createRuns(runs) {
        await inner.createRuns(runs.filter(({ owner }) => owner === undefined));
        return inner.createRuns(runs);
      },
    }),
    "claimRuns() and createRuns() reject with LEASE_LOST for an engine without a lease, and change nothing",
  ],
  [
    "listens after close()",
    () => ({ listen: async () => async () => {} }),
    "close() makes a later listen() or holdLease() reject with STORAGE_CLOSED",
  ],
  [
    "judges leases by the engine's clock",
    (inner) => ({
      async claimRuns(request) {
        const runs = await inner.list("runs", {}, { limit: 1_000 });
        for (const { owner } of runs.items) {
          if (owner !== undefined && request.now > Date.UTC(2027, 0, 1)) await inner.releaseLease(owner);
        }
        return inner.claimRuns(request);
      },
    }),
    "claimRuns() judges leases by the store's clock, not by the engine's",
  ],
  [
    "rejects an aborted call with an error of its own",
    (inner) => ({
      getRun: (id, options) =>
        options?.signal?.aborted ? Promise.reject(new WeftlineError("STORAGE_CLOSED", "aborted")) : inner.getRun(id),
    }),
    "a call whose signal has aborted settles, and rejects with nothing but the signal's reason",
  ],
];
