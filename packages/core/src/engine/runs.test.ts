import * as v from "valibot";
import { describe, expect, it } from "vitest";
import type { Page } from "../contracts/records.js";
import { pipeline } from "../define/pipeline.js";
import { startedEngine, testEngine } from "../test-support/engines.js";
import { aborted, gate } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";
import { MAX_LOG_LINES } from "./attempt-history.js";
import type { Engine } from "./engine.js";
import type { PageOptions } from "./run-history.js";

leavesNothingBehind();

/** Follows `next` to the end. */
async function everything<Record>(
  list: (page: PageOptions) => Promise<Page<Record>>,
  limit: number,
): Promise<Record[]> {
  const all: Record[] = [];
  let cursor: string | undefined;
  do {
    const page = await list(cursor === undefined ? { limit } : { limit, cursor });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    all.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined);
  return all;
}

const work = pipeline("work", { params: v.object({ fail: v.optional(v.boolean(), false) }) }, (p) => {
  p.task("only", ({ params }) => {
    if (params.fail) throw new Error("asked to");
    return 1;
  });
});
const other = pipeline("other", (p) => void p.task("only", () => 1));

describe("runs.get()", () => {
  it("tells what a run is and how it stands", async () => {
    const clock = new ManualClock();
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work, { fail: true }, { key: "k", tags: ["a", "b"] });
    const created = clock.now();
    await run.result().catch(() => undefined);
    expect(await engine.runs.get(run.id)).toEqual({
      id: run.id,
      pipeline: "work",
      definition: work.hash,
      params: { fail: true },
      key: "k",
      tags: ["a", "b"],
      priority: 0,
      generation: 1,
      parent: undefined,
      createdAt: created,
      availableAt: created,
      schedule: undefined,
      instant: undefined,
      status: "failed",
      startedAt: created,
      finishedAt: created,
      deadlineAt: undefined,
      crashes: 0,
      error: undefined,
    });
    await expect(engine.runs.get("nobody")).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
  });

  it("works before start() too", async () => {
    const engine = testEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    expect((await engine.runs.get(run.id)).status).toBe("queued");
    expect((await engine.runs.list()).items).toHaveLength(1);
    expect((await engine.runs.tasks(run.id)).items).toMatchObject([{ task: "only", status: "pending" }]);
    expect(await engine.schedules.list()).toEqual([]);
  });
});

describe("runs.list()", () => {
  async function history() {
    const clock = new ManualClock();
    const engine = await startedEngine({ pipelines: [work, other], clock });
    const start = clock.now();
    const ids: string[] = [];
    for (let n = 0; n < 12; n++) {
      const run =
        n % 3 === 0
          ? await engine.trigger(other, {}, { key: `key-${n}`, tags: [`n${n % 4}`, "common"] })
          : await engine.trigger(work, { fail: n % 2 === 0 }, { tags: [`n${n % 4}`] });
      ids.push(run.id);
      await run.result().catch(() => undefined);
      await clock.advance(1_000);
    }
    return { engine, start, ids };
  }

  it("lists newest first, and filters that combine", async () => {
    const { engine, start, ids } = await history();
    const numbers = async (query: Parameters<typeof engine.runs.list>[0]) =>
      (await engine.runs.list(query)).items.map(({ id }) => ids.indexOf(id));
    expect(await numbers({})).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    expect(await numbers({ pipeline: "other" })).toEqual([9, 6, 3, 0]);
    expect(await numbers({ status: ["failed"] })).toEqual([10, 8, 4, 2]);
    expect(await numbers({ status: ["failed", "succeeded"] })).toHaveLength(12);
    expect(await numbers({ status: [] })).toEqual([]);
    expect(await numbers({ key: "key-6" })).toEqual([6]);
    expect(await numbers({ key: "key" })).toEqual([]);
    expect(await numbers({ tag: "n1" })).toEqual([9, 5, 1]);
    expect(await numbers({ tag: "common", since: start + 3_000 })).toEqual([9, 6, 3]);
    expect(await numbers({ since: start + 2_000, until: start + 5_000 })).toEqual([4, 3, 2]);
    expect(await numbers({ pipeline: "work", status: ["succeeded"], tag: "n3" })).toEqual([11, 7]);
    expect(await numbers({ pipeline: "nobody" })).toEqual([]);
  });

  it("pages without loss or repetition, also while runs are added", async () => {
    const { engine, ids } = await history();
    const first = await engine.runs.list({}, { limit: 5 });
    await engine.run(other);
    const rest = await everything((page) => engine.runs.list({}, { ...page, cursor: page.cursor ?? first.next! }), 5);
    expect([...first.items, ...rest].map(({ id }) => id)).toEqual(ids.toReversed());
    const filtered = await everything((page) => engine.runs.list({ pipeline: "work" }, page), 3);
    expect(filtered.map(({ id }) => ids.indexOf(id))).toEqual([11, 10, 8, 7, 5, 4, 2, 1]);
  });
});

describe("pages", () => {
  /** All that can end has ended, and `stuck` is recorded as running. */
  const isAtRest = async (engine: Engine, runId: string) => {
    const statusOf = async (task: string) => (await engine.runs.tasks(runId, { task })).items[0]?.status;
    await expect.poll(() => statusOf("stuck")).toBe("running");
    await expect.poll(() => statusOf("t69")).toBe("succeeded");
  };

  const big = pipeline("big", (p) => {
    const list = p.task("list", ({ log, metric, artifact }) => {
      for (let line = 0; line < 250; line++) {
        log(`line ${line}`, { line });
        metric("line", line);
        if (line < 30) artifact({ name: `file-${line}`, data: `${line}` });
      }
      return Array.from({ length: 100 }, (_, item) => item);
    });
    const each = p.map(
      "each",
      { over: list, retry: { attempts: 3, delay: 0 }, concurrency: 7 },
      ({ attempt, item }) => {
        if (attempt <= item % 3) throw new Error("again");
      },
    );
    for (let n = 0; n < 70; n++) p.task(`t${n}`, { after: [each] }, () => n);
    const stuck = p.task("stuck", { after: [each] }, ({ signal }) => aborted(signal));
    for (let n = 0; n < 78; n++) p.task(`pending-${n}`, { after: [stuck] }, () => n);
  });

  it.each([1, 7, 100, 1_000])("of %i bring every record once, in order", async (limit) => {
    const engine = await startedEngine({ pipelines: [big] });
    const run = await engine.trigger(big);
    await isAtRest(engine, run.id);

    const tasks = await everything((page) => engine.runs.tasks(run.id, {}, page), limit);
    const expected = [
      "list",
      "each",
      ...Array.from({ length: 100 }, (_, item) => `each/${item}`),
      ...Array.from({ length: 70 }, (_, n) => `t${n}`),
      "stuck",
      ...Array.from({ length: 78 }, (_, n) => `pending-${n}`),
    ];
    expect(tasks.map(({ task, index }) => [task, ...index].join("/"))).toEqual(expected);
    expect(tasks).toHaveLength(251);
    expect(tasks.filter(({ status }) => status === "pending")).toHaveLength(78);

    const attempts = await everything((page) => engine.runs.attempts(run.id, {}, page), limit);
    expect(attempts.slice(0, 8).map(({ task, index, attempt }) => `${[task, ...index].join("/")}.${attempt}`)).toEqual([
      "list.1",
      "each/0.1",
      "each/1.1",
      "each/1.2",
      "each/2.1",
      "each/2.2",
      "each/2.3",
      "each/3.1",
    ]);
    expect(attempts).toHaveLength(1 + 34 + 33 * 2 + 33 * 3 + 71);
    const logs = await everything((page) => engine.runs.logs(run.id, {}, page), limit);
    expect(logs.map(({ data }) => (data as { line: number }).line)).toEqual(
      Array.from({ length: 250 }, (_, line) => line),
    );
    const metrics = await everything((page) => engine.runs.metrics(run.id, {}, page), limit);
    expect(metrics.map(({ value }) => value)).toEqual(Array.from({ length: 250 }, (_, line) => line));
    const artifacts = await everything((page) => engine.runs.artifacts(run.id, {}, page), limit);
    expect(artifacts.map(({ name }) => name)).toEqual(Array.from({ length: 30 }, (_, n) => `file-${n}`));
    expect(artifacts[0]).not.toHaveProperty("data");
  });

  it("of tasks filter by task and status, pending ones too", async () => {
    const engine = await startedEngine({ pipelines: [big] });
    const run = await engine.trigger(big);
    await isAtRest(engine, run.id);
    const pending = await everything((page) => engine.runs.tasks(run.id, { status: ["pending"] }, page), 10);
    expect(pending).toHaveLength(78);
    expect((await engine.runs.tasks(run.id, { status: ["running"] })).items.map(({ task }) => task)).toEqual(["stuck"]);
    expect((await engine.runs.tasks(run.id, { task: "pending-5" })).items).toHaveLength(1);
    expect(
      (await engine.runs.tasks(run.id, { task: "each", status: ["succeeded"] }, { limit: 1_000 })).items,
    ).toHaveLength(101);
    const ofItem = (await engine.runs.attempts(run.id, { task: "each", index: [5] })).items;
    expect(ofItem.map(({ attempt, status }) => [attempt, status])).toEqual([
      [1, "failed"],
      [2, "failed"],
      [3, "succeeded"],
    ]);
    expect(ofItem[0]).toMatchObject({ error: { message: "again" }, executor: "default", engineId: engine.id });
    expect((await engine.runs.attempts(run.id, { status: ["failed"] }, { limit: 1_000 })).items).toHaveLength(99);
  });

  it.each([0, -1, 1_001, 1e9, 1.5, Number.NaN, "10", null])("F170 refuse a limit of %s", async (limit) => {
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    const page = { limit: limit as number };
    for (const list of [
      engine.runs.list({}, page),
      engine.runs.tasks(run.id, {}, page),
      engine.runs.logs(run.id, {}, page),
    ]) {
      await expect(list).rejects.toMatchObject({ code: "QUERY_INVALID" });
    }
  });

  it("refuse a foreign or damaged cursor with CURSOR_INVALID", async () => {
    const engine = await startedEngine({ pipelines: [big] });
    const run = await engine.trigger(big);
    await isAtRest(engine, run.id);
    const { next: ofTasks } = await engine.runs.tasks(run.id, {}, { limit: 5 });
    const { next: ofPending } = await engine.runs.tasks(run.id, { status: ["pending"] }, { limit: 5 });
    const { next: ofLogs } = await engine.runs.logs(run.id, {}, { limit: 5 });
    const invalid = { code: "CURSOR_INVALID" };
    for (const cursor of [
      ofTasks!,
      ofPending!,
      "",
      "x",
      `${ofLogs}x`,
      `x${ofLogs}`,
      `${ofLogs} `,
      "🙂",
      "x".repeat(1e6),
    ]) {
      await expect(engine.runs.logs(run.id, {}, { cursor })).rejects.toMatchObject(invalid);
    }
    for (const cursor of [ofLogs!, "pending:", "pending:x", "pending:-5", "pending:1.5", "pending:NaN", "pending: 1"]) {
      await expect(engine.runs.tasks(run.id, {}, { cursor })).rejects.toMatchObject(invalid);
    }
    await expect(engine.runs.list({}, { cursor: ofTasks! })).rejects.toMatchObject(invalid);
    await expect(engine.runs.logs(run.id, {}, { cursor: 5 as unknown as string })).rejects.toMatchObject(invalid);
    // A place beyond the end is no damage.
    expect((await engine.runs.logs(run.id, {}, { cursor: "logs:99999" })).items).toEqual([]);
  });

  it("of an unknown run say so", async () => {
    const engine = await startedEngine({ pipelines: [work] });
    for (const list of ["tasks", "attempts", "logs", "metrics", "artifacts"] as const) {
      await expect(engine.runs[list]("nobody")).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
    }
    await expect(engine.runs.artifact("nobody", "x")).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
  });
});

describe("what a task leaves in history", () => {
  it("is found again by task, item, attempt, level and name", async () => {
    const talking = pipeline("talking", (p) => {
      p.map(
        "each",
        { over: ["a", "b"], retry: { attempts: 2, delay: 0 } },
        ({ log, metric, artifact, item, attempt }) => {
          log(`${item}${attempt} plain`, { attempt });
          log.error(`${item}${attempt} bad`);
          metric("count", attempt);
          metric(item, 1);
          artifact({ name: "report", data: `${item}${attempt}` });
          if (attempt === 1) throw new Error("again");
        },
      );
    });
    const engine = await startedEngine({ pipelines: [talking] });
    const run = await engine.trigger(talking);
    await run.result();
    const messages = async (query: object) =>
      (await engine.runs.logs(run.id, query)).items.map(({ message }) => message);
    expect(await messages({})).toHaveLength(8);
    expect((await messages({ index: [1] })).toSorted()).toEqual(["b1 bad", "b1 plain", "b2 bad", "b2 plain"]);
    expect(await messages({ index: [0], attempt: 2 })).toEqual(["a2 plain", "a2 bad"]);
    expect((await messages({ level: ["error"] })).toSorted()).toEqual(["a1 bad", "a2 bad", "b1 bad", "b2 bad"]);
    expect(await messages({ task: "nobody" })).toEqual([]);
    const [line] = (await engine.runs.logs(run.id, { index: [0] })).items;
    expect(line).toMatchObject({ task: "each", index: [0], attempt: 1, level: "info", data: { attempt: 1 } });
    expect((await engine.runs.metrics(run.id, { name: "count" })).items).toHaveLength(4);
    expect((await engine.runs.metrics(run.id, { name: "b" })).items).toMatchObject([
      { index: [1], attempt: 1, value: 1 },
      { index: [1], attempt: 2, value: 1 },
    ]);
    expect((await engine.runs.artifacts(run.id, { name: "report" })).items).toHaveLength(4);
  });

  it("keeps files with their bytes; the newest of a name counts", async () => {
    const making = pipeline("making", (p) => {
      const first = p.task("first", ({ artifact }) => {
        artifact({ name: "text", data: "grüße" });
        artifact({ name: "bytes", data: new Uint8Array([0, 255]), contentType: "image/png" });
        artifact({ name: "empty", data: "" });
      });
      p.task("second", { after: [first] }, ({ artifact }) => artifact({ name: "text", data: "newer" }));
    });
    const engine = await startedEngine({ pipelines: [making] });
    const run = await engine.trigger(making);
    await run.result();
    const text = await engine.runs.artifact(run.id, "text");
    expect(Buffer.from(text!.data).toString()).toBe("newer");
    expect(text).toMatchObject({ task: "second", contentType: "text/plain; charset=utf-8", size: 5 });
    const bytes = await engine.runs.artifact(run.id, "bytes");
    expect([...bytes!.data]).toEqual([0, 255]);
    expect(bytes).toMatchObject({ contentType: "image/png", size: 2 });
    expect((await engine.runs.artifact(run.id, "empty"))!.size).toBe(0);
    expect(await engine.runs.artifact(run.id, "none")).toBeUndefined();
    const { items } = await engine.runs.artifacts(run.id);
    expect(items.map(({ name, size }) => [name, size])).toEqual([
      ["text", 7],
      ["bytes", 2],
      ["empty", 0],
      ["text", 5],
    ]);
  });

  it("is bounded: 10,000 lines of an attempt, then a line that says so", async () => {
    const chatty = pipeline("chatty", (p) => {
      p.task("talks", { retry: { attempts: 2, delay: 0 } }, ({ log, attempt }) => {
        for (let line = 0; line < (attempt === 1 ? MAX_LOG_LINES + 500 : 2); line++) log(`${attempt}: ${line}`);
        if (attempt === 1) throw new Error("again");
      });
    });
    const engine = await startedEngine({ pipelines: [chatty] });
    const run = await engine.trigger(chatty);
    await run.result();
    const lines = await everything((page) => engine.runs.logs(run.id, {}, page), 1_000);
    expect(lines).toHaveLength(MAX_LOG_LINES + 3);
    expect(lines[9_999]).toMatchObject({ message: "1: 9999", level: "info" });
    expect(lines[10_000]).toMatchObject({ level: "warn", message: expect.stringContaining("dropped") as string });
    expect(lines.slice(10_001).map(({ message }) => message)).toEqual(["2: 0", "2: 1"]);
  });

  it("can be read while the run goes on", async () => {
    const go = gate();
    const live = pipeline("live", (p) => {
      p.task("talks", async ({ log, metric }) => {
        log("first");
        metric("m", 1);
        await go.passed;
      });
    });
    const engine = await startedEngine({ pipelines: [live] });
    const run = await engine.trigger(live);
    await settled();
    expect((await engine.runs.logs(run.id)).items).toHaveLength(1);
    expect((await engine.runs.metrics(run.id)).items).toHaveLength(1);
    expect((await engine.runs.tasks(run.id)).items).toMatchObject([{ status: "running", attempts: 1 }]);
    go.open();
    await run.result();
  });

  it("stays readable on an engine that has another version of the pipeline, or none", async () => {
    const storage = testStorage();
    const first = await startedEngine({ pipelines: [work], storage });
    const run = await first.trigger(work, { fail: true });
    await run.result().catch(() => undefined);
    await first.stop();
    const second = await startedEngine({ pipelines: [other], storage });
    expect((await second.runs.get(run.id)).status).toBe("failed");
    expect((await second.runs.tasks(run.id)).items).toMatchObject([{ task: "only", status: "failed" }]);
    expect((await second.runs.attempts(run.id)).items).toHaveLength(1);
    expect((await second.runs.list({ pipeline: "work" })).items).toHaveLength(1);
  });
});
