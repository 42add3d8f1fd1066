import assert from "node:assert/strict";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { expectHistory, idsOf, type StorageFixture } from "./fixture.js";
import {
  changes,
  ended,
  everyOtherMessage,
  flush,
  newRun,
  oneOfEach,
  resumeMessage,
  runState,
  taskRecord,
} from "./records.js";

export const deletion: ContractTopic<StorageFixture> = {
  name: "deletion",
  cases: [
    {
      name: "deleteRun() deletes a finished run with all its history, and nothing of others",
      async check(fixture) {
        const statuses = ["succeeded", "failed", "cancelled", "quarantined"] as const;
        await fixture.owned(...statuses, "kept");
        for (const id of [...statuses, "kept"]) await fixture.write(id, oneOfEach(id));
        for (const status of statuses) {
          await fixture.write(status, { run: ended(status) });
          assert.equal(await fixture.storage.deleteRun(status), "deleted");
          assert.equal(await fixture.storage.getRun(status), undefined);
          await expectHistory(fixture, status, 0);
        }
        await expectHistory(fixture, "kept", 1);
        assertEqual(idsOf(await fixture.all("runs", {})), ["kept"]);
      },
    },
    {
      name: "deleteRun() leaves a run that has not ended as it is, and says so",
      async check(fixture) {
        const active = ["queued", "running", "waiting", "paused"] as const;
        await fixture.owned(...active, "resumed");
        await fixture.commit(
          "engine-1",
          ...active.map((id) => changes(id, 1, { ...oneOfEach(id), run: runState(id) })),
        );
        await fixture.write("resumed", { ...oneOfEach("resumed"), run: ended("failed") });
        await fixture.storage.send([resumeMessage("m1", "resumed")]);
        for (const id of [...active, "resumed"]) {
          const before = await fixture.run(id);
          assert.equal(await fixture.storage.deleteRun(id), "active", id);
          assertEqual(await fixture.run(id), before);
          await expectHistory(fixture, id, 1);
        }
        await fixture.write("running", { run: ended("succeeded") });
      },
    },
    {
      name: "deleteRun() of a run that does not exist says so",
      async check(fixture) {
        assert.equal(await fixture.storage.deleteRun("no-such-run"), "unknown");
        await fixture.owned("run-1");
        await fixture.write("run-1", { run: ended("succeeded") });
        const answers = await Promise.all([fixture.storage.deleteRun("run-1"), fixture.storage.deleteRun("run-1")]);
        assertEqual(answers.sort(), ["deleted", "unknown"]);
      },
    },
    {
      name: "deleteRun() frees the run's key and id, and nothing of it comes back with them",
      async check(fixture) {
        await fixture.register("engine-1");
        await fixture.storage.createRuns([newRun("run-1", { key: "k", owner: "engine-1" })]);
        await fixture.write("run-1", { ...oneOfEach("run-1"), run: ended("succeeded") });
        await fixture.storage.deleteRun("run-1");
        const answers = await fixture.storage.createRuns([
          newRun("run-2", { key: "k", fingerprint: "other" }),
          newRun("run-1", { fingerprint: "other" }),
        ]);
        assertEqual(
          answers.map(({ kind }) => kind),
          ["created", "created"],
        );
        await expectHistory(fixture, "run-1", 0);
        assertEqual(idsOf(await fixture.claim("engine-1")), ["run-2", "run-1"]);
      },
    },
    {
      name: "a run that was deleted takes no messages and no changes",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.write("run-1", { run: ended("failed") });
        await fixture.storage.deleteRun("run-1");
        const messages = [...everyOtherMessage("run-1"), resumeMessage("resume", "run-1")];
        const answers = await fixture.storage.send(messages);
        for (const answer of answers) assertEqual(answer, { kind: "refused", code: "RUN_UNKNOWN" });
        const late = flush("late", "engine-1", changes("run-1", 1, { tasks: [taskRecord("run-1", 0)] }));
        assertEqual(await fixture.storage.commit(late), { kind: "ok", fenced: ["run-1"] });
        await expectHistory(fixture, "run-1", 0);
      },
    },
    {
      name: "deleteRun() leaves the runs that its tasks had started",
      async check(fixture) {
        await fixture.owned("parent");
        const child = newRun("child", { parent: { runId: "parent", task: "task-0", index: [] } });
        await fixture.storage.createRuns([child]);
        await fixture.write("parent", { run: ended("succeeded") });
        const before = await fixture.run("child");
        assert.equal(await fixture.storage.deleteRun("parent"), "deleted");
        assertEqual(await fixture.run("child"), before);
        assertEqual(idsOf(await fixture.all("runs", { parent: "parent" })), ["child"]);
      },
    },
  ],
};
