import type {
  AttemptQuery,
  HistoryKind,
  HistoryKinds,
  Page,
  PageRequest,
  RunQuery,
  RunRecord,
  TaskQuery,
} from "../../contracts/records.js";
import { WeftlineError } from "../../errors.js";
import { matches } from "./matches.js";
import type { LineKind } from "./run-lines.js";
import type { RunStore } from "./run-store.js";
import { type Path, pathOf } from "./task-history.js";

/** Records of a listing, one more than fit a page where there are more. */
interface Found {
  readonly records: readonly unknown[];
  /** The place in the listing of the record at this place of `records`, as cursors keep it. */
  readonly placeOf: (place: number) => Path;
}

/** A page of the records of one run. */
export function listOfRun<Kind extends HistoryKind>(
  kind: Kind,
  run: RunStore,
  query: HistoryKinds[Kind]["query"],
  page: PageRequest,
): Page<HistoryKinds[Kind]["record"]> {
  const after = readCursor(kind, page.cursor);
  return pageOf(kind, find(kind, run, query, after, page.limit + 1), page.limit);
}

/** A page of the records of several runs, one run after the other. @param listing - The name that its cursors bear. */
export function listOfRuns<Kind extends "tasks" | "steps">(
  kind: Kind,
  runs: readonly (RunStore | undefined)[],
  { limit, cursor }: PageRequest,
  listing: string,
): Page<HistoryKinds[Kind]["record"]> {
  const [first = 0, ...within] = readCursor(listing, cursor);
  const records: unknown[] = [];
  const places: Path[] = [];
  for (let place = first; place < runs.length && records.length <= limit; place++) {
    const run = runs[place];
    if (run === undefined) continue;
    const found = find(kind, run, { runId: run.record.id }, place === first ? within : [], limit + 1 - records.length);
    for (let n = 0; n < found.records.length; n++) places.push([place, ...found.placeOf(n)]);
    records.push(...found.records);
  }
  return pageOf(listing, { records, placeOf: (place) => places[place]! }, limit);
}

/** A page of runs, newest first. @param runs - Oldest first. */
export function listRuns(runs: readonly RunStore[], query: RunQuery, page: PageRequest): Page<RunRecord> {
  const [before = Number.POSITIVE_INFINITY] = readCursor("runs", page.cursor);
  const found: RunStore[] = [];
  for (let place = placeOfSequence(runs, before) - 1; place >= 0 && found.length <= page.limit; place--) {
    if (isWanted(runs[place]!.record, query)) found.push(runs[place]!);
  }
  const records = found.map(({ record }) => record);
  return pageOf("runs", { records, placeOf: (place) => [found[place]!.sequence] }, page.limit);
}

/** The place of the first run with this sequence or a higher one. @param runs - Oldest first. */
export function placeOfSequence(runs: readonly RunStore[], sequence: number): number {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (runs[middle]!.sequence < sequence) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isWanted(record: RunRecord, query: RunQuery): boolean {
  const { since = Number.NEGATIVE_INFINITY, until = Number.POSITIVE_INFINITY, tag, parent, ...fields } = query;
  if (record.createdAt < since || record.createdAt >= until) return false;
  if (tag !== undefined && !record.tags.includes(tag)) return false;
  if (parent !== undefined && record.parent?.runId !== parent) return false;
  return matches(record, fields);
}

function pageOf<Record>(kind: string, { records, placeOf }: Found, limit: number): Page<Record> {
  const items = records as readonly Record[];
  if (items.length <= limit) return { items, next: undefined };
  return { items: items.slice(0, limit), next: `${kind}:${placeOf(limit - 1).join(".")}` };
}

function find(kind: HistoryKind, run: RunStore, query: object, after: Path, limit: number): Found {
  if (kind === "tasks") return findTasks(run, query as TaskQuery, after, limit);
  if (kind === "attempts") return findAttempts(run, query as AttemptQuery, after, limit);
  return findLines(run, kind as LineKind, query, after, limit);
}

function findTasks(run: RunStore, query: TaskQuery, after: Path, limit: number): Found {
  const records = run.history.tasks(query, after, limit);
  return { records, placeOf: (place) => pathOf(records[place]!) };
}

/** The place of an attempt is its task's path with its generation and number behind it. */
function findAttempts(run: RunStore, query: AttemptQuery, after: Path, limit: number): Found {
  const [generation = 0, attempt = 0] = after.slice(-2);
  const records = run.history.attempts(query, { path: after.slice(0, -2), generation, attempt }, limit);
  const last = (place: number) => records[place]!;
  return { records, placeOf: (place) => [...pathOf(last(place)), last(place).generation, last(place).attempt] };
}

function findLines(run: RunStore, kind: LineKind, query: object, [last = -1]: Path, limit: number): Found {
  const lines: readonly object[] = run.lines(kind);
  const places: number[] = [];
  for (let place = last + 1; place < lines.length && places.length < limit; place++) {
    if (matches(lines[place]!, query)) places.push(place);
  }
  const read = (place: number) => (kind === "artifacts" ? withoutBytes(lines[place]!) : lines[place]!);
  return { records: places.map(read), placeOf: (place) => [places[place]!] };
}

function withoutBytes(artifact: object): object {
  const { data: _, ...info } = artifact as { readonly data: Uint8Array };
  return info;
}

function readCursor(kind: string, cursor: string | undefined): Path {
  if (cursor === undefined) return [];
  const match = /^([a-zA-Z]+):(\d+(?:\.\d+)*)$/.exec(cursor);
  if (match?.[1] !== kind) {
    throw new WeftlineError(
      "CURSOR_INVALID",
      `Cannot go on from cursor "${cursor.slice(0, 60)}" in a listing of ${kind}. Pass the \`next\` of a page of the same listing, unchanged.`,
    );
  }
  return match[2]!.split(".").map(Number);
}
