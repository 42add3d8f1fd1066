import { mkdtempSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { postgresStorage } from "@weftline/storage-postgres";
import { sqliteStorage } from "@weftline/storage-sqlite";
import pg from "pg";
import { memoryStorage, type Storage } from "weftline";
import { startPostgres } from "../services/postgres.js";

export const STORES = ["memory", "sqlite", "postgres"] as const;
export type StoreName = (typeof STORES)[number];

export interface Store {
  readonly storage: Storage;
  /** How many rows there are, beside those of the schema itself. */
  rows(): Promise<number>;
  /** What they take on the disk, in bytes. */
  bytes(): Promise<number>;
  /** By so many rows the count goes up and down: ids of flushes, which are forgotten many at once. */
  readonly rowsComeAndGo: number;
  /** After the engine was stopped: takes everything away. */
  remove(): Promise<void>;
}

/** An empty store of this kind. Postgres: of `WEFTLINE_TEST_POSTGRES`, else a server of its own. */
export function openStore(name: StoreName): Store | Promise<Store> {
  return { memory: memoryStore, sqlite: sqliteStore, postgres: postgresStore }[name]();
}

function memoryStore(): Store {
  const storage = memoryStorage();
  return {
    storage,
    async rows() {
      let rows = 0;
      let cursor: string | undefined;
      do {
        const page = await storage.list("runs", {}, { limit: 1_000, ...(cursor !== undefined && { cursor }) });
        rows += page.items.length;
        cursor = page.next;
      } while (cursor !== undefined);
      return rows;
    },
    bytes: async () => 0,
    rowsComeAndGo: 0,
    remove: async () => {},
  };
}

interface SqliteDatabase {
  prepare(sql: string): { all(): unknown[] };
  close(): void;
}

const require = createRequire(import.meta.url);

function sqliteStore(): Store {
  const folder = mkdtempSync(join(tmpdir(), "weftline-soak-"));
  const file = join(folder, "soak.db");
  const { DatabaseSync } = require("@photostructure/sqlite") as {
    DatabaseSync: new (path: string, options: { readOnly: boolean }) => SqliteDatabase;
  };
  return {
    storage: sqliteStorage({ file, driver: "@photostructure/sqlite", durability: "normal" }),
    async rows() {
      const database = new DatabaseSync(file, { readOnly: true });
      try {
        const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
        const counts = tables.map((table) => `SELECT count(*) AS n FROM "${(table as { name: string }).name}"`);
        return (database.prepare(counts.join(" UNION ALL ")).all() as { n: number }[]).reduce(
          (sum, { n }) => sum + n,
          0,
        );
      } finally {
        database.close();
      }
    },
    bytes: async () => statSync(file).size,
    rowsComeAndGo: 0,
    remove: async () => rmSync(folder, { recursive: true }),
  };
}

async function postgresStore(): Promise<Store> {
  const given = process.env.WEFTLINE_TEST_POSTGRES ?? "";
  const server = given.includes(":") ? undefined : await startPostgres();
  const connectionString = server?.connectionString ?? given;
  const schema = `soak_${process.pid}`;
  const client = new pg.Client({ connectionString });
  await client.connect();
  const ask = async (what: string): Promise<number> => {
    const { rows } = await client.query<{ n: string }>(`SELECT coalesce(sum(${what}), 0) AS n FROM pg_class c
      WHERE relnamespace = '${schema}'::regnamespace AND relkind = 'r'`);
    return Number(rows[0]!.n);
  };
  return {
    storage: postgresStorage({ connectionString, schema }),
    rows: () =>
      ask(
        `(xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %s', c.oid::regclass), false, true, '')))[1]::text::int`,
      ),
    async bytes() {
      // What autovacuum does every minute: whether room is used again is the question, not when.
      const { rows } = await client.query<{ name: string }>(`SELECT oid::regclass::text AS name FROM pg_class
        WHERE relnamespace = '${schema}'::regnamespace AND relkind = 'r'`);
      await client.query(`VACUUM ${rows.map(({ name }) => name).join(", ")}`);
      return ask("pg_total_relation_size(c.oid)");
    },
    rowsComeAndGo: 64,
    async remove() {
      if (server === undefined) await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
      await client.end();
      await server?.remove();
    },
  };
}
