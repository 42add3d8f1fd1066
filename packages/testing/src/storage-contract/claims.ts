import assert from "node:assert/strict";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { idsOf, type StorageFixture } from "./fixture.js";
import { changes, claimRequest, ended, leaseRequest, newRun, runState, START } from "./records.js";

export const claims: ContractTopic<StorageFixture> = {
  name: "claims",
  cases: [
    {
      name: "claimRuns() gives each run to its caller under an epoch one higher",
      async check(fixture) {
        await fixture.register("engine-1");
        await fixture.create("run-1");
        const [claimed] = await fixture.claim("engine-1");
        assertEqual([claimed?.owner, claimed?.epoch, claimed?.status], ["engine-1", 1, "queued"]);
        assertEqual(await fixture.storage.getRun("run-1"), claimed);
        await fixture.write("run-1", { run: runState("running") });
      },
    },
    {
      name: "claimRuns() takes the oldest first, and no more than asked for",
      async check(fixture) {
        await fixture.register("engine-1");
        await fixture.create("run-1", "run-2", "run-3", "run-4", "run-5");
        assertEqual(idsOf(await fixture.claim("engine-1", 2)), ["run-1", "run-2"]);
        assertEqual(idsOf(await fixture.claim("engine-1", 2)), ["run-3", "run-4"]);
        assertEqual(idsOf(await fixture.claim("engine-1", 2)), ["run-5"]);
        assertEqual(await fixture.claim("engine-1", 2), []);
      },
    },
    {
      name: "claimRuns() takes a run that was given back before younger ones",
      async check(fixture) {
        await fixture.register("engine-1", "engine-2");
        await fixture.create("old", "young");
        await fixture.claim("engine-1", 1);
        await fixture.storage.releaseLease("engine-1");
        assertEqual(idsOf(await fixture.claim("engine-2", 1)), ["old"]);
      },
    },
    {
      name: "claimRuns() takes the highest priority first, then the oldest",
      async check(fixture) {
        await fixture.register("engine-1");
        const runs = [
          newRun("low", { priority: -1 }),
          newRun("old"),
          newRun("lowest", { priority: Number.MIN_SAFE_INTEGER }),
          newRun("young"),
          newRun("high", { priority: 1 }),
          newRun("highest", { priority: Number.MAX_SAFE_INTEGER }),
          newRun("later", { priority: 2, availableAt: START + 1 }),
        ];
        await fixture.storage.createRuns(runs.map((run, place) => ({ ...run, createdAt: START - 10 + place })));
        assertEqual(idsOf(await fixture.claim("engine-1", 2)), ["highest", "high"]);
        assertEqual(idsOf(await fixture.claim("engine-1")), ["old", "young", "low", "lowest"]);
      },
    },
    {
      name: "claimRuns() goes by priority among runs that were given back, too",
      async check(fixture) {
        await fixture.register("engine-1", "engine-2");
        await fixture.storage.createRuns([newRun("low", { priority: -1 }), newRun("high", { priority: 1 })]);
        await fixture.claim("engine-1");
        await fixture.storage.createRuns([newRun("higher", { priority: 2 }), newRun("new")]);
        await fixture.storage.releaseLease("engine-1");
        assertEqual(idsOf(await fixture.claim("engine-2")), ["higher", "high", "new", "low"]);
      },
    },
    {
      name: "claimRuns() leaves runs until their time, by the engine's clock",
      async check({ storage }) {
        await storage.renewLease(leaseRequest("engine-1"));
        await storage.createRuns([
          newRun("later", { availableAt: START + 1_000 }),
          newRun("due", { availableAt: START }),
        ]);
        const claimAt = (now: number) => storage.claimRuns(claimRequest("engine-1", { now }));
        assertEqual(idsOf(await claimAt(START)), ["due"]);
        assertEqual(await claimAt(START + 999), []);
        assertEqual(idsOf(await claimAt(START + 1_000)), ["later"]);
      },
    },
    {
      name: "claimRuns() takes only runs of the definitions the engine has",
      async check({ storage }) {
        await storage.renewLease(leaseRequest("engine-1"));
        await storage.createRuns([
          newRun("a", { definition: "A" }),
          newRun("b", { definition: "B" }),
          newRun("c", { definition: "C" }),
          newRun("a2", { definition: "A", createdAt: START + 1 }),
        ]);
        const claim = (definitions: string[]) => storage.claimRuns(claimRequest("engine-1", { definitions }));
        assertEqual(await claim([]), []);
        assertEqual(idsOf(await claim(["A", "D"])), ["a", "a2"]);
        assertEqual(idsOf(await claim(["B", "C"])).sort(), ["b", "c"]);
      },
    },
    {
      name: "claimRuns() finds runs of its definitions behind any number of others",
      async check({ storage }) {
        await storage.renewLease(leaseRequest("engine-1"));
        await storage.createRuns(
          Array.from({ length: 300 }, (_, n) => newRun(`other-${n}`, { definition: "other", createdAt: START + n })),
        );
        await storage.createRuns([newRun("own", { createdAt: START + 300 })]);
        assertEqual(idsOf(await storage.claimRuns(claimRequest("engine-1", { limit: 1 }))), ["own"]);
      },
    },
    {
      name: "claimRuns() leaves what has an owner with a living lease, the caller's own included",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.register("engine-2");
        assertEqual(await fixture.claim("engine-2"), []);
        assertEqual(await fixture.claim("engine-1"), []);
      },
    },
    {
      name: "claimRuns() takes unfinished runs in whatever status, and no finished ones",
      async check(fixture) {
        const unfinished = ["running", "waiting", "paused", "queued"] as const;
        const finished = ["succeeded", "failed", "cancelled", "quarantined"] as const;
        await fixture.owned(...unfinished, ...finished);
        await fixture.commit(
          "engine-1",
          ...unfinished.map((status) => changes(status, 1, { run: runState(status) })),
          ...finished.map((status) => changes(status, 1, { run: ended(status) })),
        );
        await fixture.storage.releaseLease("engine-1");
        await fixture.register("engine-2");
        const claimed = await fixture.claim("engine-2");
        assertEqual(
          claimed.map(({ id, status }) => [id, status]),
          unfinished.map((status) => [status, status]),
        );
      },
    },
    {
      name: "claimRuns() gives no run to two callers that ask at once",
      async check(fixture) {
        const ids = Array.from({ length: 60 }, (_, n) => `run-${n}`);
        const engines = Array.from({ length: 6 }, (_, n) => `engine-${n}`);
        await fixture.register(...engines);
        await fixture.create(...ids);
        const claimed = (
          await Promise.all(engines.flatMap((id) => [fixture.claim(id, 7), fixture.claim(id, 7)]))
        ).flat();
        assert.equal(new Set(idsOf(claimed)).size, claimed.length, "a run was given to two callers");
        for (const id of engines) claimed.push(...(await fixture.claim(id, 60)));
        assertEqual(idsOf(claimed).sort(), [...ids].sort());
        for (const { id, owner, epoch } of claimed) {
          const run = await fixture.run(id);
          assertEqual([run.owner, run.epoch, epoch], [owner, 1, 1]);
        }
      },
    },
    {
      name: "claimRuns() of one run takes it whatever its definition, its time and maxActiveRuns say",
      async check(fixture) {
        await fixture.owned("active");
        await fixture.register("engine-2");
        await fixture.storage.createRuns([
          newRun("older"),
          newRun("run-1", { definition: "nobody's", availableAt: START + 9_000, priority: -1 }),
        ]);
        const request = claimRequest("engine-2", { runId: "run-1", maxActiveRuns: { nightly: 1 }, definitions: [] });
        const [claimed, ...others] = await fixture.storage.claimRuns(request);
        assertEqual([claimed?.id, claimed?.owner, claimed?.epoch], ["run-1", "engine-2", 1]);
        assertEqual(others, []);
        assertEqual(await fixture.run("run-1"), claimed);
        assert.equal((await fixture.run("older")).owner, undefined);
        await fixture.commit("engine-2", changes("run-1", 1, { run: ended("succeeded") }));
      },
    },
    {
      name: "claimRuns() of one run takes none that has an owner, has ended, or is not there",
      async check(fixture) {
        const finished = ["succeeded", "failed", "cancelled", "quarantined"] as const;
        await fixture.owned("owned", ...finished);
        await fixture.commit("engine-1", ...finished.map((status) => changes(status, 1, { run: ended(status) })));
        await fixture.register("engine-2");
        await fixture.create("free");
        for (const runId of ["owned", ...finished, "no-such-run"]) {
          assertEqual(await fixture.storage.claimRuns(claimRequest("engine-2", { runId })), [], runId);
        }
        assertEqual(await fixture.storage.claimRuns(claimRequest("engine-1", { runId: "owned" })), []);
        await fixture.commit("engine-1", changes("owned", 1, { run: runState("running") }));
        await fixture.letLeaseRunOut("engine-1");
        const [taken] = await fixture.storage.claimRuns(claimRequest("engine-2", { runId: "owned" }));
        assertEqual([taken?.id, taken?.epoch, taken?.crashes], ["owned", 2, 1]);
        assertEqual(idsOf(await fixture.claim("engine-2")), ["free"]);
      },
    },
    {
      name: "claimRuns() gives one run to one caller, however many ask for it at once",
      async check(fixture) {
        const engines = Array.from({ length: 6 }, (_, n) => `engine-${n}`);
        await fixture.register(...engines);
        await fixture.create("run-1");
        const claims = engines.map((id) => fixture.storage.claimRuns(claimRequest(id, { runId: "run-1" })));
        const [claimed, ...others] = (await Promise.all(claims)).flat();
        assertEqual([claimed?.epoch, others.length], [1, 0]);
        assert.equal((await fixture.run("run-1")).owner, claimed?.owner);
      },
    },
  ],
};
