import { describe, expect, it } from "vitest";
import type { ArtifactRecord } from "../../contracts/records.js";
import { attemptRecord, changes, ended, flush, logRecord, newRun, stepRecord, taskRecord } from "./test-records.js";
import { idsOf, withEngines, withRuns } from "./test-store.js";

describe("listings", () => {
  it("of runs know who started them, and go on where they were while runs are deleted", async () => {
    const { storage } = await withRuns("parent", "x", "y");
    const parent = { runId: "parent", task: "start", index: [1] };
    const ids = Array.from({ length: 9 }, (_, n) => `child-${n}`);
    await storage.createRuns(ids.map((id) => newRun({ id, parent, owner: "a" })));
    const first = await storage.list("runs", { parent: "parent" }, { limit: 4 });
    expect(idsOf(first.items)).toEqual(ids.slice(5).reverse());
    const done = [ids[5]!, ids[4]!, ids[1]!];
    await storage.commit(flush("a", ...["parent", ...done].map((id) => changes(id, 1, ended("failed")))));
    await storage.deleteRun(ids[5]!);
    expect(await storage.prune({ before: 10, limit: 10 })).toBe(2);
    const rest = await storage.list("runs", { parent: "parent" }, { limit: 9, cursor: first.next! });
    expect(idsOf(rest.items)).toEqual([3, 2, 0].map((n) => ids[n]));
    expect((await storage.list("runs", { parent: "x" }, { limit: 9 })).items).toEqual([]);
  });

  it("of every kind go on from their cursors, also when the run has grown meanwhile", async () => {
    const { storage } = await withRuns("r");
    const kinds = ["tasks", "attempts", "logs", "metrics", "artifacts", "steps", "assets"] as const;
    const line = (n: number) => ({ ...stepRecord("r", `${n}`), at: n });
    const write = (numbers: readonly number[]) => {
      const lines = numbers.map(line);
      const metrics = lines.map((from) => ({ ...from, name: from.step, value: 1 }));
      const artifacts = metrics.map(
        (from): ArtifactRecord => ({ ...from, contentType: "", size: 1, data: Uint8Array.of(1) }),
      );
      return storage.commit(
        flush(
          "a",
          changes("r", 1, {
            tasks: numbers.map((n) => taskRecord("r", { position: n })),
            attempts: numbers.map((n) => attemptRecord("r", { position: n })),
            logs: numbers.map((n) => logRecord("r", `${n}`)),
            steps: lines,
            metrics,
            artifacts,
            assets: lines.map((from) => ({ ...from, asset: from.step })),
          }),
        ),
      );
    };
    await write([0, 1, 2]);
    const firsts = await Promise.all(kinds.map((kind) => storage.list(kind, { runId: "r" }, { limit: 2 })));
    await write(Array.from({ length: 97 }, (_, n) => n + 3));
    for (const [place, kind] of kinds.entries()) {
      const rest = await storage.list(kind, { runId: "r" }, { limit: 98, cursor: firsts[place]!.next! });
      expect([firsts[place]!.items.length, rest.items.length, rest.next], kind).toEqual([2, 98, undefined]);
      expect(firsts[place]!.items.concat(rest.items as never[])).toEqual(
        (await storage.list(kind, { runId: "r" }, { limit: 100 })).items,
      );
    }
    const [artifact] = (await storage.list("artifacts", { runId: "r" }, { limit: 1 })).items;
    expect(artifact).not.toHaveProperty("data");
  });

  it("page through gaps of positions and items with cursors that keep their meaning", async () => {
    const { storage } = await withEngines("a");
    await storage.createRuns([newRun({ id: "r", owner: "a" })]);
    const records = [
      taskRecord("r", { position: 9 }),
      taskRecord("r", { position: 2, items: 3 }),
      taskRecord("r", { position: 2, index: [2] }),
      taskRecord("r", { position: 2, index: [0] }),
      taskRecord("r", { position: 2, index: [0, 4] }),
      taskRecord("r", { position: 0 }),
    ];
    await storage.commit(
      flush(
        "a",
        changes("r", 1, { tasks: records, attempts: records.map((record) => attemptRecord("r", record as object)) }),
      ),
    );
    const paths: string[] = [];
    let page = await storage.loadTasks(["r"], { limit: 1 });
    for (;;) {
      for (const { position, index } of page.items) paths.push([position, ...index].join("."));
      if (page.next === undefined) break;
      page = await storage.loadTasks(["r"], { limit: 1, cursor: page.next });
    }
    expect(paths).toEqual(["0", "2", "2.0", "2.0.4", "2.2", "9"]);
    const first = await storage.list("attempts", { runId: "r" }, { limit: 3 });
    const rest = await storage.list("attempts", { runId: "r" }, { limit: 10, cursor: first.next! });
    expect([...first.items, ...rest.items].map(({ position, index }) => [position, ...index].join("."))).toEqual(paths);
    await expect(storage.list("logs", { runId: "r" }, { limit: 1, cursor: first.next! })).rejects.toMatchObject({
      code: "CURSOR_INVALID",
    });
  });
});
