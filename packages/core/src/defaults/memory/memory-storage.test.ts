import { describe, expect, it } from "vitest";
import type { TaskRecord } from "../../contracts/records.js";
import type { Storage, StorageHint } from "../../contracts/storage.js";
import { settled } from "../../test-support/manual-clock.js";
import { memoryStorage } from "./memory-storage.js";
import {
  attemptRecord,
  changes,
  ended,
  flush,
  logRecord,
  message,
  newRun,
  runState,
  stepRecord,
  taskRecord,
} from "./test-records.js";
import { claim, idsOf, LEASE_MS, look, opened, renew, withEngines, withRuns } from "./test-store.js";

describe("life cycle", () => {
  it("refuses every call before open() and after close() with STORAGE_CLOSED, and keeps its data over both", async () => {
    const { storage, context } = await withEngines("a");
    const run = newRun();
    await storage.createRuns([run]);
    await storage.close();
    await storage.close();
    const closed = { code: "STORAGE_CLOSED" };
    const calls = (target: Storage): (() => Promise<unknown>)[] => [
      () => renew(target, "a"),
      () => target.releaseLease("a"),
      () => target.createRuns([newRun()]),
      () => claim(target, "a"),
      () => target.loadTasks([run.id], { limit: 1 }),
      () => target.commit(flush("a")),
      () => target.send([]),
      () => target.receive("a"),
      () => look(target, 0),
      () => target.getRun(run.id),
      () => target.list("runs", {}, { limit: 1 }),
      () => target.getArtifact(run.id, "x"),
      () => target.schedules(),
      () => target.putSchedules([]),
      () => target.fire({ schedule: "s", expected: 0, next: undefined, run: undefined }),
      () => target.sendSignals([]),
      () => target.getCached("k", 0),
      () => target.putDefinitions([]),
      () => target.getDefinition("h"),
      () => target.deleteRun(run.id),
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

  it("gives the existing run for a known id, whatever else is asked for", async () => {
    const { storage } = await withRuns("r");
    const asked = newRun({ id: "r", key: "k", fingerprint: "f", pipeline: "other" });
    const run = await storage.getRun("r");
    expect(await storage.createRuns([asked, asked])).toEqual([
      { kind: "existing", run },
      { kind: "existing", run },
    ]);
    const other = newRun({ key: "k", fingerprint: "g", pipeline: "other" });
    expect(await storage.createRuns([other])).toMatchObject([{ kind: "created" }]);
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

describe("commit()", () => {
  it("applies a flush id once, and answers the same again", async () => {
    const { storage } = await withEngines("a");
    await storage.createRuns([newRun({ id: "r", owner: "a" })]);
    const line = logRecord("r", "m");
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
    const { items } = await storage.loadTasks(["r"], { limit: 10 });
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

  it("takes over the run's generation and params, and replaces cache entries under their key", async () => {
    const { storage } = await withRuns("r");
    const entry = (runId: string, expiresAt: number) => ({ key: "k", output: "j1:1", runId, expiresAt });
    const state = runState("running", { generation: 2, params: "j1:[2]" });
    await storage.commit(flush("a", changes("r", 1, { run: state, cached: [entry("r", 100)] })));
    expect(await storage.getRun("r")).toMatchObject({ ...state, owner: "a", definition: "work@1" });
    await storage.commit(
      flush("a", changes("r", 1, { cached: [entry("r", 200)] }), changes("x", 1, { cached: [entry("x", 300)] })),
    );
    expect(await storage.getCached("k", 199)).toEqual(entry("r", 200));
    expect(await storage.getCached("k", 200)).toBeUndefined();
    expect(await storage.getCached("other", 0)).toBeUndefined();
  });

  it("keeps steps in the order they were first written, one of each name, task, index and generation", async () => {
    const { storage } = await withRuns("r");
    const steps = Array.from({ length: 20 }, (_, n) => stepRecord("r", `s${n}`));
    const others = [
      stepRecord("r", "s1", { generation: 2 }),
      stepRecord("r", "s1", { index: [1] }),
      stepRecord("r", "s1", { task: "u" }),
    ];
    const anew = stepRecord("r", "s1", { output: "j1:2", attempt: 2 });
    for (const step of [...steps.slice(0, 2), ...others, anew, ...steps.slice(2), anew, ...others]) {
      await storage.commit(flush("a", changes("r", 1, { steps: [step] })));
    }
    const last = stepRecord("r", "s1", { output: "j1:3", attempt: 3 });
    await storage.commit(flush("a", changes("r", 1, { steps: [last] })));
    const expected = [steps[0], last, ...others, ...steps.slice(2)];
    expect((await storage.list("steps", { runId: "r" }, { limit: 100 })).items).toEqual(expected);
    const ofGeneration = await storage.list(
      "steps",
      { runId: "r", task: "t", index: [], generation: 2 },
      { limit: 100 },
    );
    expect(ofGeneration.items).toEqual([others[0]]);
  });

  it("replaces each of many steps where it is, also after its task has got another id", async () => {
    const { storage } = await withRuns("r");
    const steps = (output: string, task: string) =>
      Array.from({ length: 20 }, (_, n) => stepRecord("r", `s${n}`, { task, output }));
    const tasks = [taskRecord("r", { task: "gone" }), taskRecord("r", { position: 1 })];
    const lines = [...steps("j1:0", "gone"), ...steps("j1:1", "t")];
    await storage.commit(flush("a", changes("r", 1, { tasks, steps: lines })));
    const kept = [{ from: 1, position: 0, task: "gone" }];
    await storage.remapRun({ engineId: "a", runId: "r", epoch: 1, definition: "work@2", tasks: kept });
    const anew = stepRecord("r", "s7", { task: "gone", output: "j1:2" });
    await storage.commit(flush("a", changes("r", 1, { steps: [anew] })));
    const expected = steps("j1:1", "gone").with(7, anew);
    expect((await storage.loadSteps(["r"], { limit: 100 })).items).toEqual(expected);
  });

  it("with a final status releases the run and empties its inbox", async () => {
    const { storage, time } = await withEngines("a", "b");
    await storage.createRuns([newRun({ id: "r", owner: "a" })]);
    await storage.send([message("r", "cancel")]);
    await storage.commit(flush("a", changes("r", 1, ended("failed"))));
    expect(await storage.getRun("r")).toMatchObject({ status: "failed", owner: undefined, epoch: 1 });
    expect(await storage.receive("a")).toEqual([]);
    // What was said to it before its end does not concern it after a resume.
    const resume = message("r", "resume");
    await storage.send([resume]);
    await claim(storage, "a");
    expect(await storage.receive("a")).toEqual([resume]);
    await storage.commit(flush("a", changes("r", 2, ended("failed"))));
    time.now += LEASE_MS;
    await renew(storage, "b");
    expect(await claim(storage, "b")).toEqual([]);
    expect(await storage.commit(flush("a", changes("r", 1)))).toMatchObject({ fenced: ["r"] });
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
    await storage.send([message("r", "cancel")]);
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

describe("deleteRun()", () => {
  it("deletes a finished run with its history and key, and nothing else", async () => {
    const { storage } = await withEngines("a");
    const keyed = { key: "k", fingerprint: "f", owner: "a" };
    await storage.createRuns([newRun({ id: "r", ...keyed }), newRun({ id: "s", owner: "a" })]);
    await storage.commit(flush("a", changes("r", 1, { tasks: [taskRecord("r")], logs: [logRecord("r", "m")] })));
    expect([await storage.deleteRun("r"), await storage.deleteRun("nobody")]).toEqual(["active", "unknown"]);
    await storage.commit(flush("a", changes("r", 1, ended("succeeded"))));
    expect([await storage.deleteRun("r"), await storage.deleteRun("r")]).toEqual(["deleted", "unknown"]);
    expect(await storage.getRun("r")).toBeUndefined();
    expect((await storage.list("tasks", { runId: "r" }, { limit: 10 })).items).toEqual([]);
    expect(idsOf((await storage.list("runs", {}, { limit: 10 })).items)).toEqual(["s"]);
    expect(await storage.createRuns([newRun({ ...keyed, fingerprint: "g" })])).toMatchObject([{ kind: "created" }]);
  });
});

describe("definitions", () => {
  it("stay as they were first put, and the graph of a known one is not read", async () => {
    const { storage } = await opened();
    const first = { hash: "h", pipeline: "work", graph: "j1:1" };
    await storage.putDefinitions([first]);
    const unreadable = {
      hash: "h",
      pipeline: "work",
      get graph(): string {
        throw new Error("the graph was read");
      },
    };
    await storage.putDefinitions([unreadable, { ...first, hash: "other" }]);
    expect(await storage.getDefinition("h")).toEqual(first);
    expect(await storage.getDefinition("other")).toMatchObject({ hash: "other" });
    expect(await storage.getDefinition("nobody")).toBeUndefined();
  });
});

describe("prune()", () => {
  it("forgets what the cache holds in vain, and only that", async () => {
    const { storage, time } = await withRuns("r");
    const entry = (key: string, expiresAt: number) => ({ key, output: "j1:1", runId: "r", expiresAt });
    const cached = [entry("gone", time.now - 1), entry("kept", time.now + 1)];
    await storage.commit(flush("a", changes("r", 1, { cached })));
    await storage.prune({ before: Number.POSITIVE_INFINITY, limit: 1 });
    expect(await storage.getCached("gone", 0)).toBeUndefined();
    expect(await storage.getCached("kept", 0)).toEqual(cached[1]);
  });

  it("deletes runs in runs of any depth, the innermost first", async () => {
    const { storage } = await withEngines("a");
    const ids = Array.from({ length: 5_000 }, (_, n) => `r${n}`);
    const parentOf = (n: number) => (n === 0 ? undefined : { runId: ids[n - 1]!, task: "t", index: [] });
    await storage.createRuns(ids.map((id, n) => newRun({ id, owner: "a", parent: parentOf(n) })));
    await storage.commit(flush("a", ...ids.map((id) => changes(id, 1, ended("succeeded")))));
    expect(await storage.prune({ before: 10, limit: 4_000 })).toBe(4_000);
    expect(idsOf((await storage.list("runs", {}, { limit: 1 })).items)).toEqual(["r999"]);
    expect(await storage.prune({ before: 10, limit: 4_000 })).toBe(1_000);
  });

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
    await storage.send([message("failed", "resume")]);
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
    const orphan = { schedule: "s", expected: 200, next: 300, run: newRun({ owner: "gone" }) };
    await expect(storage.fire(orphan)).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await storage.fire({ schedule: "s", expected: 200, next: undefined, run: undefined })).toBe("fired");
    expect(await storage.schedules()).toMatchObject([{ nextAt: undefined, lastAt: 200 }]);
    expect((await storage.list("runs", {}, { limit: 10 })).items).toHaveLength(1);
  });
});
