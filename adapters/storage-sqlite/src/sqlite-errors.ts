import { WeftlineError } from "weftline";

/** The results of SQLite that anything depends on: by its number, as `better-sqlite3` names it, and in SQLite's words. */
const RESULTS = {
  BUSY: { number: 5, text: "database is locked" },
  LOCKED: { number: 6, text: "database table is locked" },
  READONLY: { number: 8, text: "attempt to write a readonly database" },
  CORRUPT: { number: 11, text: "database disk image is malformed" },
  FULL: { number: 13, text: "database or disk is full" },
  CANTOPEN: { number: 14, text: "unable to open database file" },
  PROTOCOL: { number: 15, text: "locking protocol" },
  TOOBIG: { number: 18, text: "string or blob too big" },
  NOTADB: { number: 26, text: "file is not a database" },
} as const;
type Result = keyof typeof RESULTS;
const NAMES = Object.keys(RESULTS) as Result[];

/** Another connection holds the lock, or was faster several times: the same call may succeed at once. */
export function isBusy(error: unknown): boolean {
  const result = resultOf(error);
  return result === "BUSY" || result === "LOCKED" || result === "PROTOCOL";
}

/** A value is larger than SQLite keeps any. */
export function isTooBig(error: unknown): boolean {
  return resultOf(error) === "TOOBIG";
}

/** What a caller is told of an error that the driver threw. */
export function toStorageError(error: unknown, file: string): unknown {
  if (error instanceof WeftlineError) return error;
  const invalid = (message: string) => new WeftlineError("STORAGE_INVALID", message, { cause: error });
  switch (resultOf(error)) {
    case "FULL":
      return new WeftlineError("STORAGE_FULL", `There is no room left for "${file}". Free some space on its disk.`, {
        cause: error,
        retryable: true,
      });
    case "CANTOPEN":
    case "READONLY":
      return invalid(
        `Cannot open the database "${file}" for writing. Its folder has to exist, and this process may write to both.`,
      );
    case "CORRUPT":
      return invalid(
        `The database "${file}" is damaged. Stop all engines on it, and restore a backup or recover it with \`sqlite3 ".recover"\`.`,
      );
    case "NOTADB":
      return invalid(`The file "${file}" is no SQLite database. Pass another path.`);
    default:
      return error;
  }
}

/**
 * Drivers say it in different ways: `node:sqlite` by a number with details in its upper bits, `better-sqlite3` by a name
 * with details behind it, and `@photostructure/sqlite` 1.2 now and then only in words.
 */
function resultOf(error: unknown): Result | undefined {
  if (!(error instanceof Error) || error instanceof WeftlineError) return undefined;
  if ("errcode" in error && typeof error.errcode === "number") {
    const number = error.errcode & 0xff;
    return NAMES.find((name) => RESULTS[name].number === number);
  }
  const code = "code" in error ? String(error.code) : "";
  const named = NAMES.find((name) => code === `SQLITE_${name}` || code.startsWith(`SQLITE_${name}_`));
  return named ?? NAMES.find((name) => error.message.endsWith(RESULTS[name].text));
}
