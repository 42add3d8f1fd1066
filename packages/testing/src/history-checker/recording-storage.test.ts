import { describe, expect, it } from "vitest";
import { type Flush, memoryStorage, type NewRun, type Storage } from "weftline";
import { recordingStorage } from "./recording-storage.js";
import { state } from "./test-support/story.js";

const RUN: NewRun = {
  ...{ id: "r1", pipeline: "p", definition: "h", params: "j1:{}" as NewRun["params"], key: "k", fingerprint: "f" },
  ...{
    tags: [],
    priority: 0,
    parent: undefined,
    createdAt: 0,
    availableAt: 0,
    schedule: undefined,
    instant: undefined,
  },
  owner: "e1",
};

/** A store in which one method does its work and fails to say so, once. */
function losing(inner: Storage, method: "commit" | "createRuns" | "claimRuns"): Storage {
  let isLost = false;
  return new Proxy(inner, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return async (...args: unknown[]) => {
        const answer: unknown = await member.apply(target, args);
        if (name !== method || isLost) return answer;
        isLost = true;
        throw new Error("connection reset");
      };
    },
  });
}

async function opened(inner: Storage = memoryStorage()) {
  const recording = recordingStorage(inner, { now: () => 7 });
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  await recording.storage.open({ log, now: () => 7 });
  for (const engineId of ["e1", "e2"]) {
    await recording.storage.renewLease({ engineId, leaseMs: 10, isNew: true, definitions: ["h"] });
  }
  const told = () => recording.history.filter(({ type }) => type !== "lease");
  return { ...recording, told };
}

let flushes = 0;
const flush = (id: string, epoch = 1): Flush => ({
  ...{ id, number: ++flushes, engineId: "e1" },
  runs: [
    {
      ...{ runId: "r1", epoch, run: state("running") as never, tasks: [], attempts: [], logs: [], metrics: [] },
      ...{ artifacts: [], steps: [], assets: [], cached: [], consumed: [] },
    },
  ],
});

describe("recordingStorage()", () => {
  it("records each change once and what changes nothing not at all", async () => {
    const { storage, told } = await opened();
    await storage.createRuns([RUN]);
    await storage.createRuns([RUN]); // known by its id
    await storage.createRuns([{ ...RUN, id: "r2" }]); // known by its key
    await storage.commit(flush("f1"));
    await storage.commit(flush("f1"));
    expect(told().map(({ type }) => type)).toEqual(["created", "flushed"]);
    expect(told()[1]).toMatchObject({ flush: "f1", outcome: "ok", sends: 2, at: 7 });
    expect(told().map(({ seq }) => seq)).toEqual([...told().map(({ seq }) => seq)].sort((a, b) => a - b));
  });

  it("marks what a store fences", async () => {
    const { storage, told } = await opened();
    await storage.createRuns([RUN]);
    await storage.commit(flush("f1", 3));
    expect(told()[1]).toMatchObject({ outcome: "ok", runs: [{ runId: "r1", epoch: 3, fenced: true }] });
  });

  it("takes a commit whose answer was lost as one flush when it is sent again", async () => {
    const { storage, told } = await opened(losing(memoryStorage(), "commit"));
    await storage.createRuns([RUN]);
    await expect(storage.commit(flush("f1"))).rejects.toThrow("connection reset");
    expect(told()[1]).toMatchObject({ outcome: "unknown", sends: 1 });
    await storage.commit(flush("f1"));
    expect(told().slice(1)).toMatchObject([{ flush: "f1", outcome: "ok", sends: 2 }]);
  });

  it("finds runs that were created or claimed although the answer was lost", async () => {
    const created = await opened(losing(memoryStorage(), "createRuns"));
    await expect(created.storage.createRuns([RUN])).rejects.toThrow("connection reset");
    expect(created.told()).toEqual([]);
    await created.settle();
    expect(created.told()).toMatchObject([{ type: "created", runId: "r1", owner: "e1" }]);

    const claimed = await opened(losing(memoryStorage(), "claimRuns"));
    await claimed.storage.createRuns([{ ...RUN, owner: undefined }]);
    const request = {
      engineId: "e2",
      definitions: ["h"],
      maxActiveRuns: {},
      limit: 9,
      suspectFrom: 9,
      suspects: 9,
      now: 7,
    };
    await expect(claimed.storage.claimRuns(request)).rejects.toThrow("connection reset");
    await claimed.settle();
    expect(claimed.told()).toMatchObject([
      { type: "created" },
      { type: "claimed", runId: "r1", engine: "e2", epoch: 1 },
    ]);
  });

  it("draws its places from a sequence that others share", async () => {
    let last = 100;
    const inner = memoryStorage();
    const { storage, history } = recordingStorage(inner, { now: () => 7, sequence: () => ++last });
    await storage.open({ log: { debug() {}, info() {}, warn() {}, error() {} }, now: () => 7 });
    await storage.renewLease({ engineId: "e1", leaseMs: 10, isNew: true, definitions: [] });
    last++;
    await storage.releaseLease("e1");
    expect(history.map(({ seq, since }) => [seq, since])).toEqual([
      [101, 0],
      [103, 101],
    ]);
  });
});
