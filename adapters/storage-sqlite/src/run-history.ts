import type {
  AttemptQuery,
  AttemptRecord,
  HistoryKind,
  HistoryKinds,
  LogQuery,
  Page,
  PageRequest,
  StepRecord,
  TaskQuery,
  TaskRecord,
} from "weftline";
import type { Connection, Row } from "./connection.js";
import { Conditions, type Listing, type Place, type Placed, pageOf, readCursor } from "./cursors.js";
import { pathOf, pathsAround } from "./index-path.js";
import { LINE_TABLES, type LineKind, lineColumns, lineOf } from "./lines.js";
import { ATTEMPT_COLUMNS, attemptOf, INLINE_ATTEMPT_COLUMNS, TASK_COLUMNS, taskOf } from "./rows.js";
import type { Workers } from "./workers.js";

/** Reads a page of what belongs to one run, inside of a read. */
export function listOfRun<Kind extends Exclude<HistoryKind, "runs">>(
  connection: Connection,
  workers: Workers,
  kind: Kind,
  query: HistoryKinds[Kind]["query"],
  page: PageRequest,
): Page<HistoryKinds[Kind]["record"]> {
  const after = readCursor(kind, page.cursor);
  const run = numberOf(connection, query.runId);
  if (run === undefined) return { items: [], next: undefined };
  const found = find(connection, workers, kind, { ...query, run }, after, page.limit + 1);
  return pageOf(kind, found as readonly Placed<HistoryKinds[Kind]["record"]>[], page);
}

export function numberOf(connection: Connection, runId: string): number | undefined {
  return connection.get("SELECT n FROM weftline_runs WHERE id = ?", runId)?.n as number | undefined;
}

type OfRun<Query> = Query & { readonly run: number };

function find(
  connection: Connection,
  workers: Workers,
  kind: Listing,
  query: OfRun<object>,
  after: Place | undefined,
  limit: number,
): readonly Placed<unknown>[] {
  if (kind === "tasks") return findTasks(connection, query as OfRun<TaskQuery>, after, limit);
  if (kind === "attempts") return findAttempts(connection, workers, query as OfRun<AttemptQuery>, after, limit);
  return findLines(connection, kind as LineKind, query as OfRun<LogQuery>, after, limit);
}

// ---- Tasks

/** Several runs, one after the other. */
export function loadTasks(connection: Connection, runIds: readonly string[], page: PageRequest): Page<TaskRecord> {
  return loadEach("load-tasks", runIds, page, (runId, after, limit) => {
    const run = numberOf(connection, runId);
    return run === undefined ? [] : findTasks(connection, { runId, run }, after, limit);
  });
}

export function loadSteps(connection: Connection, runIds: readonly string[], page: PageRequest): Page<StepRecord> {
  return loadEach("load-steps", runIds, page, (runId, after, limit) => {
    const run = numberOf(connection, runId);
    return run === undefined
      ? []
      : (findLines(connection, "steps", { runId, run }, after, limit) as readonly Placed<StepRecord>[]);
  });
}

function loadEach<Record>(
  listing: Listing,
  runIds: readonly string[],
  page: PageRequest,
  read: (runId: string, after: Place | undefined, limit: number) => readonly Placed<Record>[],
): Page<Record> {
  const [first = 0, ...rest] = readCursor(listing, page.cursor) ?? [];
  const found: Placed<Record>[] = [];
  for (let run = first as number; run < runIds.length && found.length <= page.limit; run++) {
    const after = run === first && rest.length > 0 ? rest : undefined;
    const left = page.limit + 1 - found.length;
    for (const { record, place } of read(runIds[run]!, after, left)) found.push({ record, place: [run, ...place] });
  }
  return pageOf(listing, found, page);
}

function findTasks(
  connection: Connection,
  query: OfRun<TaskQuery>,
  after: Place | undefined,
  limit: number,
): readonly Placed<TaskRecord>[] {
  const { runId, run, generation } = query;
  const newest = new NewestGenerations(connection, run);
  const found: Placed<TaskRecord>[] = [];
  for (let last = after; ; ) {
    const size = limit - found.length;
    const rows = readTasks(connection, query, last, size);
    for (const row of rows) {
      last = placeOfTask(row);
      if (generation === undefined && newest.hide(row)) continue;
      found.push({ record: taskOf(runId, row), place: last });
    }
    if (rows.length < size || found.length === limit) return found;
  }
}

/** The newest generation of each task and item; whether a list around it is newer still has to be seen. */
function readTasks(
  connection: Connection,
  { run, task, status, generation }: OfRun<TaskQuery>,
  after: Place | undefined,
  limit: number,
): readonly Row[] {
  const where = new Conditions().add("t.run = ?", run).equal("t.task", task).among("t.status", status);
  where.equal("t.generation", generation);
  if (after !== undefined) where.add("(t.position, t.path, t.generation) > (?, ?, ?)", ...after);
  if (generation === undefined) {
    where.add(`NOT EXISTS (SELECT 1 FROM weftline_tasks n
      WHERE n.run = t.run AND n.position = t.position AND n.path = t.path AND n.generation > t.generation)`);
  }
  return connection.all(
    `SELECT ${TASK_COLUMNS} FROM weftline_tasks t WHERE ${where.sql} ORDER BY t.position, t.path, t.generation LIMIT ?`,
    ...where.values,
    limit,
  );
}

function placeOfTask(row: Row): Place {
  return [row.position, row.path, row.generation] as (number | string)[];
}

/** The newest generation of each list, read once for all that is inside of it. */
class NewestGenerations {
  readonly #connection: Connection;
  readonly #run: number;
  readonly #known = new Map<string, number>();

  constructor(connection: Connection, run: number) {
    this.#connection = connection;
    this.#run = run;
  }

  /** Whether a list that this record is in was opened anew after it. */
  hide(row: Row): boolean {
    const path = row.path as string;
    if (path === "") return false;
    const generation = row.generation as number;
    return pathsAround(path).some((around) => this.#of(row.position as number, around) > generation);
  }

  #of(position: number, path: string): number {
    const place = `${position} ${path}`;
    let newest = this.#known.get(place);
    if (newest === undefined) {
      const sql = `SELECT max(generation) AS generation FROM weftline_tasks WHERE run = ? AND position = ? AND path = ?`;
      newest = (this.#connection.get(sql, this.#run, position, path)!.generation as number | null) ?? 0;
      this.#known.set(place, newest);
    }
    return newest;
  }
}

// ---- Attempts

/** Those with rows of their own and those that are kept with their tasks, merged. */
function findAttempts(
  connection: Connection,
  workers: Workers,
  query: OfRun<AttemptQuery>,
  after: Place | undefined,
  limit: number,
): readonly Placed<AttemptRecord>[] {
  const own = ownAttempts(connection, query, after, limit);
  const inline = inlineAttempts(connection, query, after, limit);
  const rows = mergeRows(own, inline, limit);
  return rows.map((row) => ({
    record: attemptOf(query.runId, row, workers.get(row.worker as number)),
    place: placeOfAttempt(row),
  }));
}

function ownAttempts(
  connection: Connection,
  query: OfRun<AttemptQuery>,
  after: Place | undefined,
  limit: number,
): readonly Row[] {
  const where = attemptConditions("a", query);
  where.add(`NOT (a.attempt = 1 AND EXISTS (SELECT 1 FROM weftline_tasks t WHERE t.run = a.run
    AND t.position = a.position AND t.path = a.path AND t.generation = a.generation AND t.worker IS NOT NULL))`);
  if (after !== undefined) where.add("(a.position, a.path, a.generation, a.attempt) > (?, ?, ?, ?)", ...after);
  return connection.all(
    `SELECT ${ATTEMPT_COLUMNS} FROM weftline_attempts a WHERE ${where.sql}
       ORDER BY a.position, a.path, a.generation, a.attempt LIMIT ?`,
    ...where.values,
    limit,
  );
}

function inlineAttempts(
  connection: Connection,
  query: OfRun<AttemptQuery>,
  after: Place | undefined,
  limit: number,
): readonly Row[] {
  const where = attemptConditions("t", query).add("t.worker IS NOT NULL");
  if (after !== undefined) where.add("(t.position, t.path, t.generation) > (?, ?, ?)", ...after.slice(0, 3));
  return connection.all(
    `SELECT ${INLINE_ATTEMPT_COLUMNS} FROM weftline_tasks t WHERE ${where.sql}
       ORDER BY t.position, t.path, t.generation LIMIT ?`,
    ...where.values,
    limit,
  );
}

function attemptConditions(
  table: "a" | "t",
  { run, task, index, generation, status }: OfRun<AttemptQuery>,
): Conditions {
  return new Conditions()
    .add(`${table}.run = ?`, run)
    .equal(`${table}.task`, task)
    .equal(`${table}.path`, index && pathOf(index))
    .equal(`${table}.generation`, generation)
    .among(`${table}.status`, status);
}

function mergeRows(a: readonly Row[], b: readonly Row[], limit: number): readonly Row[] {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  return [...a, ...b].sort((x, y) => comparePlaces(placeOfAttempt(x), placeOfAttempt(y))).slice(0, limit);
}

function placeOfAttempt(row: Row): Place {
  return [row.position, row.path, row.generation, row.attempt] as (number | string)[];
}

function comparePlaces(a: Place, b: Place): number {
  for (let part = 0; part < a.length; part++) if (a[part] !== b[part]) return a[part]! < b[part]! ? -1 : 1;
  return 0;
}

// ---- Logs, metrics, artifacts, steps, assets

const LINE_FILTERS = ["task", "generation", "attempt", "name", "asset"] as const;

function findLines(
  connection: Connection,
  kind: LineKind,
  query: OfRun<LogQuery>,
  after: Place | undefined,
  limit: number,
): readonly Placed<unknown>[] {
  const where = new Conditions().add("run = ?", query.run);
  const filters = query as Readonly<Partial<Record<(typeof LINE_FILTERS)[number], string | number>>>;
  for (const column of LINE_FILTERS) where.equal(column, filters[column]);
  where.equal("path", query.index && pathOf(query.index)).among("level", query.level);
  if (after !== undefined) where.add("line > ?", ...after);
  const rows = connection.all(
    `SELECT ${lineColumns(kind)} FROM ${LINE_TABLES[kind].name} WHERE ${where.sql} ORDER BY line LIMIT ?`,
    ...where.values,
    limit,
  );
  return rows.map((row) => ({ record: lineOf(kind, query.runId, row), place: [row.line as number] }));
}
