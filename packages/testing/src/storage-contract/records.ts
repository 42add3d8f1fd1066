import type {
  ArtifactRecord,
  AttemptRecord,
  Flush,
  LogRecord,
  MetricRecord,
  NewRun,
  RunChanges,
  RunMessage,
  RunRecord,
  RunState,
  RunStatus,
  ScheduleRecord,
  TaskRecord,
} from "weftline";

/** The moment at which every case begins, by the clock that is handed to the store. */
export const START = Date.UTC(2026, 0, 1);
/** The definition of the pipeline that every run belongs to unless a case says otherwise. */
export const DEFINITION = "definition-1";

/** A run that is due and that nobody owns. */
export function newRun(id: string, details: Partial<NewRun> = {}): NewRun {
  return {
    id,
    pipeline: "nightly",
    definition: DEFINITION,
    params: 'j1:{"day":"2026-01-01"}',
    key: undefined,
    fingerprint: "fingerprint-1",
    tags: [],
    createdAt: START,
    availableAt: START,
    schedule: undefined,
    instant: undefined,
    owner: undefined,
    ...details,
  };
}

/** The record a store makes of a new run. */
export function asCreated(run: NewRun): RunRecord {
  return {
    ...run,
    status: "queued",
    epoch: run.owner === undefined ? 0 : 1,
    startedAt: undefined,
    finishedAt: undefined,
    deadlineAt: undefined,
    error: undefined,
  };
}

export function taskRecord(runId: string, position: number, details: Partial<TaskRecord> = {}): TaskRecord {
  return {
    runId,
    task: `task-${position}`,
    position,
    index: [],
    status: "succeeded",
    attempts: 1,
    attemptsBefore: 0,
    startedAt: START,
    finishedAt: START + 10,
    retryAt: undefined,
    output: `j1:${position}`,
    error: undefined,
    reason: undefined,
    items: undefined,
    list: undefined,
    ...details,
  };
}

export function attemptRecord(
  runId: string,
  position: number,
  attempt: number,
  details: Partial<AttemptRecord> = {},
): AttemptRecord {
  return {
    runId,
    task: `task-${position}`,
    position,
    index: [],
    attempt,
    status: "succeeded",
    executor: "default",
    engineId: "engine-1",
    startedAt: START,
    finishedAt: START + 10,
    error: undefined,
    ...details,
  };
}

export function logRecord(runId: string, message: string, details: Partial<LogRecord> = {}): LogRecord {
  return {
    runId,
    task: "task-0",
    index: [],
    attempt: 1,
    at: START,
    level: "info",
    message,
    data: undefined,
    ...details,
  };
}

export function metricRecord(
  runId: string,
  name: string,
  value: number,
  details: Partial<MetricRecord> = {},
): MetricRecord {
  return { runId, task: "task-0", index: [], attempt: 1, at: START, name, value, ...details };
}

export function artifactRecord(
  runId: string,
  name: string,
  data: Uint8Array,
  details: Partial<ArtifactRecord> = {},
): ArtifactRecord {
  return {
    runId,
    task: "task-0",
    index: [],
    attempt: 1,
    at: START,
    name,
    contentType: "application/octet-stream",
    size: data.length,
    data,
    ...details,
  };
}

export function cancelMessage(
  id: string,
  runId: string,
  details: { sentAt?: number; reason?: string } = {},
): RunMessage {
  return { id, runId, sentAt: details.sentAt ?? START, kind: "cancel", task: undefined, reason: details.reason };
}

export function resumeMessage(id: string, runId: string): RunMessage {
  return { id, runId, sentAt: START, kind: "resume" };
}

export function scheduleRecord(id: string, details: Partial<ScheduleRecord> = {}): ScheduleRecord {
  return { id, pipeline: id, spec: "0 2 * * * UTC", nextAt: START + 1_000, lastAt: undefined, ...details };
}

export function runState(status: RunStatus, details: Partial<RunState> = {}): RunState {
  return { status, startedAt: START, finishedAt: undefined, deadlineAt: undefined, error: undefined, ...details };
}

/** What a run changes to when it ends. */
export function ended(status: RunStatus, finishedAt: number = START + 100): RunState {
  return runState(status, { finishedAt });
}

export function changes(runId: string, epoch: number, details: Partial<RunChanges> = {}): RunChanges {
  return {
    runId,
    epoch,
    run: undefined,
    tasks: [],
    attempts: [],
    logs: [],
    metrics: [],
    artifacts: [],
    consumed: [],
    ...details,
  };
}

export function flush(id: string, engineId: string, ...runs: RunChanges[]): Flush {
  return { id, engineId, runs };
}

/** Texts that stores have been seen to damage. */
export const ODD_TEXTS = [
  "",
  " leading, trailing and\ttabs ",
  "two\nlines\r\nand a third",
  "emoji 👩‍👩‍👧‍👦 🇩🇪 🪡, combining é, right-to-left ‏שלום",
  `quotes ' " \` and \\ and \\n and \${x} and %s and $1 and ?`,
  "j1:{}",
  "u1:",
  "null",
  "'); DROP TABLE runs; --",
  "\u2028\u2029\u0001\u001f\u007f\ufeff",
] as const;
