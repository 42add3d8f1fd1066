import type { RunQuery, Storage } from "weftline";
import { DEFINITION, ENGINE, endOf, PIPELINES, RARE_TAG, runOf } from "../durable/records.js";
import { STORAGES, type StorageName } from "../durable/storages.js";
import { range } from "../durable/workloads.js";
import { timed } from "./clock.js";

export interface HistoryRequest {
  readonly storage: StorageName;
  /** Two empty places. */
  readonly places: { readonly empty: string; readonly full: string };
  /** How many finished runs the full one gets. */
  readonly runs: number;
  /** How often a batch is created, claimed and ended in each. */
  readonly rounds: number;
}

/** Of each round, in milliseconds. */
export interface HistorySample {
  readonly empty: OwnerTimes;
  readonly full: OwnerTimes;
  /** Of one page of each listing. */
  readonly listingMs: Readonly<Record<string, readonly number[]>>;
}

interface OwnerTimes {
  readonly claimMs: number[];
  readonly commitMs: number[];
}

/** As many as an engine claims, and ends, at once under some load. */
const BATCH = 100;
const FILL_BATCH = 2_000;
/** Before the rounds that count, one for each so many of them warms up. */
const WARM_UP_PART = 10;
const PAGE = { limit: 100 };
const LISTING_ROUNDS = 20;
const LEASE_MS = 3_600_000;
const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

/** What people ask for, by how tables name it. */
const LISTINGS: Readonly<Record<string, RunQuery>> = {
  "pipeline and status": { pipeline: PIPELINES[0]!, status: ["failed"] },
  "status, none found": { status: ["cancelled"] },
  "tag, one run in 10,000": { tag: RARE_TAG },
  "pipeline, status and tag": { pipeline: PIPELINES[0]!, status: ["succeeded"], tag: RARE_TAG },
};

/** Measures what an engine pays for history that is over: both storages in turns, so that a slow moment meets both. */
export async function historyProbe({ storage, places, runs, rounds }: HistoryRequest): Promise<HistorySample> {
  const empty = await opened(storage, places.empty);
  const full = await opened(storage, places.full);
  await fill(full, runs);
  const both = { empty: new Owner(empty, runs), full: new Owner(full, runs) };
  for (let round = 0; round < rounds / WARM_UP_PART; round++)
    for (const owner of [both.empty, both.full]) await owner.round();
  if (storage === "Postgres") for (const place of [places.empty, places.full]) await settle(place);
  const times = { empty: noTimes(), full: noTimes() };
  for (let round = 0; round < rounds; round++) {
    for (const place of ["empty", "full"] as const) await both[place].round(times[place]);
  }
  const listingMs = await list(full);
  for (const opened of [empty, full]) await opened.close();
  return { ...times, listingMs };
}

async function opened(name: StorageName, place: string): Promise<Storage> {
  const storage = await STORAGES[name](place);
  await storage.open({ log: SILENT, now: Date.now });
  await storage.renewLease({ engineId: ENGINE, leaseMs: LEASE_MS, isNew: true, definitions: [DEFINITION] });
  return storage;
}

async function fill(storage: Storage, runs: number): Promise<void> {
  for (let first = 0; first < runs; first += FILL_BATCH) {
    const numbers = range(Math.min(FILL_BATCH, runs - first)).map((offset) => first + offset);
    await storage.createRuns(numbers.map((number) => runOf(number, ENGINE)));
    await commit(
      storage,
      `fill-${first}`,
      numbers.map((number) => ({ number, epoch: 1 })),
    );
  }
}

/** What the server does by itself within a minute after many rows have come. */
async function settle(place: string): Promise<void> {
  const { Client } = await import("pg");
  const client = new Client(place);
  await client.connect();
  await client.query("VACUUM ANALYZE");
  await client.query("CHECKPOINT");
  await client.end();
}

/** Creates runs that nobody owns, claims and ends them. */
class Owner {
  readonly #storage: Storage;
  #next: number;

  /** @param first - The number of its first run. */
  constructor(storage: Storage, first: number) {
    this.#storage = storage;
    this.#next = first;
  }

  async round({ claimMs, commitMs }: OwnerTimes = noTimes()): Promise<void> {
    const numbers = range(BATCH).map(() => this.#next++);
    await this.#storage.createRuns(numbers.map((number) => runOf(number, undefined)));
    const { value: claimed, ms } = await timed(() => this.#claim());
    if (claimed.length !== BATCH) throw new Error(`claimed ${claimed.length} of ${BATCH} runs`);
    claimMs.push(ms);
    const ends = claimed.map(({ id, epoch }) => ({ number: Number(id.slice("run-".length)), epoch }));
    commitMs.push((await timed(() => commit(this.#storage, `round-${this.#next}`, ends))).ms);
  }

  #claim() {
    return this.#storage.claimRuns({
      engineId: ENGINE,
      definitions: [DEFINITION],
      maxActiveRuns: {},
      limit: BATCH,
      suspectFrom: 2,
      suspects: 1,
      now: Number.MAX_SAFE_INTEGER,
    });
  }
}

async function commit(storage: Storage, flushId: string, ends: Parameters<typeof endOf>[1]): Promise<void> {
  const outcome = await storage.commit(endOf(flushId, ends));
  if (outcome.kind !== "ok" || outcome.fenced.length > 0) throw new Error(`a commit was ${outcome.kind}`);
}

async function list(storage: Storage): Promise<Record<string, number[]>> {
  const times: Record<string, number[]> = {};
  for (const [name, query] of Object.entries(LISTINGS)) {
    times[name] = [];
    for (let round = 0; round < LISTING_ROUNDS; round++) {
      times[name].push((await timed(() => storage.list("runs", query, PAGE))).ms);
    }
  }
  return times;
}

function noTimes(): OwnerTimes {
  return { claimMs: [], commitMs: [] };
}
