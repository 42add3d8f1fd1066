import assert from "node:assert/strict";
import type { Survey } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import type { StorageFixture } from "./fixture.js";
import { ended, leaseRequest, newRun, START } from "./records.js";

/** What there is, each kind in one order. */
async function survey({ storage, now }: StorageFixture): Promise<Survey> {
  const found = await storage.survey({ now });
  const engines = [...found.engines].sort((a, b) => (a.id < b.id ? -1 : 1));
  const unadoptable = [...found.unadoptable].sort((a, b) => (a.definition < b.definition ? -1 : 1));
  return { ...found, engines, unadoptable };
}

export const surveys: ContractTopic<StorageFixture> = {
  name: "survey",
  cases: [
    {
      name: "survey() of an empty store finds nothing",
      async check(fixture) {
        const { storeNow, ...found } = await survey(fixture);
        assert.ok(Number.isFinite(storeNow));
        assertEqual(found, { engines: [], backlog: { runs: 0, oldestAt: undefined }, unadoptable: [] });
      },
    },
    {
      name: "survey() names every engine with its lease, its definitions and how many unfinished runs it owns",
      async check(fixture) {
        const { storage } = fixture;
        await fixture.owned("run-1", "run-2", "done");
        await fixture.write("done", { run: ended("succeeded") });
        const leaseMs = 60_000;
        await storage.renewLease(leaseRequest("engine-2", { definitions: ["former"] }));
        const renewal = leaseRequest("engine-2", { leaseMs, isNew: false, definitions: ["a", "b"] });
        const { now } = await storage.renewLease(renewal);
        await storage.renewLease(leaseRequest("gone"));
        await storage.releaseLease("gone");
        const { engines, storeNow } = await survey(fixture);
        assertEqual(
          engines.map(({ id, definitions, runs }) => [id, [...definitions].sort(), runs]),
          [
            ["engine-1", ["definition-1"], 2],
            ["engine-2", ["a", "b"], 0],
          ],
        );
        assert.ok(storeNow >= now, `the store's clock went from ${now} to ${storeNow}`);
        const { leaseUntil } = engines[1]!;
        assert.ok(Math.abs(leaseUntil - (now + leaseMs)) < 1_000, `the lease ends at ${leaseUntil}`);
      },
    },
    {
      name: "survey() counts the backlog: free runs that are due, of definitions that a living engine has",
      async check(fixture) {
        await fixture.owned("owned", "done");
        await fixture.write("done", { run: ended("failed") });
        const at = (moment: number) => ({ createdAt: moment, availableAt: moment });
        await fixture.storage.createRuns([
          newRun("young", at(START - 1_000)),
          newRun("old", at(START - 9_000)),
          newRun("later", { availableAt: START + 1_000 }),
          newRun("other", { ...at(START - 99_000), definition: "nobody's" }),
        ]);
        assertEqual((await survey(fixture)).backlog, { runs: 2, oldestAt: START - 9_000 });
        await fixture.claim("engine-1");
        assertEqual((await survey(fixture)).backlog, { runs: 0, oldestAt: undefined });
      },
    },
    {
      name: "survey() names the oldest free runs whose definition no living engine has, by definition",
      async check(fixture) {
        await fixture.owned("owned");
        await fixture.register("engine-2");
        const ids = Array.from({ length: 12 }, (_, n) => `a-${n}`);
        await fixture.storage.createRuns([
          ...ids.map((id, place) => newRun(id, { definition: "a", createdAt: START + place })),
          newRun("b-0", { definition: "b", pipeline: "weekly", availableAt: START + 9_000 }),
          newRun("taken", { definition: "c", owner: "engine-1" }),
          newRun("adoptable"),
        ]);
        assertEqual((await survey(fixture)).unadoptable, [
          { pipeline: "nightly", definition: "a", runs: 12, runIds: ids.slice(0, 10) },
          { pipeline: "weekly", definition: "b", runs: 1, runIds: ["b-0"] },
        ]);
        await fixture.storage.renewLease(leaseRequest("engine-2", { isNew: false, definitions: ["a", "b"] }));
        assertEqual((await survey(fixture)).unadoptable, []);
      },
    },
    {
      name: "survey() takes an engine whose lease has run out for none that could adopt a run",
      async check(fixture) {
        await fixture.register("engine-1");
        await fixture.create("run-1");
        assertEqual((await survey(fixture)).unadoptable, []);
        await fixture.letLeaseRunOut("engine-1");
        const { unadoptable, backlog } = await survey(fixture);
        assertEqual([unadoptable.map(({ runIds }) => runIds), backlog.runs], [[["run-1"]], 0]);
      },
    },
    {
      name: "survey() changes nothing, also where the lease of an engine has run out",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.letLeaseRunOut("engine-1");
        const before = await fixture.run("run-1");
        await survey(fixture);
        assertEqual(await fixture.run("run-1"), before);
        assert.equal((await fixture.storage.renewLease(leaseRequest("engine-1", { isNew: false }))).lost, true);
      },
    },
  ],
};
