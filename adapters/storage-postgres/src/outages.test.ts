import { describe, expect, it, onTestFinished } from "vitest";
import type { Storage } from "weftline";
import { startPostgres } from "../../../test/services/postgres.js";
import { postgresStorage } from "./index.js";
import { quoted } from "./migrations.js";
import { backendsOf, endBackendsOf, named } from "./test-support/backends.js";
import { freshSchema, openClient, openStorage, recordingLog, sleep, until } from "./test-support/database.js";
import { NetworkProxy } from "./test-support/network-proxy.js";
import { changes, claimRequest, flush, logRecord, newRun, owned } from "./test-support/records.js";

const OK = { kind: "ok", fenced: [] };

/** Sends a flush until its fate is known, as an engine does. */
async function commitUntilKnown(storage: Storage, sent: ReturnType<typeof flush>): Promise<number> {
  for (let unknowns = 0; ; unknowns++) {
    const outcome = await storage.commit(sent);
    if (outcome.kind !== "unknown") {
      expect(outcome).toEqual(OK);
      return unknowns;
    }
    await sleep(20);
  }
}

async function logsOf(storage: Storage, runId: string): Promise<string[]> {
  const { items } = await storage.list("logs", { runId }, { limit: 1_000 });
  return items.map(({ message }) => message);
}

describe("connections that are lost", () => {
  it("F14 that do not answer in time are given up, thrown away and freed on the server", async () => {
    const schema = freshSchema();
    const { storage } = await openStorage({ schema, connectionString: named(schema), timeout: "400ms" });
    await owned(storage, "run-1");
    const other = await openClient();
    await other.query("BEGIN");
    await other.query(`LOCK TABLE ${quoted(schema)}.runs`);
    const began = performance.now();
    const late = { code: "STORAGE_TIMEOUT", retryable: true };
    const [commit, ...others] = await Promise.allSettled([
      storage.commit(flush(changes("run-1", { logs: [logRecord("run-1", "a")] }))),
      storage.getRun("run-1"),
      storage.createRuns([newRun("run-2")]),
      storage.claimRuns(claimRequest()),
      storage.survey({ now: 0 }),
    ]);
    expect(commit).toMatchObject({ value: { kind: "unknown", cause: late } });
    for (const call of others) expect(call).toMatchObject({ status: "rejected", reason: late });
    expect(performance.now() - began).toBeLessThan(2_000);
    // Nothing of them goes on waiting for the lock.
    await until(async () => (await backendsOf(schema)).every(({ waits }) => waits !== "Lock"), "backends are free");
    await other.query("ROLLBACK");
    expect((await storage.getRun("run-1"))?.id).toBe("run-1");
  });

  it("F14 over which nothing comes back any more are given up, and others are made", async () => {
    const proxy = await NetworkProxy.start();
    const { storage } = await openStorage({ connectionString: proxy.connectionString, timeout: "500ms" });
    await owned(storage, "run-1");
    proxy.silence();
    await expect(storage.getRun("run-1")).rejects.toMatchObject({ code: "STORAGE_TIMEOUT" });
    const sent = flush(changes("run-1", { logs: [logRecord("run-1", "once")] }));
    expect(await storage.commit(sent)).toMatchObject({ kind: "unknown", cause: { code: "STORAGE_TIMEOUT" } });
    proxy.reset();
    await commitUntilKnown(storage, sent);
    expect(await logsOf(storage, "run-1")).toEqual(["once"]);
  });

  it("F15 are made again when the server was restarted under load, and nothing is lost or written twice", async () => {
    // Whose confirmed commits outlive its processes.
    const server = await startPostgres({ settings: { synchronous_commit: "on" } });
    onTestFinished(() => server.remove());
    const { log, entries } = recordingLog();
    const storage = postgresStorage({ connectionString: server.connectionString, schema: "weftline" });
    await storage.open({ log, now: Date.now });
    onTestFinished(() => storage.close());
    const unlisten = await storage.listen!(() => {});
    await owned(storage, "run-1");
    let isOver = false;
    let unknowns = 0;
    let written = 0;
    const writing = (async () => {
      while (!isOver) {
        const sent = flush(changes("run-1", { logs: [logRecord("run-1", `${written}`)] }));
        unknowns += await commitUntilKnown(storage, sent);
        written++;
      }
    })();
    for (const mode of ["fast", "immediate"] as const) {
      await sleep(300);
      await server.shutDown(mode);
      await expect(storage.getRun("run-1")).rejects.toThrow();
      await expect(storage.look({ engineId: "engine-1", definitions: [], now: 0 })).rejects.toThrow();
      await server.start();
    }
    await sleep(300);
    isOver = true;
    await writing;
    await unlisten();
    expect(unknowns).toBeGreaterThan(0);
    const read: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await storage.list(
        "logs",
        { runId: "run-1" },
        { limit: 1_000, ...(cursor !== undefined && { cursor }) },
      );
      read.push(...page.items.map(({ message }) => message));
      cursor = page.next;
    } while (cursor !== undefined);
    expect(read).toEqual(Array.from({ length: written }, (_, n) => `${n}`));
    expect(entries.filter(({ level }) => level === "error")).toEqual([]);
  }, 60_000);

  it("F16 may be ended on the server between any two steps", async () => {
    const schema = freshSchema();
    const { storage } = await openStorage({ schema, connectionString: named(schema) });
    await owned(storage, "run-1");
    let isOver = false;
    const ending = (async () => {
      while (!isOver) {
        await endBackendsOf(schema);
        await sleep(15);
      }
    })();
    let unknowns = 0;
    for (let n = 0; n < 60; n++) {
      unknowns += await commitUntilKnown(storage, flush(changes("run-1", { logs: [logRecord("run-1", `${n}`)] })));
      // What changes nothing is asked again by itself.
      await storage.getRun("run-1").catch(() => undefined);
    }
    isOver = true;
    await ending;
    expect(unknowns).toBeGreaterThan(0);
    expect(await logsOf(storage, "run-1")).toEqual(Array.from({ length: 60 }, (_, n) => `${n}`));
  }, 30_000);

  it("F17 that are cut off while they are idle harm nobody, and are replaced", async () => {
    const schema = freshSchema();
    const { storage } = await openStorage({ schema, connectionString: named(schema) });
    await owned(storage, "run-1");
    const unlisten = await storage.listen!(() => {});
    const holder = await storage.holdLease!({
      engineId: "engine-1",
      definitions: ["definition-1"],
      leaseMs: 60_000,
      everyMs: 20,
      maxBlockedMs: 60_000,
      onRenewal: () => {},
    });
    await sleep(100);
    expect((await backendsOf(schema)).length).toBeGreaterThan(1);
    await endBackendsOf(schema);
    await sleep(100);
    // An error that nobody listened for would have ended this process by now.
    expect((await storage.getRun("run-1"))?.id).toBe("run-1");
    expect(await storage.commit(flush(changes("run-1", { logs: [logRecord("run-1", "a")] })))).toEqual(OK);
    expect(holder.losses()).toBe(0);
    await holder.stop();
    await unlisten();
  });

  it("F16 that were cut off unseen are asked again over others, where that does no harm", async () => {
    const proxy = await NetworkProxy.start();
    const { storage } = await openStorage({ connectionString: proxy.connectionString });
    await owned(storage, "run-1");
    proxy.reset();
    expect((await storage.getRun("run-1"))?.id).toBe("run-1");
    proxy.reset();
    const [answer] = await storage.createRuns([newRun("run-2")]);
    expect(answer?.kind === "conflict" || answer?.run.id).toBe("run-2");
  });

  it("F18 that fail for longer than anybody retries fail each call, and those after it find them mended", async () => {
    const proxy = await NetworkProxy.start();
    const { log, entries } = recordingLog();
    const { storage } = await openStorage({ connectionString: proxy.connectionString, timeout: "200ms" }, log);
    await owned(storage, "run-1");
    proxy.silence();
    for (let n = 0; n < 5; n++)
      await expect(storage.getRun("run-1")).rejects.toMatchObject({ code: "STORAGE_TIMEOUT" });
    expect(entries.filter(({ level }) => level !== "info")).toEqual([]);
    proxy.reset();
    await until(
      () =>
        storage.getRun("run-1").then(
          (run) => run !== undefined,
          () => false,
        ),
      "it works again",
    );
  });
});
