import { existsSync } from "node:fs";
import { type SchemaStep, type StorageSchema, WeftlineError } from "weftline";
import { Connection } from "./connection.js";
import { refuseLostDatabase } from "./file-guard.js";
import type { Settings } from "./options.js";
import { TABLES } from "./schema.js";

/** `weft` as a number: by this `file` and others tell what the database is. */
const APPLICATION_ID = 0x77656674;

/** Each is made once, in one transaction. A step that was published never changes: what comes later is added. */
const STEPS: readonly { readonly name: string; readonly sql: string }[] = [{ name: "create the tables", sql: TABLES }];

export const SCHEMA_VERSION = STEPS.length;

/** The steps from a version to the newest one, as people run them. */
export function stepsFrom(from: number): readonly SchemaStep[] {
  return STEPS.map(({ name, sql }, place) => ({ version: place + 1, name, sql: whole(place + 1, sql) })).slice(from);
}

function whole(version: number, sql: string): string {
  return `BEGIN IMMEDIATE;\n${sql}\n${setVersion(version)}\nCOMMIT;\n`;
}

function setVersion(version: number): string {
  return `INSERT OR REPLACE INTO weftline_meta (name, value) VALUES ('schema', ${version});`;
}

/**
 * The version that is there, inside of a read or write; 0: none.
 *
 * @throws {WeftlineError} `STORAGE_INVALID` when tables of other people have the names of ours.
 */
export function versionOf(connection: Connection): number {
  const names = connection
    .all(
      "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name LIKE 'weftline\\_%' ESCAPE '\\' ORDER BY name",
    )
    .map(({ name }) => name as string);
  if (names.length === 0) return 0;
  const version = names.includes("weftline_meta") ? readVersion(connection) : undefined;
  if (typeof version === "number") return version;
  throw new WeftlineError(
    "STORAGE_INVALID",
    `The database has a table "${names[0]}" that is not Weftline's. Rename it, or keep Weftline's data in a file of its own.`,
  );
}

function readVersion(connection: Connection): unknown {
  try {
    return connection.get("SELECT value FROM weftline_meta WHERE name = 'schema'")?.value;
  } catch {
    return undefined; // it has other columns
  }
}

/** @throws {WeftlineError} `SCHEMA_TOO_NEW` */
export function refuseNewer(version: number): void {
  if (version <= SCHEMA_VERSION) return;
  throw new WeftlineError(
    "SCHEMA_TOO_NEW",
    `The database has schema v${version}, and this version of @weftline/storage-sqlite supports up to v${SCHEMA_VERSION}. Install a newer version of it.`,
  );
}

/** @throws {WeftlineError} `SCHEMA_OUTDATED` */
export function refuseOutdated(version: number, file: string): void {
  if (version >= SCHEMA_VERSION) return;
  throw new WeftlineError(
    "SCHEMA_OUTDATED",
    `The database "${file}" has ${version === 0 ? "no schema yet" : `schema v${version}`}, and v${SCHEMA_VERSION} is needed. ` +
      'Run `weftline migrate`, or open the storage with `migrate: "auto"`.',
  );
}

/** Brings the schema to the newest version; several processes may do so at once. */
export async function migrate(connection: Connection): Promise<readonly SchemaStep[]> {
  const made: SchemaStep[] = [];
  for (const step of stepsFrom(await connection.read(() => versionOf(connection)))) {
    const isMade = await connection.write(() => {
      const version = versionOf(connection);
      refuseNewer(version);
      if (version >= step.version) return false; // another process was first
      if (version === 0) markFile(connection);
      connection.exec(STEPS[step.version - 1]!.sql);
      connection.exec(setVersion(step.version));
      return true;
    });
    if (isMade) made.push(step);
  }
  return made;
}

/** A database that the host also uses for itself keeps the mark that the host gave it. */
function markFile(connection: Connection): void {
  const { tables } = connection.get("SELECT count(*) AS tables FROM sqlite_master")!;
  if (tables === 0) connection.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
}

/** What `weftline migrate` works with. It opens the database for itself, so that the storage need not be open. */
export class SqliteSchema implements StorageSchema {
  readonly version = SCHEMA_VERSION;
  readonly #settings: Settings;
  #connection: Promise<Connection> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  async current(): Promise<number> {
    refuseLostDatabase(this.#settings.file);
    if (!existsSync(this.#settings.file)) return 0;
    const connection = await this.#open();
    return connection.read(() => versionOf(connection));
  }

  statements(from: number): readonly SchemaStep[] {
    return stepsFrom(from);
  }

  async migrate(): Promise<readonly SchemaStep[]> {
    refuseLostDatabase(this.#settings.file);
    const connection = await this.#open();
    refuseNewer(await connection.read(() => versionOf(connection)));
    await connection.begin();
    return migrate(connection);
  }

  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    (await connection)?.close();
  }

  async #open(): Promise<Connection> {
    this.#connection ??= Connection.open(this.#settings, { mayCreate: true });
    try {
      return await this.#connection;
    } catch (error) {
      this.#connection = undefined;
      throw error;
    }
  }
}
