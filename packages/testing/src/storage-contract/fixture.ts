import assert from "node:assert/strict";
import {
  type HistoryKind,
  type HistoryKinds,
  type HostTransaction,
  type Logger,
  type PageRequest,
  type RunChanges,
  type RunRecord,
  type Storage,
  WeftlineError,
} from "weftline";
import { assertEqual } from "../assert-equal.js";
import { changes, claimRequest, flush, leaseRequest, newRun, START } from "./records.js";

/** How an adapter's stores come to be. */
export interface StorageSource {
  readonly open: (place: string) => Storage | Promise<Storage>;
  readonly transaction: TransactionMaker | undefined;
}

/** Runs `work` in a transaction of the host's, commits it, or rolls it back and rejects when `work` rejects. */
type TransactionMaker = (storage: Storage, work: (tx: HostTransaction) => Promise<void>) => Promise<void>;

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };
/** How long stores with a clock of their own are waited for until a lease of 1 ms is over. */
const REAL_END_MS = 20;
const { setTimeout: startTimeout } = globalThis;

/** The kinds of records that belong to a run. */
export const OF_RUN = ["tasks", "attempts", "logs", "metrics", "artifacts", "steps", "assets"] as const;

let places = 0;

/** Empty stores for one case, the clock they are given, and short ways to say what cases say often. */
export class StorageFixture {
  /** An open, empty store. */
  storage!: Storage;
  readonly source: StorageSource;
  /** Where its data is kept. No two cases have the same. */
  readonly place: string;
  readonly #opened: Storage[] = [];
  #now = START;
  #flushes = 0;

  private constructor(source: StorageSource) {
    this.source = source;
    this.place = `place-${process.pid}-${++places}`;
  }

  /** Runs a check on an empty store, and closes everything it opened. */
  static async with(source: StorageSource, check: (fixture: StorageFixture) => Promise<void>): Promise<void> {
    const fixture = new StorageFixture(source);
    try {
      fixture.storage = await fixture.openAgain();
      await check(fixture);
    } finally {
      for (const storage of fixture.#opened) await storage.close();
    }
  }

  /** Another store on the same data. */
  async openAgain(): Promise<Storage> {
    return this.openAt(this.place);
  }

  /** A store on the data of this place. */
  async openAt(place: string): Promise<Storage> {
    const storage = await this.source.open(place);
    this.#opened.push(storage);
    await this.reopen(storage);
    return storage;
  }

  async reopen(storage: Storage): Promise<void> {
    await storage.open({ log: SILENT, now: () => this.#now });
  }

  /** The clock that engines go by, and the store too unless it has its own. */
  get now(): number {
    return this.#now;
  }

  // ---- Engines and runs

  /** Engines with leases that hold for the whole case. */
  async register(...engineIds: string[]): Promise<void> {
    for (const id of engineIds) await this.storage.renewLease(leaseRequest(id));
  }

  /** Renews the lease of an engine for an instant and lets it run out, unseen. */
  async letLeaseRunOut(engineId: string): Promise<void> {
    const { now } = await this.storage.renewLease(leaseRequest(engineId, { leaseMs: 1, isNew: false }));
    await this.passTime(1, now, REAL_END_MS);
  }

  /**
   * Goes on by `ms` on the store's clock.
   *
   * @param storeNow - What it shows: only a store with a clock of its own makes anybody wait.
   * @param realMs - How long, as its timers are as exact as they are.
   */
  async passTime(ms: number, storeNow: number, realMs: number): Promise<void> {
    const judgesByItsOwnClock = storeNow !== this.#now;
    this.#now += ms;
    if (judgesByItsOwnClock) await passTime(realMs);
  }

  async create(...ids: string[]): Promise<void> {
    await this.storage.createRuns(ids.map((id, place) => newRun(id, { createdAt: START + place })));
  }

  claim(engineId: string, limit = 100, storage = this.storage): Promise<readonly RunRecord[]> {
    return storage.claimRuns(claimRequest(engineId, { limit, now: this.#now }));
  }

  /** A run that `engine-1` has owned from its start, under epoch 1. */
  async owned(...ids: string[]): Promise<void> {
    await this.register("engine-1");
    await this.storage.createRuns(ids.map((id, place) => newRun(id, { owner: "engine-1", createdAt: START + place })));
  }

  /** Commits changes of runs that the engine owns. */
  async commit(engineId: string, ...runs: RunChanges[]): Promise<void> {
    const outcome = await this.storage.commit(flush(`flush-${++this.#flushes}`, engineId, ...runs));
    assertEqual(outcome, { kind: "ok", fenced: [] });
  }

  /** Writes what a case reads later to a run of `engine-1`. */
  write(runId: string, details: Partial<RunChanges>): Promise<void> {
    return this.commit("engine-1", changes(runId, 1, details));
  }

  // ---- Reading

  async run(id: string): Promise<RunRecord> {
    const run = await this.storage.getRun(id);
    assert.ok(run, `there is no run "${id}"`);
    return run;
  }

  async messageIds(engineId: string): Promise<string[]> {
    return (await this.storage.receive(engineId)).map((message) => message.id);
  }

  /** Every record of a listing, page by page. */
  all<Kind extends HistoryKind>(
    kind: Kind,
    query: HistoryKinds[Kind]["query"],
    limit = 1_000,
    storage = this.storage,
  ): Promise<HistoryKinds[Kind]["record"][]> {
    return readPages((page) => storage.list(kind, query, page), limit);
  }
}

export async function readPages<Record>(
  read: (page: PageRequest) => Promise<{ readonly items: readonly Record[]; readonly next: string | undefined }>,
  limit: number,
): Promise<Record[]> {
  const records: Record[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < 10_000; pages++) {
    const page = await read(cursor === undefined ? { limit } : { limit, cursor });
    assert.ok(page.items.length <= limit, `a page of ${page.items.length} records, and ${limit} were asked for`);
    records.push(...page.items);
    if (page.next === undefined) return records;
    assert.equal(page.items.length, limit, "a page that is neither full nor the last");
    cursor = page.next;
  }
  return assert.fail("the listing does not come to an end");
}

/** Checks, for each query, which records match it: they are told apart by what `read` gives. */
export async function expectMatches<Kind extends HistoryKind>(
  fixture: StorageFixture,
  kind: Kind,
  read: (record: HistoryKinds[Kind]["record"]) => string,
  expected: readonly (readonly [query: HistoryKinds[Kind]["query"], matches: readonly string[]])[],
): Promise<void> {
  for (const [query, matches] of expected) {
    const found = (await fixture.all(kind, query)).map(read);
    assertEqual(found.sort(), [...matches].sort(), `${kind} that match ${JSON.stringify(query)}`);
    // A filter counts before the page's limit does, not after it.
    assert.equal((await fixture.all(kind, query, 1)).length, matches.length, `one by one: ${JSON.stringify(query)}`);
  }
}

/** Checks how many records of each kind a run has: as many as it has written `oneOfEach()`. */
export async function expectHistory(fixture: StorageFixture, runId: string, times: number): Promise<void> {
  for (const kind of OF_RUN) assert.equal((await fixture.all(kind, { runId })).length, times, `${kind} of ${runId}`);
  const earlier = await fixture.all("tasks", { runId, generation: 1 });
  assert.equal(earlier.length, times, `tasks of an earlier generation of ${runId}`);
  assert.equal((await fixture.storage.getArtifact(runId, "report")) !== undefined, times > 0, `bytes of ${runId}`);
}

export function idsOf(records: readonly { readonly id: string }[]): string[] {
  return records.map(({ id }) => id);
}

/** The call rejects with this code. */
export async function rejectsWith(call: Promise<unknown>, code: string, what = ""): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof WeftlineError, `${what} rejects with a WeftlineError, not with ${String(error)}`);
    assert.equal(error.code, code, what);
    return true;
  });
}

/** Real time: for stores with a clock of their own, and for hints. */
export function passTime(ms: number): Promise<void> {
  return new Promise((resolve) => startTimeout(resolve, ms));
}
