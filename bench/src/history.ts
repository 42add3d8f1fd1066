/** Whether what is over costs anything: finished runs in the tables, finished tasks in a run. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Outcome, probe } from "./child.js";
import type { StorageName } from "./durable/storages.js";
import type { HistorySample } from "./probes/history.js";
import type { LongChainSample } from "./probes/long-chain.js";
import { progress } from "./progress.js";
import {
  type Claim,
  decimals,
  type Effort,
  type Group,
  inMilliseconds,
  judge,
  NOT_MEASURED,
  type Table,
  type Target,
  times,
} from "./report.js";
import { openPostgres } from "./services/postgres.js";
import { median } from "./statistics.js";

/** Lends empty places: databases of one server, files of one folder. */
type Lend = <T>(use: (first: string, second: string) => Promise<Outcome<T>>) => Promise<Outcome<T>>;

interface Found {
  readonly storage: StorageName;
  readonly history: Outcome<HistorySample>;
  readonly chain: Outcome<LongChainSample>;
}

const SIZE = { runs: 1_000_000, rounds: 300, chain: 10_000, edge: 1_000 };
const QUICK_SIZE = { runs: 4_000, rounds: 10, chain: 200, edge: 20 };
const FILL_LIMIT_MS = 900_000;

const MOST_GROWTH = 1.2;
const MOST_LISTING_MS = 20;

export const history: Group = {
  name: "history",
  title: "What history costs",
  async measure(effort) {
    const found = [await onPostgres(effort), await measured("SQLite", lendFiles, effort)];
    return {
      tables: [growthTable(found, effort), listingTable(found, effort)],
      targets: found.flatMap((one) => targetsOf(one, effort)),
      samples: found,
    };
  },
};

async function onPostgres(effort: Effort): Promise<Found> {
  const server = await openPostgres();
  if (!server.ok) return { storage: "Postgres", history: server, chain: server };
  const { withDatabase, stop } = server.value;
  try {
    return await measured("Postgres", (use) => withDatabase((a) => withDatabase((b) => use(a, b))), effort);
  } finally {
    await stop();
  }
}

const lendFiles: Lend = async (use) => {
  const folder = await mkdtemp(join(tmpdir(), "weftline-bench-history-"));
  try {
    return await use(join(folder, "first.sqlite"), join(folder, "second.sqlite"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

async function measured(storage: StorageName, lend: Lend, effort: Effort): Promise<Found> {
  const { runs, rounds, chain: size } = sizeOf(effort);
  progress(`history: ${runs.toLocaleString("en")} finished runs in ${storage}`);
  const history = await lend((empty, full) =>
    probe("history", { storage, places: { empty, full }, runs, rounds }, FILL_LIMIT_MS),
  );
  progress(`history: a chain of ${size.toLocaleString("en")} tasks in ${storage}`);
  const chain = await lend((place) => probe("long-chain", { storage, place, size }));
  return { storage, history, chain };
}

function growthTable(found: readonly Found[], effort: Effort): Table {
  const { runs, edge, chain } = sizeOf(effort);
  return {
    title: "Growth, ms",
    columns: ["storage", "what", "with nothing before", "with history", "ratio"],
    textColumns: 2,
    rows: found.flatMap(({ storage, ...one }) =>
      growthOf(one, effort).map(({ what, before, after, why }) =>
        why === undefined
          ? [storage, what, decimals(before), decimals(after), decimals(after / before)]
          : [storage, what, why, NOT_MEASURED, NOT_MEASURED],
      ),
    ),
    note: `Claiming and ending 100 runs, each with one task: in a storage that was empty, and in one with ${runs.toLocaleString("en")} finished runs, in turns. A task in sequence: the first ${edge.toLocaleString("en")} of ${chain.toLocaleString("en")} in one run, and the last ${edge.toLocaleString("en")}. Medians.`,
  };
}

interface Growth {
  readonly what: string;
  readonly before: number;
  readonly after: number;
  readonly why?: string;
}

function growthOf({ history, chain }: Omit<Found, "storage">, effort: Effort): Growth[] {
  const { edge, runs, chain: size } = sizeOf(effort);
  const among = `among ${runs.toLocaleString("en")} finished runs`;
  const grown = <T>(what: string, outcome: Outcome<T>, read: (sample: T) => readonly [number[], number[]]): Growth => {
    if (!outcome.ok) return { what, before: 0, after: 0, why: outcome.why };
    const [before, after] = read(outcome.value);
    return { what, before: median(before), after: median(after) };
  };
  return [
    grown(`claiming 100 runs ${among}`, history, ({ empty, full }) => [empty.claimMs, full.claimMs]),
    grown(`a commit of 100 runs ${among}`, history, ({ empty, full }) => [empty.commitMs, full.commitMs]),
    grown(`task ${size.toLocaleString("en")} of a run, beside the first`, chain, ({ stepMs }) => [
      stepMs.slice(0, edge),
      stepMs.slice(-edge),
    ]),
  ];
}

function listingTable(found: readonly Found[], effort: Effort): Table {
  return {
    title: `Listing runs among ${sizeOf(effort).runs.toLocaleString("en")}, ms`,
    columns: ["storage", "filter", "median", "slowest"],
    textColumns: 2,
    rows: found.flatMap(({ storage, history }) => {
      if (!history.ok) return [[storage, "", history.why, NOT_MEASURED]];
      return Object.entries(history.value.listingMs).map(([filter, ms]) => [
        storage,
        filter,
        decimals(median(ms)),
        decimals(Math.max(...ms)),
      ]);
    }),
    note: "Pages of up to 100 runs.",
  };
}

function targetsOf({ storage, history, chain }: Found, effort: Effort): Target[] {
  const growth = growthOf({ history, chain }, effort).map(({ what, before, after, why }) => {
    const claim: Claim = { what: `${what}, ${storage}`, bound: "at most", limit: MOST_GROWTH, show: times };
    return judge(claim, why ?? after / before, effort);
  });
  const slowest = history.ok ? Math.max(...Object.values(history.value.listingMs).map(median)) : history.why;
  const runs = sizeOf(effort).runs.toLocaleString("en");
  const listing: Claim = {
    what: `a filtered listing among ${runs} runs, ${storage}`,
    bound: "under",
    limit: MOST_LISTING_MS,
    show: inMilliseconds,
  };
  return [...growth, judge(listing, slowest, effort)];
}

function sizeOf({ isQuick }: Effort): typeof SIZE {
  return isQuick ? QUICK_SIZE : SIZE;
}
