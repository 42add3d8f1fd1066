import assert from "node:assert/strict";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { idsOf, type StorageFixture } from "./fixture.js";
import { changes, claimRequest, ended, flush, runState, START } from "./records.js";

export const leases: ContractTopic<StorageFixture> = {
  name: "leases",
  cases: [
    {
      name: "renewLease() answers with the store's clock, which does not go back",
      async check({ storage }) {
        const first = await storage.renewLease("engine-1", 60_000);
        const second = await storage.renewLease("engine-1", 60_000);
        assert.ok(Number.isFinite(first.now), `the store's clock shows ${first.now}`);
        assert.ok(second.now >= first.now, `the store's clock went from ${first.now} to ${second.now}`);
        assertEqual([first.lost, second.lost], [false, false]);
      },
    },
    {
      name: "renewLease() says once that the lease had run out",
      async check(fixture) {
        const runOut = await fixture.registerBriefly("engine-1");
        await runOut();
        assert.equal((await fixture.storage.renewLease("engine-1", 60_000)).lost, true);
        assert.equal((await fixture.storage.renewLease("engine-1", 60_000)).lost, false);
      },
    },
    {
      name: "renewLease() counts from the call: a renewed lease outlasts its first end",
      async check(fixture) {
        const runOut = await fixture.registerBriefly("engine-1");
        await fixture.create("run-1");
        await fixture.claim("engine-1");
        await fixture.register("engine-1", "engine-2");
        await runOut();
        assertEqual(await fixture.claim("engine-2"), []);
      },
    },
    {
      name: "claimRuns() takes over what an engine owned when its lease has run out, under the next epoch",
      async check(fixture) {
        const runOut = await fixture.registerBriefly("engine-1");
        await fixture.register("engine-2");
        await fixture.create("run-1", "run-2");
        await fixture.claim("engine-1");
        assertEqual(await fixture.claim("engine-2"), [], "claimed before the lease had ended");
        await runOut();
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
        const runOut = await fixture.registerBriefly("engine-2");
        await fixture.create("run-of-2");
        await fixture.claim("engine-2");
        await runOut();
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
      name: "commit() of an engine whose run was taken over is fenced",
      async check(fixture) {
        const runOut = await fixture.registerBriefly("engine-1");
        await fixture.register("engine-2");
        await fixture.create("run-1");
        await fixture.claim("engine-1");
        await runOut();
        await fixture.claim("engine-2");
        await fixture.storage.renewLease("engine-1", 60_000);
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
        assert.equal((await fixture.storage.renewLease("engine-1", 60_000)).lost, false);
        const [run] = await fixture.claim("engine-1");
        assert.equal(run?.epoch, 2);
      },
    },
  ],
};
