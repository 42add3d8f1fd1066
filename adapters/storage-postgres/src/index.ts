export { postgresStorage } from "./postgres-storage.js";
export type { PoolLike, PostgresStorageOptions } from "./options.js";
