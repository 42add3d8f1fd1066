import type {
  ArtifactRecord,
  AssetRecord,
  AttemptRecord,
  CacheEntry,
  ClaimRequest,
  DefinitionRecord,
  Flush,
  KeyedSignal,
  LeaseRequest,
  LogRecord,
  LookRequest,
  MetricRecord,
  NewRun,
  RunChanges,
  RunMessage,
  RunRecord,
  RunState,
  RunStatus,
  ScheduleRecord,
  StepRecord,
  TaskRecord,
} from "weftline";

/** The moment at which every case begins, by the clock that is handed to the store. */
export const START = Date.UTC(2026, 0, 1);
/** The definition of the pipeline that every run belongs to unless a case says otherwise. */
export const DEFINITION = "definition-1";
const PARAMS = 'j1:{"day":"2026-01-01"}';

/** A run that is due and that nobody owns. */
export function newRun(id: string, details: Partial<NewRun> = {}): NewRun {
  return {
    id,
    pipeline: "nightly",
    definition: DEFINITION,
    params: PARAMS,
    key: undefined,
    fingerprint: "fingerprint-1",
    tags: [],
    priority: 0,
    parent: undefined,
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
    generation: 1,
    epoch: run.owner === undefined ? 0 : 1,
    crashes: 0,
    startedAt: undefined,
    finishedAt: undefined,
    deadlineAt: undefined,
    error: undefined,
  };
}

/** As long as nobody may ever wait for its end. */
const LONG_LEASE_MS = 3_600_000;

/** An engine that has the definition of `newRun()` begins, with a lease that holds for the whole case. */
export function leaseRequest(engineId: string, details: Partial<LeaseRequest> = {}): LeaseRequest {
  return { engineId, leaseMs: LONG_LEASE_MS, isNew: true, definitions: [DEFINITION], ...details };
}

/** A claim of all runs there are, suspects included, for an engine that has the definition of `newRun()`. */
export function claimRequest(engineId: string, details: Partial<ClaimRequest> = {}): ClaimRequest {
  const everything = { maxActiveRuns: {}, limit: 100, suspectFrom: 1, suspects: 100 };
  return { engineId, definitions: [DEFINITION], ...everything, now: START, ...details };
}

export function lookRequest(engineId: string, details: Partial<LookRequest> = {}): LookRequest {
  return { engineId, definitions: [DEFINITION], now: START, ...details };
}

export function taskRecord(runId: string, position: number, details: Partial<TaskRecord> = {}): TaskRecord {
  return {
    runId,
    task: `task-${position}`,
    position,
    index: [],
    generation: 1,
    status: "succeeded",
    attempts: 1,
    attemptsBefore: 0,
    startedAt: START,
    finishedAt: START + 10,
    retryAt: undefined,
    wait: undefined,
    output: `j1:${position}`,
    error: undefined,
    reason: undefined,
    warning: undefined,
    cachedFrom: undefined,
    items: undefined,
    list: undefined,
    ...details,
  };
}

/** A task that waits for a signal to this key. */
export function waitingRecord(
  runId: string,
  position: number,
  key: string | undefined,
  details: Partial<TaskRecord> = {},
): TaskRecord {
  const waiting = { status: "waiting", finishedAt: undefined, output: undefined } as const;
  return taskRecord(runId, position, { ...waiting, wait: { kind: "signal", key }, ...details });
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
    generation: 1,
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
    generation: 1,
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
  return { runId, task: "task-0", index: [], generation: 1, attempt: 1, at: START, name, value, ...details };
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
    generation: 1,
    attempt: 1,
    at: START,
    name,
    contentType: "application/octet-stream",
    size: data.length,
    data,
    ...details,
  };
}

export function stepRecord(runId: string, step: string, details: Partial<StepRecord> = {}): StepRecord {
  return {
    runId,
    task: "task-0",
    index: [],
    generation: 1,
    attempt: 1,
    at: START + 5,
    step,
    startedAt: START,
    output: `j1:${JSON.stringify(step)}`,
    ...details,
  };
}

export function assetRecord(runId: string, asset: string, details: Partial<AssetRecord> = {}): AssetRecord {
  return { runId, task: "task-0", index: [], generation: 1, attempt: 1, at: START, asset, ...details };
}

export function cacheEntry(key: string, details: Partial<CacheEntry> = {}): CacheEntry {
  return { key, output: "j1:1", runId: "run-1", expiresAt: START + 60_000, ...details };
}

export function definitionRecord(hash: string, details: Partial<DefinitionRecord> = {}): DefinitionRecord {
  return { hash, pipeline: "nightly", graph: 'j1:{"tasks":["task-0"]}', ...details };
}

export function keyedSignal(id: string, key: string, details: Partial<KeyedSignal> = {}): KeyedSignal {
  return { id, key, payload: "j1:true", sentAt: START, ...details };
}

type MessageOf<Kind> = Extract<RunMessage, { readonly kind: Kind }>;

export function cancelMessage(
  id: string,
  runId: string,
  details: Partial<MessageOf<"cancel">> = {},
): MessageOf<"cancel"> {
  const whole = { task: undefined, index: [], downstream: false, reason: undefined } as const;
  return { id, runId, sentAt: START, kind: "cancel", ...whole, ...details };
}

export function resumeMessage(id: string, runId: string): RunMessage {
  return { id, runId, sentAt: START, kind: "resume" };
}

export function rerunMessage(id: string, runId: string, details: Partial<MessageOf<"rerun">> = {}): MessageOf<"rerun"> {
  const all = { tasks: ["task-0"], downstream: true, params: undefined };
  return { id, runId, sentAt: START, kind: "rerun", ...all, ...details };
}

/** What may be said to a run that has not ended, beside the cancel of the whole run. */
export function everyOtherMessage(runId: string): RunMessage[] {
  const signal = { id: "signal", runId, sentAt: START + 4, kind: "signal" } as const;
  return [
    cancelMessage("cancel-task", runId, { sentAt: START + 1, task: "task-0", reason: ODD_TEXTS[3] }),
    cancelMessage("cancel-item", runId, { sentAt: START + 2, task: "task-1", index: [3, 10], downstream: true }),
    { id: "pause", runId, sentAt: START + 3, kind: "pause" },
    { ...signal, to: { task: "task-2" }, payload: `d1:${ODD_TEXTS[3]}` },
    { id: "unpause", runId, sentAt: START + 5, kind: "unpause" },
  ];
}

export function scheduleRecord(id: string, details: Partial<ScheduleRecord> = {}): ScheduleRecord {
  return { id, pipeline: id, spec: "0 2 * * * UTC", nextAt: START + 1_000, lastAt: undefined, ...details };
}

export function runState(status: RunStatus, details: Partial<RunState> = {}): RunState {
  return {
    status,
    startedAt: START,
    finishedAt: undefined,
    deadlineAt: undefined,
    error: undefined,
    generation: 1,
    params: PARAMS,
    crashes: 0,
    ...details,
  };
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
    steps: [],
    assets: [],
    cached: [],
    consumed: [],
    ...details,
  };
}

/** Changes with one record of each kind, and an earlier generation of the task. */
export function oneOfEach(runId: string): Partial<RunChanges> {
  return {
    tasks: [taskRecord(runId, 0), taskRecord(runId, 0, { generation: 2 })],
    attempts: [attemptRecord(runId, 0, 1)],
    logs: [logRecord(runId, "line")],
    metrics: [metricRecord(runId, "rows", 1)],
    artifacts: [artifactRecord(runId, "report", Buffer.from("bytes"))],
    steps: [stepRecord(runId, "load")],
    assets: [assetRecord(runId, "rows")],
  };
}

let flushes = 0;

/** The next flush: of one engine, each is to be sent before those that were made after it. */
export function flush(id: string, engineId: string, ...runs: RunChanges[]): Flush {
  return { id, number: ++flushes, engineId, runs };
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
