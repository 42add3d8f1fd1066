import assert from "node:assert/strict";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { expectHistory, idsOf, type StorageFixture } from "./fixture.js";
import {
  cancelMessage,
  changes,
  claimRequest,
  ended,
  flush,
  leaseRequest,
  newRun,
  oneOfEach,
  rerunMessage,
  resumeMessage,
  runState,
} from "./records.js";

const ACTIVE = ["running", "waiting", "paused", "queued"] as const;

/** `engine-1` owns a run in each status that is not final, called after it, and has finished the run `done`. */
async function ownActive(fixture: StorageFixture): Promise<void> {
  await fixture.owned(...ACTIVE, "done");
  await fixture.commit(
    "engine-1",
    ...ACTIVE.map((status) => changes(status, 1, { run: runState(status) })),
    changes("done", 1, { run: ended("failed") }),
  );
}

/** How often each run has seen its engine die. */
async function crashes(fixture: StorageFixture): Promise<Readonly<Record<string, number>>> {
  return Object.fromEntries((await fixture.all("runs", {})).map((run) => [run.id, run.crashes]));
}

export const deaths: ContractTopic<StorageFixture> = {
  name: "deaths",
  cases: [
    {
      name: "an engine's death counts one more crash of each run that was running, and of no other",
      async check(fixture) {
        await ownActive(fixture);
        await fixture.register("engine-2");
        await fixture.letLeaseRunOut("engine-1");
        const claimed = await fixture.claim("engine-2");
        const once = { queued: 0, running: 1, waiting: 0, paused: 0 };
        assertEqual(Object.fromEntries(claimed.map((run) => [run.id, run.crashes])), once);
        assertEqual(await crashes(fixture), { ...once, done: 0 });

        await fixture.letLeaseRunOut("engine-2");
        await fixture.storage.renewLease(leaseRequest("engine-2"));
        assertEqual(await crashes(fixture), { ...once, done: 0, running: 2 });
      },
    },
    {
      name: "renewLease() after the lease had run out gives the engine's runs back at once, for anybody to claim",
      async check(fixture) {
        await ownActive(fixture);
        await fixture.register("engine-2");
        await fixture.letLeaseRunOut("engine-1");
        await fixture.storage.renewLease(leaseRequest("engine-1", { isNew: false }));
        for (const id of ACTIVE) assert.equal((await fixture.run(id)).owner, undefined, id);
        assertEqual(await fixture.storage.receive("engine-1"), []);
        const claimed = await fixture.claim("engine-2");
        assertEqual(
          claimed.map(({ id, owner, epoch }) => [id, owner, epoch]),
          ACTIVE.map((id) => [id, "engine-2", 2]),
        );
      },
    },
    {
      name: "an engine that lost its lease can claim what nobody else has taken, under the next epoch",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.letLeaseRunOut("engine-1");
        await fixture.storage.renewLease(leaseRequest("engine-1", { isNew: false }));
        const [run] = await fixture.claim("engine-1");
        assertEqual([run?.id, run?.owner, run?.epoch], ["run-1", "engine-1", 2]);
        await fixture.commit("engine-1", changes("run-1", 2, { run: ended("succeeded") }));
      },
    },
    {
      name: "claimRuns() gives back all runs of a dead engine, whatever the claim itself may take",
      async check(fixture) {
        await fixture.owned("run-1", "run-2", "run-3");
        await fixture.storage.renewLease(leaseRequest("engine-2", { definitions: ["other"] }));
        await fixture.letLeaseRunOut("engine-1");
        const request = claimRequest("engine-2", { definitions: ["other"], limit: 1, suspects: 0 });
        assertEqual(await fixture.storage.claimRuns(request), []);
        assertEqual(
          (await fixture.all("runs", {})).map(({ owner }) => owner),
          [undefined, undefined, undefined],
        );
      },
    },
    {
      name: "releaseLease() counts no crash",
      async check(fixture) {
        await ownActive(fixture);
        await fixture.register("engine-2");
        await fixture.storage.releaseLease("engine-1");
        await fixture.claim("engine-2");
        assertEqual(await crashes(fixture), { queued: 0, running: 0, waiting: 0, paused: 0, done: 0 });
      },
    },
    {
      name: "a death counts once, however many claim at once",
      async check(fixture) {
        const engines = Array.from({ length: 5 }, (_, n) => `engine-${n + 2}`);
        const ids = Array.from({ length: 10 }, (_, n) => `run-${n}`);
        await fixture.owned(...ids);
        await fixture.commit("engine-1", ...ids.map((id) => changes(id, 1, { run: runState("running") })));
        await fixture.register(...engines);
        await fixture.letLeaseRunOut("engine-1");
        const claimed = (await Promise.all(engines.map((id) => fixture.claim(id, 3)))).flat();
        for (const id of engines) claimed.push(...(await fixture.claim(id)));
        assertEqual(idsOf(claimed).sort(), ids);
        for (const { crashes, epoch } of claimed) assertEqual([crashes, epoch], [1, 2]);
      },
    },
    {
      name: "an engine that died writes nothing any more, also when it registers again under the same id",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        await fixture.storage.send([cancelMessage("m1", "run-1")]);
        await fixture.register("engine-2");
        await fixture.letLeaseRunOut("engine-1");
        await fixture.claim("engine-2", 1);
        const before = await fixture.all("runs", {});
        const write = async (id: string) => {
          const everything = (runId: string) => changes(runId, 1, { ...oneOfEach(runId), run: ended("failed") });
          const late = flush(id, "engine-1", everything("run-1"), everything("run-2"));
          assertEqual(await fixture.storage.commit(late), { kind: "ok", fenced: ["run-1", "run-2"] });
          const remap = { engineId: "engine-1", runId: "run-2", epoch: 1, definition: "other", tasks: [] };
          assert.equal(await fixture.storage.remapRun(remap), "fenced");
        };
        await write("nobody knows it");
        await fixture.storage.renewLease(leaseRequest("engine-1", { isNew: true }));
        await write("it is back");
        assertEqual(await fixture.all("runs", {}), before);
        for (const id of ["run-1", "run-2"]) await expectHistory(fixture, id, 0);
        assertEqual(await fixture.messageIds("engine-2"), ["m1"]);
      },
    },
    {
      name: "commit() writes the number of crashes a run has from now on",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.write("run-1", { run: runState("running", { crashes: 2 }) });
        assert.equal((await fixture.run("run-1")).crashes, 2);
        await fixture.register("engine-2");
        await fixture.letLeaseRunOut("engine-1");
        const [run] = await fixture.claim("engine-2");
        assert.equal(run?.crashes, 3);
        await fixture.commit("engine-2", changes("run-1", 2, { run: runState("running") }));
        assert.equal((await fixture.run("run-1")).crashes, 0);
      },
    },
    {
      name: "send() of a resume or a rerun takes a run's crashes from it",
      async check(fixture) {
        await fixture.owned("resumed", "rerun", "left");
        const quarantined = { ...ended("quarantined"), crashes: 3 };
        for (const id of ["resumed", "rerun", "left"]) await fixture.write(id, { run: quarantined });
        await fixture.storage.send([resumeMessage("m1", "resumed"), rerunMessage("m2", "rerun")]);
        assertEqual(await crashes(fixture), { resumed: 0, rerun: 0, left: 3 });
        const claimed = await fixture.storage.claimRuns(claimRequest("engine-1", { suspects: 0 }));
        assertEqual(idsOf(claimed).sort(), ["rerun", "resumed"]);
      },
    },
    {
      name: "a run that its engine created dies with it like any other",
      async check(fixture) {
        await fixture.register("engine-1", "engine-2");
        await fixture.storage.createRuns([newRun("own", { owner: "engine-1" }), newRun("free")]);
        await fixture.claim("engine-2");
        await fixture.letLeaseRunOut("engine-1");
        assertEqual(idsOf(await fixture.claim("engine-2")), ["own"]);
      },
    },
  ],
};
