import assert from "node:assert/strict";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { idsOf, type StorageFixture } from "./fixture.js";
import {
  cancelMessage,
  changes,
  claimRequest,
  ended,
  everyOtherMessage,
  flush,
  newRun,
  ODD_TEXTS,
  rerunMessage,
  resumeMessage,
  runState,
  START,
} from "./records.js";

const SENT = { kind: "sent" } as const;

export const inbox: ContractTopic<StorageFixture> = {
  name: "inbox",
  cases: [
    {
      name: "receive() gives an engine the messages of its runs, as they were sent",
      async check(fixture) {
        await fixture.owned("run-1");
        const messages = [cancelMessage("cancel", "run-1"), ...everyOtherMessage("run-1")];
        assertEqual(
          await fixture.storage.send(messages),
          messages.map(() => SENT),
        );
        assertEqual(await fixture.storage.receive("engine-1"), messages);
      },
    },
    {
      name: "receive() gives the oldest first over all runs",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        for (const [n, runId] of ["run-2", "run-1", "run-2", "run-1"].entries()) {
          await fixture.storage.send([cancelMessage(`m${n}`, runId, { sentAt: START + n })]);
        }
        assertEqual(await fixture.messageIds("engine-1"), ["m0", "m1", "m2", "m3"]);
      },
    },
    {
      name: "receive() gives nothing of runs that others own or nobody",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.register("engine-2");
        await fixture.create("free");
        await fixture.storage.send([cancelMessage("m1", "run-1"), cancelMessage("m2", "free")]);
        assertEqual(await fixture.messageIds("engine-2"), []);
        await fixture.claim("engine-2");
        assertEqual(await fixture.messageIds("engine-2"), ["m2"]);
        assertEqual(await fixture.messageIds("engine-1"), ["m1"]);
      },
    },
    {
      name: "messages stay until a commit consumes them",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        await fixture.storage.send(["a", "b", "c"].map((id) => cancelMessage(id, id === "c" ? "run-2" : "run-1")));
        assertEqual((await fixture.messageIds("engine-1")).sort(), ["a", "b", "c"]);
        assertEqual((await fixture.messageIds("engine-1")).sort(), ["a", "b", "c"]);
        await fixture.write("run-1", { consumed: ["a"] });
        assertEqual((await fixture.messageIds("engine-1")).sort(), ["b", "c"]);
        await fixture.write("run-1", { consumed: ["b"] });
        await fixture.write("run-2", { consumed: ["c"] });
        assertEqual(await fixture.messageIds("engine-1"), []);
      },
    },
    {
      name: "messages wait for the next owner of a run",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.register("engine-2");
        await fixture.storage.send([cancelMessage("m1", "run-1")]);
        await fixture.storage.releaseLease("engine-1");
        await fixture.storage.send([cancelMessage("m2", "run-1", { sentAt: START + 1 })]);
        await fixture.claim("engine-2");
        assertEqual(await fixture.messageIds("engine-2"), ["m1", "m2"]);
        assertEqual(await fixture.messageIds("engine-1"), []);
      },
    },
    {
      name: "send() treats each message on its own and answers in the same order",
      async check(fixture) {
        await fixture.owned("active", "done");
        await fixture.write("done", { run: ended("succeeded") });
        const answers = await fixture.storage.send([
          cancelMessage("m1", "no-such-run"),
          cancelMessage("m2", "active"),
          cancelMessage("m3", "done"),
          resumeMessage("m4", "active"),
          cancelMessage("m5", "active"),
        ]);
        assertEqual(answers, [
          { kind: "refused", code: "RUN_UNKNOWN" },
          SENT,
          { kind: "refused", code: "RUN_FINISHED" },
          { kind: "refused", code: "RUN_ACTIVE" },
          SENT,
        ]);
        assertEqual(await fixture.messageIds("engine-1"), ["m2", "m5"]);
      },
    },
    {
      name: "send() of a resume puts a finished run that did not succeed back to queued, for anybody to claim",
      async check(fixture) {
        const statuses = ["failed", "cancelled", "quarantined"] as const;
        await fixture.owned(...statuses);
        await fixture.commit("engine-1", ...statuses.map((status) => changes(status, 1, { run: ended(status) })));
        await fixture.register("engine-2");
        assertEqual(await fixture.claim("engine-2"), []);
        const sent = await fixture.storage.send(statuses.map((status) => resumeMessage(`resume-${status}`, status)));
        assertEqual(sent, [SENT, SENT, SENT]);
        for (const status of statuses) assert.equal((await fixture.run(status)).status, "queued");
        const claimed = await fixture.claim("engine-2");
        assertEqual(claimed.map(({ id, epoch }) => [id, epoch]).sort(), [
          ["cancelled", 2],
          ["failed", 2],
          ["quarantined", 2],
        ]);
        assertEqual((await fixture.messageIds("engine-2")).sort(), statuses.map((status) => `resume-${status}`).sort());
      },
    },
    {
      name: "send() of a resume is refused while the run has not ended, and when it succeeded",
      async check(fixture) {
        await fixture.owned("running", "succeeded", "failed");
        await fixture.create("queued");
        await fixture.write("succeeded", { run: ended("succeeded") });
        await fixture.write("failed", { run: ended("failed") });
        const answers = await fixture.storage.send([
          resumeMessage("m1", "running"),
          resumeMessage("m2", "queued"),
          resumeMessage("m3", "succeeded"),
          resumeMessage("m4", "failed"),
          resumeMessage("m5", "failed"),
        ]);
        assertEqual(
          answers.map((answer) => (answer.kind === "sent" ? "sent" : answer.code)),
          ["RUN_ACTIVE", "RUN_ACTIVE", "RUN_FINISHED", "sent", "RUN_ACTIVE"],
        );
        assert.equal((await fixture.run("succeeded")).status, "succeeded");
      },
    },
    {
      name: "send() of a rerun puts any finished run back to queued, for anybody to claim",
      async check(fixture) {
        const statuses = ["succeeded", "failed", "cancelled", "quarantined"] as const;
        await fixture.owned(...statuses);
        await fixture.commit("engine-1", ...statuses.map((status) => changes(status, 1, { run: ended(status) })));
        const reruns = statuses.map((status, place) =>
          rerunMessage(`rerun-${status}`, status, {
            sentAt: START + place,
            tasks: ["task-3", "task-0"],
            downstream: place % 2 === 0,
            params: place === 0 ? undefined : `d1:${ODD_TEXTS[place]}`,
          }),
        );
        assertEqual(
          await fixture.storage.send(reruns),
          reruns.map(() => SENT),
        );
        for (const id of statuses) {
          const { status, generation, owner } = await fixture.run(id);
          assertEqual([status, generation, owner], ["queued", 1, undefined]);
        }
        await fixture.register("engine-2");
        const claimed = await fixture.claim("engine-2");
        assertEqual(claimed.map(({ id, epoch }) => [id, epoch]).sort(), statuses.map((status) => [status, 2]).sort());
        assertEqual(await fixture.storage.receive("engine-2"), reruns);
      },
    },
    {
      name: "send() of a rerun is refused while the run has not ended",
      async check(fixture) {
        const statuses = ["running", "waiting", "paused"] as const;
        await fixture.owned("queued", ...statuses, "ended");
        await fixture.commit(
          "engine-1",
          ...statuses.map((status) => changes(status, 1, { run: runState(status) })),
          changes("ended", 1, { run: ended("succeeded") }),
        );
        const ids = ["queued", ...statuses, "no-such-run", "ended", "ended"];
        const answers = await fixture.storage.send(ids.map((id, place) => rerunMessage(`m${place}`, id)));
        assertEqual(
          answers.map((answer) => (answer.kind === "sent" ? "sent" : answer.code)),
          ["RUN_ACTIVE", "RUN_ACTIVE", "RUN_ACTIVE", "RUN_ACTIVE", "RUN_UNKNOWN", "sent", "RUN_ACTIVE"],
        );
        assertEqual(await fixture.messageIds("engine-1"), []);
      },
    },
    {
      name: "send() refuses everything but a resume or rerun of a run that has ended",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.write("run-1", { run: ended("failed") });
        const before = await fixture.run("run-1");
        const answers = await fixture.storage.send([cancelMessage("cancel", "run-1"), ...everyOtherMessage("run-1")]);
        for (const answer of answers) assertEqual(answer, { kind: "refused", code: "RUN_FINISHED" });
        assertEqual(await fixture.run("run-1"), before);
        await fixture.storage.send([rerunMessage("rerun", "run-1")]);
        await fixture.claim("engine-1");
        assertEqual(await fixture.messageIds("engine-1"), ["rerun"]);
      },
    },
    {
      name: "send() of a whole run's cancel makes one that is to start later due at once, and no other message does",
      async check(fixture) {
        await fixture.register("engine-1");
        await fixture.storage.createRuns([newRun("run-1", { availableAt: START + 3_600_000 })]);
        await fixture.storage.send(everyOtherMessage("run-1"));
        const now = START + 1_000;
        assertEqual(await fixture.storage.claimRuns(claimRequest("engine-1", { now })), []);
        await fixture.storage.send([cancelMessage("cancel", "run-1", { sentAt: now })]);
        const claimed = await fixture.storage.claimRuns(claimRequest("engine-1", { now }));
        assertEqual(idsOf(claimed), ["run-1"]);
        assert.ok((await fixture.messageIds("engine-1")).includes("cancel"));
      },
    },
    {
      name: "a run that was resumed keeps its tasks, and its former owner is fenced",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.write("run-1", { run: ended("failed") });
        await fixture.storage.send([resumeMessage("m1", "run-1")]);
        const late = flush("late", "engine-1", changes("run-1", 1, { run: ended("succeeded") }));
        await fixture.claim("engine-1");
        assertEqual(await fixture.storage.commit(late), { kind: "ok", fenced: ["run-1"] });
        await fixture.commit("engine-1", changes("run-1", 2, { run: runState("running"), consumed: ["m1"] }));
        assertEqual(await fixture.messageIds("engine-1"), []);
      },
    },
    {
      name: "a final status empties the inbox of its run",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.storage.send([cancelMessage("too-late", "run-1")]);
        await fixture.write("run-1", { run: ended("failed") });
        await fixture.storage.send([resumeMessage("resume", "run-1")]);
        await fixture.claim("engine-1");
        // Delivered now, the old message would end the run that somebody has just resumed.
        assertEqual(await fixture.messageIds("engine-1"), ["resume"]);
      },
    },
  ],
};
