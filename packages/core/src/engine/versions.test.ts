import { describe, expect, it, vi } from "vitest";
import type { Builder } from "../define/builder.js";
import { pipeline } from "../define/pipeline.js";
import { startedEngine, stopNow } from "../test-support/engines.js";
import { FaultyStorage, failsBefore, losesReply } from "../test-support/faulty-storage.js";
import { aborted, gate } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";

leavesNothingBehind();

/** A version of one pipeline. */
function version(build: (p: AnyBuilder) => void) {
  return pipeline("report", (p) => build(p as AnyBuilder));
}
type AnyBuilder = Builder<Record<never, never>>;
type Version = ReturnType<typeof version>;

const ran: string[] = [];
const noted = (name: string) => () => {
  ran.push(name);
  return name;
};

/** Fails in its second task until it is told not to. */
function failing(state = { isBroken: true }) {
  const v1 = version((p) => {
    const fetch = p.task("fetch", noted("fetch"));
    p.task("load", { needs: { fetch } }, ({ input }) => {
      if (state.isBroken) throw new Error("no room");
      return `load ${input.fetch}`;
    });
  });
  return { v1, state };
}

async function failedRun(v1: Version) {
  ran.length = 0;
  const storage = testStorage();
  const old = await startedEngine({ pipelines: [v1], storage });
  const run = await old.trigger(v1);
  await run.result().catch(() => undefined);
  await old.stop();
  return { storage, id: run.id };
}

describe("an engine with another version of a pipeline", () => {
  const v1 = version((p) => void p.task("only", noted("old")));
  const v2 = version((p) => {
    const only = p.task("only", noted("new"));
    p.task("next", { needs: { only } }, noted("next"));
  });

  it("F44 leaves runs of the old one to engines that have it, and health() says which runs those are", async () => {
    ran.length = 0;
    const storage = testStorage();
    const creator = await startedEngine({ pipelines: [v1], storage });
    const run = await creator.trigger(v1, undefined, { at: Date.now() + 3_600_000 });
    await storage.send([
      { id: "pause", runId: run.id, sentAt: 0, kind: "pause" }, // whatever it says: nobody is there to hear it
    ]);
    await creator.stop();
    const engine = await startedEngine({ pipelines: [v2], storage });
    const health = await engine.health();
    expect(health.status).toBe("degraded");
    expect(health.reasons).toMatchObject([{ kind: "unadoptable" }]);
    expect(health.reasons[0]!.message).toContain(`NO_ENGINE_FOR_DAG: 1 runs of pipeline "report"`);
    expect(health.reasons[0]!.message).toContain(run.id);
    expect(health.survey?.unadoptable).toEqual([
      { pipeline: "report", definition: v1.hash, runs: 1, runIds: [run.id] },
    ]);
    expect(ran).toEqual([]);
  });

  it("F199 works beside the old one for as long as a rolling deploy lasts: each takes its own runs", async () => {
    ran.length = 0;
    const storage = testStorage();
    const old = await startedEngine({ pipelines: [v1], storage });
    const latest = await startedEngine({ pipelines: [v2], storage });
    for (let n = 0; n < 5; n++) {
      await (await old.trigger(v1)).result();
      await (await latest.trigger(v2)).result();
    }
    expect(ran.filter((name) => name === "old")).toHaveLength(5);
    expect(ran.filter((name) => name === "new")).toHaveLength(5);
    expect((await latest.health()).status).toBe("green");
  });

  it("says what changed and what can be done, whatever it is asked to do with such a run", async () => {
    const { storage, id } = await failedRun(failing().v1);
    const engine = await startedEngine({ pipelines: [v2], storage });
    for (const call of [
      () => engine.runs.resume(id),
      () => engine.runs.rerun(id, { from: "load" }),
      () => engine.runs.explain(id),
    ]) {
      const error: Error = await call().then(
        () => expect.unreachable(),
        (thrown: Error) => thrown,
      );
      expect(error).toMatchObject({ code: "DAG_CHANGED" });
      expect(error.message).toContain("- task fetch");
      expect(error.message).toContain("+ task only");
      expect(error.message).toContain(`runs.remap("${id}"`);
      expect(error.message).toContain(`runs.cancel("${id}")`);
    }
  });

  it("ends such a run when it is cancelled and nobody is left who could", async () => {
    const storage = testStorage();
    const old = await startedEngine({ pipelines: [v1], storage });
    const run = await old.trigger(v1, undefined, { at: Date.now() + 3_600_000 });
    const beside = await startedEngine({ pipelines: [v2], storage });
    await old.stop();
    expect(await beside.runs.cancel(run.id, { reason: "not needed any more" })).toBe(true);
    expect(await beside.runs.get(run.id)).toMatchObject({ status: "cancelled", error: { code: "RUN_CANCELLED" } });
    expect((await beside.runs.get(run.id)).error?.message).toContain("not needed any more");
    expect((await beside.health()).status).toBe("green");
  });

  it("cancels with such a run all of its tasks that had not ended, and the runs they started", async () => {
    const child = pipeline("child", (p) => void p.signal("never"));
    const rich = version((p) => {
      const list = p.task("list", () => [0, 1, 2]);
      p.map("each", { over: list, concurrency: 1 }, async ({ item, signal }) => {
        if (item === 1) await aborted(signal);
      });
      p.group("group", { after: [list] }, (g) => {
        const wait = g.signal("wait");
        g.task("then", { after: [wait] }, noted("then"));
      });
      const sub = p.run("sub", child);
      p.task("down", { after: [sub], teardown: true }, noted("down"));
      p.group("lists", { over: list }, (g) => void g.signal("wait"));
      p.group("later", { over: list, after: [p.signal("gate")] }, (g) => void g.task("in", noted("in")));
    });
    const storage = testStorage();
    const old = await startedEngine({ pipelines: [rich, child], storage });
    const run = await old.trigger(rich);
    await settled();
    await stopNow(old, undefined);
    const beside = await startedEngine({ pipelines: [v2, child], storage });
    expect(await beside.runs.cancel(run.id)).toBe(true);
    await settled();
    const tasks = (await beside.runs.tasks(run.id)).items;
    const named = tasks.map(({ task, index, status }) => `${[task, ...index].join("/")} ${status}`);
    expect(named).toEqual([
      "list succeeded",
      "each cancelled",
      "each/0 succeeded",
      "each/1 cancelled",
      "each/2 cancelled",
      "group cancelled",
      "group.wait cancelled",
      "group.then cancelled",
      "sub cancelled",
      "down cancelled",
      "lists cancelled",
      ...[0, 1, 2].flatMap((item) => [`lists/${item} cancelled`]),
      ...[0, 1, 2].flatMap((item) => [`lists.wait/${item} cancelled`]),
      "gate cancelled",
      "later cancelled",
    ]);
    for (const { status, finishedAt, reason } of tasks) {
      if (status === "cancelled")
        expect([typeof finishedAt, reason]).toEqual(["number", expect.stringContaining("was cancelled")]);
    }
    const [started] = (await beside.runs.list({ pipeline: "child" })).items;
    expect(started).toMatchObject({ status: "cancelled" });
    const again = await startedEngine({ pipelines: [rich, child], storage });
    await again.runs.resume(run.id);
    await settled();
    expect(await again.runs.get(run.id)).toMatchObject({ status: "running" });
    await again.runs.cancel(run.id);
  });

  it("ends such a run as soon as storage answers, and claims others meanwhile", async () => {
    const clock = new ManualClock();
    const faulty = new FaultyStorage();
    const old = await startedEngine({ pipelines: [v1], storage: faulty.storage, clock });
    const run = await old.trigger(v1, undefined, { at: clock.now() + 3_600_000 });
    const beside = await startedEngine({ pipelines: [v2], storage: faulty.storage, clock });
    await old.stop();
    const off = faulty.on("claimRuns", (call, { runId }) => (runId === undefined ? call() : losesReply(call)));
    const cancelled = beside.runs.cancel(run.id).catch((error: Error) => error.message);
    await clock.advance(5_000);
    expect(await cancelled).toBe("connection reset");
    expect(await beside.runs.get(run.id)).toMatchObject({ status: "queued" });
    // The lost answer of any other claim makes the engine look for runs that it owns.
    faulty.once("claimRuns", losesReply, ({ runId }) => runId === undefined);
    const other = await beside.trigger(v2, undefined, { at: clock.now() + 3_000 }); // has to be claimed
    await clock.advance(10_000);
    expect(await other.status()).toBe("succeeded");
    off();
    await clock.advance(2_000);
    expect(await beside.runs.get(run.id)).toMatchObject({ status: "cancelled" });
  });

  it("ends such a run once, with what it started, however many cancel it at once", async () => {
    const child = pipeline("child", (p) => void p.signal("never"));
    const parent = version((p) => void p.run("sub", child));
    const faulty = new FaultyStorage();
    const old = await startedEngine({ pipelines: [parent, child], storage: faulty.storage });
    const run = await old.trigger(parent);
    await settled();
    await stopNow(old, undefined);
    const beside = await startedEngine({ pipelines: [v2, child], storage: faulty.storage });
    await Promise.all([1, 2, 3].map(() => beside.runs.cancel(run.id)));
    await vi.waitFor(async () => expect(await beside.runs.get(run.id)).toMatchObject({ status: "cancelled" }));
    const ends = faulty.flushes
      .flatMap(({ runs }) => runs)
      .filter(({ runId, run: to }) => runId === run.id && to?.status === "cancelled");
    expect(ends).toHaveLength(1);
    await vi.waitFor(async () => {
      expect((await beside.runs.list({ pipeline: "child" })).items).toMatchObject([{ status: "cancelled" }]);
    });
  });

  it("asks storage again for the tasks of such a run, when it fails", async () => {
    const clock = new ManualClock();
    const faulty = new FaultyStorage();
    const waits = version((p) => void p.signal("wait"));
    const old = await startedEngine({ pipelines: [waits], storage: faulty.storage, clock });
    const run = await old.trigger(waits);
    await settled();
    await stopNow(old, undefined);
    const beside = await startedEngine({ pipelines: [v2], storage: faulty.storage, clock });
    faulty.once("loadTasks", failsBefore);
    const cancelled = beside.runs.cancel(run.id);
    await clock.advance(5_000);
    await cancelled;
    expect((await beside.runs.tasks(run.id)).items).toMatchObject([{ task: "wait", status: "cancelled" }]);
  });

  it("leaves the cancelling to an engine that has the version, where one lives", async () => {
    const storage = testStorage();
    const old = await startedEngine({ pipelines: [v1], storage });
    const beside = await startedEngine({ pipelines: [v2], storage });
    const run = await old.trigger(v1, undefined, { at: Date.now() + 3_600_000 });
    expect(await beside.runs.cancel(run.id)).toBe(true);
    await vi.waitFor(async () => expect(await old.runs.get(run.id)).toMatchObject({ status: "cancelled" }));
    expect((await old.runs.tasks(run.id)).items).toMatchObject([{ status: "cancelled" }]);
  });
});

describe("runs.remap()", () => {
  const v2 = version((p) => {
    const check = p.task("check", noted("check"));
    const get = p.task("get", noted("get"));
    p.task("load", { needs: { get }, after: [check] }, ({ input }) => {
      ran.push(`load ${input.get}`);
    });
  });

  it("goes on with a failed run under another version: what was done stays done, under its new id", async () => {
    const { storage, id } = await failedRun(failing().v1);
    const engine = await startedEngine({ pipelines: [v2], storage });
    const run = await engine.runs.remap(id, { tasks: { fetch: "get" } });
    await run.result();
    expect(ran).toEqual(["fetch", "check", "load fetch"]);
    expect(await engine.runs.get(id)).toMatchObject({ status: "succeeded", definition: v2.hash });
    const tasks = (await engine.runs.tasks(id)).items;
    expect(tasks.map(({ task, status, position }) => [task, status, position])).toEqual([
      ["check", "succeeded", 0],
      ["get", "succeeded", 1],
      ["load", "succeeded", 2],
    ]);
    expect((await engine.runs.attempts(id, { task: "get" })).items).toMatchObject([
      { attempt: 1, status: "succeeded" },
    ]);
  });

  it("goes on with a run that no engine could take", async () => {
    const storage = testStorage();
    let isFirst = true;
    const v1 = version((p) => {
      const fetch = p.task("fetch", noted("fetch"));
      p.signal("approval", { after: [fetch] });
    });
    const later = version((p) => {
      const fetch = p.task("fetch", noted("fetch"));
      p.task("load", { needs: { fetch } }, ({ input }) => {
        isFirst = false;
        return input.fetch;
      });
    });
    const old = await startedEngine({ pipelines: [v1], storage });
    const run = await old.trigger(v1);
    await settled();
    await old.stop();
    ran.length = 0;
    const engine = await startedEngine({ pipelines: [later], storage });
    await expect(engine.runs.remap(run.id)).rejects.toMatchObject({ code: "DAG_CHANGED" });
    await (await engine.runs.remap(run.id, { tasks: { approval: null } })).result();
    expect([ran, isFirst]).toEqual([[], false]);
  });

  it.each([
    ["a completed task that is gone", {}, `"fetch" has no task "fetch" to go to`],
    ["two tasks that become one", { fetch: "load" }, `cannot both become "load"`],
    ["a task the run never had", { fetch: "get", nothing: "get" }, `has no task "nothing"`],
  ])("refuses %s, names it, and changes nothing", async (_, tasks, problem) => {
    const { storage, id } = await failedRun(failing().v1);
    const engine = await startedEngine({ pipelines: [v2], storage });
    const error: Error = await engine.runs.remap(id, { tasks }).then(
      () => expect.unreachable(),
      (thrown: Error) => thrown,
    );
    expect(error).toMatchObject({ code: "DAG_CHANGED" });
    expect(error.message).toContain(problem);
    expect(error.message).toContain("- task fetch");
    expect(await engine.runs.get(id)).toMatchObject({ status: "failed" });
  });

  it.each([
    ["another kind", (p: AnyBuilder) => void p.map("fetch", { over: [1] }, noted("fetch"))],
    ["another group", (p: AnyBuilder) => void p.group("inner", (g) => void g.task("fetch", noted("fetch")))],
  ])("never takes what a task did for what one of %s would do", async (_, build) => {
    const { storage, id } = await failedRun(failing().v1);
    const changed = version(build);
    const engine = await startedEngine({ pipelines: [changed], storage });
    const target = changed.taskIds.find((task) => task.endsWith("fetch"))!;
    const remapped = engine.runs.remap(id, { tasks: { fetch: target, load: null } });
    await expect(remapped).rejects.toMatchObject({ code: "DAG_CHANGED" });
  });

  it("refuses a run that an engine has, one that succeeded, and one of the version that is here", async () => {
    const storage = testStorage();
    const state = { isBroken: false };
    const { v1 } = failing(state);
    const old = await startedEngine({ pipelines: [v1], storage });
    const beside = await startedEngine({ pipelines: [v2], storage });
    const done = await old.trigger(v1);
    await done.result();
    await expect(beside.runs.remap(done.id, { tasks: { fetch: "get" } })).rejects.toMatchObject({
      code: "RUN_FINISHED",
    });
    state.isBroken = true;
    const failed = await old.trigger(v1);
    await failed.result().catch(() => undefined);
    await expect(old.runs.remap(failed.id)).rejects.toMatchObject({ code: "RUN_ACTIVE" });
    const waits = version((p) => void p.signal("go"));
    const third = await startedEngine({ pipelines: [waits], storage });
    const active = await third.trigger(waits);
    await settled();
    await expect(beside.runs.remap(active.id, { tasks: { go: null } })).rejects.toMatchObject({ code: "RUN_ACTIVE" });
  });

  it("leaves the run to hear what it is told, whatever else is claimed meanwhile", async () => {
    const { storage, id } = await failedRun(failing().v1);
    const faulty = new FaultyStorage(storage);
    const waiting = version((p) => {
      const fetch = p.task("fetch", noted("fetch"));
      p.signal("go", { after: [fetch] });
    });
    const engine = await startedEngine({ pipelines: [waiting], storage: faulty.storage });
    const read = gate();
    let reads = 0;
    faulty.on("loadTasks", async (proceed) => {
      if (++reads > 1) await read.passed; // the first is for finding out what there is to move
      return proceed();
    });
    const remapped = engine.runs.remap(id, { tasks: { load: null } });
    await settled();
    for (const at of [1, 2]) await engine.trigger(waiting, {}, { at: Date.now() + at * 3_600_000 }); // others look as well
    await settled();
    read.open();
    const run = await remapped;
    await settled();
    await run.signal("go", 1);
    await run.result();
    expect(await run.status()).toBe("succeeded");
  });

  it("is made once, when the answer to it is lost", async () => {
    const { storage, id } = await failedRun(failing().v1);
    const faulty = new FaultyStorage(storage);
    const engine = await startedEngine({ pipelines: [v2], storage: faulty.storage });
    faulty.once("remapRun", losesReply);
    await (await engine.runs.remap(id, { tasks: { fetch: "get" } })).result();
    expect(ran).toEqual(["fetch", "check", "load fetch"]);
  });
});
