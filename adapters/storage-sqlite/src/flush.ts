import {
  type AttemptRecord,
  type CallOptions,
  type CommitOutcome,
  type Flush,
  findRejected,
  isRunFinished,
  type RunChanges,
  type RunState,
  WeftlineError,
} from "weftline";
import { putCached } from "./cache.js";
import type { Connection } from "./connection.js";
import { writeLines } from "./lines.js";
import { orNull, stateOf } from "./rows.js";
import { followWaits } from "./signals.js";
import { isTooBig } from "./sqlite-errors.js";
import { moveTags, TAGGED_RUN, type TaggedRun } from "./tags.js";
import { writeTasks } from "./tasks.js";
import type { Workers } from "./workers.js";

/** Writes one group commit. */
export async function commitFlush(
  connection: Connection,
  workers: Workers,
  flush: Flush,
  options: CallOptions | undefined,
): Promise<CommitOutcome> {
  try {
    return await connection.write(() => writeFlush(connection, workers, flush), options);
  } catch (error) {
    if (options?.signal?.aborted || isClosed(error)) throw error;
    if (!isTooBig(error)) return { kind: "unknown", cause: error };
    const values = await findRejected(flush, (part) => refusalOf(connection, workers, part));
    return values.length > 0 ? { kind: "rejected", values } : { kind: "unknown", cause: error };
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof WeftlineError && error.code === "STORAGE_CLOSED";
}

/** Why SQLite does not keep what is in a flush, of which nothing stays. */
async function refusalOf(connection: Connection, workers: Workers, part: Flush): Promise<string | undefined> {
  const undone = new Error("tried");
  try {
    await connection.write(() => {
      writeFlush(connection, workers, part);
      throw undone;
    });
  } catch (error) {
    if (error === undone) return undefined;
    if (isTooBig(error)) return "It is larger than SQLite keeps any value: about 1,000,000,000 bytes.";
    throw error;
  }
  return undefined;
}

function writeFlush(connection: Connection, workers: Workers, flush: Flush): CommitOutcome {
  const { id, number, engineId, runs } = flush;
  const engine = connection.get(
    `SELECT f.id, f.number, f.fenced FROM weftline_engines e LEFT JOIN weftline_flushes f ON f.engine = e.id WHERE e.id = ?`,
    engineId,
  );
  if (engine?.id === id) return { kind: "ok", fenced: JSON.parse(engine.fenced as string) };
  if (engine === undefined || number < ((engine.number ?? 0) as number)) {
    return { kind: "ok", fenced: runs.map(({ runId }) => runId) };
  }
  const fenced: string[] = [];
  for (const changes of runs) {
    const run = ownedRun(connection, engineId, changes);
    if (run === undefined) fenced.push(changes.runId);
    else writeChanges(connection, workers, run, changes);
  }
  connection.run(
    "INSERT OR REPLACE INTO weftline_flushes (engine, id, number, fenced) VALUES (?, ?, ?, ?)",
    engineId,
    id,
    number,
    JSON.stringify(fenced),
  );
  return { kind: "ok", fenced };
}

/** The run, if it belongs to the engine under this epoch. */
export function ownedRun(
  connection: Connection,
  engineId: string,
  { runId, epoch }: { readonly runId: string; readonly epoch: number },
): TaggedRun | undefined {
  return connection.get<TaggedRun>(
    `SELECT ${TAGGED_RUN} FROM weftline_runs WHERE id = ? AND owner = ? AND epoch = ?`,
    runId,
    engineId,
    epoch,
  );
}

function writeChanges(connection: Connection, workers: Workers, run: TaggedRun, changes: RunChanges): void {
  const n = run.n;
  writeTasks(connection, n, changes, (attempt: AttemptRecord) => workers.numberOf(attempt));
  followWaits(connection, n, changes.tasks);
  writeLines(connection, n, changes);
  for (const entry of changes.cached) putCached(connection, entry);
  for (const id of changes.consumed) connection.run("DELETE FROM weftline_messages WHERE run = ? AND id = ?", n, id);
  if (changes.run !== undefined) writeState(connection, run, changes.run);
}

const WRITE_STATE = `UPDATE weftline_runs SET status = ?, started_at = ?, finished_at = ?, generation = ?, crashes = ?,
  state = ?, params = ?`;

function writeState(connection: Connection, run: TaggedRun, state: RunState): void {
  const { status, startedAt, finishedAt, generation, crashes, params } = state;
  const isFinished = isRunFinished(status);
  connection.run(
    isFinished ? `${WRITE_STATE}, owner = NULL WHERE n = ?` : `${WRITE_STATE} WHERE n = ?`,
    status,
    orNull(startedAt),
    orNull(finishedAt),
    generation,
    crashes,
    stateOf(state),
    params,
    run.n,
  );
  if (run.status !== status) moveTags(connection, run, { status });
  if (isFinished) connection.run("DELETE FROM weftline_messages WHERE run = ?", run.n);
}
