import {
  type Clock,
  type CreateResult,
  type HostTransaction,
  type LeaseHolder,
  LeaseRenewal,
  memoryStorage,
  type NewRun,
  type RunRecord,
  type SchemaStep,
  type Storage,
  type StorageSchema,
  systemClock,
} from "weftline";
import { asCreated } from "../storage-contract/records.js";
import type { StorageContractOptions } from "../storage-contract.js";
import { overridden } from "./overridden.js";

/** What the suite is given of sound stores, for faults in what these can do. */
export type SoundStorages = Pick<StorageContractOptions, "open" | "transaction">;

export const IN_MEMORY: SoundStorages = { open: () => memoryStorage() };

// ---- Leases that are held

const BEAT_MS = 10;
const { setInterval: startInterval, clearInterval: stopInterval, performance } = globalThis;

/** Real time without that in which the event loop was blocked, as if a thread had done meanwhile what is to be done. */
class UnblockedClock implements Clock {
  /** A blocked event loop of longer than this counts. */
  maxBlockedMs = Number.POSITIVE_INFINITY;
  #elapsed = 0;
  #lastTick = performance.now();
  readonly #beat = startInterval(() => this.#tick(), BEAT_MS);

  now(): number {
    return Date.UTC(2026, 6, 1) + this.monotonicMs();
  }

  monotonicMs(): number {
    this.#tick();
    return this.#elapsed;
  }

  timer(at: number, fire: () => void): () => void {
    return systemClock.timer(systemClock.now() + (at - this.now()), fire);
  }

  afterTurn(fire: () => void): void {
    systemClock.afterTurn(fire);
  }

  stop(): void {
    stopInterval(this.#beat);
  }

  #tick(): void {
    const tick = performance.now();
    const passed = tick - this.#lastTick;
    this.#elapsed += passed > this.maxBlockedMs ? passed : Math.min(passed, 2 * BEAT_MS);
    this.#lastTick = tick;
  }
}

/** Has a clock of its own, and renews leases by itself. */
export const HOLDING_LEASES: SoundStorages = {
  open() {
    const inner = memoryStorage();
    const clock = new UnblockedClock();
    return overridden(inner, {
      open: (context) => inner.open({ ...context, now: () => clock.now() }),
      async holdLease({ leaseMs, everyMs, maxBlockedMs, onRenewal, ...lease }): Promise<LeaseHolder> {
        const renew = () => inner.renewLease({ ...lease, leaseMs, isNew: false });
        await renew();
        clock.maxBlockedMs = maxBlockedMs;
        const renewal = new LeaseRenewal({ renew, leaseMs, everyMs, clock, onRenewal });
        renewal.start(clock.monotonicMs());
        return renewal;
      },
      async close() {
        clock.stop();
        await inner.close();
      },
    });
  },
};

// ---- What survives a process, and its schema

const STEPS: readonly SchemaStep[] = [1, 2, 3].map((version) => ({
  version,
  name: `step ${version}`,
  sql: "SELECT 1",
}));
const places = new Map<string, { readonly storage: Storage; version: number }>();

/** Keeps data and its schema by place, for as long as the process lives: as if that were a machine. */
export const ON_DISK: SoundStorages = {
  open(name) {
    const place = places.get(name) ?? { storage: memoryStorage(), version: 0 };
    places.set(name, place);
    const schema: StorageSchema = {
      version: STEPS.length,
      current: async () => place.version,
      statements: (from) => STEPS.slice(from),
      async migrate() {
        const made = STEPS.slice(place.version);
        place.version = STEPS.length;
        return made;
      },
      close: async () => {},
    };
    const { storage } = place;
    return overridden(storage, {
      supports: { ...storage.supports, durable: true },
      schema,
      async open(context) {
        await schema.migrate();
        await storage.open(context);
        for (const { id } of (await storage.survey({ now: 0 })).engines) await bury(storage, id);
      },
    });
  },
};

/** Lets an engine die: its lease ends now, and that is noticed as it is renewed. */
async function bury(storage: Storage, engineId: string): Promise<void> {
  const renewal = { engineId, leaseMs: Number.MIN_VALUE, isNew: false, definitions: [] };
  await storage.renewLease(renewal);
  await storage.renewLease(renewal);
  await storage.releaseLease(engineId);
}

// ---- Transactions of the host

/** Runs that were created in a transaction that has not ended. */
class PendingRuns implements HostTransaction {
  readonly created: NewRun[] = [];

  async query() {
    return { rows: [] };
  }
}

/** What stands behind the transaction that calls are given. */
let pending = new PendingRuns();

/** Keeps what is created in a transaction for itself until that is committed. */
export const JOINING_TRANSACTIONS: SoundStorages = {
  open() {
    const inner = memoryStorage();
    return overridden(inner, {
      supports: { ...inner.supports, hostTransactions: true },
      async createRuns(runs, { tx } = {}) {
        if (tx === undefined) return inner.createRuns(runs);
        const { items } = await inner.list("runs", {}, { limit: 1_000 });
        tx.afterCommit?.(() => {}); // hints come with the runs
        return runs.map((run) => createIn(pending, run, items));
      },
    });
  },
  async transaction(storage, work) {
    pending = new PendingRuns();
    await work(pending);
    await storage.createRuns(pending.created);
  },
};

function createIn({ created }: PendingRuns, run: NewRun, stored: readonly RunRecord[]): CreateResult {
  const known = [...stored, ...created.map(asCreated)].find(
    ({ id, pipeline, key }) => id === run.id || (key !== undefined && pipeline === run.pipeline && key === run.key),
  );
  if (known !== undefined && known.id !== run.id && known.fingerprint !== run.fingerprint) {
    return { kind: "conflict", runId: known.id };
  }
  if (known !== undefined) return { kind: "existing", run: known };
  created.push(run);
  return { kind: "created", run: asCreated(run) };
}
