import type { KeyedSignal, TaskRecord } from "weftline";
import type { Connection, Row } from "./connection.js";
import { pathOf, pathsAround } from "./index-path.js";

/** Takes note of tasks that begin or stop to wait for a signal to a key. Costs next to nothing where none does. */
export function followWaits(connection: Connection, run: number, tasks: readonly TaskRecord[]): void {
  if (tasks.length === 0) return;
  let hasWaits = connection.get("SELECT 1 FROM weftline_waits WHERE run = ? LIMIT 1", run) !== undefined;
  for (const task of tasks) {
    const key = keyOf(task);
    if (key === undefined && !hasWaits) continue;
    follow(connection, run, task, key);
    hasWaits = true;
  }
}

function follow(connection: Connection, run: number, task: TaskRecord, key: string | undefined): void {
  const place = [run, task.position, pathOf(task.index)] as const;
  const known = connection.get(
    "SELECT turn, generation, key FROM weftline_waits WHERE run = ? AND position = ? AND path = ?",
    ...place,
  );
  if (known !== undefined) {
    const generation = known.generation as number;
    const isTheSame = known.key === key && generation === task.generation; // it keeps its turn
    if (isTheSame || generation > task.generation) return;
    endWait(connection, known);
  }
  if (key === undefined) return;
  connection.run(
    "INSERT INTO weftline_waits (run, position, path, generation, key) VALUES (?, ?, ?, ?, ?)",
    ...place,
    task.generation,
    key,
  );
  match(connection, key);
}

function endWait(connection: Connection, wait: Row): void {
  connection.run("DELETE FROM weftline_waits WHERE turn = ?", wait.turn!);
  tidy(connection, wait.key as string);
}

export function keepSignals(connection: Connection, signals: readonly KeyedSignal[]): void {
  for (const { id, key, sentAt, payload } of signals) {
    connection.run(
      "INSERT INTO weftline_messages (id, key, sent_at, kind, body) VALUES (?, ?, ?, 'signal', ?)",
      id,
      key,
      sentAt,
      JSON.stringify({ to: { key }, payload }),
    );
    match(connection, key);
  }
}

const HAS_BOTH = `EXISTS (SELECT 1 FROM weftline_messages WHERE run IS NULL AND key = ?)
  AND EXISTS (SELECT 1 FROM weftline_waits WHERE key = ?)`;

/** Takes note of a key of which there are both signals and tasks that wait: few keys have that for long. */
function match(connection: Connection, key: string): void {
  connection.run(`INSERT OR IGNORE INTO weftline_matches (key) SELECT ? WHERE ${HAS_BOTH}`, key, key, key);
}

function tidy(connection: Connection, key: string): void {
  connection.run(`DELETE FROM weftline_matches WHERE key = ? AND NOT (${HAS_BOTH})`, key, key, key);
}

/** Forgets signals that were sent before this moment and that nobody took. @returns How many, up to the limit. */
export function dropSignals(connection: Connection, before: number, limit: number): number {
  const dropped = connection.all(
    `DELETE FROM weftline_messages WHERE arrival IN (SELECT arrival FROM weftline_messages
       INDEXED BY weftline_messages_sent WHERE run IS NULL AND sent_at < ? LIMIT ?) RETURNING key`,
    before,
    limit,
  );
  for (const key of new Set(dropped.map((row) => row.key as string))) tidy(connection, key);
  return dropped.length;
}

/** Nothing waits in this run any more. @param which - A condition in SQL: only where it holds. */
export function dropWaits(connection: Connection, run: number, which = "TRUE"): void {
  const keys = connection.all(`DELETE FROM weftline_waits WHERE run = ? AND ${which} RETURNING key`, run);
  for (const row of keys) tidy(connection, row.key as string);
}

/** The keys of which there are signals, and tasks of this engine's runs that wait. */
const AWAITED_KEYS = `SELECT DISTINCT m.key FROM weftline_matches m
  CROSS JOIN weftline_waits w ON w.key = m.key
  CROSS JOIN weftline_runs r ON r.n = w.run AND r.owner = ?`;

export function awaitsSignals(connection: Connection, engineId: string): boolean {
  return connection.get(`${AWAITED_KEYS} LIMIT 1`, engineId) !== undefined;
}

/** Moves the oldest signals to the runs of this engine that have waited longest, one for each task without one. */
export function assignSignals(connection: Connection, engineId: string): void {
  for (const row of connection.all(AWAITED_KEYS, engineId)) assign(connection, row.key as string, engineId);
}

function assign(connection: Connection, key: string, engineId: string): void {
  const waits = connection.all(
    `SELECT w.turn, w.run, w.position, w.path, w.generation, w.key FROM weftline_waits w
       CROSS JOIN weftline_runs r ON r.n = w.run AND r.owner = ? WHERE w.key = ? ORDER BY w.turn`,
    engineId,
    key,
  );
  /** By run: how many signals to this key it has already, each of them for one of its tasks. */
  const served = new Map<number, number>();
  for (const wait of waits) {
    if (!isStillTrue(connection, wait)) {
      endWait(connection, wait);
      continue;
    }
    const run = wait.run as number;
    const left = served.get(run) ?? countSignals(connection, run, key);
    served.set(run, Math.max(0, left - 1));
    if (left > 0) continue;
    const isMoved = connection.run(
      `UPDATE OR REPLACE weftline_messages SET run = ? WHERE arrival =
         (SELECT arrival FROM weftline_messages WHERE run IS NULL AND key = ? ORDER BY arrival LIMIT 1)`,
      run,
      key,
    );
    if (isMoved === 0) break;
  }
  tidy(connection, key);
}

/** A wait also ends when what its task is a part of is opened anew, which nothing says of the task alone. */
function isStillTrue(connection: Connection, wait: Row): boolean {
  const path = wait.path as string;
  return [...pathsAround(path), path].every((around) => {
    const newer = connection.get(
      "SELECT 1 FROM weftline_tasks WHERE run = ? AND position = ? AND path = ? AND generation > ? LIMIT 1",
      wait.run!,
      wait.position!,
      around,
      wait.generation!,
    );
    return newer === undefined;
  });
}

function countSignals(connection: Connection, run: number, key: string): number {
  const sql = "SELECT count(*) AS count FROM weftline_messages WHERE run = ? AND key = ?";
  return connection.get(sql, run, key)!.count as number;
}

/** The key whose signals the task waits for. */
function keyOf({ status, wait }: TaskRecord): string | undefined {
  return status === "waiting" && wait?.kind === "signal" ? wait.key : undefined;
}
