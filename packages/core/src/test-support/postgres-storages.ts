import { postgresStorage } from "@weftline/storage-postgres";
import pg from "pg";
import { afterAll } from "vitest";
import type { StorageKind } from "./storages.js";

/** Each in a schema of its own in the database at `WEFTLINE_TEST_POSTGRES`. */
export async function postgresStorages(): Promise<StorageKind> {
  const connectionString = process.env.WEFTLINE_TEST_POSTGRES ?? "";
  const client = new pg.Client({ connectionString });
  await client.connect();
  // Made once and emptied after each test, which takes a hundredth of the time.
  const schemas: string[] = [];
  const free: string[] = [];
  afterAll(async () => {
    for (const schema of schemas) await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
    await client.end();
  });
  const another = () => {
    const schema = `engine_${process.pid}_${schemas.length}`;
    schemas.push(schema);
    return schema;
  };
  return {
    make() {
      const schema = free.pop() ?? another();
      // Hints come when they like: that engines do without them is what can be tested.
      const storage = postgresStorage({ connectionString, schema, maxConnections: 3, notify: false });
      return {
        storage,
        async remove() {
          await storage.close();
          await empty(client, schema);
          free.push(schema);
        },
      };
    },
  };
}

async function empty(client: pg.Client, schema: string): Promise<void> {
  const tables = "SELECT tablename FROM pg_tables WHERE schemaname = $1 AND tablename <> 'weftline_schema'";
  const { rows } = await client.query<{ tablename: string }>(tables, [schema]);
  await client.query(rows.map(({ tablename }) => `DELETE FROM ${schema}.${tablename}`).join(";"));
}
