import type { CreateResult, DefinitionRecord, FireRequest, NewRun, RunRecord, ScheduleRecord } from "weftline";
import type { Connection, Row } from "./connection.js";
import { kindOf } from "./kinds.js";
import { assertLease } from "./ownership.js";
import { originOf, orNull, orUndefined, runOf, SELECT_RUNS } from "./rows.js";
import { putTags } from "./tags.js";

/** Creates runs, inside of a write. @throws {WeftlineError} `LEASE_LOST`, before anything is written. */
export function createRuns(connection: Connection, runs: readonly NewRun[]): readonly CreateResult[] {
  for (const owner of new Set(runs.map((run) => run.owner))) {
    if (owner !== undefined) assertLease(connection, owner);
  }
  return runs.map((run) => existing(connection, run) ?? create(connection, run));
}

/** What a request for a run comes to when there is one of its id or key. */
function existing(connection: Connection, run: NewRun): CreateResult | undefined {
  const known = connection.get(`${SELECT_RUNS} r.id = ?`, run.id);
  if (known !== undefined) return { kind: "existing", run: runOf(known) };
  if (run.key === undefined) return undefined;
  const sameKey = connection.get(`${SELECT_RUNS} r.key = ? AND k.pipeline = ?`, run.key, run.pipeline);
  if (sameKey === undefined) return undefined;
  if (sameKey.fingerprint === run.fingerprint) return { kind: "existing", run: runOf(sameKey) };
  return { kind: "conflict", runId: sameKey.id as string };
}

function create(connection: Connection, run: NewRun): CreateResult {
  const epoch = run.owner === undefined ? 0 : 1;
  const kind = kindOf(connection, run);
  const origin = originOf(run);
  const { n } = connection.get<{ readonly n: number }>(
    `INSERT INTO weftline_runs (id, kind, status, owner, epoch, generation, crashes, priority, ready, created_at,
       available_at, key, fingerprint, parent, origin, params)
       VALUES (?, ?, 'queued', ?, ?, 1, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING n`,
    run.id,
    kind,
    orNull(run.owner),
    epoch,
    run.priority,
    run.availableAt <= run.createdAt ? 1 : 0,
    run.createdAt,
    run.availableAt,
    orNull(run.key),
    run.fingerprint,
    orNull(run.parent?.runId),
    origin,
    run.params,
  )!;
  putTags(connection, { n, kind, status: "queued", created_at: run.createdAt, origin });
  return { kind: "created", run: recordOf(run, epoch) };
}

function recordOf(run: NewRun, epoch: number): RunRecord {
  return {
    ...run,
    status: "queued",
    generation: 1,
    epoch,
    crashes: 0,
    startedAt: undefined,
    finishedAt: undefined,
    deadlineAt: undefined,
    error: undefined,
  };
}

/** Keeps definitions; the graph of one that is known is not read, as it is made only then. */
export function putDefinitions(connection: Connection, definitions: readonly DefinitionRecord[]): void {
  for (const definition of definitions) {
    if (getDefinition(connection, definition.hash) !== undefined) continue;
    const { hash, pipeline, graph } = definition;
    connection.run("INSERT INTO weftline_definitions (hash, pipeline, graph) VALUES (?, ?, ?)", hash, pipeline, graph);
  }
}

export function getDefinition(connection: Connection, hash: string): DefinitionRecord | undefined {
  const row = connection.get("SELECT hash, pipeline, graph FROM weftline_definitions WHERE hash = ?", hash);
  return row && { hash, pipeline: row.pipeline as string, graph: row.graph as string };
}

// ---- Schedules

export function listSchedules(connection: Connection): readonly ScheduleRecord[] {
  return connection
    .all("SELECT id, pipeline, spec, next_at, last_at FROM weftline_schedules ORDER BY n")
    .map(scheduleOf);
}

function scheduleOf(row: Row): ScheduleRecord {
  return {
    id: row.id as string,
    pipeline: row.pipeline as string,
    spec: row.spec as string,
    nextAt: orUndefined<number>(row.next_at),
    lastAt: orUndefined<number>(row.last_at),
  };
}

export function putSchedules(connection: Connection, schedules: readonly ScheduleRecord[]): void {
  for (const { id, pipeline, spec, nextAt, lastAt } of schedules) {
    connection.run(
      `INSERT INTO weftline_schedules (id, pipeline, spec, next_at, last_at) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET pipeline = excluded.pipeline, spec = excluded.spec, next_at = excluded.next_at,
         last_at = excluded.last_at WHERE spec <> excluded.spec`,
      id,
      pipeline,
      spec,
      orNull(nextAt),
      orNull(lastAt),
    );
  }
}

export function fire(connection: Connection, { schedule, expected, next, run }: FireRequest): "fired" | "lost" {
  const isMoved = connection.run(
    "UPDATE weftline_schedules SET last_at = next_at, next_at = ? WHERE id = ? AND next_at = ?",
    orNull(next),
    schedule,
    expected,
  );
  if (isMoved === 0) return "lost";
  if (run !== undefined) createRuns(connection, [run]);
  return "fired";
}
