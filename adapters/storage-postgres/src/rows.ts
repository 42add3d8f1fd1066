import type { CacheEntry, ErrorRecord, NewRun, RunRecord, RunStatus, ScheduleRecord } from "weftline";
import { indexOf, pathOf } from "./paths.js";

// A row of the database, as far as a record is made of it. NULL stands for undefined.

export interface RunRow {
  readonly id: string;
  readonly pipeline: string;
  readonly definition: string;
  readonly params: string;
  readonly key: string | null;
  readonly fingerprint: string;
  readonly tags: readonly string[];
  readonly priority: number;
  readonly parent_run: string | null;
  readonly parent_task: string | null;
  readonly parent_path: string | null;
  readonly created_at: number;
  readonly available_at: number;
  readonly schedule: string | null;
  readonly instant: number | null;
  readonly owner: string | null;
  readonly status: string;
  readonly generation: number;
  readonly epoch: number;
  readonly crashes: number;
  readonly started_at: number | null;
  readonly finished_at: number | null;
  readonly deadline_at: number | null;
  readonly error: string | null;
}

/** What is read of `runs`, the table `r`. */
export const RUN_COLUMNS = [
  "id, pipeline, definition, params, key, fingerprint, tags, priority, parent_run, parent_task, parent_path",
  "created_at, available_at, schedule, instant, owner, status, generation, epoch, crashes",
  "started_at, finished_at, deadline_at, error",
]
  .join(", ")
  .replaceAll(/(\w+)/g, "r.$1");

export function runOf(row: RunRow): RunRecord {
  return {
    id: row.id,
    pipeline: row.pipeline,
    definition: row.definition,
    params: row.params,
    key: row.key ?? undefined,
    fingerprint: row.fingerprint,
    tags: row.tags,
    priority: row.priority,
    parent:
      row.parent_run === null
        ? undefined
        : { runId: row.parent_run, task: row.parent_task!, index: indexOf(row.parent_path!) },
    createdAt: row.created_at,
    availableAt: row.available_at,
    schedule: row.schedule ?? undefined,
    instant: row.instant ?? undefined,
    owner: row.owner ?? undefined,
    status: row.status as RunStatus,
    generation: row.generation,
    epoch: row.epoch,
    crashes: row.crashes,
    startedAt: row.started_at ?? undefined,
    finishedAt: row.finished_at ?? undefined,
    deadlineAt: row.deadline_at ?? undefined,
    error: errorOf(row.error),
  };
}

/** The record of a run that was just made. Named one by one: an object that another is spread into takes ten times as long. */
export function createdRun(run: NewRun): RunRecord {
  return {
    id: run.id,
    pipeline: run.pipeline,
    definition: run.definition,
    params: run.params,
    key: run.key,
    fingerprint: run.fingerprint,
    tags: run.tags,
    priority: run.priority,
    parent: run.parent,
    createdAt: run.createdAt,
    availableAt: run.availableAt,
    schedule: run.schedule,
    instant: run.instant,
    owner: run.owner,
    status: "queued",
    generation: 1,
    epoch: run.owner === undefined ? 0 : 1,
    crashes: 0,
    startedAt: undefined,
    finishedAt: undefined,
    deadlineAt: undefined,
    error: undefined,
  };
}

/** A run to create as `create_runs` reads it, in a JSON list. */
export function newRunRow(run: NewRun): object {
  const { parent } = run;
  return {
    id: run.id,
    pipeline: run.pipeline,
    definition: run.definition,
    params: run.params,
    key: run.key,
    fingerprint: run.fingerprint,
    tags: run.tags,
    priority: run.priority,
    ...(parent && { parent_run: parent.runId, parent_task: parent.task, parent_path: pathOf(parent.index) }),
    created_at: run.createdAt,
    available_at: run.availableAt,
    schedule: run.schedule,
    instant: run.instant,
    owner: run.owner,
  };
}

// ---- Cache and schedules

export interface CacheRow {
  readonly key: string;
  readonly output: string;
  readonly run_id: string;
  readonly expires_at: number;
}

export function cacheEntryOf({ key, output, run_id, expires_at }: CacheRow): CacheEntry {
  return { key, output, runId: run_id, expiresAt: expires_at };
}

export interface ScheduleRow {
  readonly id: string;
  readonly pipeline: string;
  readonly spec: string;
  readonly next_at: number | null;
  readonly last_at: number | null;
}

export function scheduleOf({ id, pipeline, spec, next_at, last_at }: ScheduleRow): ScheduleRecord {
  return { id, pipeline, spec, nextAt: next_at ?? undefined, lastAt: last_at ?? undefined };
}

// ---- Errors

/** As text: `json` columns refuse some of the texts that errors carry. */
export function errorText(error: ErrorRecord | undefined): string | undefined {
  return error === undefined ? undefined : JSON.stringify(error);
}

export function errorOf(text: string | null): ErrorRecord | undefined {
  return text === null ? undefined : (JSON.parse(text) as ErrorRecord);
}
