import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import type { AttemptRecord, Logger, NewRun, RunChanges, RunState, Storage, TaskRecord } from "weftline";
import type { SqliteHandle } from "../driver.js";
import { type SqliteStorageOptions, sqliteStorage } from "../index.js";

export const START = Date.UTC(2026, 0, 1);
export const ENGINE = "engine-1";
export const DEFINITION = "definition-1";

const folders: string[] = [];
const opened: Storage[] = [];

afterEach(async () => {
  for (const storage of opened.splice(0)) await storage.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** The path of a database that is not there yet, in a folder of its own, which goes with the test. */
export function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), "weftline-sqlite-"));
  folders.push(folder);
  return join(folder, "weftline.db");
}

/** What was logged, each as its level, its code and its message. */
export class Lines {
  readonly lines: { readonly level: string; readonly code: unknown; readonly message: string }[] = [];
  readonly log: Logger = {
    debug: () => {},
    info: (details, message) => this.#add("info", details, message),
    warn: (details, message) => this.#add("warn", details, message),
    error: (details, message) => this.#add("error", details, message),
  };

  #add(level: string, details: object, message: string): void {
    this.lines.push({ level, code: "code" in details ? details.code : undefined, message });
  }
}

/** An open storage, which is closed with the test. */
export async function openStorage(options: SqliteStorageOptions, log: Logger = new Lines().log): Promise<Storage> {
  const storage = sqliteStorage(options);
  opened.push(storage);
  await reopen(storage, log);
  return storage;
}

export function reopen(storage: Storage, log: Logger = new Lines().log): Promise<void> {
  return storage.open({ log, now: () => START });
}

/** Registers an engine, for as long as no test takes. */
export async function register(storage: Storage, engineId = ENGINE): Promise<void> {
  await storage.renewLease({ engineId, leaseMs: 3_600_000, isNew: true, definitions: [DEFINITION] });
}

/** Creates runs that the engine owns under epoch 1. */
export async function owned(storage: Storage, ...ids: string[]): Promise<void> {
  await register(storage);
  await storage.createRuns(ids.map((id) => newRun(id, { owner: ENGINE })));
}

/** A database as others open it. */
export function openRaw(file: string): SqliteHandle {
  type Driver = { readonly DatabaseSync: new (file: string) => SqliteHandle };
  const builtIn = process.getBuiltinModule("node:sqlite") as unknown as Driver | undefined;
  const { DatabaseSync } = builtIn ?? (createRequire(import.meta.url)("@photostructure/sqlite") as Driver);
  return new DatabaseSync(file);
}

export function newRun(id: string, details: Partial<NewRun> = {}): NewRun {
  return {
    id,
    pipeline: "nightly",
    definition: DEFINITION,
    params: "u1:",
    key: undefined,
    fingerprint: "fingerprint",
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
    output: "j1:1",
    error: undefined,
    reason: undefined,
    warning: undefined,
    cachedFrom: undefined,
    items: undefined,
    list: undefined,
    ...details,
  };
}

export function attemptRecord(runId: string, position: number, details: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    runId,
    task: `task-${position}`,
    position,
    index: [],
    generation: 1,
    attempt: 1,
    status: "succeeded",
    executor: "default",
    engineId: ENGINE,
    startedAt: START,
    finishedAt: START + 10,
    error: undefined,
    ...details,
  };
}

export function runState(status: RunState["status"], details: Partial<RunState> = {}): RunState {
  return {
    status,
    startedAt: START,
    finishedAt: undefined,
    deadlineAt: undefined,
    error: undefined,
    generation: 1,
    params: "u1:",
    crashes: 0,
    ...details,
  };
}

export function changes(runId: string, details: Partial<RunChanges> = {}): RunChanges {
  return {
    runId,
    epoch: 1,
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
