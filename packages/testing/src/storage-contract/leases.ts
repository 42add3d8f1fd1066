import assert from "node:assert/strict";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { idsOf, rejectsWith, type StorageFixture } from "./fixture.js";
import { changes, claimRequest, ended, flush, leaseRequest, newRun, runState, START } from "./records.js";

/** A lease in real time: long enough for a slow machine to do what has to be done before it ends. */
const REAL_LEASE_MS = 600;

export const leases: ContractTopic<StorageFixture> = {
  name: "leases",
  cases: [
    {
      name: "renewLease() answers with the store's clock, which does not go back",
      async check({ storage }) {
        const first = await storage.renewLease(leaseRequest("engine-1"));
        const second = await storage.renewLease(leaseRequest("engine-1"));
        assert.ok(Number.isFinite(first.now), `the store's clock shows ${first.now}`);
        assert.ok(second.now >= first.now, `the store's clock went from ${first.now} to ${second.now}`);
        assertEqual([first.lost, second.lost], [false, false]);
      },
    },
    {
      name: "renewLease() says once that the lease had run out",
      async check(fixture) {
        await fixture.register("engine-1");
        for (const isNew of [false, true]) {
          await fixture.letLeaseRunOut("engine-1");
          const request = leaseRequest("engine-1", { isNew });
          assert.equal((await fixture.storage.renewLease(request)).lost, true);
          assert.equal((await fixture.storage.renewLease(request)).lost, false);
        }
      },
    },
    {
      name: "renewLease() registers an engine that the store does not know, which is a loss for one that renews",
      async check(fixture) {
        const { storage } = fixture;
        const lost = async (engineId: string, isNew: boolean) =>
          (await storage.renewLease(leaseRequest(engineId, { isNew }))).lost;
        assertEqual([await lost("engine-1", true), await lost("engine-1", false)], [false, false]);
        assertEqual([await lost("engine-2", false), await lost("engine-2", false)], [true, false]);
        // Somebody else may have noticed that the engine was dead: for the engine itself that is the same loss.
        await fixture.letLeaseRunOut("engine-1");
        assertEqual(await fixture.claim("engine-2"), []);
        assertEqual([await lost("engine-1", false), await lost("engine-1", false)], [true, false]);
        await fixture.create("run-1");
        assertEqual(idsOf(await fixture.claim("engine-1")), ["run-1"]);
      },
    },
    {
      name: "renewLease() counts from the call: a renewed lease outlasts its first end",
      async check(fixture) {
        const { now } = await fixture.storage.renewLease(leaseRequest("engine-1", { leaseMs: REAL_LEASE_MS }));
        await fixture.create("run-1");
        await fixture.claim("engine-1");
        await fixture.register("engine-2");
        await fixture.passTime(REAL_LEASE_MS / 2, now, REAL_LEASE_MS / 2);
        const renewal = leaseRequest("engine-1", { isNew: false, leaseMs: REAL_LEASE_MS });
        assert.equal((await fixture.storage.renewLease(renewal)).lost, false);
        await fixture.passTime((REAL_LEASE_MS * 2) / 3, now, (REAL_LEASE_MS * 2) / 3);
        assertEqual(await fixture.claim("engine-2"), []);
      },
    },
    {
      name: "renewLease() with a shorter lease makes it end earlier",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.register("engine-2");
        await fixture.letLeaseRunOut("engine-1");
        assertEqual(idsOf(await fixture.claim("engine-2")), ["run-1"]);
      },
    },
    {
      name: "claimRuns() takes over what an engine owned when its lease has run out, under the next epoch",
      async check(fixture) {
        await fixture.register("engine-1", "engine-2");
        await fixture.create("run-1", "run-2");
        await fixture.claim("engine-1");
        assertEqual(await fixture.claim("engine-2"), [], "claimed before the lease had ended");
        await fixture.letLeaseRunOut("engine-1");
        const taken = await fixture.claim("engine-2");
        assertEqual(idsOf(taken), ["run-1", "run-2"]);
        assertEqual(
          taken.map(({ epoch, owner }) => ({ epoch, owner })),
          [
            { epoch: 2, owner: "engine-2" },
            { epoch: 2, owner: "engine-2" },
          ],
        );
      },
    },
    {
      name: "claimRuns() takes over only from the engine whose lease has run out",
      async check(fixture) {
        await fixture.owned("run-of-1");
        await fixture.register("engine-2");
        await fixture.create("run-of-2");
        await fixture.claim("engine-2");
        await fixture.letLeaseRunOut("engine-2");
        await fixture.register("engine-3");
        assertEqual(idsOf(await fixture.claim("engine-3")), ["run-of-2"]);
      },
    },
    {
      name: "claimRuns() judges leases by the store's clock, not by the engine's",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.register("engine-2");
        const now = START + 10 * 365 * 86_400_000;
        assertEqual(await fixture.storage.claimRuns(claimRequest("engine-2", { now })), []);
      },
    },
    {
      name: "claimRuns() and createRuns() reject with LEASE_LOST for an engine without a lease, and change nothing",
      async check(fixture) {
        const { storage } = fixture;
        await fixture.register("released", "dead", "alive");
        await fixture.create("free");
        await storage.releaseLease("released");
        await fixture.letLeaseRunOut("dead");
        await rejectsWith(storage.claimRuns(claimRequest("dead")), "LEASE_LOST", "the claim that notices the death");
        await storage.claimRuns(claimRequest("alive", { definitions: [] }));
        for (const engineId of ["stranger", "released", "dead"]) {
          await rejectsWith(storage.claimRuns(claimRequest(engineId)), "LEASE_LOST", `a claim of "${engineId}"`);
          const runs = [newRun(`beside-${engineId}`), newRun(`of-${engineId}`, { owner: engineId })];
          await rejectsWith(storage.createRuns(runs), "LEASE_LOST", `runs for "${engineId}"`);
        }
        assertEqual(idsOf(await fixture.all("runs", {})), ["free"]);
        assertEqual(idsOf(await fixture.claim("alive")), ["free"]);
      },
    },
    {
      name: "commit() of an engine whose run was taken over is fenced",
      async check(fixture) {
        await fixture.register("engine-1", "engine-2");
        await fixture.create("run-1");
        await fixture.claim("engine-1");
        await fixture.letLeaseRunOut("engine-1");
        await fixture.claim("engine-2");
        await fixture.register("engine-1");
        const late = changes("run-1", 1, { run: ended("failed") });
        assertEqual(await fixture.storage.commit(flush("late", "engine-1", late)), {
          kind: "ok",
          fenced: ["run-1"],
        });
        assert.equal((await fixture.run("run-1")).status, "queued");
        await fixture.commit("engine-2", changes("run-1", 2, { run: ended("succeeded") }));
      },
    },
    {
      name: "releaseLease() gives every run of the engine back at once, as it is",
      async check(fixture) {
        await fixture.owned("run-1", "run-2", "done");
        await fixture.commit(
          "engine-1",
          changes("run-1", 1, { run: runState("running") }),
          changes("done", 1, { run: ended("succeeded") }),
        );
        await fixture.register("engine-2");
        await fixture.storage.releaseLease("engine-1");
        const taken = await fixture.claim("engine-2");
        assertEqual(idsOf(taken), ["run-1", "run-2"]);
        assertEqual(
          taken.map(({ status, epoch }) => [status, epoch]),
          [
            ["running", 2],
            ["queued", 2],
          ],
        );
      },
    },
    {
      name: "releaseLease() leaves the runs of other engines alone",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.register("engine-2", "engine-3");
        await fixture.storage.releaseLease("engine-2");
        assertEqual(await fixture.claim("engine-3"), []);
      },
    },
    {
      name: "releaseLease() of an engine that is not known does nothing",
      async check({ storage }) {
        await storage.releaseLease("engine-1");
      },
    },
    {
      name: "an engine that released its lease can register again and claim under the next epoch",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.storage.releaseLease("engine-1");
        assert.equal((await fixture.storage.renewLease(leaseRequest("engine-1"))).lost, false);
        const [run] = await fixture.claim("engine-1");
        assert.equal(run?.epoch, 2);
      },
    },
  ],
};
