import { describe, expect, it, onTestFinished } from "vitest";
import type { Storage } from "weftline";
import { postgresStorage } from "./index.js";
import { quoted, SCHEMA_VERSION, TABLE_NAMES } from "./migrations.js";
import {
  connectionString,
  connectionStringWith,
  freshSchema,
  openClient,
  openStorage,
  SILENT,
  sleep,
  withClient,
} from "./test-support/database.js";
import { ScriptProcess } from "./test-support/processes.js";
import { changes, claimRequest, flush, newRun, owned, register, runState, taskRecord } from "./test-support/records.js";

const context = { log: SILENT, now: Date.now };

function storageIn(schema: string, options = {}): Storage {
  const storage = postgresStorage({ connectionString, schema, ...options });
  onTestFinished(() => storage.close());
  return storage;
}

/** The steps that the schema says were made; `undefined`: it has no table for them. */
async function recordedVersions(schema: string): Promise<number[] | undefined> {
  return withClient(async (client) => {
    const table = `${quoted(schema)}.weftline_schema`;
    const { rows: known } = await client.query("SELECT to_regclass($1) AS name", [table]);
    if (known[0].name === null) return undefined;
    const { rows } = await client.query(`SELECT version FROM ${table} ORDER BY version`);
    return rows.map(({ version }) => version);
  });
}

/** Goes once through what an engine does. */
async function expectWorking(storage: Storage): Promise<void> {
  await register(storage);
  const [created] = await storage.createRuns([newRun("run", { key: "k", tags: ["a"] })]);
  expect(created?.kind).toBe("created");
  const [claimed] = await storage.claimRuns(claimRequest());
  expect(claimed?.id).toBe("run");
  const details = { run: runState("succeeded"), tasks: [taskRecord("run", 0)] };
  expect(await storage.commit(flush(changes("run", details)))).toEqual({ kind: "ok", fenced: [] });
  expect((await storage.list("runs", { tag: "a", status: ["succeeded"] }, { limit: 10 })).items).toHaveLength(1);
  expect(await storage.deleteRun("run")).toBe("deleted");
}

describe("the schema", () => {
  it("F193 is made once by ten storages that open at the same time, in an empty database", async () => {
    const schema = freshSchema();
    const storages = Array.from({ length: 10 }, () => storageIn(schema));
    await Promise.all(storages.map((storage) => storage.open(context)));
    expect(await recordedVersions(schema)).toEqual([1]);
    await expectWorking(storages[9]!);
  });

  it("F193 is made once by processes that start at the same time", async () => {
    const schema = freshSchema();
    const script = `const storage = await child.openStorage(args[0]); await storage.close(); console.log("open");`;
    const processes = Array.from({ length: 4 }, () => new ScriptProcess(script, schema));
    await Promise.all(processes.map((process) => process.printed(1)));
    expect(await recordedVersions(schema)).toEqual([1]);
  });

  it("F194 refuses to open when it is of a newer version, with both versions in the message", async () => {
    const { schema } = await openStorage();
    await withClient((client) =>
      client.query(`INSERT INTO ${quoted(schema)}.weftline_schema (version, name) VALUES (99, 'later')`),
    );
    for (const migrate of ["auto", "never"] as const) {
      const opening = storageIn(schema, { migrate }).open(context);
      await expect(opening).rejects.toThrow(/^SCHEMA_TOO_NEW: .* version 99, .* up to 1\b.*drain/);
    }
  });

  it("F195 is left alone with migrate: never, which names the command that makes it", async () => {
    const schema = freshSchema();
    const opening = storageIn(schema, { migrate: "never" }).open(context);
    await expect(opening).rejects.toThrow(/^SCHEMA_OUTDATED: .* is not there.*`weftline migrate`/);
    expect(await recordedVersions(schema)).toBeUndefined();
  });

  it("F195 can be made by the statements it prints", async () => {
    const schema = freshSchema(`It's "odd"`);
    const storage = storageIn(schema, { migrate: "never" });
    const steps = storage.schema!.statements(0);
    expect(steps.map(({ version }) => version)).toEqual([SCHEMA_VERSION]);
    for (const { sql } of steps) await withClient((client) => client.query(sql));
    expect(await storage.schema!.current()).toBe(SCHEMA_VERSION);
    await storage.open(context);
    await expectWorking(storage);
  });

  it("F196 is there as a whole or not at all, at whatever moment its backend is ended", async () => {
    const outcomes = new Set<string>();
    for (let round = 0; round < 12; round++) {
      const schema = freshSchema("cut");
      const name = `weftline ${schema}`;
      const storage = storageIn(schema, {
        connectionString: connectionStringWith((url) => url.searchParams.set("application_name", name)),
      });
      const opening = storage.open(context).then(
        () => "made",
        () => "cut",
      );
      await sleep(round * 6);
      await endBackendsOf(name);
      outcomes.add(await opening);
      const tables = await tablesIn(schema);
      if ((await recordedVersions(schema)) === undefined) expect(tables).toEqual([]);
      else expect(tables).toEqual([...TABLE_NAMES, "weftline_schema"].sort());
      await storage.close();
      const again = storageIn(schema);
      await again.open(context);
      await expectWorking(again);
    }
    expect(outcomes).toContain("cut");
  }, 60_000);

  it("F196 can be made after the process that made it was killed", async () => {
    for (const ms of [60, 90, 120, 150]) {
      const schema = freshSchema("killed");
      const script = `console.log("begin"); const storage = await child.openStorage(args[0]); console.log("open");`;
      const process = new ScriptProcess(script, schema);
      await process.printed(1);
      await sleep(ms);
      process.kill();
      await process.ended;
      const again = storageIn(schema);
      await again.open(context);
      await expectWorking(again);
    }
  }, 60_000);

  it("F11 names who holds the migration lock when it is not given in time, and holds none of a session itself", async () => {
    const schema = freshSchema();
    const holder = await openClient();
    const { rows } = await holder.query("SELECT pg_backend_pid() AS pid");
    await holder.query("BEGIN");
    await holder.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`weftline migration of ${schema}`]);
    const opening = storageIn(schema, { timeout: "1s" }).open(context);
    await expect(opening).rejects.toThrow(new RegExp(`^MIGRATION_LOCK_TIMEOUT: .*pid ${rows[0].pid}\\b`));
    await holder.query("ROLLBACK");
    await storageIn(schema).open(context);
    const { rows: locks } = await holder.query(
      "SELECT count(*)::integer AS count FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE locktype = 'advisory' AND d.datname = current_database()",
    );
    expect(locks[0].count).toBe(0);
  });

  it("F198 may get tables, columns and functions of a newer version while engines of this one go on", async () => {
    const { storage, schema } = await openStorage();
    await owned(storage, "before");
    await withClient(async (client) => {
      for (const table of TABLE_NAMES)
        await client.query(`ALTER TABLE ${quoted(schema)}.${table} ADD COLUMN later text`);
      await client.query(`CREATE TABLE ${quoted(schema)}.of_later (id text)`);
      await client.query(`INSERT INTO ${quoted(schema)}.weftline_schema (version, name) VALUES (2, 'later')`);
    });
    await expectWorking(storage);
    const page = await storage.loadTasks(["before"], { limit: 10 });
    expect(page.items).toEqual([]);
    await storage.commit(flush(changes("before", { tasks: [taskRecord("before", 3)] })));
    expect((await storage.loadTasks(["before"], { limit: 10 })).items).toEqual([taskRecord("before", 3)]);
  });

  it("F200 that was dropped while engines run is said to be missing, by every call", async () => {
    const { storage, schema } = await openStorage();
    await owned(storage, "run-1");
    await withClient((client) => client.query(`DROP SCHEMA ${quoted(schema)} CASCADE`));
    const outcome = await storage.commit(flush(changes("run-1", { tasks: [taskRecord("run-1", 0)] })));
    expect(outcome).toMatchObject({ kind: "unknown", cause: { code: "SCHEMA_MISSING", retryable: false } });
    const request = { engineId: "engine-1", definitions: ["definition-1"] };
    const calls = [
      () => storage.look({ ...request, now: 0 }),
      () => storage.renewLease({ ...request, leaseMs: 1_000, isNew: false }),
      () => storage.claimRuns(claimRequest()),
      () => storage.createRuns([newRun("run-2")]),
      () => storage.receive("engine-1"),
      () => storage.getRun("run-1"),
      () => storage.list("runs", {}, { limit: 1 }),
      () => storage.loadTasks(["run-1"], { limit: 1 }),
      () => storage.survey({ now: 0 }),
      () => storage.prune({ before: 0, limit: 1 }),
    ];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "SCHEMA_MISSING" });
  });

  it("F33 refuses a schema in which somebody else has tables of these names, and names them", async () => {
    const schema = freshSchema();
    await withClient(async (client) => {
      await client.query(`CREATE SCHEMA ${quoted(schema)}`);
      await client.query(`CREATE TABLE ${quoted(schema)}.tasks (title text)`);
      await client.query(`CREATE TABLE ${quoted(schema)}.customers (name text)`);
    });
    const opening = storageIn(schema).open(context);
    await expect(opening).rejects.toThrow(/^STORAGE_INVALID: .*somebody else.*: tasks\. Give .*`schema`/);
    expect(await tablesIn(schema)).toEqual(["customers", "tasks"]);
  });

  it("F33 shares a schema with tables of other names", async () => {
    const schema = freshSchema();
    await withClient(async (client) => {
      await client.query(`CREATE SCHEMA ${quoted(schema)}`);
      await client.query(`CREATE TABLE ${quoted(schema)}.customers (name text)`);
    });
    const storage = storageIn(schema);
    await storage.open(context);
    await expectWorking(storage);
  });

  it.each([
    "MixedCase and spaces",
    `quotes " and ' and ""`,
    "dollars $1 $$ $weftline$ $x$",
    "{schema} {schema:claims} {x}",
    "back\\slash \\' %s -- /* ;",
    "ünïcödé 🪡",
    `${"x".repeat(63)}`,
  ])("F31 may have any name: %s", async (name) => {
    const schema = name.length === 63 ? freshSchema(name.slice(0, 45)).padEnd(63, "x") : freshSchema(name);
    onTestFinished(() =>
      withClient(async (client) => void (await client.query(`DROP SCHEMA IF EXISTS ${quoted(schema)} CASCADE`))),
    );
    const storage = storageIn(schema);
    await storage.open(context);
    expect(await recordedVersions(schema)).toEqual([1]);
    await expectWorking(storage);
    await storage.sendSignals([{ id: "s", key: "k", payload: "u1:", sentAt: 0 }]);
    expect(await storage.receive("engine-1")).toEqual([]);
  });

  it("F31 refuses names that Postgres would cut off", () => {
    for (const schema of ["", "x".repeat(64), "ü".repeat(32), "with\0nul"]) {
      expect(() => postgresStorage({ connectionString, schema })).toThrow(/STORAGE_INVALID: .*1 to 63 bytes/);
    }
  });

  it("can be made by an administrator for a user who may not, and says which rights are needed", async () => {
    const schema = freshSchema();
    const role = `weftline_test_${process.pid}`;
    await withClient((client) => client.query(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`));
    onTestFinished(() =>
      withClient(async (client) => void (await client.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`))),
    );
    const asRole = connectionStringWith((url) => {
      url.username = role;
      url.password = "secret";
    });
    const refused = storageIn(schema, { connectionString: asRole });
    await expect(refused.open(context)).rejects.toThrow(
      /^STORAGE_INVALID: .*may not make .*GRANT CREATE.*weftline migrate/,
    );

    await storageIn(schema).schema!.migrate();
    const storage = storageIn(schema, { connectionString: asRole, migrate: "never" });
    await expect(storage.open(context)).rejects.toThrow(/^STORAGE_INVALID: .*permission denied/);
    await withClient((client) =>
      client.query(`GRANT USAGE ON SCHEMA ${quoted(schema)} TO ${role};
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${quoted(schema)} TO ${role};
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${quoted(schema)} TO ${role};`),
    );
    await storage.open(context);
    await expectWorking(storage);
  });
});

async function tablesIn(schema: string): Promise<string[]> {
  return withClient(async (client) => {
    const { rows } = await client.query("SELECT tablename FROM pg_tables WHERE schemaname = $1 ORDER BY 1", [schema]);
    return rows.map(({ tablename }) => tablename);
  });
}

/** Ends what a storage with connections of this name does in the database. */
async function endBackendsOf(applicationName: string): Promise<void> {
  await withClient((client) =>
    client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", [
      applicationName,
    ]),
  );
}
