import type {
  ArtifactInfo,
  ArtifactRecord,
  AssetRecord,
  LogRecord,
  MetricRecord,
  RunChanges,
  StepRecord,
} from "weftline";
import type { Connection, Row } from "./connection.js";
import type { SqliteValue } from "./driver.js";
import { indexOf, pathOf } from "./index-path.js";
import { orNull, orUndefined } from "./rows.js";

/** What the attempts of a run write, of each kind in the order it was written. */
interface Lines {
  logs: { written: LogRecord; listed: LogRecord };
  metrics: { written: MetricRecord; listed: MetricRecord };
  artifacts: { written: ArtifactRecord; listed: ArtifactInfo };
  steps: { written: StepRecord; listed: StepRecord };
  assets: { written: AssetRecord; listed: AssetRecord };
}
export type LineKind = keyof Lines;

type FromAttempt = Pick<LogRecord, "runId" | "task" | "index" | "generation" | "attempt" | "at">;

interface LineTable<Kind extends LineKind> {
  readonly name: string;
  /** Those that only this kind has, in the order of `values`. */
  readonly columns: readonly string[];
  readonly values: (record: Lines[Kind]["written"]) => readonly SqliteValue[];
  /** Default: all of them. */
  readonly listed?: readonly string[];
  readonly read: (line: FromAttempt, row: Row) => Lines[Kind]["listed"];
  readonly onConflict?: string;
}

const SHARED = ["task", "path", "generation", "attempt", "at"] as const;

export const LINE_TABLES: { readonly [Kind in LineKind]: LineTable<Kind> } = {
  logs: {
    name: "weftline_logs",
    columns: ["level", "message", "data"],
    values: ({ level, message, data }) => [level, message, orNull(data)],
    read: (line, row) => ({
      ...line,
      level: row.level as LogRecord["level"],
      message: row.message as string,
      data: orUndefined<string>(row.data),
    }),
  },
  metrics: {
    name: "weftline_metrics",
    columns: ["name", "value"],
    values: ({ name, value }) => [name, Number.isNaN(value) ? "NaN" : Object.is(value, -0) ? "-0" : value],
    read: (line, row) => ({ ...line, name: row.name as string, value: Number(row.value) }),
  },
  artifacts: {
    name: "weftline_artifacts",
    columns: ["name", "content_type", "size", "data"],
    values: ({ name, contentType, size, data }) => [name, contentType, size, data],
    listed: ["name", "content_type", "size"],
    read: (line, row) => ({
      ...line,
      name: row.name as string,
      contentType: row.content_type as string,
      size: row.size as number,
    }),
  },
  steps: {
    name: "weftline_steps",
    columns: ["step", "started_at", "output"],
    values: ({ step, startedAt, output }) => [step, startedAt, output],
    read: (line, row) => ({
      ...line,
      step: row.step as string,
      startedAt: row.started_at as number,
      output: row.output as string,
    }),
    onConflict: `(run, task, path, generation, step) DO UPDATE SET
      attempt = excluded.attempt, at = excluded.at, started_at = excluded.started_at, output = excluded.output`,
  },
  assets: {
    name: "weftline_assets",
    columns: ["asset"],
    values: ({ asset }) => [asset],
    read: (line, row) => ({ ...line, asset: row.asset as string }),
  },
};
export const LINE_KINDS = Object.keys(LINE_TABLES) as readonly LineKind[];

/** Made once, so that the texts under which statements are kept are always the same. */
const INSERTS = Object.fromEntries(LINE_KINDS.map((kind) => [kind, insertSql(LINE_TABLES[kind])]));

function insertSql({
  name,
  columns,
  onConflict,
}: Pick<LineTable<LineKind>, "name" | "columns" | "onConflict">): string {
  const all = ["run", "line", ...SHARED, ...columns];
  const sql = `INSERT INTO ${name} (${all.join(", ")}) VALUES (${all.map(() => "?").join(", ")})`;
  return onConflict === undefined ? sql : `${sql} ON CONFLICT ${onConflict}`;
}

export function writeLines(connection: Connection, run: number, changes: RunChanges): void {
  for (const kind of LINE_KINDS) if (changes[kind].length > 0) writeKind(connection, run, kind, changes[kind]);
}

function writeKind<Kind extends LineKind>(
  connection: Connection,
  run: number,
  kind: Kind,
  records: readonly Lines[Kind]["written"][],
): void {
  const { name, values } = LINE_TABLES[kind];
  const sql = INSERTS[kind]!;
  const last = connection.get(`SELECT max(line) AS line FROM ${name} WHERE run = ?`, run)!.line;
  let line = (last as number | null) ?? 0;
  for (const record of records) {
    const { task, index, generation, attempt, at } = record;
    connection.run(sql, run, ++line, task, pathOf(index), generation, attempt, at, ...values(record));
  }
}

export function lineColumns(kind: LineKind): string {
  const { columns, listed = columns } = LINE_TABLES[kind];
  return ["line", ...SHARED, ...listed].join(", ");
}

export function lineOf<Kind extends LineKind>(kind: Kind, runId: string, row: Row): Lines[Kind]["listed"] {
  const line = {
    runId,
    task: row.task as string,
    index: indexOf(row.path as string),
    generation: row.generation as number,
    attempt: row.attempt as number,
    at: row.at as number,
  };
  return LINE_TABLES[kind].read(line, row);
}
