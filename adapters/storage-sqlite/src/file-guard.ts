import { statSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { type Logger, WeftlineError } from "weftline";

/**
 * Notices that the database was deleted or replaced while it is open. SQLite itself goes on in the file that has no
 * name any more, and all of it would be lost.
 */
export class FileGuard {
  readonly #file: string;
  readonly #identity: string | undefined;
  readonly #logIdentity: string | undefined;

  /** To be made once the file and its log are there. */
  constructor(file: string) {
    this.#file = file;
    this.#identity = identityOf(file);
    this.#logIdentity = identityOf(`${file}-wal`);
  }

  /** Two `stat` calls: some microseconds. @throws {WeftlineError} `STORAGE_INVALID` */
  check(): void {
    if (identityOf(this.#file) !== this.#identity) throw gone(this.#file);
    if (identityOf(`${this.#file}-wal`) !== this.#logIdentity) throw gone(`${this.#file}-wal`);
  }
}

function gone(file: string): WeftlineError {
  return new WeftlineError(
    "STORAGE_INVALID",
    `The file "${file}" was deleted or replaced while it was open. Stop all processes that use it, put the right file in its place, and open it again.`,
  );
}

function identityOf(file: string): string | undefined {
  const stats = statSync(file, { throwIfNoEntry: false, bigint: true });
  return stats && `${stats.dev}:${stats.ino}`;
}

/** @throws {WeftlineError} `STORAGE_INVALID` where SQLite would silently begin anew beside the log of a lost database. */
export function refuseLostDatabase(file: string): void {
  const log = statSync(`${file}-wal`, { throwIfNoEntry: false });
  const database = statSync(file, { throwIfNoEntry: false });
  if (log === undefined || log.size === 0 || (database !== undefined && database.size > 0)) return;
  throw new WeftlineError(
    "STORAGE_INVALID",
    `The database "${file}" is ${database ? "empty" : "missing"}, but its log "${file}-wal" is there, and holds commits of it. ` +
      "Put the database back beside it, or remove the log to begin anew.",
  );
}

/** Numbers that Linux gives file systems whose locks do not hold across machines. */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB"],
  [0x517b, "SMB"],
]);

/** Warns of a file that other machines may see as well: SQLite's locks and shared memory work within one. */
export async function warnOfNetwork(file: string, log: Logger, typeOf = fileSystemType): Promise<void> {
  const name = NETWORK_FILE_SYSTEMS.get(await typeOf(file));
  if (name === undefined) return;
  log.warn(
    { code: "SQLITE_NETWORK_FS", file, fileSystem: name },
    `the database "${file}" is on a network file system (${name}), where SQLite may be damaged or stall; keep it on a local disk`,
  );
}

async function fileSystemType(file: string): Promise<number> {
  if (process.platform !== "linux") return 0;
  const { type } = await statfs(file).catch(() => ({ type: 0 })); // not every sandbox allows the question
  return type >>> 0;
}
