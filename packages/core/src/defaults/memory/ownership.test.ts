import { describe, expect, it } from "vitest";
import type { StorageHint } from "../../contracts/storage.js";
import { settled } from "../../test-support/manual-clock.js";
import { attemptRecord, changes, ended, flush, message, newRun, runState, taskRecord } from "./test-records.js";
import { claim, idsOf, LEASE_MS, look, opened, renew, withEngines, withRuns } from "./test-store.js";

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
    expect((await look(storage, 499)).nextWake).toBe(500);
    expect((await claim(storage, "a", { now: 500 })).map(({ id }) => id)).toEqual(["later"]);
    expect((await look(storage, 500)).nextWake).not.toBe(500);
    expect((await claim(storage, "a", { definitions: ["work@2"] })).map(({ id }) => id)).toEqual(["foreign"]);
  });

  it("while a lease holds, nobody else gets its runs; when it ran out, they come under a higher epoch", async () => {
    const { storage, time } = await withEngines("a", "b");
    await storage.createRuns([newRun({ id: "r" })]);
    await claim(storage, "a");
    time.now += LEASE_MS - 1;
    await renew(storage, "b");
    expect(await claim(storage, "b")).toEqual([]);
    expect((await look(storage, time.now)).nextWake).toBe(time.now + 1);
    time.now += 1;
    expect(await claim(storage, "b")).toMatchObject([{ id: "r", owner: "b", epoch: 2 }]);
  });

  it("F15 fence the former owner: nothing of its flush for that run is written, the rest is", async () => {
    const { storage, time } = await withEngines("a", "b");
    await storage.createRuns([newRun({ id: "lost" })]);
    await claim(storage, "a");
    time.now += LEASE_MS;
    await renew(storage, "b");
    await claim(storage, "b");
    const state = await renew(storage, "a", { isNew: false });
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
    expect((await storage.loadTasks(["lost"], { limit: 10 })).items).toEqual([]);
    expect((await storage.list("attempts", { runId: "lost" }, { limit: 10 })).items).toEqual([]);
    expect((await storage.loadTasks(["kept"], { limit: 10 })).items).toHaveLength(1);
    // The same engine under an old epoch is a stranger too.
    expect(await storage.commit(flush("b", changes("lost", 1)))).toMatchObject({ fenced: ["lost"] });
  });

  it("renewing in time keeps the runs and says that nothing was lost", async () => {
    const { storage, time } = await withEngines("a", "b");
    await storage.createRuns([newRun({ id: "r", owner: "a" })]);
    for (let beat = 0; beat < 5; beat++) {
      time.now += LEASE_MS / 2;
      expect(await renew(storage, "a", { isNew: false })).toEqual({ now: time.now, lost: false });
      await renew(storage, "b");
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
    await renew(storage, "a");
    expect((await claim(storage, "a"))[0]?.epoch).toBe(3);
  });

  it("take the highest priority first, then the oldest, also of what was given back", async () => {
    const { storage } = await withEngines("a", "b");
    const priorities = { low: -1, old: 0, urgent: Number.MAX_SAFE_INTEGER, young: 0, high: 1 };
    await storage.createRuns(Object.entries(priorities).map(([id, priority]) => newRun({ id, priority })));
    expect(idsOf(await claim(storage, "a", { limit: 2 }))).toEqual(["urgent", "high"]);
    await storage.releaseLease("a");
    expect(idsOf(await claim(storage, "b"))).toEqual(["urgent", "high", "old", "young", "low"]);
  });

  it("are in order over definitions, and in the order in which runs become due", async () => {
    const { storage } = await withEngines("a");
    await storage.createRuns([
      newRun({ id: "late", availableAt: 300 }),
      newRun({ id: "soon", availableAt: 100, definition: "work@2" }),
      newRun({ id: "now" }),
      newRun({ id: "later", availableAt: 200, priority: 1 }),
    ]);
    const at = async (now: number) => idsOf(await claim(storage, "a", { definitions: ["work@2", "work@1"], now }));
    expect((await look(storage, 0)).nextWake).toBe(100);
    expect(await at(0)).toEqual(["now"]);
    expect(await at(200)).toEqual(["later", "soon"]);
    expect((await look(storage, 200)).nextWake).toBe(300);
    expect(await at(300)).toEqual(["late"]);
  });

  it("leave a run that is due by the clock of another engine only", async () => {
    const { storage } = await withEngines("a", "b");
    await storage.createRuns([newRun({ id: "first", priority: 1 }), newRun({ id: "second", availableAt: 500 })]);
    expect(idsOf(await claim(storage, "a", { now: 500, limit: 1 }))).toEqual(["first"]);
    expect(await claim(storage, "b", { now: 499 })).toEqual([]);
    expect((await look(storage, 499)).nextWake).toBe(500);
    expect(idsOf(await claim(storage, "b", { now: 500 }))).toEqual(["second"]);
  });

  it("take a run that is to start later at once when it is cancelled, and once", async () => {
    const { storage } = await withEngines("a");
    await storage.createRuns([newRun({ id: "r", availableAt: 300 }), newRun({ id: "task", availableAt: 400 })]);
    await storage.send([
      message("r", "cancel", { sentAt: 100 }),
      message("task", "cancel", { task: "t", sentAt: 100 }),
    ]);
    expect((await look(storage, 99)).nextWake).toBe(100);
    expect(await claim(storage, "a", { now: 99 })).toEqual([]);
    await storage.send([message("r", "cancel", { sentAt: 200 })]);
    expect(await storage.getRun("r")).toMatchObject({ availableAt: 100 });
    expect((await look(storage, 100)).nextWake).toBe(400);
    expect(idsOf(await claim(storage, "a", { now: 100 }))).toEqual(["r"]);
    expect(idsOf(await claim(storage, "a", { now: 400 }))).toEqual(["task"]);
  });

  it("a run that changes its crashes or its definition is free as what it is now, and as nothing else", async () => {
    const { storage, time } = await withEngines("a", "b");
    await storage.createRuns([newRun({ id: "crashed" }), newRun({ id: "moved" })]);
    for (const runId of ["crashed", "moved"]) await claim(storage, "a", { runId });
    const remap = { engineId: "a", runId: "moved", epoch: 1, definition: "work@2", tasks: [] };
    expect(await storage.remapRun(remap)).toBe("moved");
    await storage.commit(flush("a", changes("crashed", 1, { run: runState("running") })));
    time.now += LEASE_MS;
    await renew(storage, "b");
    const careful = { suspectFrom: 1, suspects: 0 };
    expect(await claim(storage, "b", careful)).toEqual([]);
    expect(idsOf(await claim(storage, "b", { ...careful, definitions: ["work@1", "work@2"] }))).toEqual(["moved"]);
    expect(await claim(storage, "b", { suspectFrom: 1 })).toMatchObject([{ id: "crashed", crashes: 1 }]);
    await storage.releaseLease("b");
    await renew(storage, "a");
    expect(idsOf(await claim(storage, "a", { limit: 1 }))).toEqual(["crashed"]);
    expect(await claim(storage, "a", { definitions: ["work@1"] })).toEqual([]);
  });

  it("a suspect is taken at its turn, and only as many as there is room for", async () => {
    const { storage } = await withRuns("s3", "s2", "s5");
    const crashes = (id: string) => runState("running", { crashes: Number(id.slice(1)) });
    await storage.commit(flush("a", ...["s3", "s2", "s5"].map((id) => changes(id, 1, { run: crashes(id) }))));
    await storage.createRuns([newRun({ id: "x", priority: 1 }), newRun({ id: "y" })]);
    await storage.releaseLease("a");
    expect(idsOf(await claim(storage, "b", { suspectFrom: 2, suspects: 2 }))).toEqual(["s2", "s3", "x", "y"]);
    expect(await claim(storage, "b", { suspectFrom: 2, suspects: 1, maxActiveRuns: { work: 4 } })).toEqual([]);
  });

  it("a lease that was lost gives a hint that there are runs, where there are any", async () => {
    const { storage, time } = await withRuns("r");
    const hints: StorageHint[] = [];
    await storage.listen!((hint) => void hints.push(hint));
    time.now += LEASE_MS;
    await renew(storage, "b", { isNew: false }); // it owned nothing
    await settled(1);
    expect(hints).toEqual([]);
    await renew(storage, "a", { isNew: false });
    await settled(1);
    expect(hints).toEqual([{ topic: "runs", ids: [] }]);
  });

  it("an engine is not woken for the end of its own lease", async () => {
    const { storage, time } = await withRuns("r");
    expect((await look(storage, time.now, { engineId: "a" })).nextWake).toBeUndefined();
    expect((await look(storage, time.now, { engineId: "b" })).nextWake).toBe(time.now + LEASE_MS);
  });

  it("an endless lease never wakes anybody", async () => {
    const { storage } = await opened();
    await renew(storage, "a", { leaseMs: Number.POSITIVE_INFINITY });
    await storage.createRuns([newRun({ owner: "a" })]);
    expect((await look(storage, 0)).nextWake).toBeUndefined();
  });
});

describe("maxActiveRuns", () => {
  const inWork = (max: number) => ({ maxActiveRuns: { work: max } });

  it("counts the unfinished runs of the pipeline that have an owner, whoever that is and whatever they do", async () => {
    const { storage } = await withRuns("running", "waiting", "paused", "done");
    const states = ["running", "waiting", "paused"] as const;
    await storage.commit(
      flush("a", changes("done", 1, ended("failed")), ...states.map((id) => changes(id, 1, { run: runState(id) }))),
    );
    await storage.createRuns([newRun({ id: "x" }), newRun({ id: "y" }), newRun({ id: "o", pipeline: "other" })]);
    expect(idsOf(await claim(storage, "b", inWork(3)))).toEqual(["o"]);
    expect(idsOf(await claim(storage, "b", inWork(4)))).toEqual(["x"]);
    await storage.releaseLease("a");
    expect(idsOf(await claim(storage, "b", inWork(3)))).toEqual(["running", "waiting"]);
    await storage.send([message("done", "rerun")]);
    expect(idsOf(await claim(storage, "b", inWork(5)))).toEqual(["paused", "done"]);
  });

  it("has no limit for what it does not name", async () => {
    const { storage } = await withEngines("a");
    const pipelines = ["constructor", "__proto__", "work"];
    await storage.createRuns(pipelines.map((pipeline) => newRun({ id: pipeline, pipeline })));
    expect(idsOf(await claim(storage, "a", inWork(0)))).toEqual(["constructor", "__proto__"]);
  });

  it("gives a hint when a run ends for which another had to wait, and no other", async () => {
    const { storage } = await withRuns("r", "s", "t");
    const hints: string[] = [];
    await storage.listen!(({ topic, ids }) => void hints.push([topic, ...ids].join(" ")));
    await storage.commit(flush("a", changes("r", 1, ended("succeeded"))));
    await storage.createRuns([newRun({ id: "next" })]);
    expect(await claim(storage, "b", inWork(2))).toEqual([]);
    await storage.commit(flush("a", changes("s", 1, ended("succeeded"))));
    await storage.commit(flush("a", changes("t", 1, ended("succeeded"))));
    await settled(1);
    expect(hints).toEqual(["finished r", "runs next", "finished s", "runs", "finished t"]);
  });
});
