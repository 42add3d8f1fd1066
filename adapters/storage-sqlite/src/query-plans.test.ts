import { expect, it } from "vitest";
import type { RunMessage, RunQuery, Storage } from "weftline";
import type { SqliteHandle } from "./driver.js";
import {
  attemptRecord,
  changes,
  DEFINITION,
  ENGINE,
  newFile,
  newRun,
  openRaw,
  openStorage,
  owned,
  runState,
  START,
  taskRecord,
} from "./test-support/store.js";

/** Tables that may be gone through: they have few rows, whatever the number of runs. */
const SMALL = new Set([
  "e",
  "m",
  "sqlite_master",
  "weftline_engines",
  "weftline_kinds",
  "weftline_schedules",
  "weftline_trash",
]);

it("nothing goes through a table that grows with the runs", async () => {
  const file = newFile();
  const statements = new Set<string>();
  const storage = await openStorage({ file, driver: (path) => noting(openRaw(path), statements) });
  await callEverything(storage);
  const raw = openRaw(file);
  // Made by remapRun() for as long as its connection lives.
  raw.exec("CREATE TEMP TABLE weftline_moves (was INTEGER PRIMARY KEY, position INTEGER, task TEXT)");
  raw.exec("CREATE TEMP TABLE weftline_renames (was TEXT PRIMARY KEY, task TEXT)");
  const scans: string[] = [];
  let plans = 0;
  for (const sql of statements) {
    if (!/^(SELECT|INSERT|UPDATE|DELETE)/.test(sql)) continue;
    plans++;
    for (const step of raw.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[]) {
      const table = /^SCAN (\w+)/.exec(step.detail)?.[1];
      if (table !== undefined && table !== "CONSTANT" && !SMALL.has(table)) scans.push(`${step.detail}: ${sql}`);
    }
  }
  raw.close();
  expect(plans).toBeGreaterThan(100);
  expect(scans).toEqual([]);
});

function noting(database: SqliteHandle, statements: Set<string>): SqliteHandle {
  return {
    exec: (sql) => database.exec(sql),
    prepare(sql) {
      statements.add(sql);
      return database.prepare(sql);
    },
    close: () => database.close(),
  };
}

/** Each call, with and without what makes a statement of it look different. */
async function callEverything(storage: Storage): Promise<void> {
  await owned(storage, "run-1", "run-2", "run-3");
  await storage.createRuns([
    newRun("free", { tags: ["x"], key: "k", parent: { runId: "run-1", task: "t", index: [] } }),
  ]);
  await storage.createRuns([newRun("again", { key: "k" })]);
  await storage.putDefinitions([{ hash: "hash", pipeline: "p", graph: "u1:" }]);
  await storage.putSchedules([{ id: "s", pipeline: "p", spec: "daily", nextAt: START, lastAt: undefined }]);
  await storage.fire({ schedule: "s", expected: START, next: undefined, run: newRun("fired") });
  const line = { runId: "run-1", task: "task-0", index: [], generation: 1, attempt: 1, at: START };
  const waiting = { status: "waiting", wait: { kind: "signal", key: "k" }, finishedAt: undefined } as const;
  await storage.commit({
    id: "flush-1",
    number: 1,
    engineId: ENGINE,
    runs: [
      changes("run-1", {
        run: runState("running"),
        tasks: [taskRecord("run-1", 0), taskRecord("run-1", 1, waiting)],
        attempts: [attemptRecord("run-1", 0), attemptRecord("run-1", 2)],
        logs: [{ ...line, level: "info", message: "m", data: undefined }],
        metrics: [{ ...line, name: "n", value: 1 }],
        artifacts: [{ ...line, name: "n", contentType: "t", size: 0, data: new Uint8Array() }],
        steps: [{ ...line, step: "s", startedAt: START, output: "u1:" }],
        assets: [{ ...line, asset: "a" }],
        cached: [{ key: "c", output: "u1:", runId: "run-1", expiresAt: START }],
        consumed: ["m"],
      }),
      changes("run-2", { run: runState("failed", { finishedAt: START }) }),
      changes("run-3", { run: runState("succeeded", { finishedAt: START }) }),
    ],
  });
  const rewritten = taskRecord("run-1", 0, { finishedAt: START + 99 });
  await storage.commit({
    id: "flush-2",
    number: 2,
    engineId: ENGINE,
    runs: [changes("run-1", { tasks: [rewritten] })],
  });
  const cancel = { kind: "cancel", task: undefined, index: [], downstream: false, reason: undefined } as const;
  const messages: RunMessage[] = [
    { id: "m1", runId: "run-1", sentAt: START - 1, ...cancel },
    { id: "m2", runId: "run-2", sentAt: START, kind: "resume" },
  ];
  await storage.send(messages);
  await storage.sendSignals([{ id: "k1", key: "k", payload: "u1:", sentAt: START }]);
  await storage.receive(ENGINE);
  const request = { engineId: ENGINE, definitions: [DEFINITION], now: START };
  await storage.look(request);
  const claim = { ...request, maxActiveRuns: { nightly: 9 }, limit: 1, suspectFrom: 3, suspects: 1 };
  await storage.claimRuns(claim);
  await storage.claimRuns({ ...claim, runId: "fired" });
  await storage.survey({ now: START });
  const remapped = { engineId: ENGINE, runId: "run-1", epoch: 1, definition: "other" };
  await storage.remapRun({ ...remapped, tasks: [{ from: 0, position: 1, task: "b" }] });
  await readEverything(storage);
  await storage.releaseLease(ENGINE);
  await storage.renewLease({ engineId: "engine-2", leaseMs: 1, isNew: true, definitions: [] });
  await storage.survey({ now: START });
  await storage.deleteRun("run-3");
  await storage.prune({ before: START + 9_999, limit: 9 });
}

async function readEverything(storage: Storage): Promise<void> {
  const pages = [{ limit: 1 }, { limit: 9 }];
  const filters: RunQuery = {
    pipeline: "nightly",
    definition: DEFINITION,
    status: ["queued"],
    tag: "x",
    key: "k",
    parent: "run-1",
    owner: ENGINE,
    since: 0,
    until: START + 9,
  };
  const fields = Object.keys(filters) as (keyof RunQuery)[];
  const queries = fields.flatMap((a) => fields.map((b): RunQuery => ({ [a]: filters[a], [b]: filters[b] })));
  for (const query of [{}, filters, ...queries]) for (const page of pages) await storage.list("runs", query, page);
  for (const cursor of [`runs:${START + 1},9`]) await storage.list("runs", {}, { limit: 1, cursor });
  for (const kind of ["tasks", "attempts", "logs", "metrics", "artifacts", "steps", "assets"] as const) {
    const page = await storage.list(kind, { runId: "run-1" }, { limit: 1 });
    if (page.next !== undefined) await storage.list(kind, { runId: "run-1" }, { limit: 1, cursor: page.next });
    await storage.list(kind, { runId: "run-1", task: "b" }, { limit: 1 });
  }
  await storage.list("tasks", { runId: "run-1", generation: 1, status: ["failed"] }, { limit: 1 });
  await storage.loadTasks(["run-1"], { limit: 1 });
  await storage.loadSteps(["run-1"], { limit: 1 });
  await storage.getRun("run-1");
  await storage.endedAmong(["run-1"]);
  await storage.getArtifact("run-1", "n");
  await storage.getCached("c", START);
  await storage.getDefinition("hash");
  await storage.schedules();
}
