import type {
  AttemptRecord,
  ClaimRequest,
  Flush,
  LogRecord,
  NewRun,
  RunChanges,
  RunState,
  Storage,
  TaskRecord,
} from "weftline";

export const START = Date.UTC(2026, 0, 1);
const PARAMS = "u1:";

export function newRun(id: string, details: Partial<NewRun> = {}): NewRun {
  return {
    id,
    pipeline: "nightly",
    definition: "definition-1",
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
  const from = { runId, task: "task-0", index: [], generation: 1, attempt: 1, at: START } as const;
  return { ...from, level: "info", message, data: undefined, ...details };
}

export function runState(status: RunState["status"], details: Partial<RunState> = {}): RunState {
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

export function changes(runId: string, details: Partial<RunChanges> = {}, epoch = 1): RunChanges {
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

let flushes = 0;
export function flush(...runs: RunChanges[]): Flush {
  const number = ++flushes;
  return { id: `flush-${number}`, number, engineId: "engine-1", runs };
}

export function claimRequest(details: Partial<ClaimRequest> = {}): ClaimRequest {
  return {
    engineId: "engine-1",
    definitions: ["definition-1"],
    maxActiveRuns: {},
    limit: 100,
    suspectFrom: 3,
    suspects: 1,
    now: START,
    ...details,
  };
}

/** An engine with a lease, `engine-1` unless another is given. */
export async function register(storage: Storage, engineId = "engine-1", leaseMs = 3_600_000): Promise<void> {
  await storage.renewLease({ engineId, leaseMs, isNew: true, definitions: ["definition-1"] });
}

/** Runs that `engine-1` owns under epoch 1. */
export async function owned(storage: Storage, ...ids: string[]): Promise<void> {
  await register(storage);
  await storage.createRuns(ids.map((id) => newRun(id, { owner: "engine-1" })));
}
