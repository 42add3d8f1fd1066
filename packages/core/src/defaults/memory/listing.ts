import type {
  AttemptRecord,
  HistoryKind,
  HistoryKinds,
  Page,
  PageRequest,
  RunQuery,
  RunRecord,
} from "../../contracts/records.js";
import { WeftlineError } from "../../errors.js";
import type { CellAt, RunStore } from "./run-store.js";

/** A page of the records of one run. */
export function listOfRun<Kind extends HistoryKind>(
  kind: Kind,
  store: RunStore,
  query: HistoryKinds[Kind]["query"],
  page: PageRequest,
): Page<HistoryKinds[Kind]["record"]> {
  const after = readCursor(kind, page.cursor);
  switch (kind) {
    case "tasks":
      return takePage(kind, page.limit, taskRows(store, after), query);
    case "attempts":
      return takePage(kind, page.limit, attemptRows(store, after), query);
    case "artifacts":
      return takePage(kind, page.limit, artifactRows(store, after), query);
    default:
      return takePage(kind, page.limit, arrayRows<unknown>(store[kind as "logs" | "metrics"], after), query);
  }
}

/** A page of runs, newest first. */
export function listRuns(stores: readonly RunStore[], query: RunQuery, page: PageRequest): Page<RunRecord> {
  const [before = Number.POSITIVE_INFINITY] = readCursor("runs", page.cursor);
  const { since = Number.NEGATIVE_INFINITY, until = Number.POSITIVE_INFINITY, tag, ...fields } = query;
  function* rows(): Generator<Row<RunRecord>> {
    for (let place = stores.length - 1; place >= 0; place--) {
      const { sequence, record } = stores[place]!;
      if (sequence >= before || record.createdAt < since || record.createdAt >= until) continue;
      if (tag === undefined || record.tags.includes(tag)) yield { record, path: [sequence] };
    }
  }
  return takePage("runs", page.limit, rows(), fields);
}

interface Row<Record> {
  readonly record: Record;
  /** The row's place, as cursors keep it. */
  readonly path: readonly number[];
}

function takePage<Record>(kind: HistoryKind, limit: number, rows: Iterable<Row<unknown>>, query: object): Page<Record> {
  const items: Record[] = [];
  let last: readonly number[] = [];
  for (const { record, path } of rows) {
    if (!matches(record as object, query)) continue;
    if (items.length === limit) return { items, next: `${kind}:${last.join(".")}` };
    items.push(record as Record);
    last = path;
  }
  return { items, next: undefined };
}

/** Each field of the query is a value to equal, or a list of which the record's value is one; `index` is compared as a path. */
function matches(record: object, query: object): boolean {
  for (const [field, wanted] of Object.entries(query)) {
    const value = (record as Readonly<Record<string, unknown>>)[field];
    if (wanted === undefined) continue;
    if (
      field === "index"
        ? String(value) !== String(wanted)
        : Array.isArray(wanted)
          ? !wanted.includes(value)
          : value !== wanted
    ) {
      return false;
    }
  }
  return true;
}

function* taskRows(store: RunStore, after: readonly number[]): Generator<Row<unknown>> {
  for (const { cell, path } of store.cells(after)) if (cell.record) yield { record: cell.record, path };
}

/** The cursor of an attempt is its task's path with the attempt's number behind it. */
function* attemptRows(store: RunStore, after: readonly number[]): Generator<Row<AttemptRecord>> {
  const path = after.slice(0, -1);
  const current = path.length > 0 ? store.cellAtPath(path) : undefined;
  if (current) yield* attemptsOf({ cell: current, path }, after.at(-1)!);
  for (const cell of store.cells(path)) yield* attemptsOf(cell, 0);
}

function* attemptsOf({ cell, path }: CellAt, after: number): Generator<Row<AttemptRecord>> {
  for (const record of cell.attempts)
    if (record && record.attempt > after) yield { record, path: [...path, record.attempt] };
}

function* artifactRows(store: RunStore, after: readonly number[]): Generator<Row<unknown>> {
  for (const { record, path } of arrayRows(store.artifacts, after)) {
    const { data: _, ...info } = record;
    yield { record: info, path };
  }
}

function* arrayRows<Record>(records: readonly Record[], [last = -1]: readonly number[]): Generator<Row<Record>> {
  for (let place = last + 1; place < records.length; place++) yield { record: records[place]!, path: [place] };
}

function readCursor(kind: HistoryKind, cursor: string | undefined): readonly number[] {
  if (cursor === undefined) return [];
  const match = /^([a-z]+):(\d+(?:\.\d+)*)$/.exec(cursor);
  if (match?.[1] !== kind) {
    throw new WeftlineError(
      "CURSOR_INVALID",
      `Cannot go on from cursor "${cursor.slice(0, 60)}" in a listing of ${kind}. Pass the \`next\` of a page of the same listing, unchanged.`,
    );
  }
  return match[2]!.split(".").map(Number);
}
