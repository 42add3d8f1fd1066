import type { AttemptRecord, Encoded, Flush, NewRun, RunChanges, TaskRecord } from "weftline";
import { range } from "./workloads.js";

/** The engine that fills storages with history; there is no such engine, only its lease. */
export const ENGINE = "bench";
export const DEFINITION = "bench-definition";
export const PIPELINES = range(20).map((number) => `pipeline-${number}`);
/** One run in so many has failed, one has the rare tag. */
const FAILED_EVERY = 500;
const RARE_EVERY = 10_000;
export const RARE_TAG = "rare";
const COMMON_TAG = "common";

const PARAMS = "j1:{}" as Encoded;
const OUTPUT = "j1:1" as Encoded;
const RUN_MS = 1_000;
/** The first run of all. */
const START = Date.UTC(2026, 0, 1);

/** The run of this number. They are created a second apart. */
export function runOf(number: number, owner: string | undefined): NewRun {
  const createdAt = START + number * RUN_MS;
  return {
    id: `run-${String(number).padStart(9, "0")}`,
    pipeline: PIPELINES[number % PIPELINES.length]!,
    definition: DEFINITION,
    params: PARAMS,
    key: undefined,
    fingerprint: "bench",
    tags: number % RARE_EVERY === 0 ? [COMMON_TAG, RARE_TAG] : [COMMON_TAG],
    priority: 0,
    parent: undefined,
    createdAt,
    availableAt: createdAt,
    schedule: undefined,
    instant: undefined,
    owner,
  };
}

let flushes = 0;

/** The end of runs, each with its only task: a flush that is sent after those that were made before it. */
export function endOf(flushId: string, runs: readonly { readonly number: number; readonly epoch: number }[]): Flush {
  return {
    id: flushId,
    number: ++flushes,
    engineId: ENGINE,
    runs: runs.map(({ number, epoch }) => changesOf(number, epoch)),
  };
}

function changesOf(number: number, epoch: number): RunChanges {
  const { id, createdAt } = runOf(number, undefined);
  const isFailed = number % FAILED_EVERY === 0;
  const times = { startedAt: createdAt, finishedAt: createdAt + RUN_MS };
  const identity = { runId: id, task: "only", position: 0, index: [], generation: 1 };
  const error = isFailed ? { name: "Error", message: "bench" } : undefined;
  const status = isFailed ? "failed" : "succeeded";
  const task: TaskRecord = {
    ...identity,
    ...times,
    status,
    attempts: 1,
    attemptsBefore: 0,
    retryAt: undefined,
    wait: undefined,
    output: isFailed ? undefined : OUTPUT,
    error,
    reason: undefined,
    warning: undefined,
    cachedFrom: undefined,
    items: undefined,
    list: undefined,
  };
  const attempt: AttemptRecord = {
    ...identity,
    ...times,
    attempt: 1,
    status,
    executor: "default",
    engineId: ENGINE,
    error,
  };
  return {
    runId: id,
    epoch,
    run: { ...times, status, deadlineAt: undefined, error: undefined, generation: 1, params: PARAMS, crashes: 0 },
    tasks: [task],
    attempts: [attempt],
    logs: [],
    metrics: [],
    artifacts: [],
    steps: [],
    assets: [],
    cached: [],
    consumed: [],
  };
}
