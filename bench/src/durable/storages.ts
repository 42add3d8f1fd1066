import type { Storage } from "weftline";

/** Opens one of Weftline's durable storages; the place is a connection string or a file. */
export const STORAGES = {
  Postgres: async (place: string): Promise<Storage> => {
    const { postgresStorage } = await import("@weftline/storage-postgres");
    return postgresStorage({ connectionString: place });
  },
  SQLite: async (place: string): Promise<Storage> => {
    const { sqliteStorage } = await import("@weftline/storage-sqlite");
    return sqliteStorage({ file: place });
  },
} as const;
export type StorageName = keyof typeof STORAGES;
