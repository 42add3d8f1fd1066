import { isRunFinished, RUN_STATUSES, type RunStatus } from "weftline";
import type { Connection } from "./connection.js";
import { LINE_KINDS, LINE_TABLES } from "./lines.js";
import { dropSignals, dropWaits } from "./signals.js";
import { dropTags, TAGGED_RUN, type TaggedRun } from "./tags.js";

/** How many records of deleted runs one transaction removes. */
const PURGED_AT_ONCE = 2_000;

const RECORDS: readonly (readonly [table: string, identity: string])[] = [
  ["weftline_tasks", "position, path, generation"],
  ["weftline_attempts", "position, path, generation, attempt"],
  ...LINE_KINDS.map((kind) => [LINE_TABLES[kind].name, "line"] as const),
];

/** Deletes a run, inside of a write. Its records are only thrown away: {@link purge} removes them bit by bit. */
export function deleteRun(connection: Connection, runId: string): "deleted" | "active" | "unknown" {
  const run = connection.get<TaggedRun>(`SELECT ${TAGGED_RUN} FROM weftline_runs WHERE id = ?`, runId);
  if (run === undefined) return "unknown";
  if (!isRunFinished(run.status as RunStatus)) return "active";
  throwAway(connection, run);
  return "deleted";
}

function throwAway(connection: Connection, run: TaggedRun): void {
  const { n } = run;
  dropTags(connection, run);
  dropWaits(connection, n);
  connection.run("DELETE FROM weftline_messages WHERE run = ?", n);
  connection.run("DELETE FROM weftline_runs WHERE n = ?", n);
  connection.run("INSERT INTO weftline_trash (run) VALUES (?)", n);
}

/** Removes records of runs that were deleted, inside of a write. @returns Whether there may be more. */
export function purge(connection: Connection): boolean {
  let left = PURGED_AT_ONCE;
  for (const { run } of connection.all("SELECT run FROM weftline_trash ORDER BY run LIMIT ?", PURGED_AT_ONCE)) {
    for (const [table, identity] of RECORDS) {
      left -= connection.run(
        `DELETE FROM ${table} WHERE run = ? AND (${identity}) IN (SELECT ${identity} FROM ${table} WHERE run = ? LIMIT ?)`,
        run!,
        run!,
        left,
      );
      if (left <= 0) return true;
    }
    connection.run("DELETE FROM weftline_trash WHERE run = ?", run!);
    left--;
    if (left <= 0) return true;
  }
  return false;
}

const FINISHED = RUN_STATUSES.filter(isRunFinished);

/**
 * Deletes some finished runs that ended before the moment, inside of a write: the oldest, and none that another still
 * needs.
 *
 * @returns How many; fewer than the limit: there are no more.
 */
export function pruneRuns(connection: Connection, before: number, limit: number): number {
  let deleted = 0;
  // Once children are deleted their parents may be, which are older.
  for (let more = 1; more > 0 && deleted < limit; deleted += more) {
    more = 0;
    for (const status of FINISHED) more += pruneStatus(connection, status, before, limit - deleted - more);
  }
  return deleted;
}

function pruneStatus(connection: Connection, status: RunStatus, before: number, limit: number): number {
  if (limit === 0) return 0;
  const runs = connection.all<TaggedRun>(
    `SELECT ${TAGGED_RUN} FROM weftline_runs r WHERE status = ? AND created_at < ? AND finished_at < ?
       AND NOT EXISTS (SELECT 1 FROM weftline_runs child WHERE child.parent = r.id)
       AND (parent IS NULL OR NOT EXISTS (SELECT 1 FROM weftline_runs p WHERE p.id = r.parent
         AND p.status IN ('queued', 'running', 'waiting', 'paused')))
       ORDER BY created_at, n LIMIT ?`,
    status,
    before,
    before,
    limit,
  );
  for (const run of runs) throwAway(connection, run);
  return runs.length;
}

/**
 * Deletes some of what does not belong to a run and is as good as gone: cache entries that expired and signals that were
 * sent before the moment.
 *
 * @param now - What has not expired yet stays, even where the moment is later.
 * @returns Whether there may be more.
 */
export function pruneRest(connection: Connection, before: number, now: number): boolean {
  const entries = connection.run(
    `DELETE FROM weftline_cache WHERE key IN
       (SELECT key FROM weftline_cache WHERE expires_at < ? AND expires_at <= ? LIMIT ${PURGED_AT_ONCE})`,
    before,
    now,
  );
  const signals = dropSignals(connection, before, PURGED_AT_ONCE);
  return entries === PURGED_AT_ONCE || signals === PURGED_AT_ONCE;
}
