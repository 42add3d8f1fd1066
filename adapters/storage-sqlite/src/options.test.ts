import { isAbsolute } from "node:path";
import { describe, expect, it } from "vitest";
import { sqliteStorage } from "./index.js";
import { readOptions, type SqliteStorageOptions } from "./options.js";

describe("sqliteStorage() refuses", () => {
  it.each([":memory:", "file::memory:?cache=shared", "file:runs?mode=memory"])("a database in memory: %s", (file) => {
    expect(() => sqliteStorage({ file })).toThrow(/^STORAGE_INVALID: .*memoryStorage\(\)/);
  });

  it.each<[string, object]>([
    ["no file", {}],
    ["an empty file name", { file: "" }],
    ["a durability it does not know", { file: "a.db", durability: "FULL" }],
    ["a way to migrate it does not know", { file: "a.db", migrate: true }],
  ])("%s", (_, options) => {
    expect(() => sqliteStorage(options as SqliteStorageOptions)).toThrow(/^STORAGE_INVALID: .*Pass /);
  });

  it("a busyTimeout that is no duration", () => {
    const options = { file: "a.db", busyTimeout: "10 seconds" } as unknown as SqliteStorageOptions;
    expect(() => sqliteStorage(options)).toThrow(/^DURATION_INVALID: .*busyTimeout/);
  });
});

it("what is not said has its default, and the file is the same wherever the process goes", () => {
  const { file, ...settings } = readOptions({ file: "a.db" });
  expect(isAbsolute(file)).toBe(true);
  expect(settings).toEqual({ durability: "full", driver: undefined, busyTimeoutMs: 10_000, migrate: "auto" });
});
