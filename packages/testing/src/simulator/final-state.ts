import type { AttemptRecord, HistoryKind, HistoryKinds, RunRecord, Storage, TaskRecord } from "weftline";
import type { FinalRun, FinalState } from "../history-checker/history.js";

const PAGE = 1_000;

/** What is stored when all is over, read past everything that goes wrong. */
export async function finalState(store: Storage, at: number): Promise<FinalState> {
  const runs: FinalRun[] = [];
  for (const run of await all(store, "runs", {})) runs.push(await finalRun(store, run));
  return { at, runs };
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
