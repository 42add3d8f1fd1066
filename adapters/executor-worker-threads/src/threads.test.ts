import { afterEach, describe, expect, it } from "vitest";
import { createEngine, type Engine, type EngineOptions, memoryStorage, type Pipeline, type TaskInfo } from "weftline";
import { type WorkerThreadsOptions, workerThreads } from "./index.js";
import * as pipelines from "./test-support/pipelines.js";

const MODULE = new URL("./test-support/pipelines.ts", import.meta.url);
const all = Object.values(pipelines).filter((value) => typeof value === "object") as readonly unknown[] as Pipeline[];

const engines: Engine[] = [];
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.stop({ grace: 0 });
});

/** What engines said to their operators. */
let lines: { readonly level: string; readonly message: string }[] = [];

async function startedEngine(
  options: Partial<WorkerThreadsOptions> = {},
  more: Partial<EngineOptions> = {},
): Promise<Engine> {
  lines = [];
  const add = (level: string) => (_: object, message: string) => void lines.push({ level, message });
  const engine = createEngine({
    pipelines: all,
    storage: memoryStorage(),
    executors: { default: workerThreads({ module: MODULE, maxThreads: 1, ...options }) },
    abortGrace: 100,
    log: { debug: add("debug"), info: add("info"), warn: add("warn"), error: add("error") },
    ...more,
  });
  engines.push(engine);
  await engine.start();
  return engine;
}

async function tasksOf(engine: Engine, runId: string): Promise<Readonly<Record<string, TaskInfo>>> {
  const { items } = await engine.runs.tasks(runId);
  return Object.fromEntries(items.map((task) => [task.task, task]));
}

async function ran(engine: Engine, pipeline: Pipeline<object, unknown>) {
  const run = await engine.trigger(pipeline as Pipeline, {} as never);
  const result = (await run.result()) as Readonly<Record<string, unknown>>;
  return { result, tasks: await tasksOf(engine, run.id), runId: run.id };
}

async function logOf(engine: Engine, runId: string): Promise<readonly string[]> {
  const { items } = await engine.runs.logs(runId, {}, { limit: 1_000 });
  return items.map(({ message }) => message);
}

// Threads start slowly on a machine that is busy.
describe("workerThreads()", { timeout: 30_000 }, () => {
  it("runs tasks in threads of its own, each with resources that are made once and ended with it", async () => {
    const engine = await startedEngine({ minThreads: 2, maxThreads: 2 });
    const { result } = await ran(engine, pipelines.where);
    const ids = result.ids as readonly { threadId: number; lentId: number; times: number; isMainThread: boolean }[];
    expect(new Set(ids.map(({ threadId }) => threadId)).size).toBe(2);
    for (const { threadId, lentId, times, isMainThread } of ids) {
      expect({ lentId, times, isMainThread }).toEqual({ lentId: threadId, times: 1, isMainThread: false });
    }
    await engine.stop();
    expect(lines.filter(({ message }) => message === "resources ended 1")).toHaveLength(2);
  });

  it("F122 a task that calls process.exit() costs its attempt, with WORKER_EXITED, and nothing else", async () => {
    const engine = await startedEngine();
    const { result, tasks, runId } = await ran(engine, pipelines.exiting);
    expect(result).toEqual({ after: "alive" });
    expect([tasks.exit!.attempts, tasks.exit!.error?.code]).toEqual([2, "WORKER_EXITED"]);
    expect(tasks.exit!.error?.message).toMatch(/code 3/);
    expect((await logOf(engine, runId)).filter((line) => line === "about to exit")).toHaveLength(2);
  });

  it("F128 a task that ends its thread as if all were well fails with NO_RESULT", async () => {
    const engine = await startedEngine();
    const { tasks } = await ran(engine, pipelines.leaving);
    expect(tasks.leave!.error?.code).toBe("NO_RESULT");
  });

  it("F116 a thread that runs out of memory fails its attempt with WORKER_OUT_OF_MEMORY, and so does the one after it", async () => {
    const engine = await startedEngine({ resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 } });
    const { result, tasks } = await ran(engine, pipelines.hungry);
    expect(result).toEqual({ after: "alive" });
    expect([tasks.eat!.attempts, tasks.eat!.error?.code]).toEqual([2, "WORKER_OUT_OF_MEMORY"]);
    expect(tasks.eat!.error?.message).toMatch(/32 MB/);
  });

  it("F121 what a task throws where nobody catches fails that task with UNCAUGHT_ERROR", async () => {
    const engine = await startedEngine();
    const { result, tasks } = await ran(engine, pipelines.throwing);
    expect(result).toEqual({ after: "alive" });
    for (const [task, reason] of [
      ["timer", /thrown by a timer/],
      ["floating", /rejected and nobody looks/],
      ["emitter", /EACCES|ENOTFOUND|EAI_AGAIN|EADDRNOTAVAIL/],
    ] as const) {
      expect(tasks[task]!.error?.code).toBe("UNCAUGHT_ERROR");
      expect(tasks[task]!.error?.message).toMatch(reason);
    }
  });

  it("F120 what a task left behind never fails the next one: its thread is replaced, and its log says why", async () => {
    const engine = await startedEngine();
    const { result, runId } = await ran(engine, pipelines.littering);
    expect(result.victim).not.toBe(result.timer);
    expect(result.last).not.toBe(result.callback);
    const [first, ...others] = await logOf(engine, runId);
    expect(first).toBe("left Timeout behind: its thread is replaced");
    // The callback of the file system comes before the thread is looked at, or it is what is found.
    for (const line of others) expect(line).toMatch(/^left .* behind/);
  });

  it("keeps the thread of a task that closed what it opened", async () => {
    const engine = await startedEngine();
    const { result } = await ran(engine, pipelines.tidy);
    expect(result.second).toBe(result.first);
  });

  it("leftovers: ignore keeps the thread whatever a task leaves", async () => {
    const engine = await startedEngine({ leftovers: "ignore" });
    const run = await engine.trigger(pipelines.littering);
    await run.result();
    expect(await logOf(engine, run.id)).toEqual([]);
  });

  it("F118 a loop that does not end is ended with its thread when the timeout and the grace are over", async () => {
    const engine = await startedEngine();
    const { result, tasks } = await ran(engine, pipelines.spinning);
    expect(result).toEqual({ after: "alive" });
    expect(tasks.spin!.error?.code).toBe("TASK_TIMEOUT");
    expect(tasks.spin!.error?.cause?.code).toBe("ABORT_FORCED");
  });

  it("F118 a cancelled loop frees its thread for the next run", async () => {
    const engine = await startedEngine();
    const spinning = new Promise<void>((resolve) => {
      engine.on("task:progress", () => resolve());
    });
    const run = await engine.trigger(pipelines.endless);
    await spinning;
    await run.cancel();
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_CANCELLED" });
    expect((await ran(engine, pipelines.meddling)).result).toEqual({ meddle: "meddled" });
  });

  it("a stop ends a loop, and gives its task back for the next engine", async () => {
    const storage = memoryStorage();
    const first = await startedEngine({}, { storage });
    const spinning = new Promise<void>((resolve) => {
      first.on("task:progress", () => resolve());
    });
    const run = await first.trigger(pipelines.endless);
    await spinning;
    await first.stop({ grace: 10 });
    const second = createEngine({ pipelines: all, storage, executors: {} });
    engines.push(second);
    const { items } = await second.runs.tasks(run.id);
    expect(items.map(({ status }) => status)).toEqual(["ready"]);
  });

  it("a task's output streams go to its log by line, and a flood is cut with a marker", async () => {
    const engine = await startedEngine();
    const run = await engine.trigger(pipelines.chatty);
    await run.result();
    const { items } = await engine.runs.logs(run.id, { task: "talk" });
    expect(items.map(({ level, message }) => [level, message])).toEqual([
      ["info", "a line 1"],
      ["warn", "to stderr"],
      ["info", "without an end"], // a line is one when it ends, or the task does
    ]);
    const marker = await engine.runs.logs(run.id, { task: "flood", level: ["warn"] });
    expect(marker.items.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^98000 more lines \(\d+ bytes\) on stdout were dropped$/),
    ]);
  });

  it("a step of an attempt that failed is not done again, and what the task says reaches its history", async () => {
    const engine = await startedEngine();
    const { result, runId } = await ran(engine, pipelines.stepping);
    expect(result).toEqual({ work: 3 });
    expect(await logOf(engine, runId)).toEqual(["counts in attempt 1"]);
    const artifact = await engine.runs.artifact(runId, "rows.txt");
    expect(Buffer.from(artifact!.data).toString()).toBe("1,2,3");
  });

  it("an artifact of a Buffer is its own bytes, and the task keeps them", async () => {
    const engine = await startedEngine();
    const run = await engine.trigger(pipelines.buffers);
    await run.result();
    const { items } = await engine.runs.tasks(run.id);
    expect(items[0]!.output).toEqual([100_000, "a small one of the pool"]);
    const part = await engine.runs.artifact(run.id, "part");
    expect(Buffer.from(part!.data).toString()).toBe("small");
    expect((await engine.runs.artifact(run.id, "whole"))!.data.length).toBe(100_000);
  });

  it("F123 what a task does to the globals of its thread does not stop the thread", async () => {
    const engine = await startedEngine();
    const { result } = await ran(engine, pipelines.vandal);
    expect(result).toEqual({ after: "works" });
    expect(process.env.PATCHED).toBeUndefined();
  });

  it("F141 a task does not see the async context of the one before", async () => {
    const engine = await startedEngine();
    const { result } = await ran(engine, pipelines.contexts);
    expect(result).toEqual({
      first: "of the first task",
      second: ["none", "of the second task"],
      third: "none",
    });
  });

  it("F126 other messages of a task to the host are ignored", async () => {
    const engine = await startedEngine();
    expect((await ran(engine, pipelines.meddling)).result).toEqual({ meddle: "meddled" });
    expect((await ran(engine, pipelines.tidy)).tasks.second!.status).toBe("succeeded");
  });

  it("tasksPerThread replaces a thread after so many tasks", async () => {
    const engine = await startedEngine({ tasksPerThread: 2 });
    const { result } = await ran(engine, pipelines.where);
    const ids = (result.ids as readonly { threadId: number }[]).map(({ threadId }) => threadId);
    expect(new Set(ids).size).toBe(4);
  });

  it("an idle thread ends after its timeout, down to minThreads", async () => {
    const engine = await startedEngine({ minThreads: 0, maxThreads: 2, idleTimeout: 20 });
    await ran(engine, pipelines.where);
    await expect
      .poll(() => lines.filter(({ message }) => message === "resources ended 1").length, { timeout: 10_000 })
      .toBeGreaterThan(0);
    expect((await ran(engine, pipelines.meddling)).result).toEqual({ meddle: "meddled" });
  });

  it("a large artifact is moved to the host, not copied through it", async () => {
    const engine = await startedEngine({}, { limits: { maxValueBytes: 200 * 2 ** 20 } });
    const { runId } = await ran(engine, pipelines.large);
    const artifact = await engine.runs.artifact(runId, "picture");
    expect(artifact!.data.length).toBe(100 * 2 ** 20);
    expect(artifact!.data.at(-1)).toBe(7);
  });
});
