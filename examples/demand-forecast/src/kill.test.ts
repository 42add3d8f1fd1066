import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { sqliteStorage } from "@weftline/storage-sqlite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createEngine, type TaskInfo, taskName } from "weftline";

const PROGRAM = fileURLToPath(new URL("../dist/main.js", import.meta.url));

let root: string;
let folder: string;
/** What a run makes that nobody disturbs. */
let undisturbed: readonly string[];
const children = new Set<ChildProcess>();

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "demand-forecast-kill-"));
  folder = join(root, "undisturbed");
  expect(await start()).toMatchObject({ exitCode: 0 });
  undisturbed = await made();
});
afterAll(() => rm(root, { recursive: true }));
beforeEach(async () => {
  folder = await mkdtemp(join(root, "night-"));
});
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
});

interface Ended {
  readonly exitCode: number | null;
  readonly output: string;
}

/** Runs the program as `npm start` does. @param onLine - Hears each line as it is printed. */
async function start(onLine: (line: string, child: ChildProcess) => void = () => {}): Promise<Ended> {
  const options = ["--out", folder, "--trace", join(folder, "trace.txt")];
  const child = spawn(process.execPath, [PROGRAM, ...options], { stdio: ["ignore", "pipe", "inherit"] });
  children.add(child);
  let output = "";
  let left = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    const lines = (left + text).split("\n");
    left = lines.pop()!;
    for (const line of lines) onLine(line.replace(/^ *[\d.]+ s +/, "").replace(/ +/g, " "), child);
  });
  const [exitCode] = (await once(child, "close")) as [number | null];
  children.delete(child);
  return { exitCode, output };
}

/** Starts it, and sends a signal, or some, as soon as it has printed such a line, or so many of them. */
function startUntil(printed: RegExp, signals: readonly NodeJS.Signals[], times = 1): Promise<Ended> {
  let left = times;
  return start((line, child) => {
    if (printed.test(line) && --left === 0) for (const signal of signals) child.kill(signal);
  });
}

/** The files that the night is for. */
function made(): Promise<readonly string[]> {
  return Promise.all(["model.json", "metrics.json", "report.html"].map((name) => readFile(join(folder, name), "utf8")));
}

/** How often the code of each task and item was begun, as the file says that is on the disk before the code runs. */
async function begun(): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  const trace = await readFile(join(folder, "trace.txt"), "utf8").catch(() => ""); // killed before any code ran
  for (const line of trace.split("\n")) {
    const [, name] = /^begin (\S+) of run/.exec(line) ?? [];
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

/** The runs in the store and the tasks of the newest, read while no program runs. */
async function stored(): Promise<{
  readonly runs: number;
  readonly owner: string | undefined;
  readonly tasks: readonly TaskInfo[];
}> {
  const storage = sqliteStorage({ file: join(folder, "runs.db") });
  const engine = createEngine({ pipelines: [], storage });
  try {
    const { items } = await engine.runs.list();
    const { id } = items[0]!;
    const tasks = (await engine.runs.tasks(id, {}, { limit: 1_000 })).items;
    return { runs: items.length, owner: (await storage.getRun(id))?.owner, tasks };
  } finally {
    await engine.stop();
  }
}

function succeeded(tasks: readonly TaskInfo[]): ReadonlyMap<string, TaskInfo> {
  const done = tasks.filter(({ status }) => status === "succeeded");
  return new Map(done.map((record) => [taskName(record.task, record.index), record]));
}

/** What has succeeded by now, and how often its code has run. */
async function doneSoFar() {
  const [{ tasks }, counts] = [await stored(), await begun()];
  return [...succeeded(tasks)].map(([name, record]) => ({ name, record, begun: counts.get(name) }));
}

/** Nothing of it has run again since. */
async function expectUnrepeated(before: Awaited<ReturnType<typeof doneSoFar>>): Promise<void> {
  const [{ tasks }, counts] = [await stored(), await begun()];
  const now = succeeded(tasks);
  for (const { name, record, begun: times } of before) {
    expect({ name, begun: counts.get(name) }).toEqual({ name, begun: times });
    expect(now.get(name)).toEqual(record);
  }
}

describe("a program that is killed with SIGKILL and started again", { timeout: 60_000 }, () => {
  it.each([
    ["as it begins", /^fetch running/],
    ["between two tasks", /^features succeeded/],
    ["when folds are trained", /^train\[4\] running/],
    ["when the last fold is done", /^train\[11\] succeeded/],
    ["as it deploys the model", /^deploy running/],
    ["when the model is deployed", /^deploy succeeded/],
    ["as it writes the report", /^report running/],
  ])("%s: goes on from there, repeats nothing, and comes to the same result", async (_when, printed) => {
    expect(await startUntil(printed, ["SIGKILL"])).toMatchObject({ exitCode: null });
    const done = await doneSoFar();
    const ended = (await stored()).tasks.filter(({ status }) => status === "succeeded" || status === "skipped");
    const tasks = ended.filter(({ index }) => index.length === 0).length;
    const { exitCode, output } = await start();
    expect(exitCode).toBe(0);
    expect(output).toMatch(new RegExp(`^Going on with run \\S+: ${tasks}(?: of|, )`));
    await expectUnrepeated(done);
    expect(await made()).toEqual(undisturbed);
    expect((await stored()).runs).toBe(1);
  });

  it("again and again: goes on each time", async () => {
    for (let kill = 1; kill <= 4; kill++) {
      const before = await doneSoFar().catch(() => []); // at first there is no store
      const ended = await startUntil(/ succeeded /, ["SIGKILL"]);
      expect(ended.exitCode, ended.output).toBeNull();
      await expectUnrepeated(before);
      expect((await doneSoFar()).length).toBeGreaterThan(before.length);
    }
    const before = await doneSoFar();
    expect(before.length).toBeGreaterThanOrEqual(4);
    expect(await start()).toMatchObject({ exitCode: 0 });
    await expectUnrepeated(before);
    expect(await made()).toEqual(undisturbed);
  });
});

describe("a program that is told to stop", { timeout: 60_000 }, () => {
  it("gives its run back, minds no second signal, and goes on at once when it is started again", async () => {
    const stopped = await startUntil(/^train\[2\] running/, ["SIGTERM", "SIGTERM", "SIGINT"]);
    expect(stopped.output).toContain("Stopping: what runs may end, and the next start goes on from there.");
    expect([143, 130]).toContain(stopped.exitCode);
    expect((await stored()).owner).toBeUndefined();
    const done = await doneSoFar();
    const { exitCode, output } = await start();
    expect(exitCode).toBe(0);
    expect(output).toMatch(/^Going on with run/);
    await expectUnrepeated(done);
    expect(await made()).toEqual(undisturbed);
  });
});
