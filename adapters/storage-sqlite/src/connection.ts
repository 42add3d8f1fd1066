import { existsSync } from "node:fs";
import { type CallOptions, WeftlineError } from "weftline";
import { openHandle, type SqliteHandle, type SqliteStatement, type SqliteValue } from "./driver.js";
import { FileGuard } from "./file-guard.js";
import type { Durability, Settings } from "./options.js";
import { toStorageError } from "./sqlite-errors.js";
import { retryWhileBusy, WriteQueue } from "./write-queue.js";

/** How long SQLite itself waits for a lock, which blocks the event loop, in milliseconds. */
const BLOCKING_MS = 2;
/** Filters combine to more texts than are worth keeping; the one that was made first goes first. */
const MAX_STATEMENTS = 300;
const CACHE_KIB = 16_000;
/** From how large a log on it is written back: at 16 MiB, which takes the disk less often than SQLite's default of 4. */
const CHECKPOINT_PAGES = 4_000;
/** A log that has grown larger, as by one huge transaction, is cut to this once it was written back. */
const MAX_LEFT_LOG_BYTES = 64 * 2 ** 20;

/** A row as the driver gives it. */
export type Row = Readonly<Record<string, SqliteValue>>;

export interface ConnectionOptions {
  /** Default: that of the settings. */
  readonly durability?: Durability;
  /** Whether the file may be made. */
  readonly mayCreate: boolean;
}

/**
 * One connection to the database. Whatever is done with it is done at once, in one turn of the event loop; only waiting
 * for the lock of other connections is not: that takes several tries, with pauses between them.
 */
export class Connection {
  readonly #settings: Settings;
  readonly #handle: SqliteHandle;
  readonly #statements = new Map<string, SqliteStatement>();
  readonly #writes: WriteQueue;
  #guard: FileGuard | undefined;
  #rollbacks = 0;
  #isClosed = false;
  /** Why nothing goes any more. */
  #fault: unknown;

  private constructor(settings: Settings, handle: SqliteHandle) {
    this.#settings = settings;
    this.#handle = handle;
    this.#writes = new WriteQueue({ ...settings, transact: (work) => this.#inTransaction("BEGIN IMMEDIATE", work) });
  }

  /** @throws {WeftlineError} `DRIVER_MISSING`, `STORAGE_INVALID` */
  static async open(settings: Settings, { mayCreate, durability }: ConnectionOptions): Promise<Connection> {
    const { file } = settings;
    if (!mayCreate && !existsSync(file)) throw new WeftlineError("STORAGE_INVALID", missing(file));
    let connection: Connection | undefined;
    try {
      connection = new Connection(settings, await openHandle(settings.driver, file));
      await connection.#prepareItself(durability ?? settings.durability);
      return connection;
    } catch (error) {
      connection?.close();
      throw toStorageError(error, file);
    }
  }

  async #prepareItself(durability: Durability): Promise<void> {
    const pragmas = [
      `busy_timeout = ${BLOCKING_MS}`,
      `synchronous = ${durability.toUpperCase()}`,
      // On macOS only this reaches the disk; elsewhere it changes nothing.
      ...(durability === "full" ? ["fullfsync = 1", "checkpoint_fullfsync = 1"] : []),
      "temp_store = MEMORY",
      `cache_size = -${CACHE_KIB}`,
      `wal_autocheckpoint = ${CHECKPOINT_PAGES}`,
      `journal_size_limit = ${MAX_LEFT_LOG_BYTES}`,
    ];
    for (const pragma of pragmas) await this.#retry(() => this.exec(`PRAGMA ${pragma}`));
  }

  /** Switches the file to the mode in which readers and a writer do not block each other, and begins to watch it. */
  async begin(): Promise<void> {
    const { journal_mode: mode } = await this.#retry(
      () => this.#handle.prepare("PRAGMA journal_mode = WAL").get() as Row,
    );
    if (mode !== "wal") {
      throw new WeftlineError(
        "STORAGE_INVALID",
        `Cannot use "${this.#settings.file}" with a write-ahead log: its file system or its driver allows only "${mode}". Pass another path.`,
      );
    }
    await this.read(() => this.get("SELECT count(*) FROM sqlite_master"));
    this.#guard = new FileGuard(this.#settings.file);
  }

  // ---- Inside of read() and write()

  exec(sql: string): void {
    this.#handle.exec(sql);
  }

  /** @returns How many rows it changed. */
  run(sql: string, ...values: SqliteValue[]): number {
    return Number(this.#prepared(sql).run(...values).changes);
  }

  /** @typeParam Shape - What a row looks like: the caller knows what it selects. */
  get<Shape extends object = Row>(sql: string, ...values: SqliteValue[]): Shape | undefined {
    return (this.#prepared(sql).get(...values) ?? undefined) as Shape | undefined;
  }

  all<Shape extends object = Row>(sql: string, ...values: SqliteValue[]): readonly Shape[] {
    return this.#prepared(sql).all(...values) as Shape[];
  }

  /** How often a transaction was undone: what was read or written before may not be true any more. */
  get rollbacks(): number {
    return this.#rollbacks;
  }

  /** @throws {WeftlineError} `STORAGE_INVALID` when the file is not the one that was opened. Nothing goes from then on. */
  checkFile(): void {
    try {
      this.#guard?.check();
    } catch (error) {
      this.#fault = error;
      throw error;
    }
  }

  // ---- Transactions

  /** Reads, as of one moment. */
  read<Value>(work: () => Value, { signal }: CallOptions = {}): Promise<Value> {
    return this.#retry(() => this.#inTransaction("BEGIN", work), signal);
  }

  /** Changes something, as a whole or not at all. The work may be done again from the start, when others shared its transaction. */
  async write<Value>(work: () => Value, options: CallOptions = {}): Promise<Value> {
    this.#assertUsable(options.signal);
    return this.#writes.add(work, options);
  }

  /** Writes that have not begun are refused. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#writes.refuseAll(closed());
    this.#statements.clear();
    this.#handle.close();
  }

  #prepared(sql: string): SqliteStatement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#handle.prepare(sql);
      this.#statements.set(sql, statement);
      if (this.#statements.size > MAX_STATEMENTS) this.#statements.delete(this.#statements.keys().next().value!);
    }
    return statement;
  }

  #retry<Value>(work: () => Value, signal?: AbortSignal): Promise<Value> {
    return retryWhileBusy(work, this.#settings, () => this.#assertUsable(signal));
  }

  #inTransaction<Value>(begin: "BEGIN" | "BEGIN IMMEDIATE", work: () => Value): Value {
    if (this.#fault !== undefined) throw this.#fault;
    if (begin === "BEGIN IMMEDIATE") this.checkFile();
    this.run(begin);
    try {
      const value = work();
      this.run("COMMIT");
      return value;
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  #rollBack(): void {
    this.#rollbacks++;
    try {
      this.exec("ROLLBACK");
    } catch {
      // SQLite has done so itself, as it does when the disk is full.
    }
  }

  #assertUsable(signal: AbortSignal | undefined): void {
    if (this.#isClosed) throw closed();
    if (this.#fault !== undefined) throw this.#fault;
    signal?.throwIfAborted();
  }
}

export function closed(): WeftlineError {
  return new WeftlineError(
    "STORAGE_CLOSED",
    "Cannot use this storage before open() or after close(). Use it through a started engine.",
  );
}

function missing(file: string): string {
  return `The database "${file}" is not there any more. Put it back, or use a new storage to begin anew.`;
}
