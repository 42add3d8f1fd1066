import { describe, expect, it } from "vitest";
import type { RunChanges } from "weftline";
import {
  attemptRecord,
  changes,
  ENGINE,
  newFile,
  openRaw,
  openStorage,
  owned,
  runState,
  START,
  taskRecord,
} from "./test-support/store.js";

/** How many rows each table has that keeps something of runs. */
function rowsIn(file: string): Record<string, number> {
  const raw = openRaw(file);
  const tables = raw
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'weftline%'")
    .all()
    .map((row) => (row as { name: string }).name)
    .filter((name) => !/meta|engines|flushes|kinds|workers|definitions|schedules|cache/.test(name));
  const count = (name: string) => (raw.prepare(`SELECT count(*) AS rows FROM ${name}`).get() as { rows: number }).rows;
  const rows = Object.fromEntries(tables.map((name) => [name, count(name)]));
  raw.close();
  return rows;
}

function everything(runId: string, tasks: number): Partial<RunChanges> {
  const line = { runId, task: "task-0", index: [], generation: 1, attempt: 1, at: START };
  const positions = Array.from({ length: tasks }, (_, position) => position);
  return {
    run: runState("succeeded", { finishedAt: START + 10 }),
    tasks: positions.map((position) => taskRecord(runId, position)),
    attempts: positions.map((position) => attemptRecord(runId, position, { attempt: 2 })),
    logs: positions.map((n) => ({ ...line, level: "info", message: `${n}`, data: undefined })),
    metrics: [{ ...line, name: "rows", value: 1 }],
    artifacts: [{ ...line, name: "report", contentType: "text/plain", size: 1, data: Uint8Array.of(1) }],
    steps: [{ ...line, step: "load", startedAt: START, output: "u1:" }],
    assets: [{ ...line, asset: "rows" }],
  };
}

describe("a run with a long history", () => {
  it.each(["deleteRun", "prune"] as const)("is deleted by %s() bit by bit, and nothing of it stays", async (how) => {
    const file = newFile();
    const storage = await openStorage({ file, durability: "off" });
    await owned(storage, "run-1");
    await storage.commit({
      id: "flush",
      number: 1,
      engineId: ENGINE,
      runs: [changes("run-1", everything("run-1", 5_000))],
    });
    expect(rowsIn(file)).toMatchObject({ weftline_runs: 1, weftline_tasks: 5_000, weftline_logs: 5_000 });
    let turns = 0;
    const counting = setInterval(() => turns++, 0);
    if (how === "prune") expect(await storage.prune({ before: START + 100, limit: 10 })).toBe(1);
    else expect(await storage.deleteRun("run-1")).toBe("deleted");
    clearInterval(counting);
    expect(turns).toBeGreaterThan(3);
    expect(Object.values(rowsIn(file)).every((rows) => rows === 0)).toBe(true);
  });

  it("is gone at once, and what was left of it when somebody gave up goes with the next one", async () => {
    const file = newFile();
    const storage = await openStorage({ file, durability: "off" });
    await owned(storage, "run-1", "run-2");
    const runs = [changes("run-1", everything("run-1", 5_000)), changes("run-2", everything("run-2", 1))];
    await storage.commit({ id: "flush", number: 1, engineId: ENGINE, runs });
    const controller = new AbortController();
    const reason = new Error("enough");
    const deleting = storage.deleteRun("run-1", { signal: controller.signal });
    while ((await storage.getRun("run-1")) !== undefined) await new Promise((resolve) => setImmediate(resolve));
    controller.abort(reason);
    await expect(deleting).rejects.toBe(reason);
    expect(await storage.getRun("run-1")).toBeUndefined();
    expect((await storage.list("tasks", { runId: "run-1" }, { limit: 10 })).items).toEqual([]);
    expect(rowsIn(file)).toMatchObject({ weftline_runs: 1, weftline_trash: 1 });
    await storage.deleteRun("run-2");
    expect(Object.values(rowsIn(file)).every((rows) => rows === 0)).toBe(true);
  });
});
