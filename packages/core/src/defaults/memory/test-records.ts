import type {
  AttemptRecord,
  KeyedSignal,
  LogRecord,
  NewRun,
  RunMessage,
  RunStatus,
  StepRecord,
  TaskRecord,
} from "../../contracts/records.js";
import type { Flush, RunChanges, RunState } from "../../contracts/storage.js";

/** Records for the tests of this folder, each with what a test does not care about filled in. */

let serial = 0;

export function newRun(part: Partial<NewRun> = {}): NewRun {
  return {
    id: `run-${++serial}`,
    pipeline: "work",
    definition: "work@1",
    params: "j1:{}",
    key: undefined,
    fingerprint: "",
    tags: [],
    priority: 0,
    parent: undefined,
    createdAt: 0,
    availableAt: 0,
    schedule: undefined,
    instant: undefined,
    owner: undefined,
    ...part,
  };
}

export function taskRecord(runId: string, part: Partial<TaskRecord> = {}): TaskRecord {
  return {
    runId,
    task: "t",
    position: 0,
    index: [],
    generation: 1,
    status: "succeeded",
    attempts: 1,
    attemptsBefore: 0,
    startedAt: 1,
    finishedAt: 2,
    retryAt: undefined,
    wait: undefined,
    output: "j1:1",
    error: undefined,
    reason: undefined,
    warning: undefined,
    cachedFrom: undefined,
    items: undefined,
    list: undefined,
    ...part,
  };
}

/** A task that waits for a signal to a key. */
export function waitingTask(runId: string, key: string | undefined, part: Partial<TaskRecord> = {}): TaskRecord {
  return taskRecord(runId, { status: "waiting", wait: { kind: "signal", key }, output: undefined, ...part });
}

export function attemptRecord(runId: string, part: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    runId,
    task: "t",
    position: 0,
    index: [],
    generation: 1,
    attempt: 1,
    status: "succeeded",
    executor: "default",
    engineId: "a",
    startedAt: 1,
    finishedAt: 2,
    error: undefined,
    ...part,
  };
}

const FROM_ATTEMPT = { task: "t", index: [], generation: 1, attempt: 1, at: 0 } as const;

export function logRecord(runId: string, message: string): LogRecord {
  return { runId, ...FROM_ATTEMPT, level: "info", message, data: undefined };
}

export function stepRecord(runId: string, step: string, part: Partial<StepRecord> = {}): StepRecord {
  return { runId, ...FROM_ATTEMPT, step, startedAt: 0, output: "j1:1", ...part };
}

export function changes(runId: string, epoch: number, part: Partial<RunChanges> = {}): RunChanges {
  const history = { tasks: [], attempts: [], logs: [], metrics: [], artifacts: [], steps: [], assets: [] };
  return { runId, epoch, run: undefined, ...history, cached: [], consumed: [], ...part };
}

export function runState(status: RunStatus, part: Partial<RunState> = {}): RunState {
  const times = { startedAt: 1, finishedAt: undefined, deadlineAt: undefined };
  return { status, ...times, error: undefined, generation: 1, params: "j1:{}", crashes: 0, ...part };
}

export function ended(status: RunStatus, finishedAt = 5): Pick<RunChanges, "run"> {
  return { run: runState(status, { finishedAt }) };
}

export function flush(engineId: string, ...runs: RunChanges[]): Flush {
  const number = ++serial;
  return { id: `flush-${number}`, number, engineId, runs };
}

type MessageOf<Kind> = Extract<RunMessage, { readonly kind: Kind }>;

/** @param part - What a message of its kind says; a cancel is one of the whole run. */
export function message<Kind extends RunMessage["kind"]>(
  runId: string,
  kind: Kind,
  part: Partial<MessageOf<Kind>> = {},
): RunMessage {
  const said = {
    cancel: { task: undefined, index: [], downstream: false, reason: undefined },
    resume: {},
    rerun: { tasks: ["t"], downstream: true, params: undefined },
    pause: {},
    unpause: {},
    signal: { to: { task: "t" }, payload: "j1:1" },
  };
  return { id: `m-${++serial}`, runId, sentAt: 0, kind, ...said[kind], ...part } as RunMessage;
}

export function keyedSignal(id: string, key: string): KeyedSignal {
  return { id, key, payload: `j1:"${id}"`, sentAt: 7 };
}
