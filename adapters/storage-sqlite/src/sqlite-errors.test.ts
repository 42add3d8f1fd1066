import { describe, expect, it } from "vitest";
import { WeftlineError } from "weftline";
import { isBusy, isTooBig, toStorageError } from "./sqlite-errors.js";
import { newFile, openRaw } from "./test-support/store.js";

const thrown = (message: string, details: object = {}) => Object.assign(new Error(message), details);
const codeOf = (error: unknown) => (toStorageError(error, "a.db") as WeftlineError).code;

describe("an error of SQLite is known for what it is", () => {
  it("however the driver says it", () => {
    const full = [
      thrown("database or disk is full", { code: "ERR_SQLITE_ERROR", errcode: 13 }),
      thrown("database or disk is full", { code: "SQLITE_FULL" }),
      thrown("database or disk is full", { code: "ERR_SQLITE_ERROR" }),
    ];
    for (const error of full)
      expect(toStorageError(error, "a.db")).toMatchObject({ code: "STORAGE_FULL", cause: error });
    const busy = [
      thrown("database is locked", { errcode: 5 }),
      thrown("database is locked", { errcode: 5 | (2 << 8) }), // SQLITE_BUSY_SNAPSHOT
      thrown("database is locked", { code: "SQLITE_BUSY_RECOVERY" }),
      thrown("database is locked", { code: "ERR_SQLITE_ERROR" }),
    ];
    expect(busy.map(isBusy)).toEqual(busy.map(() => true));
    expect(isTooBig(thrown("string or blob too big", { code: "SQLITE_TOOBIG" }))).toBe(true);
  });

  it("by each driver that there is here, in each of its calls", () => {
    const file = newFile();
    const [writer, other] = [openRaw(file), openRaw(file)];
    writer.exec("CREATE TABLE t (x)");
    const read = other.prepare("SELECT x FROM t");
    const write = other.prepare("INSERT INTO t VALUES (1)");
    writer.exec("BEGIN EXCLUSIVE");
    const calls = [() => read.all(), () => read.get(), () => write.run(), () => other.exec("BEGIN IMMEDIATE")];
    for (const call of calls) expect(errorOf(call)).toSatisfy(isBusy);
    writer.exec("COMMIT");
    writer.close();
    other.close();
  });

  it("with what to do about it, and others are left as they are", () => {
    expect(codeOf(thrown("file is not a database", { errcode: 26 }))).toBe("STORAGE_INVALID");
    expect(codeOf(thrown("attempt to write a readonly database", { errcode: 8 | (4 << 8) }))).toBe("STORAGE_INVALID");
    const own = new WeftlineError("LEASE_LOST", "database is locked");
    expect(isBusy(own)).toBe(false);
    for (const error of [own, thrown("disk I/O error", { errcode: 10 }), "a text", undefined]) {
      expect(toStorageError(error, "a.db")).toBe(error);
    }
  });
});

function errorOf(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}
