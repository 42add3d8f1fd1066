import assert from "node:assert/strict";
import type { RunRecord } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { idsOf, type StorageFixture } from "./fixture.js";
import { changes, claimRequest, ended, newRun, runState, START } from "./records.js";

/** Creates runs of a pipeline, called after it and counted from 1. */
async function createOf(fixture: StorageFixture, pipeline: string, count: number, owner?: string): Promise<void> {
  const runs = Array.from({ length: count }, (_, n) => newRun(`${pipeline}-${n + 1}`, { pipeline, owner }));
  await fixture.storage.createRuns(runs.map((run, place) => ({ ...run, createdAt: START + place })));
}

function claimWithin(
  fixture: StorageFixture,
  engineId: string,
  maxActiveRuns: Readonly<Record<string, number>>,
  limit = 100,
): Promise<readonly RunRecord[]> {
  return fixture.storage.claimRuns(claimRequest(engineId, { maxActiveRuns, limit, now: fixture.now }));
}

export const limits: ContractTopic<StorageFixture> = {
  name: "limits",
  cases: [
    {
      name: "claimRuns() takes of a pipeline in maxActiveRuns only as many as keep it within that",
      async check(fixture) {
        await fixture.register("engine-1");
        await createOf(fixture, "p", 5);
        const max = { p: 2 };
        assertEqual(idsOf(await claimWithin(fixture, "engine-1", max, 1)), ["p-1"]);
        assertEqual(idsOf(await claimWithin(fixture, "engine-1", max)), ["p-2"]);
        assertEqual(await claimWithin(fixture, "engine-1", max), []);
        await fixture.write("p-1", { run: ended("succeeded") });
        assertEqual(idsOf(await claimWithin(fixture, "engine-1", max)), ["p-3"]);
        assertEqual(idsOf(await claimWithin(fixture, "engine-1", { p: 4 })), ["p-4", "p-5"]);
      },
    },
    {
      name: "claimRuns() counts against maxActiveRuns the runs of all engines, in whatever status and definition",
      async check(fixture) {
        const active = ["queued", "running", "waiting", "paused"] as const;
        await fixture.register("engine-1", "engine-2");
        await fixture.storage.createRuns(
          active.map((id) => newRun(id, { pipeline: "p", definition: "older", owner: "engine-1" })),
        );
        await fixture.commit("engine-1", ...active.map((status) => changes(status, 1, { run: runState(status) })));
        await createOf(fixture, "p", 3);
        for (const p of [1, 4]) assertEqual(await claimWithin(fixture, "engine-2", { p }), [], `within ${p}`);
        assertEqual(idsOf(await claimWithin(fixture, "engine-2", { p: 5 })), ["p-1"]);
      },
    },
    {
      name: "claimRuns() does not count what was given back, or whose owner's lease has run out",
      async check(fixture) {
        await fixture.register("engine-1");
        await fixture.register("engine-2", "engine-3");
        await createOf(fixture, "p", 3);
        assertEqual(idsOf(await claimWithin(fixture, "engine-1", { p: 2 })), ["p-1", "p-2"]);
        assertEqual(await claimWithin(fixture, "engine-2", { p: 2 }), []);
        await fixture.letLeaseRunOut("engine-1");
        assertEqual(idsOf(await claimWithin(fixture, "engine-2", { p: 2 })), ["p-1", "p-2"]);
        await fixture.storage.releaseLease("engine-2");
        const taken = await claimWithin(fixture, "engine-3", { p: 2 });
        assertEqual(
          taken.map(({ id, epoch }) => [id, epoch]),
          [
            ["p-1", 3],
            ["p-2", 3],
          ],
        );
      },
    },
    {
      name: "claimRuns() passes over what maxActiveRuns holds back, and goes on behind it",
      async check(fixture) {
        await fixture.register("engine-1");
        await createOf(fixture, "p", 50);
        await createOf(fixture, "q", 2);
        assertEqual(idsOf(await claimWithin(fixture, "engine-1", { p: 1 }, 3)), ["p-1", "q-1", "q-2"]);
      },
    },
    {
      name: "claimRuns() has no limit for pipelines that maxActiveRuns does not name",
      async check(fixture) {
        await fixture.register("engine-1");
        // The name of what every object has is a name like any other.
        for (const pipeline of ["p", "P", "constructor"]) await createOf(fixture, pipeline, 2);
        const claimed = await claimWithin(fixture, "engine-1", { p: 1 });
        assertEqual(idsOf(claimed).sort(), ["P-1", "P-2", "constructor-1", "constructor-2", "p-1"]);
      },
    },
    {
      name: "claimRuns() takes the highest priority of a pipeline in maxActiveRuns",
      async check(fixture) {
        await fixture.register("engine-1");
        await createOf(fixture, "p", 3);
        await fixture.storage.createRuns([newRun("urgent", { pipeline: "p", priority: 1, createdAt: START + 10 })]);
        assertEqual(idsOf(await claimWithin(fixture, "engine-1", { p: 2 })), ["urgent", "p-1"]);
      },
    },
    {
      name: "claimRuns() takes what has begun before what has not, whatever its priority, of a pipeline in maxActiveRuns too",
      async check(fixture) {
        await fixture.register("engine-1", "engine-2");
        await fixture.storage.createRuns(
          ["p", "q"].map((pipeline) => newRun(`${pipeline}-begun`, { pipeline, owner: "engine-1", priority: -1 })),
        );
        for (const pipeline of ["p", "q"]) {
          await fixture.commit("engine-1", changes(`${pipeline}-begun`, 1, { run: runState("running") }));
          await fixture.storage.createRuns([
            newRun(`${pipeline}-new`, { pipeline, priority: 9, createdAt: START - 10 }),
          ]);
        }
        await fixture.storage.releaseLease("engine-1");
        assertEqual(idsOf(await claimWithin(fixture, "engine-2", { p: 1 }, 2)).sort(), ["p-begun", "q-begun"]);
        assertEqual(idsOf(await claimWithin(fixture, "engine-2", { p: 1 })), ["q-new"]);
      },
    },
    {
      name: "claimRuns() keeps within maxActiveRuns when many ask at once",
      async check(fixture) {
        const engines = Array.from({ length: 6 }, (_, n) => `engine-${n}`);
        await fixture.register(...engines);
        await createOf(fixture, "p", 30);
        const claimed = await Promise.all(engines.map((id) => claimWithin(fixture, id, { p: 4 }, 3)));
        assert.equal(claimed.flat().length, 4);
        const owned = (await fixture.all("runs", { pipeline: "p" })).filter(({ owner }) => owner !== undefined);
        assert.equal(owned.length, 4);
      },
    },
  ],
};
