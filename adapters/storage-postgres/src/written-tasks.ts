import { type Flush, isRunFinished, type TaskRecord, type TaskStatus } from "weftline";

const FINAL: ReadonlySet<TaskStatus> = new Set<TaskStatus>([
  "succeeded",
  "failed",
  "skipped",
  "upstream-failed",
  "cancelled",
]);
/** So many runs are followed at once; beyond that all of them are written as if nothing were known. */
const MAX_RUNS = 100_000;

/**
 * Which records of tasks cannot be in the database yet, so that they need not be looked for when they are written: that
 * is a quarter of the work. Known of runs that nobody has written before this storage. It may be wrong, as when a task
 * that had ended is written again: the database then refuses the flush, and it is written with nothing taken for granted.
 */
export class WrittenTasks {
  /** By run: the tasks that are there and will be written again; `undefined`: none. */
  readonly #runs = new Map<string, Set<string> | undefined>();

  /** The run has its first owner, by way of this storage. */
  follow(runId: string): void {
    if (this.#runs.size >= MAX_RUNS) this.#runs.clear();
    this.#runs.set(runId, undefined);
  }

  forget(runId: string): void {
    this.#runs.delete(runId);
  }

  readonly mayBeThere = (record: TaskRecord): boolean => {
    const written = this.#runs.get(record.runId);
    if (written !== undefined) return written.has(placeOf(record));
    return !this.#runs.has(record.runId);
  };

  /** The flush is in the database, but for the runs in `fenced`. */
  confirmed(flush: Flush, fenced: readonly string[]): void {
    for (const runId of fenced) this.forget(runId);
    for (const { runId, run, tasks } of flush.runs) {
      if (run !== undefined && isRunFinished(run.status)) this.forget(runId);
      else if (this.#runs.has(runId)) this.#note(runId, tasks);
    }
  }

  #note(runId: string, tasks: readonly TaskRecord[]): void {
    let written = this.#runs.get(runId);
    for (const task of tasks) {
      if (FINAL.has(task.status)) written?.delete(placeOf(task));
      else {
        written ??= new Set();
        written.add(placeOf(task));
      }
    }
    this.#runs.set(runId, written?.size === 0 ? undefined : written);
  }
}

function placeOf({ position, index, generation }: TaskRecord): string {
  return `${position} ${generation} ${index}`;
}
