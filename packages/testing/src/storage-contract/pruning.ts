import assert from "node:assert/strict";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { expectHistory, idsOf, type StorageFixture } from "./fixture.js";
import {
  cacheEntry,
  cancelMessage,
  changes,
  ended,
  keyedSignal,
  newRun,
  oneOfEach,
  resumeMessage,
  runState,
  START,
  waitingRecord,
} from "./records.js";

const LATER = START + 1_000_000;

/** Runs of `engine-1` that tasks of others have started: by id, whose. */
async function createChildren(fixture: StorageFixture, parents: Readonly<Record<string, string>>): Promise<void> {
  const children = Object.entries(parents).map(([id, runId]) =>
    newRun(id, { owner: "engine-1", parent: { runId, task: "task-0", index: [] } }),
  );
  await fixture.storage.createRuns(children);
}

/** Ends runs of `engine-1`, each so many milliseconds after the start. */
async function finish(fixture: StorageFixture, after: Readonly<Record<string, number>>): Promise<void> {
  const ends = Object.entries(after).map(([id, ms]) => changes(id, 1, { run: ended("succeeded", START + ms) }));
  await fixture.commit("engine-1", ...ends);
}

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
    {
      name: "prune() deletes no run while its parent goes on, and none of which a child goes on",
      async check(fixture) {
        await fixture.owned("parent", "other");
        await createChildren(fixture, { child: "parent", "other child": "other" });
        await finish(fixture, { child: 1, other: 1 });
        assert.equal(await fixture.storage.prune({ before: LATER, limit: 10 }), 0);
        assert.equal((await fixture.all("runs", {})).length, 4);
        await finish(fixture, { parent: 2, "other child": 2 });
        assert.equal(await fixture.storage.prune({ before: LATER, limit: 10 }), 4);
        assertEqual(await fixture.all("runs", {}), []);
      },
    },
    {
      name: "prune() deletes a parent never before its children, however old it is itself",
      async check(fixture) {
        await fixture.owned("parent");
        await createChildren(fixture, { "child 1": "parent", "child 2": "parent", grandchild: "child 1" });
        await finish(fixture, { parent: 1, "child 1": 1, "child 2": 1, grandchild: 500 });
        assert.equal(await fixture.storage.prune({ before: START + 100, limit: 10 }), 1);
        assertEqual(idsOf(await fixture.all("runs", {})).sort(), ["child 1", "grandchild", "parent"]);
        const left: string[][] = [];
        for (let call = 0; call < 3; call++) {
          assert.equal(await fixture.storage.prune({ before: LATER, limit: 1 }), 1, "all of them are old by now");
          left.push(idsOf(await fixture.all("runs", {})).sort());
        }
        assertEqual(left, [["child 1", "parent"], ["parent"], []]);
      },
    },
    {
      name: "prune() deletes a run whose parent was deleted, and one whose children were",
      async check(fixture) {
        await fixture.owned("gone", "parent");
        await createChildren(fixture, { orphan: "gone", "gone too": "parent" });
        await finish(fixture, { gone: 1, orphan: 1, parent: 1, "gone too": 1 });
        for (const id of ["gone", "gone too"]) assert.equal(await fixture.storage.deleteRun(id), "deleted");
        assert.equal(await fixture.storage.prune({ before: LATER, limit: 10 }), 2);
      },
    },
    {
      name: "prune() deletes the cache entries that expired before the moment, and no others",
      async check(fixture) {
        await fixture.owned("run-1");
        const entries = [START - 2, START - 1].map((expiresAt) => cacheEntry(`${expiresAt}`, { expiresAt }));
        await fixture.write("run-1", { cached: entries });
        assert.equal(await fixture.storage.prune({ before: START - 1, limit: 1 }), 0);
        const [gone, kept] = entries;
        // Whoever asks for it as of an earlier moment is told of an entry for as long as it is there.
        assert.equal(await fixture.storage.getCached(gone!.key, START - 10), undefined);
        assertEqual(await fixture.storage.getCached(kept!.key, START - 10), kept);
      },
    },
    {
      name: "prune() deletes the keyed signals that were sent before the moment, and no others",
      async check(fixture) {
        await fixture.owned("run-1");
        const signals = [START - 5, START + 999, START + 1_000, START + 9_000].map((sentAt) =>
          keyedSignal(`${sentAt - START}`, "key", { sentAt }),
        );
        await fixture.storage.sendSignals([...signals, keyedSignal("other", "other key")]);
        await fixture.storage.sendSignals([keyedSignal("taken", "a third key")]);
        await fixture.write("run-1", { tasks: [waitingRecord("run-1", 0, "a third key")] });
        assertEqual(await fixture.messageIds("engine-1"), ["taken"]);
        assert.equal(await fixture.storage.prune({ before: START + 1_000, limit: 1 }), 0);
        const waiting = [1, 2, 3].map((position) => waitingRecord("run-1", position, "key"));
        await fixture.write("run-1", { tasks: [...waiting, waitingRecord("run-1", 4, "other key")] });
        assertEqual((await fixture.messageIds("engine-1")).sort(), ["1000", "9000", "taken"]);
      },
    },
  ],
};
