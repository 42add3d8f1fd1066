import { describe, expect, it, onTestFinished } from "vitest";
import { missingPgbouncer, startPgbouncer } from "../../../test/services/pgbouncer.js";
import { connectionString, freshSchema, openStorage, recordingLog, until } from "./test-support/database.js";
import { changes, flush, logRecord, newRun, register, runState } from "./test-support/records.js";

const OK = { kind: "ok", fenced: [] };
const noPgbouncer = missingPgbouncer();

describe.skipIf(noPgbouncer !== undefined)(
  `behind PgBouncer in transaction mode${noPgbouncer ? ` (skipped: ${noPgbouncer})` : ""}`,
  () => {
    it("F12 a storage works, with few connections for many, and leaves nothing on them", async () => {
      const bouncer = await startPgbouncer({ connectionString, poolSize: 3 });
      onTestFinished(() => bouncer.remove());
      const { log, entries } = recordingLog();
      const schema = freshSchema();
      const options = { schema, connectionString: bouncer.connectionString, maxConnections: 8 };
      const storages = [
        (await openStorage({ ...options, listen: { connectionString } }, log)).storage,
        (await openStorage({ ...options, listen: false }, log)).storage,
      ];
      const hints: string[] = [];
      const unlisten = await storages[0]!.listen!(({ topic }) => void hints.push(topic));
      expect(storages[1]!.listen).toBeUndefined();
      await Promise.all(
        storages.map(async (storage, place) => {
          const engineId = `engine-${place}`;
          await register(storage, engineId);
          for (let round = 0; round < 40; round++) {
            const id = `run-${place}-${round}`;
            await storage.createRuns([newRun(id, { owner: engineId, tags: ["t"] })]);
            const [read] = await Promise.all([
              storage.getRun(id),
              storage.look({ engineId, definitions: ["definition-1"], now: 0 }),
              storage.receive(engineId),
              storage.list("runs", { tag: "t" }, { limit: 10 }),
            ]);
            expect(read?.owner).toBe(engineId);
            const details = { run: runState("succeeded"), logs: [logRecord(id, "a")] };
            expect(await storage.commit({ ...flush(changes(id, details)), engineId })).toEqual(OK);
          }
        }),
      );
      await until(() => hints.includes("finished"), "hints come past the pooler");
      await unlisten();
      expect(entries.filter(({ level }) => level !== "info")).toEqual([]);
    }, 30_000);

    it("F12 a lease is held by the thread, and a listening that hears nothing is no reason to fail", async () => {
      const bouncer = await startPgbouncer({ connectionString, poolSize: 3 });
      onTestFinished(() => bouncer.remove());
      const { storage } = await openStorage({ connectionString: bouncer.connectionString });
      await register(storage);
      const renewals: string[] = [];
      const holder = await storage.holdLease!({
        engineId: "engine-1",
        definitions: ["definition-1"],
        leaseMs: 2_000,
        everyMs: 50,
        maxBlockedMs: 60_000,
        onRenewal: ({ kind }) => void renewals.push(kind),
      });
      const unlisten = await storage.listen!(() => {});
      await until(() => renewals.length > 5, "the lease is renewed");
      expect(new Set(renewals)).toEqual(new Set(["renewed"]));
      await storage.createRuns([newRun("run-1")]);
      await unlisten();
      await holder.stop();
    }, 30_000);
  },
);
