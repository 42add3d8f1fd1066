import type { ClaimRequest, RunRecord } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { idsOf, type StorageFixture } from "./fixture.js";
import { changes, claimRequest, newRun, runState, START } from "./records.js";

/** Creates free runs, the oldest first, under each of which engines have died so often. */
async function createCrashed(fixture: StorageFixture, crashes: Readonly<Record<string, number>>): Promise<void> {
  const runs = Object.entries(crashes);
  await fixture.owned(...runs.map(([id]) => id));
  const states = runs.map(([id, count]) => changes(id, 1, { run: runState("running", { crashes: count }) }));
  await fixture.commit("engine-1", ...states);
  await fixture.storage.releaseLease("engine-1");
  await fixture.register("engine-2");
}

/** A claim for which runs with two crashes are suspects. */
function claim(fixture: StorageFixture, details: Partial<ClaimRequest>): Promise<readonly RunRecord[]> {
  return fixture.storage.claimRuns(claimRequest("engine-2", { suspectFrom: 2, ...details }));
}

export const suspects: ContractTopic<StorageFixture> = {
  name: "suspects",
  cases: [
    {
      name: "claimRuns() takes no more suspects than it is to, and everything else",
      async check(fixture) {
        await createCrashed(fixture, { a: 2, b: 0, c: 5, d: 1, e: 3 });
        assertEqual(idsOf(await claim(fixture, { suspects: 0 })), ["b", "d"]);
        assertEqual(await claim(fixture, { suspects: 0 }), []);
        assertEqual(idsOf(await claim(fixture, { suspects: 1 })), ["a"]);
        assertEqual(idsOf(await claim(fixture, { suspects: 2 })).sort(), ["c", "e"]);
      },
    },
    {
      name: "claimRuns() takes the suspects with the fewest crashes first",
      async check(fixture) {
        await createCrashed(fixture, { oldest: 9, four: 4, ten: 10, two: 2, three: 3 });
        assertEqual(idsOf(await claim(fixture, { suspects: 1 })), ["two"]);
        assertEqual(idsOf(await claim(fixture, { suspects: 2 })).sort(), ["four", "three"]);
        assertEqual(idsOf(await claim(fixture, { suspects: 1 })), ["oldest"]);
      },
    },
    {
      name: "claimRuns() finds what is no suspect behind any number of suspects",
      async check(fixture) {
        const many = Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`suspect-${n}`, 2 + (n % 3)]));
        await createCrashed(fixture, many);
        const later = newRun("later", { priority: -1, createdAt: START + 1_000 });
        await fixture.storage.createRuns([later]);
        assertEqual(idsOf(await claim(fixture, { suspects: 0, limit: 1 })), ["later"]);
      },
    },
    {
      name: "claimRuns() counts suspects against its limit and against maxActiveRuns",
      async check(fixture) {
        await createCrashed(fixture, { a: 2, b: 3, c: 4, d: 5, e: 6 });
        assertEqual(idsOf(await claim(fixture, { suspects: 5, limit: 2 })).sort(), ["a", "b"]);
        assertEqual(idsOf(await claim(fixture, { suspects: 5, maxActiveRuns: { nightly: 3 } })), ["c"]);
        assertEqual(await claim(fixture, { suspects: 5, maxActiveRuns: { nightly: 3 } }), []);
      },
    },
    {
      name: "claimRuns() leaves suspects until their time, and those of other definitions",
      async check(fixture) {
        await createCrashed(fixture, { "run-1": 2 });
        assertEqual(await claim(fixture, { suspects: 1, definitions: ["other"] }), []);
        assertEqual(idsOf(await claim(fixture, { suspects: 1, definitions: ["other", "definition-1"] })), ["run-1"]);
      },
    },
    {
      name: "claimRuns() of one run takes a suspect only where it may take one",
      async check(fixture) {
        await createCrashed(fixture, { "run-1": 2, "run-2": 1 });
        assertEqual(await claim(fixture, { suspects: 0, runId: "run-1" }), []);
        assertEqual(idsOf(await claim(fixture, { suspects: 0, runId: "run-2" })), ["run-2"]);
        assertEqual(idsOf(await claim(fixture, { suspects: 1, runId: "run-1" })), ["run-1"]);
      },
    },
    {
      name: "claimRuns() goes by suspectFrom: the same run may be a suspect for one engine and none for another",
      async check(fixture) {
        await createCrashed(fixture, { "run-1": 2 });
        assertEqual(await claim(fixture, { suspects: 0, suspectFrom: 1 }), []);
        assertEqual(await claim(fixture, { suspects: 0, suspectFrom: 2 }), []);
        assertEqual(idsOf(await claim(fixture, { suspects: 0, suspectFrom: 3 })), ["run-1"]);
      },
    },
  ],
};
