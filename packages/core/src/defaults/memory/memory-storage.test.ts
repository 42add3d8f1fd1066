import { describe, expect, it } from "vitest";
import type { AttemptRecord, NewRun, RunMessage, RunStatus, TaskRecord } from "../../contracts/records.js";
import type { Flush, RunChanges, Storage, StorageHint } from "../../contracts/storage.js";
import { guardLogger } from "../../logger.js";
import { RecordingLogger } from "../../test-support/engines.js";
import { settled } from "../../test-support/manual-clock.js";
import { memoryStorage } from "./memory-storage.js";

const LEASE_MS = 10_000;

async function opened() {
  const storage = memoryStorage();
  const time = { now: 1_000_000 };
  const context = { log: guardLogger(new RecordingLogger()), now: () => time.now };
  await storage.open(context);
  return { storage, time, context };
}

async function withEngines(...engines: string[]) {
  const world = await opened();
  for (const engine of engines) await world.storage.renewLease(engine, LEASE_MS);
  return world;
}

let serial = 0;

function newRun(part: Partial<NewRun> = {}): NewRun {
  return {
    id: `run-${++serial}`,
    pipeline: "work",
    definition: "work@1",
    params: "j1:{}",
    key: undefined,
    fingerprint: "",
    tags: [],
    createdAt: 0,
    availableAt: 0,
    schedule: undefined,
    instant: undefined,
    owner: undefined,
    ...part,
  };
}

function taskRecord(runId: string, part: Partial<TaskRecord> = {}): TaskRecord {
  return {
    runId,
    task: "t",
    position: 0,
    index: [],
    status: "succeeded",
    attempts: 1,
    attemptsBefore: 0,
    startedAt: 1,
    finishedAt: 2,
    retryAt: undefined,
    output: "j1:1",
    error: undefined,
    reason: undefined,
    items: undefined,
    list: undefined,
    ...part,
  };
}

function attemptRecord(runId: string, part: Partial<AttemptRecord> = {}): AttemptRecord {
  return {
    runId,
    task: "t",
    position: 0,
    index: [],
    attempt: 1,
    status: "succeeded",
    executor: "default",
    engineId: "a",
    startedAt: 1,
    finishedAt: 2,
    error: undefined,
    ...part,
  };
}

function changes(runId: string, epoch: number, part: Partial<RunChanges> = {}): RunChanges {
  const nothing = { tasks: [], attempts: [], logs: [], metrics: [], artifacts: [], consumed: [] };
  return { runId, epoch, run: undefined, ...nothing, ...part };
}

const ended = (status: RunStatus, finishedAt = 5) => ({
  run: { status, startedAt: 1, finishedAt, deadlineAt: undefined, error: undefined },
});

let flushes = 0;
const flush = (engineId: string, ...runs: RunChanges[]): Flush => ({ id: `flush-${++flushes}`, engineId, runs });

const claim = (
  storage: Storage,
  engineId: string,
  part: { limit?: number; now?: number; definitions?: string[] } = {},
) => storage.claimRuns({ engineId, definitions: ["work@1"], limit: 100, now: 0, ...part });

const message = (runId: string, part: { kind: "cancel" | "resume"; id?: string }): RunMessage =>
  ({ id: `m-${++serial}`, runId, sentAt: 0, task: undefined, reason: undefined, ...part }) as RunMessage;

describe("life cycle", () => {
  it("refuses every call before open() and after close() with STORAGE_CLOSED, and keeps its data over both", async () => {
    const { storage, context } = await withEngines("a");
    const run = newRun();
    await storage.createRuns([run]);
    await storage.close();
    await storage.close();
    const closed = { code: "STORAGE_CLOSED" };
    const calls = (target: Storage): (() => Promise<unknown>)[] => [
      () => target.renewLease("a", 1),
      () => target.releaseLease("a"),
      () => target.createRuns([newRun()]),
      () => claim(target, "a"),
      () => target.loadRun(run.id, { limit: 1 }),
      () => target.commit(flush("a")),
      () => target.send([]),
      () => target.receive("a"),
      () => target.nextWake(0),
      () => target.getRun(run.id),
      () => target.list("runs", {}, { limit: 1 }),
      () => target.getArtifact(run.id, "x"),
      () => target.schedules(),
      () => target.putSchedules([]),
      () => target.fire({ schedule: "s", expected: 0, next: undefined, run: undefined }),
      () => target.prune({ before: 0, limit: 1 }),
    ];
    for (const call of [...calls(storage), ...calls(memoryStorage())])
      await expect(call()).rejects.toMatchObject(closed);
    await storage.open(context);
    expect(await storage.getRun(run.id)).toMatchObject({ id: run.id, status: "queued" });
  });

  it("says what it can do", () => {
    expect(memoryStorage().supports).toEqual({
      manyProcesses: false,
      hostTransactions: false,
      notify: true,
      durable: false,
    });
  });
});

describe("createRuns()", () => {
  it("answers in order: created, existing, conflict; keys belong to their pipeline", async () => {
    const { storage } = await opened();
    const [first] = await storage.createRuns([newRun({ key: "k", fingerprint: "f" })]);
    const id = first?.kind === "created" ? first.run.id : "";
    const results = await storage.createRuns([
      newRun({ key: "k", fingerprint: "f" }),
      newRun({ key: "k", fingerprint: "g" }),
      newRun({ key: "k", fingerprint: "g", pipeline: "other" }),
      newRun({ key: "new", fingerprint: "f" }),
      newRun({ key: "new", fingerprint: "f" }),
      newRun(),
    ]);
    expect(results.map(({ kind }) => kind)).toEqual([
      "existing",
      "conflict",
      "created",
      "created",
      "existing",
      "created",
    ]);
    expect(results[0]).toMatchObject({ run: { id } });
    expect(results[1]).toEqual({ kind: "conflict", runId: id });
    expect((await storage.list("runs", {}, { limit: 100 })).items).toHaveLength(4);
  });

  it("creates a run with its owner under epoch 1, others under 0", async () => {
    const { storage } = await withEngines("a");
    const results = await storage.createRuns([newRun({ owner: "a" }), newRun()]);
    expect(results).toMatchObject([
      { run: { owner: "a", epoch: 1, status: "queued" } },
      { run: { owner: undefined, epoch: 0, status: "queued" } },
    ]);
    expect(await claim(storage, "a")).toHaveLength(1);
  });

  it("creates nothing at all for an engine without a lease", async () => {
    const { storage } = await opened();
    const orphan = newRun({ owner: "gone", key: "k", fingerprint: "f" });
    await expect(storage.createRuns([newRun(), orphan])).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect((await storage.list("runs", {}, { limit: 10 })).items).toEqual([]);
    expect(await storage.createRuns([{ ...orphan, owner: undefined }])).toMatchObject([{ kind: "created" }]);
  });
});

describe("claims, leases and epochs", () => {
  it("give each run to one engine, oldest first, up to the limit", async () => {
    const { storage } = await withEngines("a", "b");
    const runs = [newRun(), newRun(), newRun(), newRun(), newRun()];
    await storage.createRuns(runs);
    const ofA = await claim(storage, "a", { limit: 2 });
    const ofB = await claim(storage, "b", { limit: 2 });
    const rest = await claim(storage, "a");
    expect([...ofA, ...ofB, ...rest].map(({ id }) => id)).toEqual(runs.map(({ id }) => id));
    expect(ofA[0]).toMatchObject({ owner: "a", epoch: 1 });
    expect(ofB[0]).toMatchObject({ owner: "b", epoch: 1 });
    expect(await claim(storage, "b")).toEqual([]);
  });

  it("leave runs that are not due, and those of other definitions", async () => {
    const { storage } = await withEngines("a");
    await storage.createRuns([
      newRun({ id: "later", availableAt: 500 }),
      newRun({ id: "foreign", definition: "work@2" }),
    ]);
    expect(await claim(storage, "a", { now: 499 })).toEqual([]);
    expect(await storage.nextWake(499)).toBe(500);
    expect((await claim(storage, "a", { now: 500 })).map(({ id }) => id)).toEqual(["later"]);
    expect(await storage.nextWake(500)).not.toBe(500);
    expect((await claim(storage, "a", { definitions: ["work@2"] })).map(({ id }) => id)).toEqual(["foreign"]);
  });

  it("while a lease holds, nobody else gets its runs; when it ran out, they come under a higher epoch", async () => {
    const { storage, time } = await withEngines("a", "b");
    await storage.createRuns([newRun({ id: "r" })]);
    await claim(storage, "a");
    time.now += LEASE_MS - 1;
    await storage.renewLease("b", LEASE_MS);
    expect(await claim(storage, "b")).toEqual([]);
    expect(await storage.nextWake(time.now)).toBe(time.now + 1);
    time.now += 1;
    expect(await claim(storage, "b")).toMatchObject([{ id: "r", owner: "b", epoch: 2 }]);
  });

  it("F15 fence the former owner: nothing of its flush for that run is written, the rest is", async () => {
    const { storage, time } = await withEngines("a", "b");
    await storage.createRuns([newRun({ id: "lost" })]);
    await claim(storage, "a");
    time.now += LEASE_MS;
    await storage.renewLease("b", LEASE_MS);
    await claim(storage, "b");
    const state = await storage.renewLease("a", LEASE_MS);
    expect(state).toEqual({ now: time.now, lost: true });
    await storage.createRuns([newRun({ id: "kept", owner: "a" })]);
    const outcome = await storage.commit(
      flush(
        "a",
        changes("lost", 1, { tasks: [taskRecord("lost")], attempts: [attemptRecord("lost")], ...ended("succeeded") }),
        changes("kept", 1, { tasks: [taskRecord("kept")] }),
        changes("unknown", 1),
      ),
    );
    expect(outcome).toEqual({ kind: "ok", fenced: ["lost", "unknown"] });
    expect(await storage.getRun("lost")).toMatchObject({ status: "queued", owner: "b", epoch: 2 });
    expect((await storage.loadRun("lost", { limit: 10 })).items).toEqual([]);
    expect((await storage.list("attempts", { runId: "lost" }, { limit: 10 })).items).toEqual([]);
    expect((await storage.loadRun("kept", { limit: 10 })).items).toHaveLength(1);
    // The same engine under an old epoch is a stranger too.
    expect(await storage.commit(flush("b", changes("lost", 1)))).toMatchObject({ fenced: ["lost"] });
  });

  it("renewing in time keeps the runs and says that nothing was lost", async () => {
    const { storage, time } = await withEngines("a", "b");
    await storage.createRuns([newRun({ id: "r", owner: "a" })]);
    for (let beat = 0; beat < 5; beat++) {
      time.now += LEASE_MS / 2;
      expect(await storage.renewLease("a", LEASE_MS)).toEqual({ now: time.now, lost: false });
      await storage.renewLease("b", LEASE_MS);
    }
    expect(await claim(storage, "b")).toEqual([]);
    expect(await storage.commit(flush("a", changes("r", 1)))).toEqual({ kind: "ok", fenced: [] });
  });

  it("a released lease gives its unfinished runs back at once; epochs go on rising", async () => {
    const { storage } = await withEngines("a", "b");
    await storage.createRuns([newRun({ id: "r", owner: "a" }), newRun({ id: "done", owner: "a" })]);
    await storage.commit(flush("a", changes("done", 1, ended("succeeded"))));
    await storage.releaseLease("a");
    await storage.releaseLease("a");
    expect((await claim(storage, "b")).map(({ id, epoch }) => [id, epoch])).toEqual([["r", 2]]);
    expect(await storage.commit(flush("a", changes("r", 1)))).toEqual({ kind: "ok", fenced: ["r"] });
    await storage.releaseLease("b");
    await storage.renewLease("a", LEASE_MS);
    expect((await claim(storage, "a"))[0]?.epoch).toBe(3);
  });

  it("an endless lease never wakes anybody", async () => {
    const { storage } = await opened();
    await storage.renewLease("a", Number.POSITIVE_INFINITY);
    await storage.createRuns([newRun({ owner: "a" })]);
    expect(await storage.nextWake(0)).toBeUndefined();
  });
});

describe("commit()", () => {
  it("applies a flush id once, and answers the same again", async () => {
    const { storage } = await withEngines("a");
    await storage.createRuns([newRun({ id: "r", owner: "a" })]);
    const line = {
      runId: "r",
      task: "t",
      index: [],
      attempt: 1,
      at: 0,
      level: "info",
      message: "m",
      data: undefined,
    } as const;
    const sent = flush("a", changes("r", 1, { logs: [line] }), changes("nobody", 1));
    expect(await storage.commit(sent)).toEqual({ kind: "ok", fenced: ["nobody"] });
    expect(await storage.commit(sent)).toEqual({ kind: "ok", fenced: ["nobody"] });
    expect((await storage.list("logs", { runId: "r" }, { limit: 10 })).items).toEqual([line]);
  });

  it("replaces records under their identity, items and attempts included", async () => {
    const { storage } = await withEngines("a");
    await storage.createRuns([newRun({ id: "r", owner: "a" })]);
    const item = (place: number, part: Partial<TaskRecord> = {}) =>
      taskRecord("r", { position: 3, task: "m", index: [place], ...part });
    await storage.commit(
      flush(
        "a",
        changes("r", 1, {
          tasks: [item(7), item(2, { status: "running" })],
          attempts: [attemptRecord("r", { attempt: 2 })],
        }),
      ),
    );
    await storage.commit(
      flush(
        "a",
        changes("r", 1, {
          tasks: [item(2, { output: "j1:2" }), taskRecord("r")],
          attempts: [attemptRecord("r"), attemptRecord("r", { attempt: 2, status: "failed" })],
        }),
      ),
    );
    const { items } = await storage.loadRun("r", { limit: 10 });
    expect(items.map(({ position, index, status, output }) => [position, index, status, output])).toEqual([
      [0, [], "succeeded", "j1:1"],
      [3, [2], "succeeded", "j1:2"],
      [3, [7], "succeeded", "j1:1"],
    ]);
    const attempts = (await storage.list("attempts", { runId: "r" }, { limit: 10 })).items;
    expect(attempts.map(({ attempt, status }) => [attempt, status])).toEqual([
      [1, "succeeded"],
      [2, "failed"],
    ]);
  });

  it("with a final status releases the run and empties its inbox", async () => {
    const { storage, time } = await withEngines("a", "b");
    await storage.createRuns([newRun({ id: "r", owner: "a" })]);
    await storage.send([message("r", { kind: "cancel" })]);
    await storage.commit(flush("a", changes("r", 1, ended("failed"))));
    expect(await storage.getRun("r")).toMatchObject({ status: "failed", owner: undefined, epoch: 1 });
    expect(await storage.receive("a")).toEqual([]);
    // What was said to it before its end does not concern it after a resume.
    const resume = message("r", { kind: "resume" });
    await storage.send([resume]);
    await claim(storage, "a");
    expect(await storage.receive("a")).toEqual([resume]);
    await storage.commit(flush("a", changes("r", 2, ended("failed"))));
    time.now += LEASE_MS;
    await storage.renewLease("b", LEASE_MS);
    expect(await claim(storage, "b")).toEqual([]);
    expect(await storage.commit(flush("a", changes("r", 1)))).toMatchObject({ fenced: ["r"] });
  });
});

describe("send() and receive()", () => {
  it("keep messages for the owner, oldest first, until a commit consumes them", async () => {
    const { storage } = await withEngines("a", "b");
    await storage.createRuns([newRun({ id: "r", owner: "a" }), newRun({ id: "s", owner: "b" })]);
    const [first, second, other] = [
      message("r", { kind: "cancel" }),
      message("r", { kind: "cancel" }),
      message("s", { kind: "cancel" }),
    ];
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
    const sent = message("r", { kind: "cancel" });
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
    const answers = await storage.send([...ids, "nobody"].map((id) => message(id, { kind: "resume" })));
    expect(answers).toEqual([
      { kind: "sent" },
      { kind: "sent" },
      { kind: "sent" },
      { kind: "refused", code: "RUN_FINISHED" },
      { kind: "refused", code: "RUN_ACTIVE" },
      { kind: "refused", code: "RUN_UNKNOWN" },
    ]);
    expect(await storage.getRun("failed")).toMatchObject({ status: "queued", finishedAt: undefined, error: undefined });
    expect(
      await storage.send([message("failed", { kind: "resume" }), message("succeeded", { kind: "cancel" })]),
    ).toEqual([
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

describe("hints", () => {
  it("come after the change, on its topic, until the subscription ends", async () => {
    const { storage } = await withEngines("a");
    const hints: StorageHint[] = [];
    const seen: unknown[] = [];
    const end = await storage.listen!((hint) => {
      hints.push(hint);
      void storage.getRun("r").then((run) => seen.push(run?.status));
    });
    await storage.createRuns([newRun({ id: "r" })]);
    expect(hints).toEqual([{ topic: "runs", ids: ["r"] }]);
    await claim(storage, "a");
    await storage.send([message("r", { kind: "cancel" })]);
    await storage.commit(flush("a", changes("r", 1, ended("cancelled"))));
    await storage.putSchedules([]);
    await settled(1);
    expect(hints.map(({ topic, ids }) => [topic, ...ids])).toEqual([
      ["runs", "r"],
      ["inbox", "r"],
      ["finished", "r"],
      ["schedules"],
    ]);
    expect(seen[0]).toBe("queued");
    await end();
    await storage.createRuns([newRun()]);
    await settled(1);
    expect(hints).toHaveLength(4);
  });
});

describe("prune()", () => {
  it("deletes finished runs that ended before the moment, up to the limit, with history and key; never an active one", async () => {
    const { storage } = await withEngines("a");
    const kinds = ["succeeded", "failed", "cancelled", "quarantined"] as const;
    await storage.createRuns(kinds.map((id) => newRun({ id, owner: "a", key: id, fingerprint: "f" })));
    await storage.createRuns([
      newRun({ id: "active", owner: "a" }),
      newRun({ id: "queued" }),
      newRun({ id: "young", owner: "a" }),
    ]);
    await storage.commit(flush("a", ...kinds.map((id) => changes(id, 1, { ...ended(id), tasks: [taskRecord(id)] }))));
    await storage.commit(flush("a", changes("young", 1, ended("succeeded", 10))));
    await storage.send([message("failed", { kind: "resume" })]);
    expect(await storage.prune({ before: 5, limit: 10 })).toBe(0);
    expect(await storage.prune({ before: 10, limit: 2 })).toBe(2);
    expect(await storage.prune({ before: 10, limit: 10 })).toBe(1);
    expect(await storage.prune({ before: 10, limit: 10 })).toBe(0);
    const left = (await storage.list("runs", {}, { limit: 10 })).items.map(({ id }) => id);
    expect(left).toEqual(["young", "queued", "active", "failed"]);
    expect((await storage.list("tasks", { runId: "succeeded" }, { limit: 10 })).items).toEqual([]);
    const again = await storage.createRuns([
      newRun({ key: "succeeded", fingerprint: "other" }),
      newRun({ key: "failed", fingerprint: "f" }),
    ]);
    expect(again.map(({ kind }) => kind)).toEqual(["created", "existing"]);
  });
});

describe("schedules", () => {
  const schedule = (part: object = {}) => ({
    id: "s",
    pipeline: "work",
    spec: "every 1h",
    nextAt: 100,
    lastAt: undefined,
    ...part,
  });

  it("are added, kept while their words are the same, and start afresh when those change", async () => {
    const { storage } = await opened();
    await storage.putSchedules([schedule()]);
    await storage.fire({ schedule: "s", expected: 100, next: 200, run: undefined });
    await storage.putSchedules([schedule({ nextAt: 999 }), schedule({ id: "other" })]);
    expect(await storage.schedules()).toMatchObject([
      { id: "s", nextAt: 200, lastAt: 100 },
      { id: "other", nextAt: 100 },
    ]);
    await storage.putSchedules([schedule({ spec: "every 2h", nextAt: 999 })]);
    expect((await storage.schedules()).find(({ id }) => id === "s")).toMatchObject({
      spec: "every 2h",
      nextAt: 999,
      lastAt: undefined,
    });
  });

  it("F99 fire once for an instant, whoever asks and however often", async () => {
    const { storage } = await opened();
    await storage.putSchedules([schedule()]);
    const request = () => ({ schedule: "s", expected: 100, next: 200, run: newRun({ schedule: "s", instant: 100 }) });
    const answers = await Promise.all([storage.fire(request()), storage.fire(request()), storage.fire(request())]);
    expect(answers.toSorted()).toEqual(["fired", "lost", "lost"]);
    expect((await storage.list("runs", {}, { limit: 10 })).items).toHaveLength(1);
    expect(await storage.fire({ ...request(), schedule: "nobody" })).toBe("lost");
    expect(await storage.fire({ schedule: "s", expected: 200, next: undefined, run: undefined })).toBe("fired");
    expect(await storage.schedules()).toMatchObject([{ nextAt: undefined, lastAt: 200 }]);
    expect((await storage.list("runs", {}, { limit: 10 })).items).toHaveLength(1);
  });
});

describe("listings", () => {
  it("page through gaps of positions and items with cursors that keep their meaning", async () => {
    const { storage } = await withEngines("a");
    await storage.createRuns([newRun({ id: "r", owner: "a" })]);
    const records = [
      taskRecord("r", { position: 9 }),
      taskRecord("r", { position: 2, items: 3 }),
      taskRecord("r", { position: 2, index: [2] }),
      taskRecord("r", { position: 2, index: [0] }),
      taskRecord("r", { position: 2, index: [0, 4] }),
      taskRecord("r", { position: 0 }),
    ];
    await storage.commit(
      flush(
        "a",
        changes("r", 1, { tasks: records, attempts: records.map((record) => attemptRecord("r", record as object)) }),
      ),
    );
    const paths: string[] = [];
    let page = await storage.loadRun("r", { limit: 1 });
    for (;;) {
      for (const { position, index } of page.items) paths.push([position, ...index].join("."));
      if (page.next === undefined) break;
      page = await storage.loadRun("r", { limit: 1, cursor: page.next });
    }
    expect(paths).toEqual(["0", "2", "2.0", "2.0.4", "2.2", "9"]);
    const first = await storage.list("attempts", { runId: "r" }, { limit: 3 });
    const rest = await storage.list("attempts", { runId: "r" }, { limit: 10, cursor: first.next! });
    expect([...first.items, ...rest.items].map(({ position, index }) => [position, ...index].join("."))).toEqual(paths);
    await expect(storage.list("logs", { runId: "r" }, { limit: 1, cursor: first.next! })).rejects.toMatchObject({
      code: "CURSOR_INVALID",
    });
  });
});
