import {
  type ArtifactRecord,
  isRunFinished,
  type Page,
  type PageRequest,
  type RunQuery,
  type RunRecord,
  type RunStatus,
} from "weftline";
import type { Connection, Row } from "./connection.js";
import { type Place, pageOf, readCursor } from "./cursors.js";
import { lineColumns, lineOf } from "./lines.js";
import { runOf, SELECT_RUNS } from "./rows.js";
import { numberOf } from "./run-history.js";
import { type Range, rangesOf } from "./run-ranges.js";

/** How many runs of a range are read at once, at least. */
const MIN_CHUNK = 16;

export function getRun(connection: Connection, runId: string): RunRecord | undefined {
  const row = connection.get(`${SELECT_RUNS} r.id = ?`, runId);
  return row && runOf(row);
}

export function endedAmong(connection: Connection, runIds: readonly string[]): readonly string[] {
  return runIds.filter((id) => {
    const row = connection.get("SELECT status FROM weftline_runs WHERE id = ?", id);
    return row === undefined || isRunFinished(row.status as RunStatus);
  });
}

export function getArtifact(connection: Connection, runId: string, name: string): ArtifactRecord | undefined {
  const run = numberOf(connection, runId);
  if (run === undefined) return undefined;
  const sql = `SELECT ${lineColumns("artifacts")}, data FROM weftline_artifacts WHERE run = ? AND name = ?
    ORDER BY line DESC LIMIT 1`;
  const row = connection.get(sql, run, name);
  return row && { ...lineOf("artifacts", runId, row), data: row.data as Uint8Array };
}

/** Reads a page of runs, newest first, inside of a read. */
export function listRuns(connection: Connection, query: RunQuery, page: PageRequest): Page<RunRecord> {
  const after = readCursor("runs", page.cursor);
  const ranges = rangesOf(connection, query);
  const limit = page.limit + 1;
  const chunk = Math.min(limit, Math.max(MIN_CHUNK, Math.ceil((2 * limit) / ranges.length)));
  const readers = ranges
    .map((range) => new RangeReader(connection, range, after, chunk))
    .filter(({ first }) => first !== undefined);
  const found: { readonly record: RunRecord; readonly place: Place }[] = [];
  while (found.length < limit) {
    const newest = newestOf(readers);
    if (newest === undefined) break;
    const { at, n } = newest.shift();
    found.push({ record: runOf(connection.get(`${SELECT_RUNS} r.n = ?`, n!)!), place: [at as number, n as number] });
  }
  return pageOf("runs", found, page);
}

function newestOf(readers: readonly RangeReader[]): RangeReader | undefined {
  let newest: RangeReader | undefined;
  for (const reader of readers) {
    if (reader.first !== undefined && (newest === undefined || isNewer(reader.first, newest.first!))) newest = reader;
  }
  return newest;
}

function isNewer(a: Row, b: Row): boolean {
  return a.at === b.at ? a.n! > b.n! : a.at! > b.at!;
}

/** The runs of one range, the newest first, read as far as somebody asks. */
class RangeReader {
  readonly #read: (after: Place | undefined) => readonly Row[];
  readonly #chunk: number;
  #rows: readonly Row[];
  #place = 0;

  constructor(connection: Connection, { from, at, n, within, filter }: Range, after: Place | undefined, chunk: number) {
    const where = within.and(filter);
    const select = `SELECT ${at} AS at, ${n} AS n FROM ${from} WHERE ${where.sql}`;
    const order = `ORDER BY ${at} DESC, ${n} DESC LIMIT ${chunk}`;
    this.#read = (last) => {
      if (last === undefined) return connection.all(`${select} ${order}`, ...where.values);
      return connection.all(`${select} AND (${at}, ${n}) < (?, ?) ${order}`, ...where.values, ...last);
    };
    this.#chunk = chunk;
    this.#rows = this.#read(after);
  }

  get first(): Row | undefined {
    return this.#rows[this.#place];
  }

  shift(): Row {
    const row = this.#rows[this.#place++]!;
    if (this.#place === this.#rows.length && this.#place === this.#chunk) {
      this.#rows = this.#read([row.at as number, row.n as number]);
      this.#place = 0;
    }
    return row;
  }
}
