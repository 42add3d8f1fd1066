// What scripts of child processes use: the built package, and records in few words.
import { existsSync } from "node:fs";

const built = new URL("../../dist/index.js", import.meta.url);
if (!existsSync(built)) throw new Error("These tests run the built package: run `npm run build` first.");
export const { sqliteStorage } = await import(built.href);

const log = { debug() {}, info() {}, warn() {}, error() {} };
export const ENGINE = `engine-${process.pid}`;
export const DEFINITIONS = ["definition-1"];

/** An open storage on this file. */
export async function openStorage(file, options = {}) {
  const storage = sqliteStorage({ file, ...options });
  await storage.open({ log, now: Date.now });
  return storage;
}

export function register(storage, leaseMs = 60_000) {
  return storage.renewLease({ engineId: ENGINE, leaseMs, isNew: true, definitions: DEFINITIONS });
}

export function newRun(id, owner) {
  const at = Date.now();
  const none = { key: undefined, parent: undefined, schedule: undefined, instant: undefined };
  const rest = { params: "u1:", fingerprint: "f", tags: [], priority: 0, createdAt: at, availableAt: at };
  return { id, pipeline: "nightly", definition: DEFINITIONS[0], owner, ...rest, ...none };
}

export function claim(storage, limit) {
  const request = { engineId: ENGINE, definitions: DEFINITIONS, maxActiveRuns: {}, limit, now: Date.now() };
  return storage.claimRuns({ ...request, suspectFrom: 3, suspects: 1 });
}

export function task(runId, position) {
  const times = { startedAt: 1, finishedAt: 2, retryAt: undefined };
  const none = { wait: undefined, error: undefined, reason: undefined, warning: undefined, cachedFrom: undefined };
  const place = { runId, task: `task-${position}`, position, index: [], generation: 1 };
  const counts = { attempts: 1, attemptsBefore: 0, items: undefined, list: undefined };
  return { ...place, status: "succeeded", ...times, ...none, ...counts, output: "j1:1" };
}

export function changes(runId, epoch, details) {
  const lines = { logs: [], metrics: [], artifacts: [], steps: [], assets: [] };
  return { runId, epoch, run: undefined, tasks: [], attempts: [], ...lines, cached: [], consumed: [], ...details };
}

export function succeeded() {
  const state = { status: "succeeded", startedAt: 1, finishedAt: 2, deadlineAt: undefined, error: undefined };
  return { ...state, generation: 1, params: "u1:", crashes: 0 };
}

/** Nothing of this process goes on meanwhile. */
export function block(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
