import type { EngineRecord, EpochMs, Look, LookRequest, Survey, UnadoptableRuns } from "weftline";
import { DELAYED_RUNS, FREE_RUNS } from "./claims.js";
import type { Connection, Row } from "./connection.js";
import { hasMessages } from "./inbox.js";
import { type Kind, kindsOf } from "./kinds.js";

/** How many of the runs that nobody can adopt are named, of each definition. */
const NAMED = 10;

/** Inside of a read. */
export function look(connection: Connection, request: LookRequest, storeNow: EpochMs): Look {
  const kinds = kindsOf(connection, request.definitions);
  return {
    storeNow,
    claimable: kinds.some((kind) => isAnyDue(connection, kind, request.now)) || isAnyDead(connection, storeNow),
    messages: hasMessages(connection, request.engineId),
    nextWake: nextWake(connection, kinds, request, storeNow),
  };
}

function isAnyDue(connection: Connection, { n }: Kind, now: EpochMs): boolean {
  return [FREE_RUNS, DELAYED_RUNS].some((runs) => {
    return connection.get(`SELECT 1 FROM ${runs} AND kind = ? AND available_at <= ? LIMIT 1`, n, now) !== undefined;
  });
}

function isAnyDead(connection: Connection, storeNow: EpochMs): boolean {
  const sql = `SELECT 1 FROM weftline_engines e WHERE lease_until <= ?
    AND EXISTS (SELECT 1 FROM weftline_runs WHERE owner = e.id) LIMIT 1`;
  return connection.get(sql, storeNow) !== undefined;
}

function nextWake(
  connection: Connection,
  kinds: readonly Kind[],
  { engineId, now }: LookRequest,
  storeNow: EpochMs,
): EpochMs | undefined {
  const starts = kinds.map((kind) => nextStart(connection, kind, now));
  const lease = connection.get(
    `SELECT min(lease_until) AS at FROM weftline_engines e WHERE lease_until > ? AND lease_until > ? AND id <> ?
       AND EXISTS (SELECT 1 FROM weftline_runs WHERE owner = e.id)`,
    now,
    storeNow,
    engineId,
  )!.at as number | null;
  return earliestOf([...starts, lease]);
}

function nextStart(connection: Connection, { n }: Kind, now: EpochMs): EpochMs | null {
  const sql = `SELECT available_at AS at FROM ${DELAYED_RUNS} AND kind = ? AND available_at > ? ORDER BY available_at LIMIT 1`;
  return (connection.get(sql, n, now)?.at as number | undefined) ?? null;
}

function earliestOf(moments: readonly (EpochMs | null)[]): EpochMs | undefined {
  const earliest = Math.min(...moments.map((moment) => moment ?? Number.POSITIVE_INFINITY));
  return Number.isFinite(earliest) ? earliest : undefined;
}

/** Inside of a read. Goes by kinds of runs, of which there are few, and not through runs that have ended. */
export function survey(connection: Connection, now: EpochMs, storeNow: EpochMs): Survey {
  const engines = enginesOf(connection);
  const living = engines.filter(({ leaseUntil }) => leaseUntil > storeNow);
  const adoptable = new Set(living.flatMap(({ definitions }) => definitions));
  const unadoptable = new Map<string, UnadoptableRuns>();
  let due = 0;
  const oldest: (EpochMs | null)[] = [];
  for (const kind of connection.all("SELECT n, definition, pipeline FROM weftline_kinds ORDER BY n")) {
    if (adoptable.has(kind.definition as string)) {
      const { runs, at } = dueRuns(connection, kind, now);
      due += runs as number;
      oldest.push(at as number | null);
    } else addTo(unadoptable, unadoptableRuns(connection, kind));
  }
  const backlog = { runs: due, oldestAt: earliestOf(oldest) };
  return { storeNow, engines, backlog, unadoptable: [...unadoptable.values()] };
}

function enginesOf(connection: Connection): readonly EngineRecord[] {
  const sql = `SELECT id, lease_until, definitions, (SELECT count(*) FROM weftline_runs WHERE owner = e.id) AS runs
    FROM weftline_engines e ORDER BY id`;
  return connection.all(sql).map((row) => ({
    id: row.id as string,
    leaseUntil: row.lease_until as number,
    definitions: JSON.parse(row.definitions as string) as string[],
    runs: row.runs as number,
  }));
}

function dueRuns(connection: Connection, { n }: Row, now: EpochMs): Row {
  const due = (runs: string) => `SELECT available_at FROM ${runs} AND kind = ? AND available_at <= ?`;
  const sql = `SELECT count(*) AS runs, min(available_at) AS at FROM (${due(FREE_RUNS)} UNION ALL ${due(DELAYED_RUNS)})`;
  return connection.get(sql, n!, now, n!, now)!;
}

function unadoptableRuns(connection: Connection, { n, definition, pipeline }: Row): UnadoptableRuns {
  const free = (columns: string) =>
    `SELECT ${columns} FROM ${FREE_RUNS} AND kind = ? UNION ALL SELECT ${columns} FROM ${DELAYED_RUNS} AND kind = ?`;
  const { runs } = connection.get(`SELECT count(*) AS runs FROM (${free("n")})`, n!, n!)!;
  const oldest = connection.all(
    `SELECT id FROM (${free("id, created_at, n")}) ORDER BY created_at, n LIMIT ${NAMED}`,
    n!,
    n!,
  );
  const runIds = oldest.map(({ id }) => id as string);
  return { pipeline: pipeline as string, definition: definition as string, runs: runs as number, runIds };
}

/** Of one definition there is one record, whatever kinds of runs have it. */
function addTo(unadoptable: Map<string, UnadoptableRuns>, found: UnadoptableRuns): void {
  if (found.runs === 0) return;
  const { definition } = found;
  const known = unadoptable.get(definition);
  if (known === undefined) unadoptable.set(definition, found);
  else {
    const runIds = [...known.runIds, ...found.runIds].slice(0, NAMED);
    unadoptable.set(definition, { ...known, runs: known.runs + found.runs, runIds });
  }
}
