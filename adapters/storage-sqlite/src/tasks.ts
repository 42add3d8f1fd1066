import type { AttemptRecord, RunChanges, TaskRecord } from "weftline";
import type { Connection } from "./connection.js";
import { pathOf } from "./index-path.js";
import { orNull, taskRestOf, toJson } from "./rows.js";

const UPSERT = `INSERT INTO weftline_tasks
  (run, position, path, generation, task, status, attempts, attempts_before, started_at, finished_at, worker, rest, output)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (run, position, path, generation) DO UPDATE SET
  task = excluded.task, status = excluded.status, attempts = excluded.attempts,
  attempts_before = excluded.attempts_before, started_at = excluded.started_at, finished_at = excluded.finished_at,
  rest = excluded.rest, output = excluded.output`;
const UPSERT_WITH_WORKER = `${UPSERT}, worker = excluded.worker`;
/** Leaves the row as it is where the first attempt, which is kept in it, would change with the task. */
const UPSERT_BESIDE_WORKER = `${UPSERT} WHERE worker IS NULL OR (task = excluded.task AND status = excluded.status
  AND started_at IS excluded.started_at AND finished_at IS excluded.finished_at)`;

const THIS_TASK = "run = ? AND position = ? AND path = ? AND generation = ?";
const MOVE_ATTEMPT_OUT = `INSERT OR REPLACE INTO weftline_attempts
  (run, position, path, generation, attempt, task, status, worker, started_at, finished_at)
  SELECT run, position, path, generation, 1, task, status, worker, started_at, finished_at
  FROM weftline_tasks WHERE ${THIS_TASK} AND worker IS NOT NULL`;
const DROP_WORKER = `UPDATE weftline_tasks SET worker = NULL WHERE ${THIS_TASK} AND worker IS NOT NULL`;
const PUT_ATTEMPT = `INSERT OR REPLACE INTO weftline_attempts
  (run, position, path, generation, attempt, task, status, worker, started_at, finished_at, error)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/**
 * Writes the task and attempt records of a run. Most tasks have one attempt, which says nothing that the task does not:
 * it is kept in the task's row, as its `worker`, and there it counts before a row of its own.
 */
export function writeTasks(
  connection: Connection,
  run: number,
  { tasks, attempts }: Pick<RunChanges, "tasks" | "attempts">,
  workerOf: (attempt: AttemptRecord) => number,
): void {
  const firsts = new FirstAttempts(attempts);
  for (const task of tasks) {
    const first = firsts.take(task);
    if (first === undefined) putBesideWorker(connection, run, task);
    else putTask(connection, UPSERT_WITH_WORKER, run, task, first.isInline ? workerOf(first.attempt) : null);
  }
  for (const attempt of attempts) {
    if (firsts.isKept(attempt)) continue;
    if (firsts.isAlone(attempt)) connection.run(DROP_WORKER, ...identityOf(run, attempt));
    putAttempt(connection, run, attempt, workerOf(attempt));
  }
}

/** The first attempts of a flush, each with what became of it. */
class FirstAttempts {
  readonly #byPlace = new Map<
    string | number,
    { readonly attempt: AttemptRecord; isInline: boolean; isTaken: boolean }
  >();

  constructor(attempts: readonly AttemptRecord[]) {
    for (const attempt of attempts) {
      if (attempt.attempt === 1) this.#byPlace.set(placeOf(attempt), { attempt, isInline: false, isTaken: false });
    }
  }

  /** That of a task which is written with it. */
  take(task: TaskRecord): { readonly attempt: AttemptRecord; readonly isInline: boolean } | undefined {
    const first = this.#byPlace.size === 0 ? undefined : this.#byPlace.get(placeOf(task));
    if (first === undefined) return undefined;
    first.isTaken = true;
    first.isInline = isAs(first.attempt, task);
    return first;
  }

  /** Needs no row: it is kept with its task, or replaced in the same flush. */
  isKept(attempt: AttemptRecord): boolean {
    if (attempt.attempt !== 1) return false;
    const first = this.#byPlace.get(placeOf(attempt))!;
    return first.isInline || first.attempt !== attempt;
  }

  /** Comes without its task, which may be stored with what this attempt was before. */
  isAlone(attempt: AttemptRecord): boolean {
    return attempt.attempt === 1 && !this.#byPlace.get(placeOf(attempt))!.isTaken;
  }
}

type Placed = Pick<TaskRecord, "position" | "index" | "generation">;

/** A number for the most frequent kind of place, as that makes no text. */
function placeOf({ position, index, generation }: Placed): string | number {
  return index.length === 0 && generation === 1 ? position : `${position} ${index} ${generation}`;
}

/** Whether the task's row says all about this attempt. */
function isAs(attempt: AttemptRecord, task: TaskRecord): boolean {
  return (
    attempt.status === task.status &&
    attempt.startedAt === task.startedAt &&
    attempt.finishedAt === task.finishedAt &&
    attempt.error === undefined &&
    attempt.task === task.task
  );
}

function putBesideWorker(connection: Connection, run: number, task: TaskRecord): void {
  if (putTask(connection, UPSERT_BESIDE_WORKER, run, task, null) > 0) return;
  connection.run(MOVE_ATTEMPT_OUT, ...identityOf(run, task));
  putTask(connection, UPSERT_WITH_WORKER, run, task, null);
}

function putTask(connection: Connection, sql: string, run: number, task: TaskRecord, worker: number | null): number {
  return connection.run(
    sql,
    run,
    task.position,
    pathOf(task.index),
    task.generation,
    task.task,
    task.status,
    task.attempts,
    task.attemptsBefore,
    orNull(task.startedAt),
    orNull(task.finishedAt),
    worker,
    taskRestOf(task),
    orNull(task.output),
  );
}

function putAttempt(connection: Connection, run: number, attempt: AttemptRecord, worker: number): void {
  connection.run(
    PUT_ATTEMPT,
    run,
    attempt.position,
    pathOf(attempt.index),
    attempt.generation,
    attempt.attempt,
    attempt.task,
    attempt.status,
    worker,
    attempt.startedAt,
    orNull(attempt.finishedAt),
    toJson(attempt.error),
  );
}

function identityOf(run: number, { position, index, generation }: Placed): [number, number, string, number] {
  return [run, position, pathOf(index), generation];
}
