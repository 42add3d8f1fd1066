import type { AttemptRecord, AttemptStatus, TaskRecord, TaskStatus, Wait } from "weftline";
import { indexOf } from "./paths.js";
import { errorOf } from "./rows.js";

/** What few tasks have, in one column. */
type MoreOfTask = Partial<
  Pick<
    TaskRecord,
    "attemptsBefore" | "retryAt" | "wait" | "error" | "reason" | "warning" | "cachedFrom" | "items" | "list"
  >
>;

export interface TaskRow {
  readonly task: string;
  readonly position: number;
  readonly path: string;
  readonly generation: number;
  readonly status: string;
  readonly attempts: number;
  readonly started_at: number | null;
  readonly finished_at: number | null;
  readonly output: string | null;
  readonly more: string | null;
}

/** What is read of `tasks`, the table `t`. */
export const TASK_COLUMNS =
  "t.task, t.position, t.path, t.generation, t.status, t.attempts, t.started_at, t.finished_at, t.output, t.more";

export function taskOf(runId: string, row: TaskRow): TaskRecord {
  const more = row.more === null ? undefined : (JSON.parse(row.more) as MoreOfTask);
  return {
    runId,
    task: row.task,
    position: row.position,
    index: indexOf(row.path),
    generation: row.generation,
    status: row.status as TaskStatus,
    attempts: row.attempts,
    attemptsBefore: more?.attemptsBefore ?? 0,
    startedAt: row.started_at ?? undefined,
    finishedAt: row.finished_at ?? undefined,
    retryAt: more?.retryAt,
    wait: waitOf(more?.wait),
    output: row.output ?? undefined,
    error: more?.error,
    reason: more?.reason,
    warning: more?.warning,
    cachedFrom: more?.cachedFrom,
    items: more?.items,
    list: more?.list,
  };
}

/** The JSON of what few tasks have; `undefined`: this one has none of it. */
export function moreOf(record: TaskRecord): string | undefined {
  const { attemptsBefore, retryAt, wait, error, reason, warning, cachedFrom, items, list } = record;
  const hasNone =
    attemptsBefore === 0 &&
    retryAt === undefined &&
    wait === undefined &&
    error === undefined &&
    reason === undefined &&
    warning === undefined &&
    cachedFrom === undefined &&
    items === undefined &&
    list === undefined;
  if (hasNone) return undefined;
  const more = { retryAt, wait, error, reason, warning, cachedFrom, items, list };
  return JSON.stringify(attemptsBefore === 0 ? more : { attemptsBefore, ...more });
}

/** JSON leaves out what is undefined. */
function waitOf(wait: Wait | undefined): Wait | undefined {
  return wait?.kind === "signal" ? { kind: "signal", key: wait.key } : wait;
}

/** The key whose signals a task waits for. */
export function waitKeyOf({ status, wait }: TaskRecord): string | undefined {
  return status === "waiting" && wait?.kind === "signal" ? wait.key : undefined;
}

export interface AttemptRow {
  readonly task: string;
  readonly position: number;
  readonly path: string;
  readonly generation: number;
  readonly attempt: number;
  readonly status: string;
  readonly executor: string;
  readonly engine: string;
  readonly started_at: number;
  readonly finished_at: number | null;
  readonly error: string | null;
}

export function attemptOf(runId: string, row: AttemptRow): AttemptRecord {
  return {
    runId,
    task: row.task,
    position: row.position,
    index: indexOf(row.path),
    generation: row.generation,
    attempt: row.attempt,
    status: row.status as AttemptStatus,
    executor: row.executor,
    engineId: row.engine,
    startedAt: row.started_at,
    finishedAt: row.finished_at ?? undefined,
    error: errorOf(row.error),
  };
}
