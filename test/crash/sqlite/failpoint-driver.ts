import { DatabaseSync } from "@photostructure/sqlite";
import type { SqliteHandle, SqliteStatement } from "@weftline/storage-sqlite";

export interface FailpointDriverOptions {
  readonly pass: (point: string) => void;
  /** Replaces what the adapter sets. */
  readonly checkpointPages: number | undefined;
  /** Called after each transaction that writes, before its failpoint. */
  readonly onCommit?: () => void;
  /** Says what is run instead of a statement. */
  readonly rewrite?: (sql: string) => string;
}

/** Opens databases with a failpoint before and after the COMMIT of each transaction that writes. */
export function failpointDriver(options: FailpointDriverOptions): (file: string) => SqliteHandle {
  return (file) => new FailpointHandle(new DatabaseSync(file) as SqliteHandle, options);
}

class FailpointHandle implements SqliteHandle {
  readonly #handle: SqliteHandle;
  readonly #options: FailpointDriverOptions;
  #isWriting = false;

  constructor(handle: SqliteHandle, options: FailpointDriverOptions) {
    this.#handle = handle;
    this.#options = options;
  }

  exec(sql: string): unknown {
    const { checkpointPages } = this.#options;
    const isCheckpointSetting = sql.startsWith("PRAGMA wal_autocheckpoint") && checkpointPages !== undefined;
    return this.#handle.exec(isCheckpointSetting ? `PRAGMA wal_autocheckpoint = ${checkpointPages}` : sql);
  }

  prepare(sql: string): SqliteStatement {
    const statement = this.#handle.prepare(this.#options.rewrite?.(sql) ?? sql);
    if (sql === "BEGIN") return this.#around(statement, () => this.#begin(statement, false));
    if (sql === "BEGIN IMMEDIATE") return this.#around(statement, () => this.#begin(statement, true));
    if (sql === "COMMIT") return this.#around(statement, () => this.#commit(statement));
    return statement;
  }

  close(): void {
    this.#handle.close();
  }

  #around(statement: SqliteStatement, run: SqliteStatement["run"]): SqliteStatement {
    return { run, get: (...values) => statement.get(...values), all: (...values) => statement.all(...values) };
  }

  #begin(statement: SqliteStatement, isWriting: boolean): { readonly changes: number | bigint } {
    const result = statement.run();
    this.#isWriting = isWriting;
    return result;
  }

  #commit(statement: SqliteStatement): { readonly changes: number | bigint } {
    if (!this.#isWriting) return statement.run();
    this.#options.pass("COMMIT before");
    const result = statement.run();
    this.#options.onCommit?.();
    this.#options.pass("COMMIT after");
    return result;
  }
}
