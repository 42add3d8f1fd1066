import { isRunFinished, type RunQuery, type RunStatus } from "weftline";
import { Conditions } from "./conditions.js";
import type { Place } from "./cursors.js";

/** Where runs that match are looked for: `r`, by way of whatever has the fewest of them in the order of listings. */
interface Source {
  readonly tables: string;
  /** Of the table that is read first: it has the columns that order the listing, `pipeline`, and the number of the run. */
  readonly first: string;
  readonly number: string;
}

const RUNS: Source = { tables: "{schema}.runs r", first: "r", number: "r.number" };
const TAGS: Source = {
  tables: "{schema}.tags g JOIN {schema}.runs r ON r.number = g.run",
  first: "g",
  number: "g.run",
};
const ENDED: Source = {
  tables: "{schema}.ended e JOIN {schema}.runs r ON r.number = e.run",
  first: "e",
  number: "e.run",
};
/** Both are in the same order, so that they are read side by side. */
const ENDED_WITH_TAG: Source = {
  tables: `{schema}.tags g JOIN {schema}.ended e ON e.created_at = g.created_at AND e.run = g.run
    JOIN {schema}.runs r ON r.number = e.run`,
  first: "e",
  number: "e.run",
};
const OWNED: Source = {
  tables: runsOf("SELECT run, created_at, pipeline, owner FROM {schema}.owned"),
  first: "u",
  number: "u.run",
};
const UNFINISHED: Source = {
  tables: runsOf(`SELECT run, created_at, pipeline FROM {schema}.owned
    UNION ALL SELECT run, created_at, pipeline FROM {schema}.free`),
  first: "u",
  number: "u.run",
};

/** Sorts what few columns there are, and looks up one run after the other: OFFSET keeps plans from beginning at the other end. */
function runsOf(rows: string): string {
  return `(SELECT * FROM (${rows}) n ORDER BY created_at DESC, run DESC OFFSET 0) u
    CROSS JOIN LATERAL (SELECT * FROM {schema}.runs WHERE number = u.run OFFSET 0) r`;
}

/** The end of a statement that lists runs: from FROM to ORDER BY, newest first. @param after - A place in the listing. */
export function runListing(query: RunQuery, after: Place | undefined): RunListing {
  const source = sourceOf(query);
  const conditions = conditionsOf(query, source);
  const createdAt = `${source.first}.created_at`;
  if (after !== undefined) {
    const place = after.map((part) => `${conditions.value(part)}::bigint`).join(", ");
    conditions.also(`(${createdAt}, ${source.number}) < (${place})`);
  }
  const order = `ORDER BY ${createdAt} DESC, ${source.number} DESC`;
  return { text: `FROM ${source.tables} WHERE ${conditions.text} ${order}`, conditions };
}

interface RunListing {
  readonly text: string;
  readonly conditions: Conditions;
}

function sourceOf({ pipeline, definition, owner, tag, key, parent, status }: RunQuery): Source {
  if (owner !== undefined) return OWNED;
  // Of a key or a parent there are few.
  if (key !== undefined || parent !== undefined) return RUNS;
  if (status?.every((name) => !isRunFinished(name))) return UNFINISHED;
  const isEnded = status !== undefined && isOfOneIndex(status);
  if (tag !== undefined) return isEnded ? ENDED_WITH_TAG : TAGS;
  if (definition !== undefined) return RUNS;
  // Most runs of a pipeline succeed.
  return isEnded && !(pipeline !== undefined && status.includes("succeeded")) ? ENDED : RUNS;
}

/** One outcome, or those that are none of success: of these there is an index in the order of listings. */
function isOfOneIndex(status: readonly RunStatus[]): boolean {
  return status.every(isRunFinished) && (status.length === 1 || !status.includes("succeeded"));
}

function conditionsOf(query: RunQuery, source: Source): Conditions {
  const { pipeline, status, key, tag, parent, owner, definition, since, until } = query;
  const { first } = source;
  const conditions = new Conditions();
  conditions.equal(`${first}.pipeline`, pipeline).equal("r.definition", definition).equal("r.key", key);
  conditions.equal("r.parent_run", parent).equal("u.owner", owner);
  if (source === TAGS || source === ENDED_WITH_TAG) conditions.equal("g.tag", tag);
  else conditions.add(tag, (text) => `${text} = ANY (r.tags)`);
  conditions.add(since, (moment) => `${first}.created_at >= ${moment}::bigint`);
  conditions.add(until, (moment) => `${first}.created_at < ${moment}::bigint`);
  if (source !== ENDED && source !== ENDED_WITH_TAG) return conditions.among("r.status", status);
  if (status!.length === 1) return conditions.equal("e.outcome", status![0]);
  return conditions.also("e.outcome <> 'succeeded'").among("e.outcome", status);
}
