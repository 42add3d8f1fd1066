import pg from "pg";
import type { AuditRow, Change } from "../audit/change.js";
import type { Origin } from "../audit/columns.js";
import { REFUSED } from "../pipeline.js";
import { withStorage } from "../stored-runs.js";
import { changesOf } from "./audit-rows.js";
import { storageOf, type World } from "./world.js";

/** What is kept of: everything that says what happened to runs, engines and schedules. */
const TABLES = ["engines", "flushes", "runs", "tasks", "attempts", "steps", "messages", "signals", "schedules"];

/**
 * Lets the database write down every change of these tables, in the transaction that makes it. Who called is kept where
 * an engine is forgotten, as one that stopped and one that died look alike there.
 *
 * One more trigger refuses a value, as a database does that cannot keep it.
 */
const AUDIT = `
CREATE TABLE {schema}.crash_audit (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tx bigint NOT NULL,
  at bigint NOT NULL,
  source text NOT NULL,
  change text NOT NULL,
  row json NOT NULL,
  caller text
);
CREATE FUNCTION {schema}.crash_audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_caller text;
BEGIN
  IF TG_TABLE_NAME = 'engines' AND TG_OP = 'DELETE' THEN GET DIAGNOSTICS v_caller = PG_CONTEXT; END IF;
  INSERT INTO {schema}.crash_audit (tx, at, source, change, row, caller)
    VALUES (txid_current(), floor(extract(epoch FROM clock_timestamp()) * 1000), TG_TABLE_NAME, left(TG_OP, 1),
      CASE WHEN TG_OP = 'DELETE' THEN to_json(OLD) ELSE to_json(NEW) END, v_caller);
  RETURN NULL;
END $$;
CREATE FUNCTION {schema}.crash_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'this database keeps no such value' USING ERRCODE = '22000';
END $$;
CREATE TRIGGER crash_refuse BEFORE INSERT OR UPDATE ON {schema}.tasks
  FOR EACH ROW WHEN (NEW.output LIKE '%${REFUSED}%') EXECUTE FUNCTION {schema}.crash_refuse();
${TABLES.map(
  (table) =>
    // What was answered to a flush is forgotten when nobody can ask again, which says nothing.
    `CREATE TRIGGER crash_audit AFTER INSERT OR UPDATE${table === "flushes" ? "" : " OR DELETE"} ON {schema}.${table}
  FOR EACH ROW EXECUTE FUNCTION {schema}.crash_audit();`,
).join("\n")}`;

/** Makes the schema, and the audit with it. */
export async function installAudit(world: World): Promise<void> {
  await withStorage(storageOf(world), () => Promise.resolve());
  await withClient(world, (client) => client.query(AUDIT.replaceAll("{schema}", world.schema)));
}

/** All that the database wrote down, in the order of writing. */
export function readAudit(world: World): Promise<readonly Change[]> {
  const { schema } = world;
  return withClient(world, async (client) => {
    const audit = await client.query<AuditRow & { readonly caller: string | null }>(
      `SELECT seq::float8, tx::text, at::float8, source AS "table", change, row, caller FROM ${schema}.crash_audit ORDER BY seq`,
    );
    const origins = await client.query<Origin & { readonly number: number }>(
      `SELECT number, engine, executor FROM ${schema}.origins`,
    );
    const rows = audit.rows.map((row) => ({ ...row, caller: row.caller ?? undefined }));
    return changesOf(rows, new Map(origins.rows.map((origin) => [origin.number, origin])));
  });
}

async function withClient<Value>(
  { connectionString }: World,
  work: (client: pg.Client) => Promise<Value>,
): Promise<Value> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
