export { sqliteStorage } from "./sqlite-storage.js";
export type { Durability, SqliteStorageOptions } from "./options.js";
export type { DriverName, SqliteDriver, SqliteHandle, SqliteStatement, SqliteValue } from "./driver.js";
