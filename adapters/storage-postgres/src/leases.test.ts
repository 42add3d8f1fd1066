import pg from "pg";
import { describe, expect, it } from "vitest";
import type { Renewal } from "weftline";
import { quoted } from "./migrations.js";
import {
  connectionString,
  freshSchema,
  openClient,
  openStorage,
  recordingLog,
  sleep,
  until,
} from "./test-support/database.js";
import { ScriptProcess } from "./test-support/processes.js";
import { changes, claimRequest, flush, logRecord, newRun, owned, register, runState } from "./test-support/records.js";

const REQUEST = { engineId: "engine-1", definitions: ["definition-1"] };

/** Prints "held" when it holds a lease, is blocked, and then prints how often the lease was lost. */
const BLOCKED = `
  const [schema, blockedMs, maxBlockedMs] = [args[0], Number(args[1]), Number(args[2])];
  const storage = await child.openStorage(schema);
  const lease = { engineId: "engine-1", definitions: child.DEFINITIONS, leaseMs: 800 };
  await storage.renewLease({ ...lease, isNew: true });
  const holder = await storage.holdLease({ ...lease, everyMs: 100, maxBlockedMs, onRenewal() {} });
  await storage.createRuns([child.newRun("run-1", "engine-1")]);
  await child.sleep(1_200);
  console.log("held");
  child.block(blockedMs);
  await child.sleep(1_000);
  console.log(holder.losses() + " " + (holder.remainingMs() > 0));
  await holder.stop();
  await storage.close();
  console.log("closed");
`;

describe("leases", () => {
  it("are kept by a process whose event loop is blocked for longer than they last", async () => {
    const { storage, schema } = await openStorage();
    await register(storage, "engine-2");
    const process = new ScriptProcess(BLOCKED, schema, "2500", "60000");
    await process.printed(1);
    for (const end = Date.now() + 2_400; Date.now() < end; await sleep(50)) {
      expect(await storage.claimRuns(claimRequest({ engineId: "engine-2", now: Date.now() }))).toEqual([]);
    }
    expect(await process.printed(2)).toBe("0 true");
    await process.printed(3);
    expect(await process.ended).toBe(0);
  }, 20_000);

  it("are lost by a process whose event loop is blocked for longer than it may be", async () => {
    const { storage, schema } = await openStorage();
    await register(storage, "engine-2");
    const process = new ScriptProcess(BLOCKED, schema, "3500", "500");
    await process.printed(1);
    const taken = async () =>
      (await storage.claimRuns(claimRequest({ engineId: "engine-2", now: Date.now() }))).map(({ id }) => id);
    await until(async () => (await taken()).includes("run-1"), "the run is taken over", 3_400);
    expect(await process.printed(2)).toBe("1 true");
    await process.printed(3);
  }, 20_000);

  it("end soon after their process was killed", async () => {
    const { storage, schema } = await openStorage();
    await register(storage, "engine-2");
    const process = new ScriptProcess(BLOCKED, schema, "60000", "60000");
    await process.printed(1);
    process.kill();
    await until(
      async () => (await storage.claimRuns(claimRequest({ engineId: "engine-2", now: Date.now() }))).length > 0,
      "it is free",
    );
  }, 20_000);

  it("F41 that ran out are not won back by a renewal that comes late, nor is what was owned", async () => {
    const { storage } = await openStorage();
    await storage.renewLease({ ...REQUEST, leaseMs: 100, isNew: true });
    await register(storage, "engine-2");
    await storage.createRuns([newRun("run-1", { owner: "engine-1" })]);
    await storage.commit(flush(changes("run-1", { run: runState("running") })));
    await sleep(150);
    expect(await storage.renewLease({ ...REQUEST, leaseMs: 60_000, isNew: false })).toMatchObject({ lost: true });
    const late = await storage.commit(flush(changes("run-1", { logs: [logRecord("run-1", "late")] })));
    expect(late).toEqual({ kind: "ok", fenced: ["run-1"] });
    const [taken] = await storage.claimRuns(claimRequest({ engineId: "engine-2", now: Date.now() }));
    expect(taken).toMatchObject({ id: "run-1", epoch: 2, crashes: 1, owner: "engine-2" });
    expect(await storage.renewLease({ ...REQUEST, leaseMs: 60_000, isNew: false })).toMatchObject({ lost: false });
  });

  it("F41 let no commit slip between the end of an engine and the return of its runs", async () => {
    const { storage, schema } = await openStorage();
    await owned(storage, "run-1");
    await register(storage, "engine-2");
    const other = await openClient();
    // A commit of engine-1 is under way, and holds its engine's row.
    await other.query("BEGIN");
    await other.query(`SELECT 1 FROM ${quoted(schema)}.engines WHERE id = 'engine-1' FOR KEY SHARE`);
    await openClient().then((client) =>
      client.query(`UPDATE ${quoted(schema)}.engines SET lease_until = clock_timestamp() WHERE id = 'engine-1'`),
    );
    expect(await storage.claimRuns(claimRequest({ engineId: "engine-2", now: Date.now() }))).toEqual([]);
    await other.query("COMMIT");
    const late = flush(changes("run-1", { logs: [logRecord("run-1", "late")] }));
    const [outcome, taken] = await Promise.all([
      storage.commit(late),
      storage.claimRuns(claimRequest({ engineId: "engine-2", now: Date.now() })),
    ]);
    const logs = await storage.list("logs", { runId: "run-1" }, { limit: 10 });
    if (outcome.kind === "ok" && outcome.fenced.length > 0) {
      expect(logs.items).toEqual([]);
      expect(taken.map(({ epoch }) => epoch)).toEqual([2]);
    } else {
      expect(logs.items).toHaveLength(1);
    }
  });

  it("F41 are not found to have run out while a commit of their engine is being written", async () => {
    const { storage, schema } = await openStorage();
    await owned(storage, "run-1");
    await register(storage, "engine-2");
    const other = await openClient();
    await other.query("BEGIN");
    await other.query(`SELECT 1 FROM ${quoted(schema)}.runs FOR UPDATE`);
    const writing = storage.commit(flush(changes("run-1", { run: runState("running") })));
    await until(async () => {
      const { rows } = await other.query(
        "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))",
      );
      return rows.length > 0;
    }, "the commit waits for the run");
    const client = await openClient();
    await client.query(`UPDATE ${quoted(schema)}.engines SET lease_until = clock_timestamp() WHERE id = 'engine-1'`);
    expect(await storage.claimRuns(claimRequest({ engineId: "engine-2", now: Date.now() }))).toEqual([]);
    await other.query("ROLLBACK");
    expect(await writing).toEqual({ kind: "ok", fenced: [] });
    const [taken] = await storage.claimRuns(claimRequest({ engineId: "engine-2", now: Date.now() }));
    expect(taken).toMatchObject({ status: "running", epoch: 2, crashes: 1 });
  });

  it("are renewed on the main thread when a setting of the pool cannot be given to another", async () => {
    const { log, entries } = recordingLog();
    const address = new URL(connectionString);
    const pool = new pg.Pool({ connectionString, password: async () => decodeURIComponent(address.password) });
    const { storage } = await openStorage({ pool }, log);
    await register(storage);
    const renewals: Renewal[] = [];
    const onRenewal = (renewal: Renewal) => void renewals.push(renewal);
    const times = { leaseMs: 1_000, everyMs: 30, maxBlockedMs: 60_000 };
    const holder = await storage.holdLease!({ ...REQUEST, ...times, onRenewal });
    await until(() => renewals.length > 4, "it is renewed");
    expect(entries.at(-1)).toMatchObject({ level: "warn", details: { reason: expect.stringMatching(/function/) } });
    await holder.stop();
    const count = renewals.length;
    await sleep(100);
    expect(renewals.length).toBe(count);
    await pool.end();
  });

  it("tell of each renewal that fails, and go on", async () => {
    const schema = freshSchema();
    const { storage } = await openStorage({ schema });
    await register(storage);
    const renewals: Renewal[] = [];
    const onRenewal = (renewal: Renewal) => void renewals.push(renewal);
    const times = { leaseMs: 5_000, everyMs: 40, maxBlockedMs: 60_000 };
    const holder = await storage.holdLease!({ ...REQUEST, ...times, onRenewal });
    const client = await openClient();
    await client.query(`ALTER TABLE ${quoted(schema)}.engines RENAME TO elsewhere`);
    await until(() => renewals.some(({ kind }) => kind === "failed"), "a renewal fails");
    expect(renewals.find(({ kind }) => kind === "failed")).toMatchObject({ error: { code: "SCHEMA_MISSING" } });
    await client.query(`ALTER TABLE ${quoted(schema)}.elsewhere RENAME TO engines`);
    await until(() => renewals.at(-1)?.kind === "renewed", "the next succeeds");
    expect(holder.losses()).toBe(0);
    await holder.stop();
  });
});
