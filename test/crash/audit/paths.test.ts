import { expect, it } from "vitest";
import { pathOf as postgresPath } from "../../../adapters/storage-postgres/src/paths.js";
import { pathOf as sqlitePath } from "../../../adapters/storage-sqlite/src/index-path.js";
import { indexOf as ofPostgres } from "../postgres/audit-rows.js";
import { indexOf as ofSqlite } from "../sqlite/audit-rows.js";

it.each([
  ["Postgres", postgresPath, ofPostgres],
  ["SQLite", sqlitePath, ofSqlite],
] as const)("the audit of %s reads the index of an item as the adapter writes it", (_, pathOf, indexOf) => {
  for (const index of [[], [0], [9], [10], [35], [36], [2, 0], [1_295, 1_296, 7], [123_456]]) {
    expect(indexOf(pathOf(index))).toEqual(index);
  }
});
