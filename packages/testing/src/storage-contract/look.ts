import assert from "node:assert/strict";
import type { Look, LookRequest } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { idsOf, type StorageFixture } from "./fixture.js";
import {
  cancelMessage,
  changes,
  ended,
  keyedSignal,
  leaseRequest,
  lookRequest,
  newRun,
  resumeMessage,
  runState,
  START,
  taskRecord,
  waitingRecord,
} from "./records.js";

function look(fixture: StorageFixture, engineId = "engine-1", details: Partial<LookRequest> = {}): Promise<Look> {
  return fixture.storage.look(lookRequest(engineId, { now: fixture.now, ...details }));
}

async function isClaimable(fixture: StorageFixture, details: Partial<LookRequest> = {}): Promise<boolean> {
  return (await look(fixture, "engine-1", details)).claimable;
}

async function hasMessages(fixture: StorageFixture, engineId = "engine-1"): Promise<boolean> {
  return (await look(fixture, engineId)).messages;
}

export const looking: ContractTopic<StorageFixture> = {
  name: "look",
  cases: [
    {
      name: "look() finds nothing where there is nothing, and shows the store's clock",
      async check(fixture) {
        const { now } = await fixture.storage.renewLease(leaseRequest("engine-1"));
        const nothing = { claimable: false, messages: false, nextWake: undefined };
        const { storeNow, ...found } = await look(fixture);
        assertEqual(found, nothing);
        assert.ok(storeNow >= now && storeNow < now + 60_000, `the store's clock showed ${now}, then ${storeNow}`);
        await fixture.owned("run-1", "done");
        await fixture.write("done", { run: ended("succeeded") });
        const { storeNow: _, nextWake, ...later } = await look(fixture, "engine-1");
        assertEqual(
          later,
          { claimable: false, messages: false },
          "what has an owner, or has ended, is nothing to take",
        );
        assert.ok(nextWake === undefined || nextWake > fixture.now, `${nextWake} is over`);
      },
    },
    {
      name: "look() says that there is something to claim while there is",
      async check(fixture) {
        await fixture.register("engine-1", "engine-2");
        const definitions = ["definition-1", "other"];
        await fixture.storage.createRuns([
          newRun("free"),
          newRun("other", { definition: "other" }),
          newRun("later", { availableAt: START + 1_000 }),
        ]);
        for (const owned of ["free", "other"]) {
          assert.equal(await isClaimable(fixture, { definitions }), true, owned);
          const claims = { ...lookRequest("engine-1", { definitions }), runId: owned };
          await fixture.storage.claimRuns({ ...claims, maxActiveRuns: {}, limit: 1, suspectFrom: 1, suspects: 1 });
        }
        assert.equal(await isClaimable(fixture, { definitions }), false, "all that is due was taken");
        assert.equal(await isClaimable(fixture, { now: START + 999 }), false);
        assert.equal(await isClaimable(fixture, { now: START + 1_000 }), true, "a run that has become due");
      },
    },
    {
      name: "look() says that there is something to claim when a run is given back, resumed, or cancelled before its start",
      async check(fixture) {
        await fixture.owned("run-1", "failed");
        await fixture.register("engine-2");
        await fixture.write("run-1", { run: runState("waiting", { crashes: 3 }) });
        assert.equal(await isClaimable(fixture), false);
        await fixture.storage.releaseLease("engine-1");
        assert.equal((await look(fixture, "engine-2")).claimable, true, "runs that were given back");
        await fixture.claim("engine-2");
        assert.equal((await look(fixture, "engine-2")).claimable, false);

        await fixture.commit("engine-2", changes("failed", 2, { run: ended("failed") }));
        assert.equal((await look(fixture, "engine-2")).claimable, false);
        await fixture.storage.send([resumeMessage("m1", "failed")]);
        assert.equal((await look(fixture, "engine-2")).claimable, true, "a run that was resumed");
        await fixture.claim("engine-2");

        await fixture.storage.createRuns([newRun("later", { availableAt: START + 9_000 })]);
        assert.equal((await look(fixture, "engine-2")).claimable, false);
        await fixture.storage.send([cancelMessage("m2", "later")]);
        assert.equal((await look(fixture, "engine-2")).claimable, true, "a run that was cancelled before its start");
      },
    },
    {
      name: "look() says that there is something to claim when the lease of another engine has run out",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.register("engine-2");
        assert.equal((await look(fixture, "engine-2")).claimable, false);
        await fixture.letLeaseRunOut("engine-1");
        assert.equal((await look(fixture, "engine-2")).claimable, true);
        assertEqual(idsOf(await fixture.claim("engine-2")), ["run-1"]);
        assert.equal((await look(fixture, "engine-2")).claimable, false);
      },
    },
    {
      name: "look() says that there are messages until a commit has consumed them, to the owner of their run alone",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.register("engine-2");
        await fixture.create("free");
        await fixture.storage.send([cancelMessage("m1", "free")]);
        assert.equal(await hasMessages(fixture), false, "the message is one to a run that nobody owns");
        await fixture.storage.send([cancelMessage("m2", "run-1")]);
        assert.equal(await hasMessages(fixture), true);
        assert.equal(await hasMessages(fixture, "engine-2"), false);
        await fixture.storage.receive("engine-1");
        assert.equal(await hasMessages(fixture), true, "a message that was received and not consumed");
        await fixture.write("run-1", { consumed: ["m2"] });
        assert.equal(await hasMessages(fixture), false);
        await fixture.claim("engine-2");
        assert.equal(await hasMessages(fixture, "engine-2"), true, "the message came with the run");
      },
    },
    {
      name: "look() says that there are messages when a task of the engine's runs waits for a signal that is there",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.register("engine-2");
        await fixture.storage.createRuns([newRun("run-2", { owner: "engine-2" })]);
        await fixture.storage.sendSignals([keyedSignal("s1", "key")]);
        await fixture.write("run-1", { tasks: [waitingRecord("run-1", 0, "other key")] });
        await fixture.write("run-1", { tasks: [waitingRecord("run-1", 1, "key")] });
        assert.equal(await hasMessages(fixture), true);
        assertEqual(await fixture.messageIds("engine-1"), ["s1"]);
        await fixture.write("run-1", { tasks: [taskRecord("run-1", 1)], consumed: ["s1"] });
        await fixture.storage.sendSignals([keyedSignal("s2", "other key")]);
        assert.equal(await hasMessages(fixture), true, "a signal that came after the wait");
      },
    },
    {
      name: "look() knows when the next run is to start",
      async check(fixture) {
        await fixture.storage.createRuns([
          newRun("late", { availableAt: START + 9_000 }),
          newRun("soon", { availableAt: START + 2_000 }),
          newRun("due", { availableAt: START }),
        ]);
        const wakeAfter = async (now: number) => (await look(fixture, "engine-1", { now })).nextWake;
        assert.equal(await wakeAfter(START), START + 2_000);
        assert.equal(await wakeAfter(START + 2_000), START + 9_000);
        assert.equal(await wakeAfter(START + 9_000), undefined);
      },
    },
    {
      name: "look() knows when a lease ends that keeps runs from others",
      async check(fixture) {
        await fixture.register("engine-2");
        const { now } = await fixture.storage.renewLease(leaseRequest("engine-1", { leaseMs: 60_000 }));
        await fixture.storage.createRuns([newRun("run-1", { owner: "engine-1" })]);
        const { nextWake } = await look(fixture, "engine-2", { now });
        assert.ok(
          nextWake !== undefined && nextWake > now && nextWake <= now + 61_000,
          `the lease ends at ${now + 60_000}: ${nextWake}`,
        );
        await fixture.write("run-1", { run: ended("succeeded") });
        assert.equal((await look(fixture, "engine-2", { now })).nextWake, undefined, "nobody waits for that run");
      },
    },
    {
      name: "look() changes nothing: it takes no run, moves no signal and lets no engine die",
      async check(fixture) {
        await fixture.owned("owned", "waits");
        await fixture.register("engine-2");
        await fixture.create("free");
        await fixture.write("waits", { run: runState("running"), tasks: [waitingRecord("waits", 0, "key")] });
        await fixture.storage.sendSignals([keyedSignal("s1", "key")]);
        const before = await fixture.all("runs", {});
        for (const id of ["engine-1", "engine-2"]) await look(fixture, id);
        await fixture.write("waits", { tasks: [taskRecord("waits", 0)] });
        assertEqual(await fixture.messageIds("engine-1"), [], "a signal that nobody had asked for was moved");
        await fixture.letLeaseRunOut("engine-1");
        for (const id of ["engine-1", "engine-2"]) await look(fixture, id);
        assertEqual(
          await fixture.all("runs", {}),
          before.map((run) => (run.id === "waits" ? { ...run, ...runState("running") } : run)),
        );
        assert.equal((await fixture.storage.renewLease(leaseRequest("engine-1", { isNew: false }))).lost, true);
      },
    },
  ],
};
