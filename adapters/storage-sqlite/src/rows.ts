import type {
  AttemptRecord,
  ErrorRecord,
  NewRun,
  ParentTask,
  RunRecord,
  RunState,
  RunStatus,
  TaskRecord,
  TaskStatus,
  Wait,
} from "weftline";
import type { Row } from "./connection.js";
import type { SqliteValue } from "./driver.js";
import { indexOf } from "./index-path.js";
import type { Worker } from "./workers.js";

/** What a row keeps as JSON, as far as there is any of it. */
type Rest<Record> = { readonly [Field in keyof Record]?: Exclude<Record[Field], undefined> };

export function orNull<Value extends SqliteValue>(value: Value | undefined): Value | null {
  return value === undefined ? null : value;
}

export function orUndefined<Value extends SqliteValue>(value: SqliteValue | undefined): Value | undefined {
  return value === null || value === undefined ? undefined : (value as Value);
}

export function toJson(value: object | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

export function fromJson<Value>(text: SqliteValue | undefined): Value | undefined {
  return typeof text === "string" ? (JSON.parse(text) as Value) : undefined;
}

// ---- Runs

/** What {@link runOf} reads, with a condition on `r` to follow. */
export const SELECT_RUNS = `SELECT r.n, r.id, r.status, r.owner, r.epoch, r.generation, r.crashes, r.priority, r.created_at,
  r.available_at, r.started_at, r.finished_at, r.key, r.fingerprint, r.parent, r.origin, r.state, r.params,
  k.pipeline, k.definition FROM weftline_runs r CROSS JOIN weftline_kinds k ON k.n = r.kind WHERE`;

/** What a run was created with, and most are not. */
interface Origin {
  readonly tags: readonly string[];
  readonly parent: Omit<ParentTask, "runId">;
  readonly schedule: string;
  readonly instant: number;
}

export function originOf({ tags, parent, schedule, instant }: NewRun): string | null {
  const isPlain = tags.length === 0 && parent === undefined && schedule === undefined && instant === undefined;
  if (isPlain) return null;
  return JSON.stringify({
    tags: tags.length === 0 ? undefined : tags,
    parent: parent && { task: parent.task, index: parent.index },
    schedule,
    instant,
  });
}

/** Each once. */
export function tagsOf(origin: SqliteValue | undefined): ReadonlySet<string> {
  return new Set(fromJson<Rest<Origin>>(origin)?.tags ?? []);
}

export function stateOf({ deadlineAt, error }: Pick<RunState, "deadlineAt" | "error">): string | null {
  return deadlineAt === undefined && error === undefined ? null : JSON.stringify({ deadlineAt, error });
}

export function deadlineOf(state: SqliteValue | undefined): number | undefined {
  return fromJson<Rest<RunState>>(state)?.deadlineAt;
}

export function runOf(row: Row): RunRecord {
  const { tags = [], parent, schedule, instant } = fromJson<Rest<Origin>>(row.origin) ?? {};
  const { deadlineAt, error } = fromJson<Rest<RunState>>(row.state) ?? {};
  return {
    id: row.id as string,
    pipeline: row.pipeline as string,
    definition: row.definition as string,
    params: row.params as string,
    key: orUndefined<string>(row.key),
    fingerprint: row.fingerprint as string,
    tags,
    priority: row.priority as number,
    parent: parent && { runId: row.parent as string, ...parent },
    createdAt: row.created_at as number,
    availableAt: row.available_at as number,
    schedule,
    instant,
    owner: orUndefined<string>(row.owner),
    status: row.status as RunStatus,
    generation: row.generation as number,
    epoch: row.epoch as number,
    crashes: row.crashes as number,
    startedAt: orUndefined<number>(row.started_at),
    finishedAt: orUndefined<number>(row.finished_at),
    deadlineAt,
    error,
  };
}

// ---- Tasks and attempts

export const TASK_COLUMNS = `t.position, t.path, t.generation, t.task, t.status, t.attempts, t.attempts_before,
  t.started_at, t.finished_at, t.rest, t.output`;

type TaskRest = Pick<TaskRecord, "retryAt" | "wait" | "error" | "reason" | "warning" | "cachedFrom" | "items" | "list">;

export function taskRestOf(record: TaskRecord): string | null {
  const { retryAt, wait, error, reason, warning, cachedFrom, items, list } = record;
  const isPlain =
    retryAt === undefined &&
    wait === undefined &&
    error === undefined &&
    reason === undefined &&
    warning === undefined &&
    cachedFrom === undefined &&
    items === undefined &&
    list === undefined;
  return isPlain ? null : JSON.stringify({ retryAt, wait, error, reason, warning, cachedFrom, items, list });
}

export function taskOf(runId: string, row: Row): TaskRecord {
  const rest = fromJson<Rest<TaskRest>>(row.rest) ?? {};
  return {
    runId,
    task: row.task as string,
    position: row.position as number,
    index: indexOf(row.path as string),
    generation: row.generation as number,
    status: row.status as TaskStatus,
    attempts: row.attempts as number,
    attemptsBefore: row.attempts_before as number,
    startedAt: orUndefined<number>(row.started_at),
    finishedAt: orUndefined<number>(row.finished_at),
    retryAt: rest.retryAt,
    wait: rest.wait && wholeWait(rest.wait),
    output: orUndefined<string>(row.output),
    error: rest.error,
    reason: rest.reason,
    warning: rest.warning,
    cachedFrom: rest.cachedFrom,
    items: rest.items,
    list: rest.list,
  };
}

/** JSON leaves out what is undefined; a record has every property. */
function wholeWait(wait: Wait): Wait {
  return wait.kind === "signal" ? { kind: "signal", key: wait.key } : wait;
}

/** All that {@link attemptOf} reads: of a row of its own, and of a task that its first attempt is kept with. */
export const ATTEMPT_COLUMNS = `a.position, a.path, a.generation, a.attempt, a.task, a.status, a.worker, a.started_at,
  a.finished_at, a.error`;
export const INLINE_ATTEMPT_COLUMNS = `t.position, t.path, t.generation, 1 AS attempt, t.task, t.status, t.worker,
  t.started_at, t.finished_at, NULL AS error`;

export function attemptOf(runId: string, row: Row, { engineId, executor }: Worker): AttemptRecord {
  return {
    runId,
    task: row.task as string,
    position: row.position as number,
    index: indexOf(row.path as string),
    generation: row.generation as number,
    attempt: row.attempt as number,
    status: row.status as AttemptRecord["status"],
    executor,
    engineId,
    startedAt: row.started_at as number,
    finishedAt: orUndefined<number>(row.finished_at),
    error: fromJson<ErrorRecord>(row.error),
  };
}
