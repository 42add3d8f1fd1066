import {
  type ClaimRequest,
  type Flush,
  isRunFinished,
  type Page,
  type PageRequest,
  type RunChanges,
  type RunRecord,
  type Storage,
  type TaskRecord,
} from "weftline";

import type { SoundStorages } from "../sound-storages.js";

/** What a broken store does instead of `inner`. */
export type Overrides = (inner: Storage) => Partial<Storage>;

/** @property basis - What the fault is put into. Default: the storage in memory. */
export type Fault = readonly [fault: string, overrides: Overrides, caughtBy: string, basis?: SoundStorages];

/** Commits something else than it was given. */
export function commits(change: (changes: RunChanges, flush: Flush) => RunChanges): Overrides {
  return (inner) => ({
    commit: (flush) => inner.commit({ ...flush, runs: flush.runs.map((changes) => change(changes, flush)) }),
  });
}

/** Lists something else than it has. */
export function lists(change: (page: Page<object>, kind: string) => Page<object>): Overrides {
  return (inner) => ({
    list: (async (kind, query, page) => change(await inner.list(kind, query, page), kind)) as Storage["list"],
  });
}

/** Asks for something else than it was asked for. */
export function asks(change: (query: object, kind: string) => object): Overrides {
  return (inner) => ({
    list: ((kind, query, page) => inner.list(kind, change(query, kind) as never, page)) as Storage["list"],
  });
}

/** A page of what is at hand, with its place in the list as cursor. */
export function pageOf<Item>(items: readonly Item[], { limit, cursor = "0" }: PageRequest): Page<Item> {
  const end = Number(cursor) + limit;
  return { items: items.slice(Number(cursor), end), next: end < items.length ? `${end}` : undefined };
}

export const asJson = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value)) as Value;

/** Lets others go first, as between two statements that are no transaction. */
export function pause(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Answers a claim with something else than what was claimed. */
export function claims(
  change: (claimed: readonly RunRecord[], request: ClaimRequest) => readonly RunRecord[],
): Overrides {
  return (inner) => ({ claimRuns: async (request) => change(await inner.claimRuns(request), request) });
}

/** Free runs, the oldest first. */
export async function freeRuns(inner: Storage): Promise<RunRecord[]> {
  return (await allRuns(inner)).filter((run) => run.owner === undefined && !isRunFinished(run.status)).reverse();
}

export async function allRuns(inner: Storage): Promise<readonly RunRecord[]> {
  return (await inner.list("runs", {}, { limit: 1_000 })).items;
}

/** The task records of a run's first generations, hidden ones too, by position and index. */
export async function allTasks(inner: Storage, runId: string): Promise<TaskRecord[]> {
  const pages = [1, 2, 3, 4].map((generation) => inner.list("tasks", { runId, generation }, { limit: 1_000 }));
  const records = (await Promise.all(pages)).flatMap(({ items }) => items);
  return records.sort((a, b) => comparePaths([a.position, ...a.index], [b.position, ...b.index]));
}

function comparePaths(a: readonly number[], b: readonly number[]): number {
  for (const [place, step] of a.entries()) {
    const other = b[place] ?? -1;
    if (step !== other) return step - other;
  }
  return a.length - b.length;
}
