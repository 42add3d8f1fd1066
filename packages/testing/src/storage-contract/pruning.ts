import assert from "node:assert/strict";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { expectHistory, idsOf, type StorageFixture } from "./fixture.js";
import { cancelMessage, changes, ended, newRun, oneOfEach, resumeMessage, runState, START } from "./records.js";

const LATER = START + 1_000_000;

export const pruning: ContractTopic<StorageFixture> = {
  name: "pruning",
  cases: [
    {
      name: "prune() deletes finished runs that ended before the moment, and says how many",
      async check(fixture) {
        const statuses = ["succeeded", "failed", "cancelled", "quarantined"] as const;
        await fixture.owned(...statuses, "at-the-moment", "after");
        await fixture.commit(
          "engine-1",
          ...statuses.map((status) => changes(status, 1, { run: ended(status, START + 100) })),
          changes("at-the-moment", 1, { run: ended("succeeded", START + 200) }),
          changes("after", 1, { run: ended("succeeded", START + 300) }),
        );
        assert.equal(await fixture.storage.prune({ before: START + 200, limit: 100 }), 4);
        assertEqual(idsOf(await fixture.all("runs", {})), ["after", "at-the-moment"]);
        assert.equal(await fixture.storage.prune({ before: START + 200, limit: 100 }), 0);
      },
    },
    {
      name: "prune() never deletes a run that has not ended, however old",
      async check(fixture) {
        await fixture.owned("queued", "running", "waiting", "paused", "resumed");
        await fixture.commit(
          "engine-1",
          ...(["running", "waiting", "paused"] as const).map((status) => changes(status, 1, { run: runState(status) })),
          changes("resumed", 1, { run: ended("failed") }),
        );
        await fixture.storage.send([resumeMessage("m1", "resumed")]);
        assert.equal(await fixture.storage.prune({ before: LATER, limit: 100 }), 0);
        assert.equal((await fixture.all("runs", {})).length, 5);
      },
    },
    {
      name: "prune() deletes no more than its limit at once",
      async check(fixture) {
        const ids = Array.from({ length: 5 }, (_, n) => `run-${n}`);
        await fixture.owned(...ids);
        await fixture.commit("engine-1", ...ids.map((id) => changes(id, 1, { run: ended("succeeded") })));
        const deleted: number[] = [];
        for (let call = 0; call < 4; call++) deleted.push(await fixture.storage.prune({ before: LATER, limit: 2 }));
        assertEqual(deleted, [2, 2, 1, 0]);
      },
    },
    {
      name: "prune() deletes the whole history of a run and nothing of others",
      async check(fixture) {
        await fixture.owned("old", "kept");
        for (const id of ["old", "kept"]) await fixture.write(id, oneOfEach(id));
        await fixture.write("old", { run: ended("succeeded") });
        await fixture.storage.prune({ before: LATER, limit: 10 });
        assert.equal(await fixture.storage.getRun("old"), undefined);
        await expectHistory(fixture, "old", 0);
        await expectHistory(fixture, "kept", 1);
        const [answer] = await fixture.storage.send([cancelMessage("m1", "old")]);
        assertEqual(answer, { kind: "refused", code: "RUN_UNKNOWN" });
      },
    },
    {
      name: "prune() frees the keys of what it deletes",
      async check(fixture) {
        await fixture.register("engine-1");
        await fixture.storage.createRuns([
          newRun("old", { key: "k", owner: "engine-1" }),
          newRun("kept", { key: "k2", owner: "engine-1" }),
        ]);
        await fixture.write("old", { run: ended("succeeded") });
        await fixture.storage.prune({ before: LATER, limit: 10 });
        const answers = await fixture.storage.createRuns([
          newRun("new", { key: "k", fingerprint: "other" }),
          newRun("newer", { key: "k2", fingerprint: "other" }),
        ]);
        assertEqual(
          answers.map(({ kind }) => kind),
          ["created", "conflict"],
        );
      },
    },
  ],
};
