import { describe, expect, it } from "vitest";
import type { RunStatus, TaskRecord } from "../../contracts/records.js";
import type { Storage, StorageHint } from "../../contracts/storage.js";
import { settled } from "../../test-support/manual-clock.js";
import {
  changes,
  ended,
  flush,
  keyedSignal,
  message,
  newRun,
  runState,
  taskRecord,
  waitingTask,
} from "./test-records.js";
import { claim, idsOf, withEngines, withRuns } from "./test-store.js";

describe("send() and receive()", () => {
  it("keep messages for the owner, oldest first, until a commit consumes them", async () => {
    const { storage } = await withEngines("a", "b");
    await storage.createRuns([newRun({ id: "r", owner: "a" }), newRun({ id: "s", owner: "b" })]);
    const [first, second, other] = [message("r", "cancel"), message("r", "cancel"), message("s", "cancel")];
    expect(await storage.send([first, other, second])).toEqual([{ kind: "sent" }, { kind: "sent" }, { kind: "sent" }]);
    expect(await storage.receive("a")).toEqual([first, second]);
    expect(await storage.receive("a")).toEqual([first, second]);
    await storage.commit(flush("a", changes("r", 1, { consumed: [first.id] })));
    expect(await storage.receive("a")).toEqual([second]);
    expect(await storage.receive("b")).toEqual([other]);
  });

  it("travel with the run to its next owner", async () => {
    const { storage } = await withEngines("a", "b");
    await storage.createRuns([newRun({ id: "r", owner: "a" })]);
    const sent = message("r", "cancel");
    await storage.send([sent]);
    await storage.releaseLease("a");
    expect(await storage.receive("b")).toEqual([]);
    await claim(storage, "b");
    expect(await storage.receive("b")).toEqual([sent]);
  });

  it("refuse what makes no sense, and put a run that is resumed back to queued in the same change", async () => {
    const { storage } = await withEngines("a");
    const ids = ["failed", "cancelled", "quarantined", "succeeded", "active"] as const;
    await storage.createRuns(ids.map((id) => newRun({ id, owner: "a" })));
    const finals = ids.filter((id) => id !== "active").map((id) => changes(id, 1, ended(id)));
    await storage.commit(flush("a", ...finals));
    const answers = await storage.send([...ids, "nobody"].map((id) => message(id, "resume")));
    expect(answers).toEqual([
      { kind: "sent" },
      { kind: "sent" },
      { kind: "sent" },
      { kind: "refused", code: "RUN_FINISHED" },
      { kind: "refused", code: "RUN_ACTIVE" },
      { kind: "refused", code: "RUN_UNKNOWN" },
    ]);
    expect(await storage.getRun("failed")).toMatchObject({ status: "queued", finishedAt: undefined, error: undefined });
    expect(await storage.send([message("failed", "resume"), message("succeeded", "cancel")])).toEqual([
      { kind: "refused", code: "RUN_ACTIVE" },
      { kind: "refused", code: "RUN_FINISHED" },
    ]);
    const claimed = await claim(storage, "a");
    expect(claimed.map(({ id, epoch }) => [id, epoch])).toEqual([
      ["failed", 2],
      ["cancelled", 2],
      ["quarantined", 2],
    ]);
    expect((await storage.receive("a")).map(({ kind }) => kind)).toEqual(["resume", "resume", "resume"]);
  });
});

describe("what may be said to a run", () => {
  const unfinished = ["queued", "running", "waiting", "paused"] as const;
  const failed = ["failed", "cancelled", "quarantined"] as const;
  const everything = ["resume", "rerun", "cancel", "pause", "unpause", "signal"] as const;

  async function answersOf(status: RunStatus) {
    const { storage } = await withRuns(...everything);
    await storage.commit(flush("a", ...everything.map((id) => changes(id, 1, { run: runState(status) }))));
    const answers = await storage.send(everything.map((kind) => message(kind, kind)));
    return answers.map((answer) => (answer.kind === "sent" ? "sent" : answer.code));
  }

  it.each([
    ...unfinished.map((status) => [status, ["RUN_ACTIVE", "RUN_ACTIVE", "sent", "sent", "sent", "sent"]] as const),
    ...failed.map((status) => [status, ["sent", "sent", ...Array(4).fill("RUN_FINISHED")]] as const),
    ["succeeded", ["RUN_FINISHED", "sent", ...Array(4).fill("RUN_FINISHED")]] as const,
  ])("while it is %s", async (status, expected) => {
    expect(await answersOf(status)).toEqual(expected);
  });

  it("a rerun puts a run that succeeded back to queued in the same change, for anybody", async () => {
    const { storage } = await withRuns("r");
    await storage.commit(flush("a", changes("r", 1, ended("succeeded"))));
    const rerun = message("r", "rerun", { params: "j1:[1]" });
    await storage.send([rerun]);
    expect(await storage.getRun("r")).toMatchObject({ status: "queued", finishedAt: undefined, params: "j1:{}" });
    expect(await claim(storage, "b")).toMatchObject([{ id: "r", owner: "b", epoch: 2 }]);
    expect(await storage.receive("b")).toEqual([rerun]);
  });
});

describe("sendSignals()", () => {
  /** Writes what a task of the run is now. */
  const write = (storage: Storage, runId: string, ...tasks: TaskRecord[]) =>
    storage.commit(flush("a", changes(runId, 1, { tasks })));
  const given = async (storage: Storage, engineId = "a") =>
    (await storage.receive(engineId)).map(({ id, runId }) => `${id} to ${runId}`);

  it("keeps signals until a task waits, and gives a message of the key that says what was sent", async () => {
    const { storage } = await withRuns("r");
    const hints: StorageHint[] = [];
    await storage.listen!((hint) => void hints.push(hint));
    await storage.sendSignals([keyedSignal("s1", "k"), keyedSignal("s2", "other")]);
    await write(storage, "r", taskRecord("r"), taskRecord("r", { position: 1, wait: { kind: "signal", key: "k" } }));
    expect(await storage.receive("a")).toEqual([]);
    await write(storage, "r", waitingTask("r", undefined), waitingTask("r", "k", { position: 1 }));
    const expected = { id: "s1", runId: "r", sentAt: 7, kind: "signal", to: { key: "k" }, payload: 'j1:"s1"' };
    expect(await storage.receive("a")).toEqual([expected]);
    await storage.send([message("r", "pause", { id: "pause" })]);
    expect(idsOf(await storage.receive("a"))).toEqual(["s1", "pause"]);
    await settled(1);
    expect(hints.map(({ topic, ids }) => [topic, ...ids])).toEqual([["inbox"], ["inbox", "r"], ["inbox", "r"]]);
  });

  it("gives the oldest signal to who has waited longest, and nobody a second one", async () => {
    const { storage } = await withRuns("r", "s");
    await write(storage, "s", waitingTask("s", "k"));
    await write(storage, "r", waitingTask("r", "k"), waitingTask("r", "k", { position: 1, index: [3] }));
    await write(
      storage,
      "s",
      waitingTask("s", "k", { reason: "written again" }),
      waitingTask("s", "k", { position: 5 }),
    );
    await storage.sendSignals([1, 2, 3].map((n) => keyedSignal(`${n}`, "k")));
    expect(await given(storage)).toEqual(["1 to s", "2 to r", "3 to r"]);
    await storage.sendSignals([4, 5, 6].map((n) => keyedSignal(`${n}`, "k")));
    expect(await given(storage)).toEqual(["1 to s", "2 to r", "3 to r", "4 to s"]);
    const served = { tasks: [taskRecord("s")], consumed: ["1"] };
    await storage.commit(flush("a", changes("s", 1, served)));
    expect(await given(storage)).toEqual(["2 to r", "3 to r", "4 to s"]);
    await write(storage, "s", waitingTask("s", "k"));
    expect(await given(storage)).toEqual(["2 to r", "3 to r", "4 to s", "5 to s"]);
  });

  it("gives nothing to runs of other engines, however long they have waited", async () => {
    const { storage } = await withRuns("r");
    await storage.createRuns([newRun({ id: "of-b", owner: "b" })]);
    await write(storage, "r", waitingTask("r", "k"));
    await storage.commit(flush("b", changes("of-b", 1, { tasks: [waitingTask("of-b", "k")] })));
    await storage.sendSignals([keyedSignal("1", "k"), keyedSignal("s", "k")]);
    expect(await given(storage, "b")).toEqual(["1 to of-b"]);
    await storage.commit(flush("b", changes("of-b", 1, { consumed: ["1"], ...ended("failed") })));
    await storage.releaseLease("a");
    expect(await given(storage, "b")).toEqual([]);
    await claim(storage, "b");
    expect(await given(storage, "b")).toEqual(["s to r"]);
    await storage.commit(flush("b", changes("r", 2, ended("failed"))));
    expect(await given(storage, "b")).toEqual([]);
  });

  it.each<[string, TaskRecord[]]>([
    ["ended", [taskRecord("r", { index: [1] })]],
    ["waits for another key", [waitingTask("r", "other", { index: [1] })]],
    ["was opened anew", [taskRecord("r", { index: [1], generation: 2, status: "ready" })]],
    ["is part of what was opened anew", [taskRecord("r", { generation: 2, status: "ready" })]],
    [
      "is behind a newer one",
      [taskRecord("r", { generation: 3 }), waitingTask("r", "k", { index: [1], generation: 2 })],
    ],
  ])("gives nothing to a task that %s", async (_, records) => {
    const { storage } = await withRuns("r", "s");
    await write(storage, "r", waitingTask("r", "k", { index: [1] }));
    await write(storage, "s", waitingTask("s", "k"));
    await write(storage, "r", ...records);
    await storage.sendSignals([keyedSignal("1", "k"), keyedSignal("2", "k")]);
    expect(await given(storage)).toEqual(["1 to s"]);
  });

  it("goes by what a task waits for in its newest generation", async () => {
    const { storage } = await withRuns("r");
    await write(storage, "r", waitingTask("r", "new", { generation: 2 }));
    await write(storage, "r", waitingTask("r", "old"), taskRecord("r"));
    await storage.sendSignals([keyedSignal("1", "old"), keyedSignal("2", "new")]);
    expect(await given(storage)).toEqual(["2 to r"]);
  });

  it("forgets what waited in a run that is deleted", async () => {
    const { storage } = await withRuns("r", "s");
    await write(storage, "r", waitingTask("r", "k"));
    await storage.commit(flush("a", changes("r", 1, ended("failed"))));
    expect(await storage.deleteRun("r")).toBe("deleted");
    await storage.createRuns([newRun({ id: "r", owner: "a" })]);
    await storage.sendSignals([keyedSignal("1", "k")]);
    expect(await given(storage)).toEqual([]);
  });

  it("keeps the turn of a task that waits when its run gets another definition", async () => {
    const { storage } = await withRuns("r", "s");
    await write(storage, "r", waitingTask("r", "k"), waitingTask("r", "l", { position: 1 }));
    await write(storage, "s", waitingTask("s", "k"), waitingTask("s", "l", { position: 1 }));
    const tasks = [
      { from: 0, position: 1, task: "u" },
      { from: 1, position: 0, task: "t" },
    ];
    await storage.remapRun({ engineId: "a", runId: "r", epoch: 1, definition: "work@2", tasks });
    await storage.sendSignals([keyedSignal("1", "k")]);
    expect(await given(storage)).toEqual(["1 to r"]);
    await write(storage, "r", taskRecord("r", { position: 1, task: "u" }));
    await storage.sendSignals([keyedSignal("2", "k"), keyedSignal("3", "l")]);
    expect(await given(storage)).toEqual(["1 to r", "2 to s", "3 to r"]);
  });

  it("forgets what waited in tasks that a run loses with its definition", async () => {
    const { storage } = await withRuns("r", "s");
    await write(storage, "r", waitingTask("r", "k"), waitingTask("r", "k", { position: 1 }));
    await write(storage, "s", waitingTask("s", "k"));
    const tasks = [{ from: 1, position: 0, task: "t" }];
    await storage.remapRun({ engineId: "a", runId: "r", epoch: 1, definition: "work@2", tasks });
    await storage.sendSignals(["1", "2", "3"].map((id) => keyedSignal(id, "k")));
    expect(await given(storage)).toEqual(["1 to r", "2 to s"]);
  });
});
