import { range, WORKS, type Workload, type WorkName } from "./workloads.js";

/** What is kept of a task that succeeded. */
export interface BareRow {
  readonly run: number;
  readonly task: number;
  readonly status: "succeeded";
  readonly output: string;
  readonly started: number;
  readonly finished: number;
}

export interface BareStore {
  /** Keeps runs that begin, where it keeps runs. */
  begin?(runs: readonly number[]): Promise<unknown>;
  /** Keeps tasks and the end of runs in one commit. */
  flush(rows: readonly BareRow[], ended: readonly number[]): Promise<unknown>;
}

let runsBegun = 0;

/** No engine: runs whatever is ready, keeps it in one flush, and goes on with what follows. */
export async function runBare(workload: Workload, store: BareStore): Promise<void> {
  const runs = range(workload.kind === "chains" ? workload.runs : 1).map(() => runsBegun++);
  await store.begin?.(runs);
  if (workload.kind === "parallel") {
    const run = runs[0]!;
    await store.flush(await Promise.all(range(workload.tasks).map((task) => rowOf(run, task, "no-op"))), runs);
    return;
  }
  const { tasks, work } = workload;
  for (const task of range(tasks)) {
    const rows = await Promise.all(runs.map((run) => rowOf(run, task, work)));
    await store.flush(rows, task === tasks - 1 ? runs : []);
  }
}

async function rowOf(run: number, task: number, work: WorkName): Promise<BareRow> {
  const started = Date.now();
  const value = await WORKS[work]();
  const output = JSON.stringify(value ?? null);
  return { run, task, status: "succeeded", output, started, finished: Date.now() };
}
