import assert from "node:assert/strict";
import type { Storage } from "weftline";
import type { ContractTopic } from "../contract-case.js";
import { rejectsWith, type StorageFixture } from "./fixture.js";
import {
  cancelMessage,
  changes,
  claimRequest,
  definitionRecord,
  flush,
  keyedSignal,
  leaseRequest,
  lookRequest,
  newRun,
  runState,
  START,
  scheduleRecord,
} from "./records.js";

/** Every method that each store has, called as an engine would. */
function everyCall(storage: Storage): Readonly<Record<string, () => Promise<unknown>>> {
  const page = { limit: 10 };
  return {
    renewLease: () => storage.renewLease(leaseRequest("engine-1")),
    releaseLease: () => storage.releaseLease("engine-1"),
    createRuns: () => storage.createRuns([newRun("run-1")]),
    claimRuns: () => storage.claimRuns(claimRequest("engine-1")),
    loadTasks: () => storage.loadTasks(["run-1"], page),
    loadSteps: () => storage.loadSteps(["run-1"], page),
    remapRun: () => storage.remapRun({ engineId: "engine-1", runId: "run-1", epoch: 1, definition: "2", tasks: [] }),
    commit: () => storage.commit(flush("flush-1", "engine-1", changes("run-1", 1, { run: runState("running") }))),
    send: () => storage.send([cancelMessage("message-1", "run-1")]),
    sendSignals: () => storage.sendSignals([keyedSignal("signal-1", "key")]),
    receive: () => storage.receive("engine-1"),
    look: () => storage.look(lookRequest("engine-1")),
    endedAmong: () => storage.endedAmong(["run-1"]),
    survey: () => storage.survey({ now: START }),
    getRun: () => storage.getRun("run-1"),
    list: () => storage.list("runs", {}, page),
    getArtifact: () => storage.getArtifact("run-1", "report"),
    getCached: () => storage.getCached("key", START),
    putDefinitions: () => storage.putDefinitions([definitionRecord("hash-1")]),
    getDefinition: () => storage.getDefinition("hash-1"),
    schedules: () => storage.schedules(),
    putSchedules: () => storage.putSchedules([scheduleRecord("nightly")]),
    fire: () => storage.fire({ schedule: "nightly", expected: START, next: undefined, run: undefined }),
    deleteRun: () => storage.deleteRun("run-1"),
    prune: () => storage.prune({ before: START, limit: 1 }),
  };
}

export const lifecycle: ContractTopic<StorageFixture> = {
  name: "lifecycle",
  cases: [
    {
      name: "close() makes every later call reject with STORAGE_CLOSED",
      async check({ storage }) {
        await storage.close();
        for (const [method, call] of Object.entries(everyCall(storage))) {
          await rejectsWith(Promise.resolve().then(call), "STORAGE_CLOSED", `${method}() after close()`);
        }
      },
    },
    {
      name: "close() makes a later listen() or holdLease() reject with STORAGE_CLOSED",
      async check({ storage }) {
        await storage.close();
        const closed = (call: Promise<unknown> | undefined, what: string) =>
          call && rejectsWith(call, "STORAGE_CLOSED", `${what} after close()`);
        const { isNew: _, ...lease } = leaseRequest("engine-1", { leaseMs: 1_000 });
        const request = { ...lease, everyMs: 100, maxBlockedMs: 60_000, onRenewal: () => {} };
        await closed(
          storage.listen?.(() => {}),
          "listen()",
        );
        await closed(storage.holdLease?.(request), "holdLease()");
      },
    },
    {
      name: "close() called twice does nothing more",
      async check({ storage }) {
        await storage.close();
        await storage.close();
        await Promise.all([storage.close(), storage.close()]);
      },
    },
    {
      name: "open() after close() makes the store usable again",
      async check(fixture) {
        const { storage } = fixture;
        await storage.close();
        await fixture.reopen(storage);
        await fixture.register("engine-1");
        await fixture.create("run-1");
        assert.equal((await fixture.claim("engine-1")).length, 1);
      },
    },
    {
      name: "a call whose signal has aborted settles, and rejects with nothing but the signal's reason",
      async check({ storage }) {
        const reason = new Error("nobody waits any more");
        const options = { signal: AbortSignal.abort(reason) };
        const calls = [
          storage.getRun("run-1", options),
          storage.list("runs", {}, { limit: 1 }, options),
          storage.createRuns([newRun("run-1")], options),
        ];
        for (const call of calls) await call.catch((error: unknown) => assert.equal(error, reason));
      },
    },
  ],
};
