import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AttemptRecord, memoryStorage, type RunChanges, type Storage, type TaskRecord } from "weftline";
import {
  attemptRecord,
  changes,
  ENGINE,
  newFile,
  openRaw,
  openStorage,
  owned,
  reopen,
  START,
  taskRecord,
} from "./test-support/store.js";

const place = fc.record({
  position: fc.constantFrom(0, 1, 10),
  index: fc.constantFrom([], [0], [2], [10], [0, 1]),
  generation: fc.constantFrom(1, 1, 1, 2, 3),
});
const time = fc.constantFrom(START, START + 1);
const end = fc.option(fc.constantFrom(START + 2, START + 3), { nil: undefined });
const error = fc.option(fc.constant({ name: "Error", message: "no" }), { nil: undefined, freq: 4 });

const task = fc
  .tuple(place, time, end, fc.constantFrom("running", "succeeded", "failed", "retrying"), fc.nat(9))
  .map(([at, startedAt, finishedAt, status, n]): TaskRecord => {
    const rest = { startedAt, finishedAt, status, output: `j1:${n}`, reason: n > 7 ? "why" : undefined } as const;
    return taskRecord("run-1", at.position, { ...at, ...rest });
  });

const attempt = fc
  .tuple(
    place,
    time,
    end,
    fc.constantFrom("running", "succeeded", "failed"),
    fc.constantFrom(1, 1, 1, 2),
    error,
    fc.nat(1),
  )
  .map(([at, startedAt, finishedAt, status, number, thrown, engine]): AttemptRecord => {
    const rest = {
      startedAt,
      finishedAt,
      status,
      attempt: number,
      error: thrown,
      engineId: `engine-${engine}`,
    } as const;
    return attemptRecord("run-1", at.position, { ...at, ...rest });
  });

/** A task with the attempt that engines write with it: as the task is, in most cases. */
const both = fc.tuple(task, fc.boolean(), error, fc.nat(1)).map(([record, isSame, thrown, engine]) => {
  const { task: name, position, index, generation, startedAt, finishedAt, status } = record;
  const same: AttemptRecord["status"] = status === "running" || status === "succeeded" ? status : "failed";
  const written = attemptRecord("run-1", position, {
    ...{ task: name, index, generation, startedAt: startedAt!, engineId: `engine-${engine}` },
    ...{ finishedAt: isSame ? finishedAt : START + 9, status: same, error: thrown },
  });
  return { tasks: [record], attempts: [written] };
});

const flush = fc
  .array(
    fc.oneof(
      both,
      both,
      task.map((record) => ({ tasks: [record] })),
      attempt.map((record) => ({ attempts: [record] })),
    ),
    {
      minLength: 1,
      maxLength: 6,
    },
  )
  .map((parts) => ({
    tasks: parts.flatMap((part) => ("tasks" in part ? part.tasks : [])),
    attempts: parts.flatMap((part) => ("attempts" in part ? part.attempts : [])),
  }));

async function everything(storage: Storage, limit: number): Promise<unknown> {
  const read = async (kind: "tasks" | "attempts", query: object) => {
    const records: unknown[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await storage.list(kind, { runId: "run-1", ...query }, cursor ? { limit, cursor } : { limit });
      records.push(...page.items);
      cursor = page.next;
      if (cursor === undefined) return records;
    }
  };
  return {
    current: await read("tasks", {}),
    failed: await read("tasks", { status: ["failed"] }),
    generations: await Promise.all([1, 2, 3].map((generation) => read("tasks", { generation }))),
    attempts: await read("attempts", {}),
    running: await read("attempts", { status: ["running"] }),
    ofItem: await read("attempts", { task: "task-10", index: [2] }),
    ofGeneration: await read("attempts", { generation: 2 }),
    loaded: (await storage.loadTasks(["run-1"], { limit: 1_000 })).items,
  };
}

describe("tasks and attempts", () => {
  it("are what they are in memory, whatever is written in which order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(flush, { minLength: 1, maxLength: 8 }),
        fc.constantFrom(1, 3, 1_000),
        async (flushes, limit) => {
          const sqlite = await openStorage({ file: newFile(), durability: "off" });
          const memory = memoryStorage();
          await reopen(memory);
          for (const storage of [sqlite, memory]) {
            await owned(storage, "run-1");
            for (const [n, written] of flushes.entries()) await commit(storage, `flush-${n}`, written);
          }
          expect(await everything(sqlite, limit)).toEqual(await everything(memory, limit));
          await sqlite.close();
        },
      ),
      { numRuns: 60 },
    );
  }, 60_000);

  it("take one row together, when a task has one attempt", async () => {
    const file = newFile();
    const storage = await openStorage({ file });
    await owned(storage, "run-1");
    const running = { status: "running", finishedAt: undefined } as const;
    const positions = [0, 1, 2];
    for (const [n, details] of [running, {}].entries()) {
      await commit(storage, `flush-${n}`, {
        tasks: positions.map((position) => taskRecord("run-1", position, details)),
        attempts: positions.map((position) => attemptRecord("run-1", position, details)),
      });
    }
    const { items } = await storage.list("attempts", { runId: "run-1" }, { limit: 10 });
    expect(items).toEqual(positions.map((position) => attemptRecord("run-1", position)));
    const raw = openRaw(file);
    expect(raw.prepare("SELECT count(*) AS rows FROM weftline_attempts").get()).toEqual({ rows: 0 });
    raw.close();
  });
});

let flushes = 0;

async function commit(storage: Storage, id: string, details: Partial<RunChanges>): Promise<void> {
  const outcome = await storage.commit({ id, number: ++flushes, engineId: ENGINE, runs: [changes("run-1", details)] });
  expect(outcome).toEqual({ kind: "ok", fenced: [] });
}
