import { describe, expect, it, onTestFinished } from "vitest";
import type { StorageHint } from "weftline";
import { postgresStorage } from "./index.js";
import { quoted } from "./migrations.js";
import { channelOf } from "./notifications.js";
import {
  connectionString,
  connectionStringWith,
  freshSchema,
  openClient,
  openStorage,
  recordingLog,
  SILENT,
  sleep,
  until,
  withClient,
} from "./test-support/database.js";
import { NetworkProxy } from "./test-support/network-proxy.js";
import { changes, flush, newRun, owned, runState } from "./test-support/records.js";

/** What is sent on the channel of a schema, as it is sent. */
async function payloadsOf(schema: string): Promise<readonly string[]> {
  const client = await openClient();
  const payloads: string[] = [];
  client.on("notification", ({ payload }) => void payloads.push(payload!));
  await client.query(`LISTEN ${quoted(channelOf(schema))}`);
  return payloads;
}

function endBackendsOf(name: string): Promise<unknown> {
  return withClient((client) =>
    client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", [name]),
  );
}

describe("notifications", () => {
  it("F7 of more runs than fit concern any run, and stay far below what Postgres allows", async () => {
    const { storage, schema } = await openStorage();
    const payloads = await payloadsOf(schema);
    await storage.createRuns(Array.from({ length: 2_000 }, (_, n) => newRun(`run-${n}-${"x".repeat(30)}`)));
    await until(() => payloads.length > 0, "it is told");
    expect(payloads).toEqual(['{"topic":"runs","ids":[]}']);
    await storage.createRuns(Array.from({ length: 80 }, (_, n) => newRun(`id-${n}-${"🪡".repeat(10)}`)));
    await until(() => payloads.length > 1, "it is told again");
    expect(Buffer.byteLength(payloads[1]!)).toBeLessThan(5_000);
    expect((JSON.parse(payloads[1]!) as StorageHint).ids).toHaveLength(80);
  });

  it("F8 are not part of what they tell of, and many changes are told of at once", async () => {
    const schema = freshSchema();
    const { storage } = await openStorage({ schema });
    await owned(storage, "run-1");
    const payloads = await payloadsOf(schema);
    // A function that notified inside the commit would be undone, or held up, with it.
    const { rows } = await withClient((client) =>
      client.query(
        "SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1 AND p.prosrc ILIKE '%notify%'",
        [schema],
      ),
    );
    expect(rows).toEqual([]);
    for (let n = 0; n < 50; n++) await storage.createRuns([newRun(`free-${n}`)]);
    await storage.commit(flush(changes("run-1", { run: runState("succeeded") })));
    await until(() => payloads.some((payload) => payload.includes("finished")), "the end is told");
    const ids = payloads.flatMap((payload) => (JSON.parse(payload) as StorageHint).ids);
    expect(new Set(ids).size).toBe(51);
    expect(payloads.length).toBeLessThan(40);
  });

  it("F8 are sent and heard by nobody with notify: false, and without any connection for them", async () => {
    const schema = freshSchema();
    const name = connectionStringWith((url) => url.searchParams.set("application_name", schema));
    const { storage } = await openStorage({ schema, notify: false, connectionString: name });
    expect([storage.supports.notify, storage.listen]).toEqual([false, undefined]);
    const payloads = await payloadsOf(schema);
    await storage.createRuns([newRun("run-1")]);
    await sleep(100);
    expect(payloads).toEqual([]);
  });

  it("F9 that cannot be listened for are tried again, later and later, and said once for each time", async () => {
    const { log, entries } = recordingLog();
    const listen = { connectionString: connectionStringWith((url) => (url.port = "1")) };
    const { storage } = await openStorage({ listen }, log);
    expect(storage.supports.notify).toBe(true);
    const unlisten = await storage.listen!(() => {});
    await storage.createRuns([newRun("run-1")]);
    expect((await storage.getRun("run-1"))?.status).toBe("queued");
    const warnings = () => entries.filter(({ level }) => level === "warn");
    await until(() => warnings().length >= 2, "it tries again");
    expect(warnings()[0]).toMatchObject({ details: { inMs: 500 }, message: expect.stringMatching(/polling/) });
    expect(warnings()[1]).toMatchObject({ details: { inMs: 1_000 } });
    await unlisten();
    await sleep(1_500);
    expect(warnings().length).toBe(2);
  });

  it("F10 that end take nothing with them, and come again by themselves, with a hint for what was missed", async () => {
    const schema = freshSchema();
    const proxy = await NetworkProxy.start();
    const { storage } = await openStorage({ schema, listen: { connectionString: proxy.connectionString } });
    const hints: StorageHint[] = [];
    const unlisten = await storage.listen!((hint) => void hints.push(hint));
    await storage.createRuns([newRun("run-1")]);
    await until(() => hints.some(({ ids }) => ids.includes("run-1")), "the first is heard");
    proxy.reset();
    await until(() => proxy.connections === 0, "nobody listens");
    hints.length = 0;
    await storage.createRuns([newRun("run-2")]);
    await until(() => hints.some(({ topic, ids }) => topic === "runs" && ids.length === 0), "what was missed is told");
    await storage.createRuns([newRun("run-3")]);
    await until(() => hints.some(({ ids }) => ids.includes("run-3")), "the next is heard");
    await unlisten();
  });

  it("F10 are missed when their connection goes silent, and made anew", async () => {
    const proxy = await NetworkProxy.start();
    const { log, entries } = recordingLog();
    const listen = { connectionString: proxy.connectionString };
    const { storage } = await openStorage({ listen, timeout: "500ms" }, log);
    const hints: StorageHint[] = [];
    const unlisten = await storage.listen!((hint) => void hints.push(hint));
    proxy.silence();
    await until(() => entries.some(({ level }) => level === "warn"), "the silence is noticed");
    proxy.reset();
    hints.length = 0;
    await until(() => hints.length > 0, "it listens again");
    await storage.createRuns([newRun("run-1")]);
    await until(() => hints.some(({ ids }) => ids.includes("run-1")), "hints come again");
    await unlisten();
  }, 20_000);

  it("F10 by anybody else on the channel do no harm", async () => {
    const { storage, schema } = await openStorage();
    const hints: StorageHint[] = [];
    const unlisten = await storage.listen!((hint) => void hints.push(hint));
    await withClient((client) =>
      client.query("SELECT pg_notify($1, 'nonsense'), pg_notify($1, '')", [channelOf(schema)]),
    );
    await storage.createRuns([newRun("run-1")]);
    await until(() => hints.some(({ ids }) => ids.includes("run-1")), "hints go on");
    await unlisten();
  });

  it("F32 of two schemas never meet, however long their names are", async () => {
    const long = freshSchema("x".repeat(40));
    const schemas = [freshSchema("a"), freshSchema("b"), long, `${long.slice(0, -1)}y`];
    expect(new Set(schemas.map(channelOf)).size).toBe(4);
    for (const schema of schemas) expect(Buffer.byteLength(channelOf(schema))).toBeLessThanOrEqual(63);
    const heard = await Promise.all(
      schemas.slice(0, 2).map(async (schema) => {
        const { storage } = await openStorage({ schema });
        const ids: string[] = [];
        onTestFinished(await storage.listen!((hint) => void ids.push(...hint.ids)));
        return { storage, schema, ids };
      }),
    );
    for (const { storage, schema } of heard) await storage.createRuns([newRun(`of ${schema}`)]);
    await until(() => heard.every(({ ids }) => ids.length > 0), "each is heard");
    await sleep(50);
    for (const { schema, ids } of heard) expect(new Set(ids)).toEqual(new Set([`of ${schema}`]));
  });

  it("hold no process up, and are over when the storage is closed", async () => {
    const schema = freshSchema();
    const name = connectionStringWith((url) => url.searchParams.set("application_name", schema));
    const storage = postgresStorage({ connectionString: name, schema });
    await storage.open({ log: SILENT, now: Date.now });
    const hints: StorageHint[] = [];
    await storage.listen!((hint) => void hints.push(hint));
    await storage.createRuns([newRun("run-1")]);
    await storage.close();
    await endBackendsOf("nobody");
    const { rows } = await withClient((client) =>
      client.query("SELECT pid FROM pg_stat_activity WHERE application_name = $1", [schema]),
    );
    expect(rows).toEqual([]);
    const { storage: other } = await openStorage({ schema, connectionString });
    hints.length = 0;
    await other.createRuns([newRun("run-2")]);
    await sleep(50);
    expect(hints).toEqual([]);
  });
});
