import { createTestEngine } from "@weftline/testing";
import { expect, it, vi } from "vitest";
import { createEngine, memoryStorage, pipeline, type Storage } from "weftline";
import { type HostLine, toldStorage } from "./host-log.js";

const two = pipeline("two", (p) => {
  const a = p.task("a", () => 1);
  p.task("b", { needs: { a } }, ({ input }) => input.a + 1);
});

function told() {
  const lines: HostLine[] = [];
  const storage = memoryStorage();
  return { lines, storage: toldStorage(storage, (line) => lines.push(line)) };
}

function ofType<Type extends HostLine["type"]>(lines: readonly HostLine[], type: Type) {
  return lines.filter((line): line is HostLine & { readonly type: Type } => line.type === type);
}

it("toldStorage() tells of each flush before it is sent, and of its answer", async () => {
  const { lines, storage } = told();
  const test = createTestEngine({ pipelines: [two], storage });
  await test.run(two);
  await test.stop();
  const asked = ofType(lines, "asked");
  const answered = ofType(lines, "answered");
  expect(answered.map(({ flush }) => flush)).toEqual(asked.map(({ flush }) => flush));
  expect(answered.every(({ outcome, fenced }) => outcome === "ok" && fenced.length === 0)).toBe(true);
  for (const [place, line] of lines.entries()) {
    if (line.type === "answered") expect(lines[place - 1]).toMatchObject({ type: "asked", flush: line.flush });
  }
  const ends = asked.flatMap(({ runs }) => runs.flatMap(({ tasks }) => tasks));
  expect(ends.filter(({ status }) => status === "succeeded").map(({ position }) => position)).toEqual([0, 1]);
  expect(asked.at(-1)!.runs).toMatchObject([{ epoch: 1, status: "succeeded" }]);
});

it("toldStorage() tells what of a flush was refused, with the flush", async () => {
  const lines: HostLine[] = [];
  const values = [{ runId: "r", task: "a", index: [], message: "no" }];
  const refusing = { commit: async () => ({ kind: "rejected", values }) } as Partial<Storage> as Storage;
  const storage = toldStorage(refusing, (line) => lines.push(line));
  await storage.commit({ id: "f", number: 1, engineId: "e", runs: [] });
  expect(ofType(lines, "answered")).toMatchObject([{ outcome: "rejected", rejected: values, whole: [] }]);
});

it("toldStorage() tells what a new owner reads of a run, and nothing that is read later", async () => {
  const { lines, storage } = told();
  const slow = pipeline("slow", (p) => {
    const a = p.task("a", () => 1);
    p.sleep("nap", { for: "1h", after: [a] });
  });
  const first = createEngine({ pipelines: [slow], storage });
  await first.start();
  const run = await first.trigger(slow);
  await vi.waitFor(async () => expect(await run.status()).toBe("waiting"));
  await first.stop();
  expect(ofType(lines, "loaded")).toEqual([]); // it owned the run from the start
  const [claimed] = await claimAll(storage, slow.hash);
  await storage.loadTasks([run.id], { limit: 1_000 });
  const [loaded] = ofType(lines, "loaded");
  expect(loaded).toMatchObject({ runId: run.id, engine: "second", epoch: claimed!.epoch });
  expect(loaded!.tasks.map(({ task, status }) => `${task} ${status}`)).toEqual(["a succeeded", "nap waiting"]);
  await storage.commit({ id: "f", number: 1, engineId: "second", runs: [emptyChanges(run.id, claimed!.epoch)] });
  await storage.loadTasks([run.id], { limit: 1_000 });
  expect(ofType(lines, "loaded")).toHaveLength(1);
  await storage.close();
});

async function claimAll(storage: Storage, definition: string) {
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  await storage.open({ log, now: Date.now });
  await storage.renewLease({ engineId: "second", leaseMs: 10_000, isNew: true, definitions: [definition] });
  const about = { maxActiveRuns: {}, limit: 10, suspectFrom: 3, suspects: 0, now: Date.now() + 1e9 };
  return storage.claimRuns({ engineId: "second", definitions: [definition], ...about });
}

function emptyChanges(runId: string, epoch: number) {
  const lists = { tasks: [], attempts: [], logs: [], metrics: [], artifacts: [], steps: [], assets: [], cached: [] };
  return { runId, epoch, run: undefined, consumed: [], ...lists };
}
