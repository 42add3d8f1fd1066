// What scripts of child processes use: the built package, and records in few words.
import { existsSync } from "node:fs";

const built = new URL("../../dist/index.js", import.meta.url);
if (!existsSync(built)) throw new Error("These tests run the built package: run `npm run build` first.");
const { postgresStorage } = await import(built.href);

const log = { debug() {}, info() {}, warn() {}, error() {} };
export const ENGINE = `engine-${process.pid}`;
export const DEFINITIONS = ["definition-1"];

/** An open storage in this schema of the tests' server. */
export async function openStorage(schema, options = {}) {
  const connectionString = process.env.WEFTLINE_TEST_POSTGRES;
  const storage = postgresStorage({ connectionString, schema, ...options });
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

/** Nothing of this process goes on meanwhile. */
export function block(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

export function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
