import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, describe, expect, it } from "vitest";
import { childProcesses } from "./child-processes.js";
import { eventually, fixture, isAlive, pipelineOf, ran, startedEngine } from "./test-support.js";

const folder = mkdtempSync(join(tmpdir(), "weftline-processes-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
/** Written here, as no tool of the repository could read it. */
const syntaxError = join(folder, "syntax-error.mjs");
writeFileSync(syntaxError, "export const broken = ;");
const missingImport = join(folder, "missing-import.mjs");
writeFileSync(missingImport, 'import "./no-such-file.mjs";');

describe("a process that ends in the middle of a task", () => {
  it.each([
    ["F128 exit code 0", "exit", { code: 0 }, "NO_RESULT", /code 0 and without a result/],
    ["another exit code", "exit", { code: 7 }, "WORKER_EXITED", /exited with code 7/],
    ["F117 SIGKILL", "kill", { signal: "SIGKILL" }, "WORKER_EXITED", /killed by SIGKILL, out of memory\?/],
    ["SIGSEGV", "kill", { signal: "SIGSEGV" }, "WORKER_EXITED", /killed by SIGSEGV/],
  ])("%s costs one attempt with a named code, and the next task runs", async (_, task, params, code, message) => {
    const engine = await startedEngine();
    const { error, status } = await ran(engine, task, params);
    expect([status, error?.code]).toEqual(["failed", code]);
    expect(error?.message).toMatch(message);
    expect((await ran(engine, "pid")).status).toBe("succeeded");
  });

  it("has its steps kept for the next attempt, in the next process", async () => {
    const engine = await startedEngine();
    expect((await ran(engine, "steps")).output).toBe("done in attempt 1");
  });
});

describe("limits", () => {
  it("F117 F116 memory of the heap: WORKER_OUT_OF_MEMORY, and the engine lives", async () => {
    const engine = await startedEngine({ memoryLimitMb: 100 });
    expect((await ran(engine, "heap")).error).toMatchObject({ code: "WORKER_OUT_OF_MEMORY" });
    expect((await ran(engine, "pid")).status).toBe("succeeded");
  }, 30_000);

  it("memory beside the heap: WORKER_OUT_OF_MEMORY", async () => {
    const engine = await startedEngine({ memoryLimitMb: 150 });
    const { error } = await ran(engine, "buffers");
    expect(error).toMatchObject({ code: "WORKER_OUT_OF_MEMORY" });
    expect(error?.message).toContain("150 MB");
  }, 30_000);

  it("processor time of one attempt: WORKER_CPU_LIMIT, and not that of the attempts before it", async () => {
    const engine = await startedEngine({ cpuTime: 600 });
    for (let n = 0; n < 3; n++) expect((await ran(engine, "slow")).status).toBe("succeeded");
    const { error } = await ran(engine, "spin-on");
    expect(error).toMatchObject({ code: "WORKER_CPU_LIMIT" });
  }, 30_000);
});

describe("a task that has to stop", () => {
  it("F118 is ended by force when it never yields, and the machine is free again", async () => {
    const engine = await startedEngine();
    const { output: before } = await ran(engine, "pid");
    const { error, lines } = await ran(engine, "spin");
    expect(error).toMatchObject({ code: "TASK_TIMEOUT", cause: { code: "ABORT_FORCED" } });
    expect(lines.join("\n")).toMatch(/told to stop, with 200 ms[\s\S]*stopped by force/);
    expect(isAlive(before as number)).toBe(false);
    expect((await ran(engine, "pid")).output).not.toBe(before);
  });

  it("F118 takes the programs it has started with it", async () => {
    const engine = await startedEngine();
    const { lines } = await ran(engine, "grandchild");
    const pid = Number(/sleeps (\d+)/.exec(lines.join("\n"))![1]);
    await eventually(() => !isAlive(pid), "the program's end");
  });

  it("has its programs told by SIGTERM first, and may end by itself, in a process that lives on", async () => {
    const engine = await startedEngine({}, { abortGrace: 5_000 });
    const { output: before } = await ran(engine, "pid");
    const { error } = await ran(engine, "program");
    expect(error?.code).toBe("TASK_TIMEOUT");
    expect(error?.cause).toBeUndefined();
    expect((await ran(engine, "pid")).output).toBe(before);
  });

  it("F120 has its late result dropped", async () => {
    const engine = await startedEngine({}, { abortGrace: 5_000 });
    const { status, error } = await ran(engine, "late");
    expect([status, error?.code]).toEqual(["failed", "TASK_TIMEOUT"]);
  });

  it("F132 is not started when it is cancelled before there is a process for it", async () => {
    const notes = join(folder, "cancelled");
    const engine = await startedEngine({ env: { NOTES: notes } });
    await ran(engine, "slow");
    const first = ran(engine, "slow");
    const second = await engine.trigger(pipelineOf("pid"), {});
    await second.cancel();
    await expect(second.result()).rejects.toMatchObject({ code: "RUN_CANCELLED" });
    expect((await first).status).toBe("succeeded");
  });
});

describe("what a task leaves behind", () => {
  it("F121 fails the attempt that threw where nobody catches, with UNCAUGHT_ERROR", async () => {
    const engine = await startedEngine();
    const { error } = await ran(engine, "floating");
    expect(error).toMatchObject({ code: "UNCAUGHT_ERROR", cause: { message: "floating" } });
  });

  it("F121 is never charged to the next task", async () => {
    const engine = await startedEngine();
    const { output } = await ran(engine, "leaves");
    const next = await ran(engine, "slow");
    expect([next.status, next.output]).toEqual(["succeeded", output]);
  });

  it("is not seen by another task where each has a process of its own", async () => {
    const engine = await startedEngine({ mode: "per-task" });
    expect([(await ran(engine, "calls")).output, (await ran(engine, "calls")).output]).toEqual([1, 1]);
  });

  it("goes with its process after so many tasks", async () => {
    const engine = await startedEngine({ tasksPerProcess: 2 });
    const calls = [];
    for (let n = 0; n < 4; n++) calls.push((await ran(engine, "calls")).output);
    expect(calls).toEqual([1, 2, 1, 2]);
  });
});

describe("a module that cannot be used fails the start at once", () => {
  it.each([
    ["F125 a syntax error", syntaxError, "WORKER_START_FAILED", /syntax-error\.mjs.*SyntaxError/s],
    ["F125 a missing import", missingImport, "WORKER_START_FAILED", /no-such-file/],
    ["F125 no such file", "not-there.mjs", "WORKER_START_FAILED", /not-there\.mjs/],
    ["F125 process.exit", "exits.mjs", "WORKER_START_FAILED", /exited with code 3 before it was ready/],
    ["no pipelines", "no-pipelines.mjs", "WORKER_START_FAILED", /exports no pipeline/],
    ["another version", "other-version.mjs", "EXECUTOR_INVALID", /does not export/],
  ])("%s", async (_, name, code, message) => {
    const start = startedEngine({ module: resolve(fixture("."), name) });
    await expect(start).rejects.toMatchObject({ code });
    await expect(start).rejects.toThrow(message);
  });

  it("F129 what cannot be started at all, with the errno", async () => {
    const start = startedEngine({ execArgv: ["--no-such-option"] });
    await expect(start).rejects.toThrow(/WORKER_START_FAILED.*exited with code 9/s);
    if (process.getuid!() !== 0) return;
    await expect(startedEngine({ uid: 65_534, execArgv: ["--require", "/root/none.cjs"] })).rejects.toMatchObject({
      code: "WORKER_START_FAILED",
    });
  });

  it.each([
    [{ module: "./relative.js" }, /no absolute path/],
    [{ maxProcesses: 0 }, /maxProcesses/],
    [{ minProcesses: 3, maxProcesses: 2 }, /minProcesses/],
    [{ mode: "some" as never }, /mode/],
    [{ memoryLimitMb: 1 }, /memoryLimitMb/],
    [{ cwd: "/no/such/folder" }, /no folder/],
    [{ env: { A: 1 as never } }, /env\.A/],
  ])("F129 bad options are refused before anything starts: %o", (options, message) => {
    const bad = () => childProcesses({ module: fixture("tasks.mjs"), ...options });
    expect(bad).toThrow(message);
    expect(bad).toThrow(/^EXECUTOR_INVALID/);
  });
});

describe("output of a task", () => {
  it("of itself and of its programs goes to its log by line", async () => {
    const engine = await startedEngine();
    const { lines, status } = await ran(engine, "writes");
    expect(status).toBe("succeeded");
    expect([...lines].sort()).toEqual(["from a program", "one", "two", "unfinished", "wrong"]);
  });

  it("is bounded, with a mark for what was dropped; a flood blocks nobody", async () => {
    const engine = await startedEngine();
    const { output, lines, runId } = await ran(engine, "flood");
    expect(output).toBe("done");
    expect(lines).toHaveLength(1_000); // the first page
    const all = [];
    for (let cursor: string | undefined, isMore = true; isMore; ) {
      const page = await engine.runs.logs(runId, {}, { limit: 1_000, ...(cursor && { cursor }) });
      all.push(...page.items);
      cursor = page.next;
      isMore = cursor !== undefined;
    }
    expect(all.length).toBeLessThan(2_100);
    expect(all.at(-1)?.message).toMatch(/^198000 more lines \(\d+ bytes\) on stdout were dropped$/);
  });

  it("F127 that cannot be stored is refused with OUTPUT_NOT_SERIALIZABLE", async () => {
    const engine = await startedEngine();
    expect((await ran(engine, "function")).error).toMatchObject({ code: "OUTPUT_NOT_SERIALIZABLE" });
  });

  it("F126 on the channel that is not the engine's is ignored", async () => {
    const engine = await startedEngine();
    expect((await ran(engine, "chatter")).output).toBe("done");
  });

  it("arrives whole: lines, metrics, progress and large artifacts", async () => {
    const engine = await startedEngine();
    const { runId, lines } = await ran(engine, "says");
    expect(lines).toEqual(["a line"]);
    const [artifact] = (await engine.runs.artifacts(runId)).items;
    expect(artifact).toMatchObject({ name: "bytes", size: 3_000_000 });
    expect((await engine.runs.metrics(runId)).items).toMatchObject([{ name: "rows", value: 2 }]);
  });
});

describe("the surroundings of a process", () => {
  it("have no secret of the host, but for what is named", async () => {
    process.env.SECRET = "hush";
    process.env.SHARED = "open";
    try {
      const engine = await startedEngine({ env: { SHARED: true, GIVEN: "yes" } });
      const { output } = await ran(engine, "environment");
      expect(output).toMatchObject({ SHARED: "open", GIVEN: "yes", PATH: process.env.PATH });
      expect(JSON.stringify(output)).not.toContain("hush");
      expect((await ran(engine, "execFile")).output).toBe("");
    } finally {
      delete process.env.SECRET;
      delete process.env.SHARED;
    }
  });

  it("are the folder and the user that were asked for", async () => {
    const isRoot = process.getuid!() === 0;
    const engine = await startedEngine({ cwd: tmpdir(), ...(isRoot && { uid: 65_534, gid: 65_534 }) });
    expect((await ran(engine, "cwd")).output).toBe(tmpdir());
    if (isRoot) expect((await ran(engine, "ids")).output).toEqual([65_534, 65_534]);
  });

  it("F140 have Node's options of the host, without its debugger and scripts", async () => {
    const { inheritedArgv } = await import("./inherited-argv.js");
    expect(
      inheritedArgv([
        "--inspect=9229",
        "--import",
        "tsx",
        "-e",
        "1",
        "--test",
        "--disallow-code-generation-from-strings",
      ]),
    ).toEqual(["--import", "tsx", "--disallow-code-generation-from-strings"]);
  });

  it("are resources made once for each process, and ended with it", async () => {
    const notes = join(folder, "resources");
    const engine = await startedEngine({ env: { NOTES: notes } });
    expect([(await ran(engine, "resources")).output, (await ran(engine, "resources")).output]).toEqual([1, 1]);
    const { output: pid } = await ran(engine, "pid");
    await engine.stop();
    expect(readFileSync(notes, "utf8").trim().split("\n")).toEqual([`made ${pid}`, `ended ${pid}`]);
  });

  it("may be TypeScript", async () => {
    const processes = childProcesses({ module: fixture("typescript-tasks.ts"), maxProcesses: 1 });
    const { typed } = (await import(fixture("typescript-tasks.ts"))) as never as { typed: never };
    const { createEngine } = await import("weftline");
    const engine = createEngine({ pipelines: [typed], executors: { processes } });
    await engine.start();
    expect(await engine.run(typed)).toEqual({ out: "fast" });
    await engine.stop();
  });
});

describe("when the engine's process is killed", () => {
  it.each(["spin-on", "grandchild", "slow"])("its processes die too, whatever they do: %s", async (task) => {
    const host = spawn(process.execPath, [fixture("host.mjs"), task], { stdio: ["ignore", "pipe", "inherit"] });
    const lines = createInterface({ input: host.stdout });
    const [line] = (await new Promise<unknown[]>((resolve) => lines.once("line", (text) => resolve([text])))) as [
      string,
    ];
    const { out: pid } = JSON.parse(line) as { out: number };
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(isAlive(pid)).toBe(true);
    host.kill("SIGKILL");
    await eventually(() => !isAlive(pid), "the child's end");
    await eventually(() => !groupIsAlive(pid), "the end of all it had started");
  });
});

function groupIsAlive(pid: number): boolean {
  return isAlive(-pid);
}
