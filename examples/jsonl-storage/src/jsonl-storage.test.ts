import { appendFile, type FileHandle, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestEngine, errorThenValue, storageContract } from "@weftline/testing";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { pipeline, type Storage } from "weftline";
import { jsonlStorage } from "./jsonl-storage.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "weftline-jsonl-"));
});
afterAll(() => rm(folder, { recursive: true }));

storageContract({
  it,
  describe,
  open: (place) => jsonlStorage({ file: join(folder, `${place}.jsonl`) }),
});

const CONTEXT = { log: { debug() {}, info() {}, warn() {}, error() {} }, now: () => 0 };
const RUN = {
  pipeline: "nightly",
  definition: "1",
  params: "j1:{}",
  key: undefined,
  fingerprint: "",
  tags: [],
  priority: 0,
  parent: undefined,
  createdAt: 0,
  availableAt: 0,
  schedule: undefined,
  instant: undefined,
  owner: undefined,
};

async function create(storage: Storage, ...ids: string[]): Promise<void> {
  await storage.createRuns(ids.map((id) => ({ ...RUN, id })));
}

async function idsIn(file: string): Promise<string[]> {
  const storage = jsonlStorage({ file });
  await storage.open(CONTEXT);
  const { items } = await storage.list("runs", {}, { limit: 10 });
  await storage.close();
  return items.map(({ id }) => id).reverse();
}

/** A file with two runs, of one line each. */
async function fileWithRuns(name: string): Promise<string> {
  const file = join(folder, name);
  const storage = jsonlStorage({ file });
  await storage.open(CONTEXT);
  await create(storage, "run-1");
  await create(storage, "run-2");
  await storage.close();
  return file;
}

describe("jsonlStorage()", () => {
  it("reads the whole lines of a file whose last line was cut off anywhere, and goes on behind them", async () => {
    const file = await fileWithRuns("cut.jsonl");
    const whole = await readFile(file);
    const lastLine = whole.indexOf("\n") + 1;
    for (let length = lastLine; length < whole.length; length += 7) {
      await writeFile(file, whole.subarray(0, length));
      expect(await idsIn(file)).toEqual(["run-1"]);
      const storage = jsonlStorage({ file });
      await storage.open(CONTEXT);
      await create(storage, "run-3");
      await storage.close();
      expect(await idsIn(file)).toEqual(["run-1", "run-3"]);
    }
  });

  it("drops a last line that was written in part although its end was", async () => {
    const file = await fileWithRuns("holes.jsonl");
    await appendFile(file, `[0,"createRuns","d1:${"\0".repeat(4_096)}"]\n`);
    expect(await idsIn(file)).toEqual(["run-1", "run-2"]);
  });

  it("refuses a file that is damaged before its last line", async () => {
    const file = await fileWithRuns("damaged.jsonl");
    const [first = "", second = ""] = (await readFile(file, "utf8")).split("\n");
    await writeFile(file, `${first.slice(10)}\n${second}\n`);
    await expect(idsIn(file)).rejects.toThrow("is damaged after byte 0");
  });

  it("shows nothing of a change that could not be written, and leaves nothing of it in the file", async () => {
    const file = await fileWithRuns("full.jsonl");
    const storage = jsonlStorage({ file });
    await storage.open(CONTEXT);
    const handle = await open(file);
    const noSpace = vi.spyOn(Object.getPrototypeOf(handle) as FileHandle, "datasync");
    noSpace.mockRejectedValueOnce(new Error("ENOSPC: no space left on device"));
    await expect(create(storage, "lost")).rejects.toThrow("ENOSPC");
    noSpace.mockRestore();
    await handle.close();
    expect(await storage.getRun("lost")).toBeUndefined();
    await create(storage, "run-3");
    await storage.close();
    expect(await idsIn(file)).toEqual(["run-1", "run-2", "run-3"]);
  });

  it("writes a line for receive() and putDefinitions() only when they may change something", async () => {
    const file = join(folder, "quiet.jsonl");
    const storage = jsonlStorage({ file });
    await storage.open(CONTEXT);
    await storage.renewLease({ engineId: "engine-1", leaseMs: 1_000, isNew: true, definitions: ["1"] });
    await storage.putDefinitions([{ hash: "1", pipeline: "nightly", graph: "j1:{}" }]);
    const before = await readFile(file, "utf8");
    await storage.receive("engine-1");
    await storage.putDefinitions([{ hash: "1", pipeline: "nightly", graph: "j1:{}" }]);
    expect(await readFile(file, "utf8")).toBe(before);
    await storage.createRuns([{ ...RUN, id: "run-1", owner: "engine-1" }]);
    await storage.sendSignals([{ id: "signal-1", key: "order", payload: "u1:", sentAt: 0 }]);
    await storage.receive("engine-1"); // nobody waits for that signal
    await storage.send([{ id: "pause-1", runId: "run-1", sentAt: 0, kind: "pause" }]);
    await storage.receive("engine-1");
    await storage.close();
    const lines = (await readFile(file, "utf8")).slice(before.length).split("\n").slice(0, -1);
    expect(lines.map((line) => (JSON.parse(line) as [number, string])[1])).toEqual([
      "createRuns",
      "sendSignals",
      "send",
      "receive",
    ]);
  });

  it("can be opened again after it failed to open", async () => {
    const storage = jsonlStorage({ file: join(folder, "missing", "runs.jsonl") });
    await expect(storage.open(CONTEXT)).rejects.toMatchObject({ code: "ENOENT" });
    await storage.close();
    await expect(storage.open(CONTEXT)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("lets the next engine go on with what a dead one had begun", async () => {
    const file = join(folder, "engine.jsonl");
    const nightly = pipeline("nightly", { defaults: { retry: { attempts: 3, delay: "1h" } } }, (p) => {
      const rows = p.task("fetch", () => [1, 2]);
      const sums = p.map("add", { over: rows }, ({ item }) => item + 1);
      return { sums };
    });

    const storage = jsonlStorage({ file });
    const first = createTestEngine({ pipelines: [nightly], storage, name: "first", log: CONTEXT.log });
    first.mock("add", errorThenValue(new Error("not now"), 5));
    const run = await first.trigger(nightly);
    await first.waitFor(run, { task: "add[1]", status: "retrying" });
    // As if the process had been killed: the engine releases nothing, and the file is all that is left.
    await storage.close();

    const second = createTestEngine({
      pipelines: [nightly],
      storage: jsonlStorage({ file }),
      name: "second",
      now: first.clock.now(),
      log: CONTEXT.log,
    });
    await second.waitFor(run, { status: "succeeded" });
    await second.expectAttempts(run, { fetch: 1, "add[0]": 2, "add[1]": 2 });
    await second.stop();
    await first.stop();
  });
});
