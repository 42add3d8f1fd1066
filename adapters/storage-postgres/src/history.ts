import type {
  ArtifactRecord,
  AttemptQuery,
  HistoryKind,
  HistoryKinds,
  Page,
  PageRequest,
  RunQuery,
  RunRecord,
  StepRecord,
  TaskQuery,
  TaskRecord,
} from "weftline";
import { Conditions } from "./conditions.js";
import type { Connections, Row } from "./connections.js";
import { cursorOf, type Place, placeOfCursor } from "./cursors.js";
import {
  type ArtifactRow,
  type AssetRow,
  artifactInfoOf,
  artifactOf,
  assetOf,
  type LogRow,
  logOf,
  type MetricRow,
  metricOf,
  type StepRow,
  stepOf,
} from "./line-rows.js";
import { indexOf, pathOf } from "./paths.js";
import { RUN_COLUMNS, type RunRow, runOf } from "./rows.js";
import { runListing } from "./run-queries.js";
import { type AttemptRow, attemptOf, TASK_COLUMNS, type TaskRow, taskOf } from "./task-rows.js";

/** That no newer generation stands for the task or item `t`, or for what it is a part of. */
const IS_CURRENT = `NOT EXISTS (
  SELECT 1 FROM {schema}.tasks o
    WHERE o.run = t.run AND o.position = t.position AND o.generation > 1 AND o.generation > t.generation
      AND o.path = ANY (ARRAY(SELECT left(t.path, n) FROM generate_series(0, length(t.path)) n))
)`;

/** The number of the run whose id is the first parameter. */
const RUN = "(SELECT r.number FROM {schema}.runs r WHERE r.id = $1)";

type Lines = "logs" | "metrics" | "artifacts" | "assets" | "steps";

/** What is read of each kind of line, from `l`, and what is made of it. */
const LINES: { readonly [Kind in Lines]: readonly [columns: string, (runId: string, row: never) => unknown] } = {
  logs: ["l.level, l.message, l.data", (runId, row: LogRow) => logOf(runId, row)],
  metrics: ["l.name, l.value", (runId, row: MetricRow) => metricOf(runId, row)],
  artifacts: ["l.name, l.content_type, l.size", (runId, row: ArtifactRow) => artifactInfoOf(runId, row)],
  assets: ["l.asset", (runId, row: AssetRow) => assetOf(runId, row)],
  steps: ["l.step, l.started_at, l.output", (runId, row: StepRow) => stepOf(runId, row)],
};

/** The fields that queries of lines have beside the run. */
interface LineQuery {
  readonly runId: string;
  readonly task?: string;
  readonly index?: readonly number[];
  readonly generation?: number;
  readonly attempt?: number;
  readonly level?: readonly string[];
  readonly name?: string;
  readonly asset?: string;
}

/** Reads what was written, in pages. A page takes one record more than fits it, to know whether it is the last. */
export class History {
  readonly #connections: Connections;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  async getRun(runId: string): Promise<RunRecord | undefined> {
    const [row] = await this.#read(`SELECT ${RUN_COLUMNS} FROM {schema}.runs r WHERE r.id = $1`, [runId]);
    return row && runOf(row as unknown as RunRow);
  }

  async list<Kind extends HistoryKind>(
    kind: Kind,
    query: HistoryKinds[Kind]["query"],
    page: PageRequest,
  ): Promise<Page<HistoryKinds[Kind]["record"]>> {
    const after = placeOfCursor(kind, page.cursor);
    if (kind === "runs") return this.#listRuns(query as RunQuery, after, page.limit);
    if (kind === "tasks") return this.#listTasks(query as TaskQuery, after, page.limit);
    if (kind === "attempts") return this.#listAttempts(query as AttemptQuery, after, page.limit);
    return this.#listLines(kind as Lines, query as LineQuery, after, page.limit);
  }

  async loadTasks(runIds: readonly string[], { limit, cursor }: PageRequest): Promise<Page<TaskRecord>> {
    const [first = "0", ...after] = placeOfCursor("tasks-of-runs", cursor) ?? [];
    const wanted = runIds.slice(Number(first));
    const [position, path] = after.length === 0 ? [-1, ""] : taskPlace(after);
    const rows = await this.#read(
      `SELECT l.place, ${TASK_COLUMNS} FROM {schema}.load_tasks_v1($1, $2, $3, $4) l CROSS JOIN LATERAL (SELECT (l.record).*) t`,
      [wanted, position, path, limit + 1],
    );
    const runId = (row: Row) => wanted[(row.place as number) - 1]!;
    return pageOf(
      rows,
      limit,
      (row) => taskOf(runId(row), row as unknown as TaskRow),
      (row) => cursorOf("tasks-of-runs", [Number(first) + (row.place as number) - 1, ...placeOfTask(row)]),
    );
  }

  async loadSteps(runIds: readonly string[], { limit, cursor }: PageRequest): Promise<Page<StepRecord>> {
    const [first = "0", number = "0"] = placeOfCursor("steps-of-runs", cursor) ?? [];
    const wanted = runIds.slice(Number(first));
    const rows = await this.#read(
      `SELECT n.place::integer, l.number::text, l.task, l.path, l.generation, l.attempt, l.at, ${LINES.steps[0]}
        FROM unnest($1::text[]) WITH ORDINALITY n(id, place)
        JOIN {schema}.runs r ON r.id = n.id
        JOIN {schema}.steps l ON l.run = r.number
        WHERE n.place > 1 OR l.number > $2
        ORDER BY n.place, l.number LIMIT $3`,
      [wanted, number, limit + 1],
    );
    return pageOf(
      rows,
      limit,
      (row) => stepOf(wanted[(row.place as number) - 1]!, row as unknown as StepRow),
      (row) => cursorOf("steps-of-runs", [Number(first) + (row.place as number) - 1, row.number as string]),
    );
  }

  async getArtifact(runId: string, name: string): Promise<ArtifactRecord | undefined> {
    const [row] = await this.#read(
      `SELECT l.task, l.path, l.generation, l.attempt, l.at, l.name, l.content_type, l.size, l.data
        FROM {schema}.artifacts l WHERE l.run = ${RUN} AND l.name = $2 ORDER BY l.number DESC LIMIT 1`,
      [runId, name],
    );
    return row && artifactOf(runId, row as unknown as ArtifactRow & { readonly data: Uint8Array });
  }

  async endedAmong(runIds: readonly string[]): Promise<readonly string[]> {
    const rows = await this.#read(
      `SELECT n.id FROM unnest($1::text[]) n(id)
        WHERE NOT EXISTS (SELECT 1 FROM {schema}.runs r WHERE r.id = n.id AND r.outcome IS NULL)`,
      [runIds],
    );
    return rows.map(({ id }) => id as string);
  }

  async #listRuns(query: RunQuery, after: Place | undefined, limit: number) {
    const { text, conditions } = runListing(query, after);
    const rows = await this.#readVaried(
      `SELECT r.number::text AS place, ${RUN_COLUMNS} ${text} LIMIT ${pageOfRows(conditions, limit)}`,
      conditions,
    );
    return pageOf(
      rows,
      limit,
      (row) => runOf(row as unknown as RunRow),
      (row) => cursorOf("runs", [row.created_at as number, row.place as string]),
    );
  }

  async #listTasks({ runId, task, status, generation }: TaskQuery, after: Place | undefined, limit: number) {
    const conditions = new Conditions([runId]).also(`t.run = ${RUN}`);
    conditions.equal("t.task", task).among("t.status", status).equal("t.generation", generation);
    if (generation === undefined) conditions.also(IS_CURRENT);
    if (after !== undefined) {
      const [position, path] = taskPlace(after);
      conditions.also(`(t.position, t.path) > (${conditions.value(position)}, ${conditions.value(path)})`);
    }
    const rows = await this.#readVaried(
      `SELECT ${TASK_COLUMNS} FROM {schema}.tasks t WHERE ${conditions.text}
        ORDER BY t.position, t.path LIMIT ${pageOfRows(conditions, limit)}`,
      conditions,
    );
    return pageOf(
      rows,
      limit,
      (row) => taskOf(runId, row as unknown as TaskRow),
      (row) => cursorOf("tasks", placeOfTask(row)),
    );
  }

  /** Attempts have rows of their own, or are the first ones that a task's row stands for: then a row of theirs is outdated. */
  async #listAttempts(query: AttemptQuery, after: Place | undefined, limit: number) {
    const { runId, task, index, generation, status } = query;
    const conditions = new Conditions([runId]).also(`a.run = ${RUN}`);
    conditions.equal("a.task", task).equal("a.generation", generation).among("a.status", status);
    conditions.equal("a.path", index && pathOf(index));
    if (after !== undefined) {
      const [position, path] = taskPlace(after.slice(0, -2));
      const place = [position, path, ...after.slice(-2)].map((value) => conditions.value(value)).join(", ");
      conditions.also(`(a.position, a.path, a.generation, a.attempt) > (${place})`);
    }
    const columns =
      "a.task, a.position, a.path, a.generation, a.attempt, a.status, a.origin, a.started_at, a.finished_at";
    const order = `ORDER BY a.position, a.path, a.generation, a.attempt LIMIT ${pageOfRows(conditions, limit)}`;
    const rows = await this.#readVaried(
      `SELECT a.*, o.executor, o.engine FROM (
        (SELECT ${columns}, a.error FROM {schema}.attempts a
          WHERE ${conditions.text} AND NOT (a.attempt = 1 AND EXISTS (
            SELECT 1 FROM {schema}.tasks t
              WHERE t.run = a.run AND t.position = a.position AND t.path = a.path AND t.generation = a.generation
                AND t.origin IS NOT NULL
          )) ${order})
        UNION ALL
        (SELECT ${columns}, NULL FROM (SELECT t.*, 1 AS attempt FROM {schema}.tasks t WHERE t.origin IS NOT NULL) a
          WHERE ${conditions.text} ${order})
      ) a JOIN {schema}.origins o ON o.number = a.origin ${order}`,
      conditions,
    );
    return pageOf(
      rows,
      limit,
      (row) => attemptOf(runId, row as unknown as AttemptRow),
      (row) => cursorOf("attempts", [...placeOfTask(row), row.generation as number, row.attempt as number]),
    );
  }

  async #listLines(kind: Lines, query: LineQuery, after: Place | undefined, limit: number) {
    const { runId, task, index, generation, attempt, level, name, asset } = query;
    const [columns, recordOf] = LINES[kind];
    const conditions = new Conditions([runId]).also(`l.run = ${RUN}`);
    conditions
      .equal("l.task", task)
      .equal("l.path", index && pathOf(index))
      .equal("l.generation", generation);
    conditions.equal("l.attempt", attempt).among("l.level", level).equal("l.name", name).equal("l.asset", asset);
    conditions.add(after?.[0], (number) => `l.number > ${number}`);
    const rows = await this.#readVaried(
      `SELECT l.number::text, l.task, l.path, l.generation, l.attempt, l.at, ${columns} FROM {schema}.${kind} l
        WHERE ${conditions.text} ORDER BY l.number LIMIT ${pageOfRows(conditions, limit)}`,
      conditions,
    );
    return pageOf(
      rows,
      limit,
      (row) => recordOf(runId, row as never) as never,
      (row) => cursorOf(kind, [row.number as string]),
    );
  }

  #read(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.#connections.query({ text, values, isRepeatable: true });
  }

  /** The text depends on what is asked for. */
  #readVaried(text: string, { values }: Conditions): Promise<readonly Row[]> {
    return this.#connections.query({ text, values, isRepeatable: true, isVaried: true });
  }
}

/** A cursor's place of a task or item: its position and the numbers of its index. */
function taskPlace([position, ...index]: Place): [position: number, path: string] {
  return [Number(position), pathOf(index.map(Number))];
}

function placeOfTask({ position, path }: Row): number[] {
  return [position as number, ...indexOf(path as string)];
}

/** One row more than fits the page. */
function pageOfRows(conditions: Conditions, limit: number): string {
  return `{schema}.page_v1(${conditions.value(limit + 1)})`;
}

function pageOf<Record>(
  rows: readonly Row[],
  limit: number,
  recordOf: (row: Row) => Record,
  placeAfter: (row: Row) => string,
): Page<Record> {
  if (rows.length <= limit) return { items: rows.map(recordOf), next: undefined };
  return { items: rows.slice(0, limit).map(recordOf), next: placeAfter(rows[limit - 1]!) };
}
