import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AttemptRecord, RunChanges, Storage, TaskRecord } from "weftline";
import { quoted } from "./migrations.js";
import { openClient, openStorage, sleep } from "./test-support/database.js";
import {
  attemptRecord,
  changes,
  flush,
  logRecord,
  owned,
  register,
  runState,
  START,
  taskRecord,
} from "./test-support/records.js";

const OK = { kind: "ok", fenced: [] };
const MEBIBYTE = 2 ** 20;

async function attemptsOf(storage: Storage, runId: string): Promise<readonly AttemptRecord[]> {
  return (await storage.list("attempts", { runId }, { limit: 1_000 })).items;
}

async function countOf(storage: Storage, kind: "tasks" | "logs", runId: string): Promise<number> {
  return (await storage.list(kind, { runId }, { limit: 1_000 })).items.length;
}

describe("first attempts", () => {
  it("that say nothing a task's record does not say have no row of their own, and are listed all the same", async () => {
    const { storage, schema } = await openStorage();
    await owned(storage, "run-1");
    const running = { status: "running", finishedAt: undefined } as const;
    await storage.commit(
      flush(
        changes("run-1", {
          tasks: [taskRecord("run-1", 0, { ...running, output: undefined }), taskRecord("run-1", 1, { index: [12] })],
          attempts: [attemptRecord("run-1", 1, 1, { index: [12] }), attemptRecord("run-1", 0, 1, running)],
        }),
      ),
    );
    const client = await openClient();
    const rows = async () => (await client.query(`SELECT * FROM ${quoted(schema)}.attempts`)).rows;
    expect(await rows()).toEqual([]);
    const listed = [attemptRecord("run-1", 0, 1, running), attemptRecord("run-1", 1, 1, { index: [12] })];
    expect(await attemptsOf(storage, "run-1")).toEqual(listed);

    await storage.commit(
      flush(changes("run-1", { tasks: [taskRecord("run-1", 0)], attempts: [attemptRecord("run-1", 0, 1)] })),
    );
    expect(await rows()).toEqual([]);
    expect(await attemptsOf(storage, "run-1")).toEqual([attemptRecord("run-1", 0, 1), listed[1]]);
  });

  it("stay as they were when their task goes on without them", async () => {
    const { storage } = await openStorage();
    await owned(storage, "run-1");
    const first = attemptRecord("run-1", 0, 1, { executor: "cpu" });
    await storage.commit(flush(changes("run-1", { tasks: [taskRecord("run-1", 0)], attempts: [first] })));
    const later = taskRecord("run-1", 0, { status: "cancelled", startedAt: START + 50, finishedAt: START + 90 });
    await storage.commit(flush(changes("run-1", { tasks: [later] })));
    expect(await attemptsOf(storage, "run-1")).toEqual([first]);
    expect((await storage.list("tasks", { runId: "run-1" }, { limit: 10 })).items).toEqual([later]);
  });

  it("are replaced when they come again without their task", async () => {
    const { storage } = await openStorage();
    await owned(storage, "run-1");
    const tasks = [taskRecord("run-1", 0)];
    await storage.commit(flush(changes("run-1", { tasks, attempts: [attemptRecord("run-1", 0, 1)] })));
    const failed = attemptRecord("run-1", 0, 1, { status: "failed", error: { name: "Error", message: "late" } });
    await storage.commit(flush(changes("run-1", { attempts: [failed] })));
    expect(await attemptsOf(storage, "run-1")).toEqual([failed]);
    expect((await storage.list("tasks", { runId: "run-1" }, { limit: 10 })).items).toEqual(tasks);
  });

  it("that began and ended within one flush are listed as they ended, also beside one that comes without its task", async () => {
    const { storage } = await openStorage();
    await owned(storage, "run-1");
    const running = attemptRecord("run-1", 0, 1, { status: "running", finishedAt: undefined });
    const ended = attemptRecord("run-1", 0, 1);
    const alone = attemptRecord("run-1", 1, 1, { status: "failed" });
    const tasks = [taskRecord("run-1", 0)];
    await storage.commit(flush(changes("run-1", { tasks, attempts: [running, ended, alone] })));
    expect(await attemptsOf(storage, "run-1")).toEqual([ended, alone]);
  });

  it("that come twice in one flush are listed as the later one says, whichever is as the task", async () => {
    const { storage } = await openStorage();
    await owned(storage, "run-1");
    const asTask = attemptRecord("run-1", 0, 1);
    const other = attemptRecord("run-1", 0, 1, { status: "failed" });
    for (const attempts of [
      [other, asTask],
      [asTask, other],
      [asTask, other, asTask],
    ]) {
      await storage.commit(flush(changes("run-1", { tasks: [taskRecord("run-1", 0)], attempts })));
      expect(await attemptsOf(storage, "run-1")).toEqual(attempts.slice(-1));
    }
  });

  it("that had a row of their own before are no longer listed from that", async () => {
    const { storage, schema } = await openStorage();
    await owned(storage, "run-1");
    const failed = attemptRecord("run-1", 0, 1, { status: "failed", error: { name: "Error", message: "boom" } });
    await storage.commit(flush(changes("run-1", { attempts: [failed] })));
    const first = attemptRecord("run-1", 0, 1);
    await storage.commit(flush(changes("run-1", { tasks: [taskRecord("run-1", 0)], attempts: [first] })));
    const client = await openClient();
    expect((await client.query(`SELECT status FROM ${quoted(schema)}.attempts`)).rows).toEqual([{ status: "failed" }]);
    expect(await attemptsOf(storage, "run-1")).toEqual([first]);
    await storage.commit(flush(changes("run-1", { tasks: [taskRecord("run-1", 0, { status: "cancelled" })] })));
    expect(await attemptsOf(storage, "run-1")).toEqual([first]);
  });

  it("are, like all others, what was last written under their identity, in whatever order flushes come", async () => {
    const { storage } = await openStorage();
    await register(storage);
    const moment = fc.constantFrom(START, START + 10, undefined);
    const place = fc.record({
      position: fc.nat(1),
      index: fc.constantFrom([], [3]),
      generation: fc.integer({ min: 1, max: 2 }),
    });
    const status = fc.constantFrom("running", "succeeded", "failed");
    const task = fc.record({ place, status, startedAt: moment, finishedAt: moment });
    const attempt = fc.record({
      place,
      status,
      startedAt: fc.constantFrom(START, START + 10),
      finishedAt: moment,
      attempt: fc.integer({ min: 1, max: 2 }),
      executor: fc.constantFrom("a", "b"),
      hasFailed: fc.boolean(),
    });
    const step = fc.record({ tasks: fc.array(task, { maxLength: 4 }), attempts: fc.array(attempt, { maxLength: 4 }) });
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 5 }), async (steps) => {
        const runId = `run-${++runs}`;
        await owned(storage, runId);
        const lastTasks = new Map<string, TaskRecord>();
        const lastAttempts = new Map<string, AttemptRecord>();
        for (const { tasks, attempts } of steps) {
          const details = {
            tasks: tasks.map(({ place: { position, ...rest }, ...more }) =>
              taskRecord(runId, position, { ...rest, ...more }),
            ),
            attempts: attempts.map(({ place: { position, ...rest }, attempt: number, hasFailed, ...more }) => {
              const error = hasFailed ? { name: "Error", message: "boom" } : undefined;
              return attemptRecord(runId, position, number, { ...rest, ...more, error });
            }),
          };
          for (const record of details.tasks) lastTasks.set(nameOf(record), record);
          for (const record of details.attempts) lastAttempts.set(`${nameOf(record)} ${record.attempt}`, record);
          expect(await storage.commit(flush(changes(runId, details)))).toEqual(OK);
        }
        expect(sorted(await attemptsOf(storage, runId))).toEqual(sorted([...lastAttempts.values()]));
        for (const generation of [1, 2]) {
          const listed = (await storage.list("tasks", { runId, generation }, { limit: 100 })).items;
          const expected = [...lastTasks.values()].filter((record) => record.generation === generation);
          expect(sorted(listed)).toEqual(sorted(expected));
        }
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});

function nameOf({ position, index, generation }: TaskRecord | AttemptRecord): string {
  return `${position} ${index} ${generation}`;
}

function sorted<Record extends TaskRecord | AttemptRecord>(records: readonly Record[]): readonly Record[] {
  const keyOf = (record: Record) => `${nameOf(record)} ${"attempt" in record ? record.attempt : ""}`;
  return [...records].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

describe("commit()", () => {
  it("takes the last of several records that have one identity in the same flush", async () => {
    const { storage } = await openStorage();
    await owned(storage, "run-1", "run-2");
    const entry = { key: "k", runId: "run-1", expiresAt: START + 1_000 };
    const step = { runId: "run-1", task: "task-0", index: [], generation: 1, attempt: 1, at: START, startedAt: START };
    const details: Partial<RunChanges> = {
      tasks: [taskRecord("run-1", 0, { output: "j1:1" }), taskRecord("run-1", 1), taskRecord("run-1", 0)],
      attempts: [attemptRecord("run-1", 0, 2, { status: "failed" }), attemptRecord("run-1", 0, 2)],
      steps: [
        { ...step, step: "a", output: "j1:1" },
        { ...step, step: "a", output: "j1:2" },
      ],
      cached: [{ ...entry, output: "j1:1" }],
    };
    const other = changes("run-2", { cached: [{ ...entry, output: "j1:2" }] });
    expect(await storage.commit(flush(changes("run-1", details), other))).toEqual(OK);
    expect((await storage.list("tasks", { runId: "run-1" }, { limit: 10 })).items).toEqual([
      taskRecord("run-1", 0),
      taskRecord("run-1", 1),
    ]);
    expect(await attemptsOf(storage, "run-1")).toEqual([attemptRecord("run-1", 0, 2)]);
    expect((await storage.loadSteps(["run-1"], { limit: 10 })).items.map(({ output }) => output)).toEqual(["j1:2"]);
    expect((await storage.getCached("k", START))?.output).toBe("j1:2");
  });

  it("names the tasks of which it refuses a text with NUL, and writes nothing", async () => {
    const { storage } = await openStorage();
    await owned(storage, "run-1", "run-2");
    const bad = flush(
      changes("run-1", {
        run: runState("running"),
        tasks: [taskRecord("run-1", 0), taskRecord("run-1", 1, { output: "j1:\0" })],
        logs: [logRecord("run-1", "good"), logRecord("run-1", "a\0b", { task: "task-2", index: [3] })],
      }),
      changes("run-2", { tasks: [taskRecord("run-2", 0)] }),
    );
    const outcome = await storage.commit(bad);
    expect(outcome).toMatchObject({
      kind: "rejected",
      values: [
        { runId: "run-1", task: "task-1", index: [], message: expect.stringMatching(/NUL/) },
        { runId: "run-1", task: "task-2", index: [3] },
      ],
    });
    expect(await countOf(storage, "tasks", "run-2")).toBe(0);
    expect((await storage.getRun("run-1"))?.status).toBe("queued");
  });

  it("finds the task of which the database refuses something for a reason of its own", async () => {
    const { storage } = await openStorage();
    await owned(storage, "run-1");
    // Longer than an entry of an index may be, and nothing that could be compressed.
    const key = randomBytes(5_000).toString("hex").slice(0, 9_000);
    const waiting = { status: "waiting", wait: { kind: "signal", key } } as const;
    const tasks = Array.from({ length: 40 }, (_, position) =>
      taskRecord("run-1", position, position === 23 ? waiting : {}),
    );
    const outcome = await storage.commit(flush(changes("run-1", { tasks })));
    expect(outcome).toMatchObject({
      kind: "rejected",
      values: [{ runId: "run-1", task: "task-23", index: [], message: expect.stringMatching(/index row/) }],
    });
    expect(await countOf(storage, "tasks", "run-1")).toBe(0);
    const others = tasks.filter(({ position }) => position !== 23);
    expect(await storage.commit(flush(changes("run-1", { tasks: others })))).toEqual(OK);
  });

  it("keeps no cache entry under a key with NUL, fails no task for it, and finds none", async () => {
    const { storage } = await openStorage();
    await owned(storage, "run-1");
    const entry = { key: "a\0b", output: "j1:1", runId: "run-1", expiresAt: START + 1 };
    expect(await storage.commit(flush(changes("run-1", { cached: [entry] })))).toEqual(OK);
    expect(await storage.getCached("a\0b", START)).toBeUndefined();
  });

  it("writes a flush that is too large for one statement as a whole, or not at all", async () => {
    const { storage } = await openStorage();
    await owned(storage, "run-1", "run-2");
    const output = `j1:"${"x".repeat(MEBIBYTE)}"`;
    const tasks = Array.from({ length: 70 }, (_, position) => taskRecord("run-1", position, { output }));
    const last = changes("run-2", { run: runState("running"), logs: [logRecord("run-2", "once")] });
    const bad = { ...last, tasks: [taskRecord("run-2", 0, { output: "j1:\0" })] };
    expect(await storage.commit(flush(changes("run-1", { tasks }), bad))).toMatchObject({ kind: "rejected" });
    expect(await countOf(storage, "tasks", "run-1")).toBe(0);

    const good = flush(changes("run-1", { run: runState("succeeded"), tasks }), last);
    for (const outcome of await Promise.all([storage.commit(good), storage.commit(good)])) expect(outcome).toEqual(OK);
    const { items } = await storage.list("tasks", { runId: "run-1" }, { limit: 1_000 });
    expect(items.map(({ position }) => position)).toEqual(tasks.map(({ position }) => position));
    expect(items.every((task) => task.output === output)).toBe(true);
    expect(await countOf(storage, "logs", "run-2")).toBe(1);
    expect((await storage.getRun("run-1"))?.status).toBe("succeeded");
  }, 60_000);

  it("remembers no more than its last answers", async () => {
    const { storage, schema } = await openStorage();
    await owned(storage, "run-1");
    let last = flush(changes("run-1", { logs: [logRecord("run-1", "first")] }));
    await storage.commit(last);
    for (let n = 0; n < 300; n++) {
      last = flush(changes("run-1", { logs: [logRecord("run-1", `${n}`)] }));
      await storage.commit(last);
    }
    const client = await openClient();
    const { rows } = await client.query(`SELECT count(*)::integer AS count FROM ${quoted(schema)}.flushes`);
    expect(rows[0].count).toBeLessThan(100);
    expect(await storage.commit(last)).toEqual(OK);
    expect(await countOf(storage, "logs", "run-1")).toBe(301);
  }, 30_000);

  it("is unknown while the disk is full, and written as a whole once there is room", async () => {
    const { storage, schema } = await openStorage();
    await owned(storage, "run-1");
    const client = await openClient();
    // What Postgres says when it cannot make a table longer.
    await client.query(`CREATE FUNCTION ${quoted(schema)}.full() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
      CREATE TRIGGER no_space AFTER INSERT ON ${quoted(schema)}.logs FOR EACH ROW EXECUTE FUNCTION ${quoted(schema)}.full()`);
    const sent = flush(changes("run-1", { tasks: [taskRecord("run-1", 0)], logs: [logRecord("run-1", "a")] }));
    expect(await storage.commit(sent)).toMatchObject({
      kind: "unknown",
      cause: { code: "STORAGE_FULL", retryable: true },
    });
    expect(await countOf(storage, "tasks", "run-1")).toBe(0);
    await client.query(`DROP TRIGGER no_space ON ${quoted(schema)}.logs`);
    expect(await storage.commit(sent)).toEqual(OK);
    expect(await countOf(storage, "logs", "run-1")).toBe(1);
  });

  it("F13 is made again when it was in the way of another transaction", async () => {
    const { storage, schema } = await openStorage();
    await owned(storage, "run-1", "run-2");
    const other = await openClient();
    const lock = (id: string) => other.query(`SELECT 1 FROM ${quoted(schema)}.runs WHERE id = $1 FOR UPDATE`, [id]);
    await other.query("BEGIN");
    await lock("run-2");
    const writing = storage.commit(
      flush(changes("run-1", { run: runState("running") }), changes("run-2", { run: runState("running") })),
    );
    // Long enough for it to have the first and wait for the second; then each has what the other waits for.
    await sleep(300);
    await lock("run-1").catch(() => undefined);
    await other.query("ROLLBACK");
    expect(await writing).toEqual(OK);
    expect((await storage.getRun("run-2"))?.status).toBe("running");
  }, 20_000);
});
