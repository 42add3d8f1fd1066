import { describe, expect, it } from "vitest";
import { WeftlineError } from "weftline";
import { run, ScriptProcess } from "./test-support/processes.js";
import {
  changes,
  DEFINITION,
  ENGINE,
  newFile,
  newRun,
  openRaw,
  openStorage,
  owned,
  register,
  taskRecord,
} from "./test-support/store.js";

/** Claims runs and ends them, and prints the ids of those it ended, until there are no more. */
const WORK = `
  const storage = await openStorage(args[0], { durability: "normal" });
  await register(storage);
  for (;;) {
    const claimed = await claim(storage, 7);
    if (claimed.length === 0) break;
    const runs = claimed.map(({ id, epoch }) => changes(id, epoch, { run: succeeded(), tasks: [task(id, 0)] }));
    const outcome = await storage.commit({ id: "flush-" + claimed[0].id, number: 1, engineId: ENGINE, runs });
    if (outcome.kind !== "ok" || outcome.fenced.length > 0) throw new Error(JSON.stringify(outcome));
    for (const { id } of claimed) console.log(id);
  }
  await storage.close();
`;

describe("several processes on one file", () => {
  it("share the runs, each of which is claimed and ended once", async () => {
    const file = newFile();
    const storage = await openStorage({ file, durability: "normal" });
    const ids = Array.from({ length: 400 }, (_, n) => `run-${n}`);
    await storage.createRuns(ids.map((id) => newRun(id)));
    const ended = await Promise.all(Array.from({ length: 4 }, () => run(WORK, file)));
    expect(ended.flat().sort()).toEqual([...ids].sort());
    const { items } = await storage.list("runs", { status: ["succeeded"] }, { limit: 1_000 });
    expect(items.map(({ epoch }) => epoch)).toEqual(ids.map(() => 1));
  }, 30_000);

  it("wait for each other without blocking their event loops", async () => {
    const file = newFile();
    const storage = await openStorage({ file });
    await owned(storage, "run-1");
    const other = openRaw(file);
    other.exec("BEGIN IMMEDIATE");
    const gaps = watchEventLoop();
    const committing = storage.commit({
      id: "flush-1",
      number: 1,
      engineId: ENGINE,
      runs: [changes("run-1", { tasks: [taskRecord("run-1", 0)] })],
    });
    const created = storage.createRuns([newRun("run-2")]);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(await storage.getRun("run-2"), "reads do not wait").toBeUndefined();
    other.exec("COMMIT");
    expect(await committing).toEqual({ kind: "ok", fenced: [] });
    expect((await created).map(({ kind }) => kind)).toEqual(["created"]);
    expect(Math.max(...gaps())).toBeLessThan(150);
    other.close();
  });

  it("are given up on after busyTimeout, and nothing is written later", async () => {
    const file = newFile();
    const storage = await openStorage({ file, busyTimeout: "100ms" });
    await owned(storage, "run-1");
    const other = openRaw(file);
    other.exec("BEGIN IMMEDIATE");
    const flush = {
      id: "flush-1",
      number: 1,
      engineId: ENGINE,
      runs: [changes("run-1", { tasks: [taskRecord("run-1", 0)] })],
    };
    const outcome = await storage.commit(flush);
    expect(outcome).toMatchObject({ kind: "unknown", cause: { code: "STORAGE_TIMEOUT", retryable: true } });
    await expect(storage.createRuns([newRun("run-2")])).rejects.toThrow(/^STORAGE_TIMEOUT: .*busyTimeout/);
    other.exec("COMMIT");
    other.close();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await storage.list("tasks", { runId: "run-1" }, { limit: 10 })).items).toEqual([]);
    expect(await storage.getRun("run-2")).toBeUndefined();
    expect(await storage.commit(flush)).toEqual({ kind: "ok", fenced: [] });
  });

  it("can be waited for no longer than somebody wants to", async () => {
    const file = newFile();
    const storage = await openStorage({ file });
    const other = openRaw(file);
    other.exec("BEGIN IMMEDIATE");
    const reason = new Error("nobody waits any more");
    const controller = new AbortController();
    const creating = storage.createRuns([newRun("run-1")], { signal: controller.signal });
    setTimeout(() => controller.abort(reason), 20);
    await expect(creating).rejects.toBe(reason);
    other.exec("COMMIT");
    other.close();
    expect(await storage.getRun("run-1")).toBeUndefined();
  });
});

describe("a process that stood still for longer than its lease", () => {
  it("F41 does not get its lease back: it is told so, its runs are others', and it writes nothing", async () => {
    const file = newFile();
    const storage = await openStorage({ file });
    const zombie = new ScriptProcess(
      `
        const storage = await openStorage(args[0]);
        await register(storage, 300);
        await storage.createRuns([newRun("run-1", ENGINE)]);
        await storage.commit({ id: "flush-1", number: 1, engineId: ENGINE, runs: [changes("run-1", 1, { run: { ...succeeded(), status: "running" } })] });
        console.log("owns it");
        await sleep(100);
        const late = await storage.commit({ id: "flush-2", number: 2, engineId: ENGINE, runs: [changes("run-1", 1, { run: succeeded() })] });
        const { lost } = await storage.renewLease({ engineId: ENGINE, leaseMs: 60_000, isNew: false, definitions: DEFINITIONS });
        const later = await storage.commit({ id: "flush-3", number: 3, engineId: ENGINE, runs: [changes("run-1", 1, { run: succeeded() })] });
        console.log(JSON.stringify([late.fenced, lost, later.fenced]));
        await storage.close();
      `,
      file,
    );
    await zombie.printed(1);
    zombie.signal("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 500));
    await register(storage);
    const request = { engineId: ENGINE, definitions: [DEFINITION], maxActiveRuns: {}, limit: 1, now: Date.now() };
    const [claimed] = await storage.claimRuns({ ...request, suspectFrom: 3, suspects: 1 });
    expect(claimed).toMatchObject({ id: "run-1", owner: ENGINE, epoch: 2, status: "running", crashes: 1 });
    zombie.signal("SIGCONT");
    const { lines } = await zombie.ended;
    expect(JSON.parse(lines[1]!)).toEqual([["run-1"], true, ["run-1"]]);
    expect(await storage.getRun("run-1")).toMatchObject({ owner: ENGINE, epoch: 2, status: "running" });
  });
});

describe("writes that are asked for together", () => {
  it("share a transaction, and one that fails leaves the others alone", async () => {
    const storage = await openStorage({ file: newFile() });
    const calls = [
      storage.createRuns([newRun("run-1")]),
      storage.createRuns([newRun("run-2", { owner: "nobody" })]),
      storage.createRuns([newRun("run-3")]),
    ];
    const settled = await Promise.allSettled(calls);
    expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect((settled[1] as PromiseRejectedResult).reason).toBeInstanceOf(WeftlineError);
    const { items } = await storage.list("runs", {}, { limit: 10 });
    expect(items.map(({ id }) => id)).toEqual(["run-3", "run-1"]);
  });
});

/** @returns A function that gives how long the event loop did not turn, each time it had begun to, in milliseconds. */
function watchEventLoop(): () => number[] {
  const gaps: number[] = [];
  let last = performance.now();
  const timer = setInterval(() => {
    gaps.push(performance.now() - last);
    last = performance.now();
  }, 5);
  return () => {
    clearInterval(timer);
    return gaps;
  };
}
