import type { AttemptRecord, HistoryKind, HistoryKinds, RunRecord, Storage, TaskRecord } from "weftline";
import type { FinalRun, FinalState } from "../history-checker/history.js";

const PAGE = 1_000;

/** What is written of a run. */
const OF_RUNS = ["tasks", "attempts", "logs", "metrics", "artifacts", "steps", "assets"] as const;

/**
 * What is stored when all is over, read past everything that goes wrong.
 *
 * @param deleted - Runs of which nothing should be left.
 */
export async function finalState(store: Storage, at: number, deleted: readonly string[]): Promise<FinalState> {
  const runs: FinalRun[] = [];
  for (const run of await all(store, "runs", {})) runs.push(await finalRun(store, run));
  return { at, runs, remains: await remainsOf(store, deleted) };
}

async function remainsOf(store: Storage, deleted: readonly string[]): Promise<FinalState["remains"] & object> {
  const remains: { runId: string; kind: HistoryKind; records: number }[] = [];
  for (const runId of deleted) {
    for (const kind of OF_RUNS) {
      const { length } = await all(store, kind, { runId });
      if (length > 0) remains.push({ runId, kind, records: length });
    }
  }
  return remains;
}

async function finalRun(store: Storage, run: RunRecord): Promise<FinalRun> {
  const tasks = new Map<string, TaskRecord>();
  const nameOf = ({ position, index, generation }: TaskRecord) => `${position} ${index} ${generation}`;
  for (let generation = 1; generation < run.generation; generation++) {
    for (const task of await all(store, "tasks", { runId: run.id, generation })) tasks.set(nameOf(task), task);
  }
  for (const task of await all(store, "tasks", { runId: run.id })) tasks.set(nameOf(task), task);
  const attempts: readonly AttemptRecord[] = await all(store, "attempts", { runId: run.id });
  const logs = (await all(store, "logs", { runId: run.id })).length;
  return { run, tasks: [...tasks.values()], attempts, allGenerations: true, logs };
}

/** Every page of a listing. */
export async function all<Kind extends HistoryKind>(
  store: Storage,
  kind: Kind,
  query: HistoryKinds[Kind]["query"],
): Promise<readonly HistoryKinds[Kind]["record"][]> {
  const records: HistoryKinds[Kind]["record"][] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await store.list(kind, query, { limit: PAGE, ...(cursor !== undefined && { cursor }) });
    records.push(...page.items);
    cursor = page.next;
    if (cursor === undefined) return records;
  }
}
