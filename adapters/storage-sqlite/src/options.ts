import { resolve } from "node:path";
import { type Duration, durationMs, WeftlineError } from "weftline";
import type { SqliteDriver } from "./driver.js";

/**
 * What a call that was confirmed survives. A process that is killed loses nothing confirmed on any level.
 *
 * - `full`: also a power loss or a crash of the operating system. Each commit waits for the disk.
 * - `normal`: after a power loss the last commits may be missing; the file is whole.
 * - `off`: after a power loss the file may be damaged.
 */
export type Durability = "full" | "normal" | "off";

export interface SqliteStorageOptions {
  /** Path of the database file, made where there is none. Its folder has to exist, on a disk of this machine. */
  readonly file: string;
  /** Default: `"full"`. */
  readonly durability?: Durability;
  /**
   * What speaks SQLite: the name of a package, or a function that opens a database, which is closed with the storage.
   * Default: the first there is of `node:sqlite`, `@photostructure/sqlite` and `better-sqlite3`.
   */
  readonly driver?: SqliteDriver;
  /** How long one call may go on trying in all while other processes write. Default: `"10s"`. */
  readonly busyTimeout?: Duration;
  /**
   * `auto`: `open()` brings the schema up to date. `never`: it rejects with `SCHEMA_OUTDATED` where it is not, and
   * somebody runs `weftline migrate`. Default: `"auto"`.
   */
  readonly migrate?: "auto" | "never";
}

/** The options with their defaults, checked. */
export interface Settings {
  /** Absolute. */
  readonly file: string;
  readonly durability: Durability;
  readonly driver: SqliteDriver | undefined;
  readonly busyTimeoutMs: number;
  readonly migrate: "auto" | "never";
}

const DURABILITIES: readonly unknown[] = ["full", "normal", "off"];

/** @throws {WeftlineError} `STORAGE_INVALID`, `DURATION_INVALID` */
export function readOptions(options: SqliteStorageOptions): Settings {
  const { file, durability = "full", driver, busyTimeout = "10s", migrate = "auto" } = options;
  if (typeof file !== "string" || file === "") {
    throw invalid(`as \`file\` is ${JSON.stringify(file)}. Pass the path of a file, such as "weftline.db".`);
  }
  if (file.includes(":memory:") || /^file:.*\bmode=memory\b/.test(file)) {
    throw invalid(
      `on "${file}", which is gone with its process and private to it. Use memoryStorage() for that, or the path of a file.`,
    );
  }
  if (!DURABILITIES.includes(durability)) {
    throw invalid(`as \`durability\` is ${JSON.stringify(durability)}. Pass "full", "normal" or "off".`);
  }
  if (migrate !== "auto" && migrate !== "never") {
    throw invalid(`as \`migrate\` is ${JSON.stringify(migrate)}. Pass "auto" or "never".`);
  }
  const busyTimeoutMs = durationMs(busyTimeout, "`busyTimeout` of sqliteStorage()");
  return { file: resolve(file), durability, driver, busyTimeoutMs, migrate };
}

function invalid(rest: string): WeftlineError {
  return new WeftlineError("STORAGE_INVALID", `Cannot use SQLite ${rest}`);
}
