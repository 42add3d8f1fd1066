import { RUN_STATUSES, type RunQuery, type RunStatus } from "weftline";
import type { Connection } from "./connection.js";
import { Conditions } from "./cursors.js";

/** How many entries of an index are counted, at most, to see which one is the best to go by. */
const MAX_COUNTED = 2_000;

/** A part of an index, in which runs stand in the order of their age. */
export interface Range {
  readonly from: string;
  /** The columns of the age. */
  readonly at: string;
  readonly n: string;
  /** Which part it is. */
  readonly within: Conditions;
  /** What else the runs in it have to be. */
  readonly filter: Conditions;
}

/** What all ranges of a query have in common. */
interface Search {
  readonly query: RunQuery;
  readonly statuses: readonly RunStatus[];
  /** The kinds of runs it is about; `undefined`: all. */
  readonly kinds: readonly number[] | undefined;
}

/** Columns of which few runs have the same value, as a rule; each has an index. */
const RARE = ["key", "parent", "owner"] as const;
type Rare = (typeof RARE)[number];

/**
 * Where the runs of a query are, such that few others are passed over to find them: by what is rare, or else by ranges
 * of one kind and one status each, in which all have them.
 */
export function rangesOf(connection: Connection, query: RunQuery): readonly Range[] {
  const statuses = query.status === undefined ? RUN_STATUSES : [...new Set(query.status)];
  const search: Search = { query, statuses, kinds: kindsIn(connection, query) };
  const ways: (readonly Range[])[] = rareIn(query).map((column) => [rangeOfRare(search, column)]);
  if (query.tag !== undefined) ways.push(rangesOfTag(connection, search, query.tag));
  if (ways.length === 0) return rangesOfKinds(search);
  return ways.length === 1 ? ways[0]! : shortest(connection, ways);
}

function kindsIn(connection: Connection, { pipeline, definition }: RunQuery): readonly number[] | undefined {
  if (pipeline === undefined && definition === undefined) return undefined;
  const where = new Conditions().equal("pipeline", pipeline).equal("definition", definition);
  return connection.all(`SELECT n FROM weftline_kinds WHERE ${where.sql}`, ...where.values).map(({ n }) => n as number);
}

function rareIn(query: RunQuery): readonly Rare[] {
  return RARE.filter((column) => query[column] !== undefined);
}

function rangeOfRare({ query, kinds }: Search, column: Rare): Range {
  const filter = new Conditions().among("r.status", query.status).among("r.kind", kinds);
  for (const other of rareIn(query)) if (other !== column) filter.equal(`r.${other}`, query[other]);
  if (query.tag !== undefined) {
    filter.add(
      `EXISTS (SELECT 1 FROM weftline_tags g WHERE g.tag = ? AND g.kind = r.kind AND g.status = r.status
         AND g.created_at = r.created_at AND g.run = r.n)`,
      query.tag,
    );
  }
  return rangeOfRuns(query, new Conditions().equal(`r.${column}`, query[column]), filter);
}

function rangesOfKinds({ query, statuses, kinds }: Search): readonly Range[] {
  const ofStatus = (status: RunStatus, kind?: number) =>
    rangeOfRuns(query, new Conditions().equal("r.kind", kind).equal("r.status", status));
  return statuses.flatMap((status) => kinds?.map((kind) => ofStatus(status, kind)) ?? [ofStatus(status)]);
}

function rangeOfRuns(query: RunQuery, within: Conditions, filter = new Conditions()): Range {
  return {
    from: "weftline_runs r",
    at: "r.created_at",
    n: "r.n",
    within: addTime(within, "r.created_at", query),
    filter,
  };
}

function rangesOfTag(connection: Connection, { query, kinds, statuses }: Search, tag: string): readonly Range[] {
  const rare = rareIn(query);
  const from = rare.length > 0 ? "weftline_tags g CROSS JOIN weftline_runs r ON r.n = g.run" : "weftline_tags g";
  const filter = new Conditions();
  for (const column of rare) filter.equal(`r.${column}`, query[column]);
  return (kinds ?? kindsWith(connection, tag)).flatMap((kind) =>
    statuses.map((status) => {
      const within = new Conditions().add("g.tag = ? AND g.kind = ? AND g.status = ?", tag, kind, status);
      return { from, at: "g.created_at", n: "g.run", within: addTime(within, "g.created_at", query), filter };
    }),
  );
}

/** The kinds of the runs that carry this tag, found from one to the next. */
function kindsWith(connection: Connection, tag: string): readonly number[] {
  const sql = "SELECT kind FROM weftline_tags WHERE tag = ? AND kind > ? ORDER BY kind LIMIT 1";
  const kinds: number[] = [];
  for (let row = connection.get(sql, tag, -1); row !== undefined; row = connection.get(sql, tag, row.kind!)) {
    kinds.push(row.kind as number);
  }
  return kinds;
}

function addTime(where: Conditions, column: string, { since, until }: RunQuery): Conditions {
  if (since !== undefined) where.add(`${column} >= ?`, since);
  if (until !== undefined) where.add(`${column} < ?`, until);
  return where;
}

function shortest(connection: Connection, ways: readonly (readonly Range[])[]): readonly Range[] {
  let best: { readonly way: readonly Range[]; readonly size: number } | undefined;
  for (const way of ways) {
    const size = way.reduce((sum, range) => sum + countSome(connection, range), 0);
    if (best === undefined || size < best.size) best = { way, size };
  }
  return best!.way;
}

/** How many runs are in it, whatever else they are. */
function countSome(connection: Connection, { from, within }: Range): number {
  const [table] = from.split(" CROSS JOIN");
  const sql = `SELECT count(*) AS size FROM (SELECT 1 FROM ${table} WHERE ${within.sql} LIMIT ${MAX_COUNTED})`;
  return connection.get(sql, ...within.values)!.size as number;
}
