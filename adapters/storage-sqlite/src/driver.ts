import { createRequire } from "node:module";
import { WeftlineError } from "weftline";

/** The part of a database that this adapter calls: that of `node:sqlite`, of `better-sqlite3`, and of look-alikes. */
export interface SqliteHandle {
  /** Runs one statement or several, without results. */
  exec(sql: string): unknown;
  prepare(sql: string): SqliteStatement;
  close(): void;
}

/** A prepared statement. Values are numbers, texts, bytes and null; integers come back as numbers. */
export interface SqliteStatement {
  run(...values: SqliteValue[]): { readonly changes: number | bigint };
  get(...values: SqliteValue[]): unknown;
  all(...values: SqliteValue[]): unknown[];
}
export type SqliteValue = number | string | Uint8Array | null;

/** A driver by its name, or a function that opens the database of this path. */
export type SqliteDriver = DriverName | ((file: string) => SqliteHandle | Promise<SqliteHandle>);
export type DriverName = "node:sqlite" | "@photostructure/sqlite" | "better-sqlite3";

type Constructor = new (file: string) => SqliteHandle;

const DRIVERS: readonly DriverName[] = ["node:sqlite", "@photostructure/sqlite", "better-sqlite3"];
const require = createRequire(import.meta.url);

/**
 * Opens a database with the driver that was asked for, or else with the first there is.
 *
 * @throws {WeftlineError} `DRIVER_MISSING`; and whatever the driver throws.
 */
export async function openHandle(driver: SqliteDriver | undefined, file: string): Promise<SqliteHandle> {
  if (typeof driver === "function") return driver(file);
  const Database = driver === undefined ? await firstDriver() : await namedDriver(driver);
  return new Database(file);
}

async function firstDriver(): Promise<Constructor> {
  for (const name of DRIVERS) {
    const found = await load(name);
    if (found !== undefined) return found;
  }
  throw new WeftlineError(
    "DRIVER_MISSING",
    `No driver for SQLite was found: Node ${process.versions.node} has no node:sqlite. ` +
      "Install one with `npm install @photostructure/sqlite`, or use Node 22.13 or newer.",
  );
}

async function namedDriver(name: DriverName): Promise<Constructor> {
  if (!DRIVERS.includes(name)) {
    throw new WeftlineError(
      "DRIVER_MISSING",
      `There is no driver "${name}". Pass one of ${DRIVERS.map((known) => `"${known}"`).join(", ")}, or a function that opens a database.`,
    );
  }
  const found = await load(name);
  if (found !== undefined) return found;
  const remedy =
    name === "node:sqlite"
      ? "Use Node 22.13 or newer, or another driver."
      : `Install it with \`npm install ${name}\`, or use another driver.`;
  throw new WeftlineError("DRIVER_MISSING", `The driver ${name} was not found. ${remedy}`);
}

function load(name: DriverName): Promise<Constructor | undefined> {
  if (name === "node:sqlite") return Promise.resolve(loadBuiltIn());
  return name === "better-sqlite3" ? loadBetter() : loadPhotostructure();
}

/** Node 22 has it, and calls it experimental each time; other warnings pass. */
function loadBuiltIn(): Constructor | undefined {
  const { emitWarning } = process;
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    if (/sqlite/i.test(String(warning)) && rest.includes("ExperimentalWarning")) return;
    Reflect.apply(emitWarning, process, [warning, ...rest]);
  }) as typeof emitWarning;
  try {
    const builtIn = process.getBuiltinModule("node:sqlite") as { readonly DatabaseSync: Constructor } | undefined;
    return builtIn?.DatabaseSync;
  } finally {
    process.emitWarning = emitWarning;
  }
}

async function loadPhotostructure(): Promise<Constructor | undefined> {
  const found = await importPackage("@photostructure/sqlite");
  return (found as { readonly DatabaseSync: Constructor } | undefined)?.DatabaseSync;
}

async function loadBetter(): Promise<Constructor | undefined> {
  refuseUnfit();
  const found = await importPackage("better-sqlite3");
  return (found as { readonly default: Constructor } | undefined)?.default;
}

/** From version 13 on it needs Node-API 10, and kills the process where that is missing (Node before 22.14). */
function refuseUnfit(): void {
  const version = versionOf("better-sqlite3");
  if (version === undefined || Number.parseInt(version, 10) < 13 || Number(process.versions.napi) >= 10) return;
  throw new WeftlineError(
    "DRIVER_MISSING",
    `better-sqlite3 ${version} cannot run on Node ${process.versions.node}, whose Node-API is ${process.versions.napi}: it needs 10. ` +
      "Install better-sqlite3 12, or use Node 22.14 or newer.",
  );
}

function versionOf(name: string): string | undefined {
  try {
    return (require(`${name}/package.json`) as { readonly version: string }).version;
  } catch {
    return undefined;
  }
}

/** @returns `undefined` when the package is not installed. */
async function importPackage(name: string): Promise<unknown> {
  try {
    return await import(name);
  } catch (error) {
    if (isMissing(error, name)) return undefined;
    throw new WeftlineError(
      "DRIVER_MISSING",
      `The driver ${name} is installed and cannot be loaded. Install it again, on this system and with this version of Node.`,
      { cause: error },
    );
  }
}

function isMissing(error: unknown, name: string): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  const isNotFound = error.code === "ERR_MODULE_NOT_FOUND" || error.code === "MODULE_NOT_FOUND";
  return isNotFound && error.message.includes(`'${name}'`);
}
