import type { RemapRequest } from "weftline";
import type { Connection } from "./connection.js";
import { ownedRun } from "./flush.js";
import { kindOf } from "./kinds.js";
import { LINE_KINDS, LINE_TABLES } from "./lines.js";
import { dropWaits } from "./signals.js";
import { moveTags, type TaggedRun } from "./tags.js";

interface Kind {
  readonly definition: string;
  readonly pipeline: string;
}

/** Moves a run to another definition, inside of a write. */
export function remapRun(connection: Connection, request: RemapRequest): "moved" | "fenced" {
  const owned = ownedRun(connection, request.engineId, request);
  if (owned === undefined) return "fenced";
  const { n: run } = owned;
  const was = connection.get<Kind>("SELECT definition, pipeline FROM weftline_kinds WHERE n = ?", owned.kind)!;
  if (was.definition === request.definition) return "moved";
  connection.run(
    "CREATE TEMP TABLE IF NOT EXISTS weftline_moves (was INTEGER PRIMARY KEY, position INTEGER, task TEXT)",
  );
  connection.run("CREATE TEMP TABLE IF NOT EXISTS weftline_renames (was TEXT PRIMARY KEY, task TEXT)");
  connection.run("DELETE FROM temp.weftline_moves");
  connection.run("DELETE FROM temp.weftline_renames");
  for (const { from, position, task } of request.tasks) {
    connection.run("INSERT INTO temp.weftline_moves (was, position, task) VALUES (?, ?, ?)", from, position, task);
  }
  // Lines name their task, and records say which one has which place.
  connection.run(
    `INSERT OR IGNORE INTO temp.weftline_renames (was, task)
       SELECT t.task, m.task FROM temp.weftline_moves m JOIN weftline_tasks t ON t.run = ? AND t.position = m.was
       UNION SELECT a.task, m.task FROM temp.weftline_moves m JOIN weftline_attempts a ON a.run = ? AND a.position = m.was`,
    run,
    run,
  );
  for (const table of ["weftline_tasks", "weftline_attempts"]) movePlaces(connection, table, run);
  moveWaits(connection, run);
  for (const kind of LINE_KINDS) moveLines(connection, LINE_TABLES[kind].name, run);
  changeKind(connection, owned, { definition: request.definition, pipeline: was.pipeline });
  return "moved";
}

function changeKind(connection: Connection, run: TaggedRun, to: Kind): void {
  const kind = kindOf(connection, to);
  connection.run("UPDATE weftline_runs SET kind = ? WHERE n = ?", kind, run.n);
  moveTags(connection, run, { kind });
}

/** By way of places below 0, as tasks may change places with each other. */
function movePlaces(connection: Connection, table: string, run: number): void {
  connection.run(`DELETE FROM ${table} WHERE run = ? AND position NOT IN (SELECT was FROM temp.weftline_moves)`, run);
  connection.run(
    `UPDATE ${table} SET (position, task) = (SELECT -1 - m.position, m.task FROM temp.weftline_moves m WHERE m.was = ${table}.position)
       WHERE run = ?`,
    run,
  );
  connection.run(`UPDATE ${table} SET position = -1 - position WHERE run = ?`, run);
}

function moveWaits(connection: Connection, run: number): void {
  dropWaits(connection, run, "position NOT IN (SELECT was FROM temp.weftline_moves)");
  connection.run(
    `UPDATE weftline_waits SET position = (SELECT -1 - m.position FROM temp.weftline_moves m WHERE m.was = weftline_waits.position)
       WHERE run = ?`,
    run,
  );
  connection.run("UPDATE weftline_waits SET position = -1 - position WHERE run = ?", run);
}

/** By way of names that no task has, for the same reason. */
function moveLines(connection: Connection, table: string, run: number): void {
  connection.run(`DELETE FROM ${table} WHERE run = ? AND task NOT IN (SELECT was FROM temp.weftline_renames)`, run);
  connection.run(
    `UPDATE ${table} SET task = (SELECT char(1) || r.task FROM temp.weftline_renames r WHERE r.was = ${table}.task) WHERE run = ?`,
    run,
  );
  connection.run(`UPDATE ${table} SET task = substr(task, 2) WHERE run = ?`, run);
}
