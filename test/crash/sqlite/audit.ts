import { DatabaseSync } from "@photostructure/sqlite";
import type { AuditRow, Change } from "../audit/change.js";
import type { Origin } from "../audit/columns.js";
import { changesOf, type Kind } from "./audit-rows.js";

type Database = InstanceType<typeof DatabaseSync>;

/** What is kept of, by the names of the tables without what all begin with. */
const TABLES = ["engines", "flushes", "runs", "tasks", "attempts", "steps", "messages", "schedules"];
const CHANGES = { I: "INSERT", U: "UPDATE", D: "DELETE" } as const;

/** Who writes: one process at a time. Its clock is later than the machine's by `skew_ms`. */
export interface Writer {
  readonly name: string;
  readonly skewMs: number;
}

/**
 * Lets the database write down every change of these tables, in the transaction that makes it. To be called by each
 * process once the schema is there and before it writes anything.
 *
 * By a connection of its own, so that no failpoint is passed and no transaction of the adapter is touched.
 */
export function installAudit(file: string, { name, skewMs }: Writer): void {
  const database = new DatabaseSync(file);
  try {
    database.exec("PRAGMA busy_timeout = 5000");
    database.exec("PRAGMA synchronous = NORMAL");
    database.exec("BEGIN IMMEDIATE");
    const isThere = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'crash_audit'").get() !== undefined;
    if (!isThere) database.exec(auditOf(database));
    database.prepare("UPDATE crash_writer SET name = ?, skew_ms = ?").run(name, skewMs);
    database.exec("COMMIT");
  } finally {
    database.close();
  }
}

function auditOf(database: Database): string {
  const triggers = TABLES.flatMap((table) =>
    Object.entries(CHANGES)
      // What was answered to a flush is replaced by the next, which says nothing.
      .filter(([change]) => !(table === "flushes" && change === "D"))
      .map(([change, name]) => triggerOf(database, table, change, name)),
  );
  return `
    CREATE TABLE crash_writer (name TEXT NOT NULL, skew_ms INTEGER NOT NULL);
    INSERT INTO crash_writer VALUES ('', 0);
    CREATE TABLE crash_audit (
      seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, source TEXT NOT NULL, change TEXT NOT NULL, row TEXT NOT NULL,
      caller TEXT NOT NULL
    );
    ${triggers.join("\n")}`;
}

function triggerOf(database: Database, table: string, change: string, name: string): string {
  const columns = database.prepare(`SELECT name FROM pragma_table_info('weftline_${table}')`).all() as {
    readonly name: string;
  }[];
  const from = change === "D" ? "OLD" : "NEW";
  const row = columns.map((column) => `'${column.name}', ${from}.${column.name}`).join(", ");
  return `CREATE TRIGGER crash_audit_${table}_${change} AFTER ${name} ON weftline_${table} BEGIN
    INSERT INTO crash_audit (at, source, change, row, caller)
      SELECT CAST(round(unixepoch('now', 'subsec') * 1000) AS INTEGER) + w.skew_ms, '${table}', '${change}',
          json_object(${row}), w.name
        FROM crash_writer w;
  END;`;
}

/** All that the database wrote down, in the order of writing. Empty where there is no audit yet. */
export function readAudit(file: string): readonly Change[] {
  const database = new DatabaseSync(file);
  try {
    if (database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'crash_audit'").get() === undefined) return [];
    const rows = database.prepare(
      `SELECT seq, at, source AS "table", change, row, caller FROM crash_audit ORDER BY seq`,
    );
    const audit = (rows.all() as (AuditRow & { readonly row: string | object })[]).map(
      (row) => ({ ...row, tx: undefined, row: JSON.parse(row.row as string) }) as AuditRow,
    );
    return changesOf(audit, {
      workers: byNumber<Origin>(database, "SELECT n, engine, executor FROM weftline_workers"),
      kinds: byNumber<Kind>(database, "SELECT n, pipeline, definition FROM weftline_kinds"),
    });
  } finally {
    database.close();
  }
}

function byNumber<Row>(database: Database, sql: string): ReadonlyMap<number, Row> {
  const rows = database.prepare(sql).all() as (Row & { readonly n: number })[];
  return new Map(rows.map((row) => [row.n, row]));
}
