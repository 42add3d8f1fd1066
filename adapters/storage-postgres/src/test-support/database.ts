import pg from "pg";
import { onTestFinished } from "vitest";
import type { Logger, Storage } from "weftline";
import { type PostgresStorageOptions, postgresStorage } from "../index.js";
import { quoted } from "../migrations.js";

/** The server that tests run against: of a superuser, who may make and drop whatever is needed. */
export const connectionString = process.env.WEFTLINE_TEST_POSTGRES!;

export const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

let schemas = 0;

/** The name of a schema that nobody else uses, and that is dropped when the test is done. */
export function freshSchema(prefix = "test"): string {
  const schema = `${prefix}-${process.pid}-${++schemas}`;
  dropAtEnd(schema);
  return schema;
}

function dropAtEnd(schema: string): void {
  onTestFinished(async () => {
    await withClient((client) => client.query(`DROP SCHEMA IF EXISTS ${quoted(schema)} CASCADE`));
  });
}

/** An open storage, in a schema of its own unless one is given, that is closed when the test is done. */
export async function openStorage(
  options: Partial<PostgresStorageOptions> = {},
  log: Logger = SILENT,
): Promise<{ readonly storage: Storage; readonly schema: string }> {
  const schema = options.schema ?? freshSchema();
  const storage = postgresStorage({ ...(options.pool === undefined && { connectionString }), ...options, schema });
  await storage.open({ log, now: Date.now });
  onTestFinished(() => storage.close());
  return { storage, schema };
}

/** A connection past the storage, for what a test does behind its back. */
export async function withClient<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString });
  client.on("error", () => {});
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** The same, until the test is done. */
export async function openClient(config: pg.ClientConfig = { connectionString }): Promise<pg.Client> {
  const client = new pg.Client(config);
  client.on("error", () => {});
  await client.connect();
  onTestFinished(() => client.end().catch(() => undefined));
  return client;
}

/** The connection string with other parts. */
export function connectionStringWith(change: (url: URL) => void): string {
  const url = new URL(connectionString);
  change(url);
  return url.href;
}

/** Entries of a log, as they were made, without what is said of the tests' server when a storage is opened. */
export interface LoggedEntry {
  readonly level: string;
  readonly details: object;
  readonly message: string;
}

export function recordingLog(): { readonly log: Logger; readonly entries: readonly LoggedEntry[] } {
  const entries: LoggedEntry[] = [];
  const write = (level: string) => (details: object, message: string) => {
    if (!("code" in details && details.code === "DURABILITY_RELAXED")) entries.push({ level, details, message });
  };
  return { log: { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") }, entries };
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until a condition holds. @throws {Error} When it does not within `timeoutMs`. */
export async function until(isTrue: () => boolean | Promise<boolean>, what: string, timeoutMs = 10_000): Promise<void> {
  for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(10)) if (await isTrue()) return;
  throw new Error(`not within ${timeoutMs} ms: ${what}`);
}
