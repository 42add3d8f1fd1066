import pg from "pg";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Storage } from "weftline";
import { postgresStorage } from "./index.js";
import { quoted } from "./migrations.js";
import { backendsOf, named } from "./test-support/backends.js";
import {
  connectionString,
  connectionStringWith,
  freshSchema,
  openClient,
  openStorage,
  SILENT,
  sleep,
  until,
  withClient,
} from "./test-support/database.js";
import { ScriptProcess } from "./test-support/processes.js";
import { changes, claimRequest, flush, logRecord, newRun, owned, register, runState } from "./test-support/records.js";

const OK = { kind: "ok", fenced: [] };

async function logsOf(storage: Storage, runId: string): Promise<string[]> {
  const { items } = await storage.list("logs", { runId }, { limit: 1_000 });
  return items.map(({ message }) => message);
}

describe("connections", () => {
  it("F205 keep no process alive that has nothing else to do, also while they listen and hold a lease", async () => {
    const script = `
      const storage = await child.openStorage(args[0]);
      await child.register(storage);
      await storage.listen(() => {});
      const lease = { engineId: child.ENGINE, definitions: child.DEFINITIONS, leaseMs: 60_000, everyMs: 100 };
      await storage.holdLease({ ...lease, maxBlockedMs: 60_000, onRenewal() {} });
      await storage.createRuns([child.newRun("run-1", child.ENGINE)]);
      console.log("done");`;
    const process = new ScriptProcess(script, freshSchema());
    await process.printed(1);
    const timedOut = sleep(5_000).then(() => "still there");
    expect(await Promise.race([process.ended, timedOut])).toBe(0);
  }, 20_000);

  it("F20 are not used again for the next caller when a commit failed at its very end", async () => {
    const schema = freshSchema();
    const { storage } = await openStorage({
      schema,
      connectionString: connectionStringWith((url) => {
        url.searchParams.set("application_name", schema);
        // So that calls are made in transactions of their own, with a COMMIT that can fail.
        url.searchParams.set("options", "-c default_transaction_isolation=serializable");
      }),
    });
    await owned(storage, "run-1");
    await withClient((client) =>
      client.query(`CREATE FUNCTION ${quoted(schema)}.refuse() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'not today'; END $$;
        CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON ${quoted(schema)}.logs DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION ${quoted(schema)}.refuse()`),
    );
    const refused = await storage.commit(flush(changes("run-1", { logs: [logRecord("run-1", "a")] })));
    expect(refused).toMatchObject({ kind: "unknown", cause: { message: "not today" } });
    expect((await backendsOf(schema)).filter(({ state }) => state !== "idle")).toEqual([]);
    expect(await storage.commit(flush(changes("run-1", { run: runState("running") })))).toEqual(OK);
  });

  it("F21 are the storage's own, so that a host that uses up its pool does not stop it", async () => {
    const pool = new pg.Pool({ connectionString, max: 1 });
    onTestFinished(() => pool.end());
    const busy = await pool.connect();
    const { storage } = await openStorage({ pool, timeout: "2s" });
    await owned(storage, "run-1");
    expect(await storage.commit(flush(changes("run-1", { run: runState("running") })))).toEqual(OK);
    busy.release();
  });

  it("F21 are refused when they are too few", () => {
    for (const maxConnections of [2, 0, -1, Number.NaN, 2.5]) {
      expect(() => postgresStorage({ connectionString, maxConnections })).toThrow(
        `POOL_TOO_SMALL: Cannot work with as few connections: need >= 3, got ${maxConnections}.`,
      );
    }
  });

  it("F21 keep to their number, and commits do not wait for readers", async () => {
    const schema = freshSchema();
    const { storage } = await openStorage({
      schema,
      connectionString: named(schema),
      maxConnections: 3,
      timeout: "3s",
    });
    await owned(storage, "run-1");
    const other = await openClient();
    await other.query("BEGIN");
    // Held up: every reader of definitions, and nothing else.
    await other.query(`LOCK TABLE ${quoted(schema)}.definitions`);
    const readers = Array.from({ length: 10 }, () => storage.getDefinition("hash"));
    await sleep(100);
    expect(await storage.commit(flush(changes("run-1", { run: runState("running") })))).toEqual(OK);
    expect((await backendsOf(schema)).length).toBeLessThanOrEqual(3);
    await other.query("ROLLBACK");
    await Promise.all(readers);
  });

  it("F21 keep what the pool of the host has for secrets", async () => {
    const { username, password, hostname, port, pathname } = new URL(connectionString);
    const pool = new pg.Pool({
      host: hostname,
      port: Number(port || 5432),
      user: decodeURIComponent(username),
      password: decodeURIComponent(password),
      database: pathname.slice(1),
      ssl: false,
    });
    onTestFinished(() => pool.end());
    const { storage } = await openStorage({ pool });
    await owned(storage, "run-1");
    expect((await storage.getRun("run-1"))?.owner).toBe("engine-1");
  });

  it("F26 to a server that confirms what it may lose are warned of", async () => {
    const settingsSaid = async (options: string) => {
      const said: object[] = [];
      const log = { ...SILENT, warn: (details: object) => void said.push(details) };
      const withOptions = connectionStringWith((url) => url.searchParams.set("options", options));
      await openStorage({ connectionString: withOptions }, log);
      return said.flatMap((details) => ("settings" in details ? details.settings : []));
    };
    expect(await settingsSaid("-c synchronous_commit=off")).toContain("synchronous_commit");
    expect(await settingsSaid("-c synchronous_commit=on")).not.toContain("synchronous_commit");
  });

  it("F25 to a server that may not be written to, as a replica is, are thrown away", async () => {
    const schema = freshSchema();
    await openStorage({ schema });
    const storage = postgresStorage({
      schema,
      connectionString: connectionStringWith((url) => {
        url.searchParams.set("application_name", schema);
        url.searchParams.set("options", "-c default_transaction_read_only=on");
      }),
    });
    await storage.open({ log: SILENT, now: Date.now });
    onTestFinished(() => storage.close());
    await expect(register(storage)).rejects.toMatchObject({ code: "25006" });
    await until(async () => (await backendsOf(schema)).length === 0, "the connection is closed");
  });

  it.each(["repeatable read", "serializable"])("F30 work where transactions are %s by default", async (isolation) => {
    const { storage } = await openStorage({
      connectionString: connectionStringWith((url) =>
        url.searchParams.set("options", `-c default_transaction_isolation=${isolation.replace(" ", "\\ ")}`),
      ),
    });
    const engines = ["engine-1", "engine-2", "engine-3"];
    for (const id of engines) await register(storage, id);
    // Of several definitions, so that no two claims reach for the same run: only their number is what they share.
    const definitions = ["a", "b", "c", "d", "e", "f"];
    await storage.createRuns(
      definitions.flatMap((definition) => [1, 2].map((n) => newRun(`${definition}-${n}`, { definition }))),
    );
    const claims = await Promise.all(
      definitions.map((definition, place) =>
        storage.claimRuns(
          claimRequest({
            engineId: engines[place % 3]!,
            definitions: [definition],
            maxActiveRuns: { nightly: 7 },
            limit: 2,
          }),
        ),
      ),
    );
    expect(claims.flat()).toHaveLength(7);
    const outcomes = await Promise.all(
      claims
        .flat()
        .map(({ id, owner }) =>
          storage.commit({ ...flush(changes(id, { run: runState("running") })), engineId: owner! }),
        ),
    );
    for (const outcome of outcomes) expect(outcome).toEqual(OK);
    const sent = flush(changes(claims.flat()[0]!.id, { logs: [logRecord("run", "once")] }));
    const twice = { ...sent, engineId: claims.flat()[0]!.owner! };
    expect(await Promise.all([storage.commit(twice), storage.commit(twice)])).toEqual([OK, OK]);
    expect(await logsOf(storage, claims.flat()[0]!.id)).toEqual(["once"]);
  });
});
