import { type AttemptRecord, type RunRecord, type Storage, type TaskRecord, taskName } from "weftline";

/** A run with all that is stored of it. */
export interface StoredRun {
  readonly run: RunRecord;
  /** Of all generations. */
  readonly tasks: readonly TaskRecord[];
  readonly attempts: readonly AttemptRecord[];
}

const QUIET = { debug() {}, info() {}, warn() {}, error() {} };

/** Opens a storage without an engine, gives it to `work`, and closes it. */
export async function withStorage<Value>(storage: Storage, work: (storage: Storage) => Promise<Value>): Promise<Value> {
  await storage.open({ log: QUIET, now: Date.now });
  try {
    return await work(storage);
  } finally {
    await storage.close();
  }
}

export async function storedRuns(storage: Storage): Promise<readonly StoredRun[]> {
  const runs = await all((page) => storage.list("runs", {}, page));
  return Promise.all(runs.map((run) => storedRun(storage, run)));
}

async function storedRun(storage: Storage, run: RunRecord): Promise<StoredRun> {
  const tasks = new Map<string, TaskRecord>();
  for (let generation = 1; generation <= run.generation; generation++) {
    for (const task of await all((page) => storage.list("tasks", { runId: run.id, generation }, page))) {
      tasks.set(identityOf(task), task);
    }
  }
  const attempts = await all((page) => storage.list("attempts", { runId: run.id }, page));
  return { run, tasks: [...tasks.values()], attempts };
}

async function all<Item>(
  read: (page: {
    limit: number;
    cursor?: string;
  }) => Promise<{ readonly items: readonly Item[]; readonly next: string | undefined }>,
): Promise<readonly Item[]> {
  const items: Item[] = [];
  for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
    const page = await read(cursor === undefined ? { limit: 1_000 } : { limit: 1_000, cursor });
    items.push(...page.items);
    cursor = page.next;
  }
  return items;
}

/** What no other task or item of any run has. */
export function identityOf(record: Pick<TaskRecord, "runId" | "task" | "index" | "generation">): string {
  return `${record.runId} ${taskName(record.task, record.index)} g${record.generation}`;
}
