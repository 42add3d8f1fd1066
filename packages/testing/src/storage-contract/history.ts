import assert from "node:assert/strict";
import type { RunQuery } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { expectMatches, idsOf, OF_RUN, readPages, rejectsWith, type StorageFixture } from "./fixture.js";
import {
  artifactRecord,
  asCreated,
  assetRecord,
  attemptRecord,
  changes,
  ended,
  logRecord,
  metricRecord,
  newRun,
  resumeMessage,
  runState,
  START,
  stepRecord,
  taskRecord,
} from "./records.js";

/** A run with 12 records of every kind. */
async function writeTwelve(fixture: StorageFixture, runId = "run-1"): Promise<void> {
  const twelve = Array.from({ length: 12 }, (_, n) => n);
  await fixture.owned(runId);
  await fixture.write(runId, {
    tasks: twelve.map((n) => taskRecord(runId, n)),
    attempts: twelve.map((n) => attemptRecord(runId, n >> 1, 1 + (n & 1))),
    logs: twelve.map((n) => logRecord(runId, `${n}`)),
    metrics: twelve.map((n) => metricRecord(runId, `${n}`, n)),
    artifacts: twelve.map((n) => artifactRecord(runId, `${n}`, Uint8Array.of(n))),
    steps: twelve.map((n) => stepRecord(runId, `${n}`)),
    assets: twelve.map((n) => assetRecord(runId, `${n}`)),
  });
}

export const history: ContractTopic<StorageFixture> = {
  name: "history",
  cases: [
    {
      name: "getRun() of a run that does not exist gives undefined",
      async check({ storage }) {
        assert.equal(await storage.getRun("no-such-run"), undefined);
      },
    },
    {
      name: "list() of a run that does not exist is empty",
      async check(fixture) {
        for (const kind of OF_RUN) assertEqual(await fixture.all(kind, { runId: "no-such-run" }), []);
      },
    },
    {
      name: "list() of runs gives whole records, newest first",
      async check({ storage }) {
        const runs = Array.from({ length: 5 }, (_, n) =>
          newRun(`run-${n}`, { createdAt: START + n * 1_000, key: `${n}` }),
        );
        await storage.createRuns(runs.slice(0, 2));
        await storage.createRuns(runs.slice(2));
        const { items, next } = await storage.list("runs", {}, { limit: 10 });
        assertEqual(items, runs.map(asCreated).reverse());
        assert.equal(next, undefined);
      },
    },
    {
      name: "list() of runs created in the same millisecond loses and repeats none",
      async check(fixture) {
        const ids = Array.from({ length: 23 }, (_, n) => `run-${n}`);
        await fixture.storage.createRuns(ids.map((id) => newRun(id)));
        for (const limit of [1, 4, 22, 23, 24]) {
          assertEqual(idsOf(await fixture.all("runs", {}, limit)).sort(), [...ids].sort(), `in pages of ${limit}`);
        }
      },
    },
    {
      name: "list() goes on from a cursor without loss or repetition while runs are created and change",
      async check(fixture) {
        const ids = Array.from({ length: 9 }, (_, n) => `run-${n}`);
        await fixture.owned(...ids);
        const seen: string[] = [];
        let cursor: string | undefined;
        for (let page = 0; page < 5; page++) {
          const request = cursor === undefined ? { limit: 2 } : { limit: 2, cursor };
          const { items, next } = await fixture.storage.list("runs", {}, request);
          seen.push(...idsOf(items));
          cursor = next;
          await fixture.storage.createRuns([newRun(`new-${page}`, { createdAt: START + 1_000 + page })]);
          await fixture.commit("engine-1", changes(ids[page]!, 1, { run: runState("running") }));
        }
        assertEqual(seen, [...ids].reverse());
        assert.equal(cursor, undefined);
      },
    },
    {
      name: "list() loses and repeats nothing, whatever the size of its pages",
      async check(fixture) {
        await writeTwelve(fixture);
        for (const kind of OF_RUN) {
          const whole = await fixture.all(kind, { runId: "run-1" });
          assert.equal(whole.length, 12, kind);
          for (const limit of [1, 5, 12]) {
            assertEqual(await fixture.all(kind, { runId: "run-1" }, limit), whole, `${kind} in pages of ${limit}`);
          }
        }
      },
    },
    {
      name: "list() says on the last page that it is the last, also when that page is full",
      async check(fixture) {
        await writeTwelve(fixture);
        for (const kind of OF_RUN) {
          const page = await fixture.storage.list(kind, { runId: "run-1" }, { limit: 12 });
          assertEqual([page.items.length, page.next], [12, undefined], kind);
        }
        const runs = await fixture.storage.list("runs", {}, { limit: 1 });
        assertEqual([runs.items.length, runs.next], [1, undefined]);
      },
    },
    {
      name: "list() refuses a foreign cursor with CURSOR_INVALID",
      async check(fixture) {
        await writeTwelve(fixture);
        const { storage } = fixture;
        for (const kind of OF_RUN) {
          const { next } = await storage.list(kind, { runId: "run-1" }, { limit: 1 });
          for (const other of OF_RUN.filter((name) => name !== kind)) {
            const call = storage.list(other, { runId: "run-1" }, { limit: 1, cursor: next! });
            await rejectsWith(call, "CURSOR_INVALID", `a cursor of ${kind} in ${other}`);
          }
          await rejectsWith(storage.list("runs", {}, { limit: 1, cursor: next! }), "CURSOR_INVALID", `${kind} in runs`);
        }
        for (const cursor of ["nonsense", "'; --", "tasks:", "-1"]) {
          await rejectsWith(storage.list("tasks", { runId: "run-1" }, { limit: 1, cursor }), "CURSOR_INVALID", cursor);
          await rejectsWith(storage.list("runs", {}, { limit: 1, cursor }), "CURSOR_INVALID", cursor);
        }
      },
    },
    {
      name: "list() of runs matches every filter, alone and together",
      async check(fixture) {
        await fixture.register("engine-1");
        const task = (runId: string, index: readonly number[]) => ({ runId, task: "a", index });
        const details = [
          { id: "a", pipeline: "p", key: "k", tags: ["x"], createdAt: START },
          { id: "b", pipeline: "p", key: "k2", tags: ["x", "y"], createdAt: START + 10 },
          { id: "c", pipeline: "q", key: "k", tags: [], createdAt: START + 20, parent: task("a", [3]) },
          { id: "d", pipeline: "q", tags: ["y x", "X"], createdAt: START + 30, parent: task("b", []), definition: "e" },
        ];
        await fixture.storage.createRuns(details.map(({ id, ...rest }) => newRun(id, { owner: "engine-1", ...rest })));
        await fixture.commit(
          "engine-1",
          changes("a", 1, { run: ended("failed") }),
          changes("b", 1, { run: ended("succeeded") }),
          changes("c", 1, { run: runState("running") }),
        );
        const expected: [RunQuery, string[]][] = [
          [{}, ["a", "b", "c", "d"]],
          [{ pipeline: "p" }, ["a", "b"]],
          [{ key: "k" }, ["a", "c"]],
          [{ tag: "x" }, ["a", "b"]],
          [{ tag: "y" }, ["b"]],
          [{ parent: "a" }, ["c"]],
          [{ parent: "a", pipeline: "p" }, []],
          [{ status: ["failed", "running"] }, ["a", "c"]],
          [{ status: ["queued"] }, ["d"]],
          [{ status: [] }, []],
          [{ since: START + 10 }, ["b", "c", "d"]],
          [{ until: START + 20 }, ["a", "b"]],
          [{ since: START + 10, until: START + 20 }, ["b"]],
          [{ pipeline: "p", tag: "x", status: ["succeeded"], since: START, key: "k2" }, ["b"]],
          [{ pipeline: "p", key: "none" }, []],
          [{ owner: "engine-1" }, ["c", "d"]],
          [{ owner: "engine-1", definition: "e" }, ["d"]],
          [{ owner: "engine-2" }, []],
          [{ definition: "e" }, ["d"]],
          [{ definition: "e", pipeline: "p" }, []],
        ];
        await expectMatches(fixture, "runs", ({ id }) => id, expected);
      },
    },
    {
      name: "list() of an owner's runs follows the run from owner to owner, also to none",
      async check(fixture) {
        await fixture.owned("run-1", "run-2", "done");
        await fixture.register("engine-2");
        const ofOwner = async (owner: string) => idsOf(await fixture.all("runs", { owner }, 1));
        await fixture.write("done", { run: ended("succeeded") });
        assertEqual(await ofOwner("engine-1"), ["run-2", "run-1"]);
        await fixture.storage.releaseLease("engine-1");
        assertEqual(await ofOwner("engine-1"), []);
        await fixture.claim("engine-2", 1);
        assertEqual([await ofOwner("engine-1"), await ofOwner("engine-2")], [[], ["run-1"]]);
      },
    },
    {
      name: "endedAmong() names the runs that have ended, and those that are not there",
      async check(fixture) {
        const finished = ["succeeded", "failed", "cancelled", "quarantined"] as const;
        const active = ["running", "waiting", "paused"] as const;
        await fixture.owned("queued", ...active, ...finished, "resumed", "deleted");
        await fixture.create("free");
        await fixture.commit(
          "engine-1",
          ...active.map((status) => changes(status, 1, { run: runState(status) })),
          ...finished.map((status) => changes(status, 1, { run: ended(status) })),
          ...["resumed", "deleted"].map((id) => changes(id, 1, { run: ended("failed") })),
        );
        await fixture.storage.send([resumeMessage("m1", "resumed")]);
        await fixture.storage.deleteRun("deleted");
        const known = idsOf(await fixture.all("runs", {}));
        const ids = ["no-such-run", ...known, "deleted"];
        const endedIds = [...(await fixture.storage.endedAmong(ids))].sort();
        assertEqual(endedIds, ["deleted", "no-such-run", ...finished].sort());
        assertEqual(await fixture.storage.endedAmong(["queued", "free"]), []);
        assertEqual(await fixture.storage.endedAmong([]), []);
        const many = Array.from({ length: 1_000 }, (_, n) => (n === 500 ? "queued" : `nobody-${n}`));
        assert.equal((await fixture.storage.endedAmong(many)).length, 999);
      },
    },
    {
      name: "list() of tasks matches every filter",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        await fixture.write("run-1", {
          tasks: [
            taskRecord("run-1", 0, { output: "a" }),
            taskRecord("run-1", 1, { output: "b", status: "failed", items: 2 }),
            taskRecord("run-1", 1, { output: "c", index: [0] }),
            taskRecord("run-1", 1, { output: "d", index: [1], status: "failed" }),
          ],
        });
        await fixture.write("run-2", { tasks: [taskRecord("run-2", 0, { output: "e" })] });
        await expectMatches(fixture, "tasks", ({ output }) => output!, [
          [{ runId: "run-1" }, ["a", "b", "c", "d"]],
          [{ runId: "run-1", task: "task-1" }, ["b", "c", "d"]],
          [{ runId: "run-1", status: ["failed", "skipped"] }, ["b", "d"]],
          [{ runId: "run-1", task: "task-1", status: ["succeeded"] }, ["c"]],
          [{ runId: "run-2" }, ["e"]],
          [{ runId: "run-2", task: "task-1" }, []],
        ]);
      },
    },
    {
      name: "list() of attempts matches every filter, by task in the definition's order and then by attempt",
      async check(fixture) {
        await fixture.owned("run-1");
        const attempts = [
          attemptRecord("run-1", 0, 1, { executor: "a", status: "failed" }),
          attemptRecord("run-1", 0, 2, { executor: "b" }),
          attemptRecord("run-1", 1, 1, { executor: "c", index: [1], status: "abandoned" }),
          attemptRecord("run-1", 2, 1, { executor: "d", index: [1, 0] }),
          attemptRecord("run-1", 10, 9, { executor: "e", status: "failed" }),
          attemptRecord("run-1", 10, 10, { executor: "f" }),
        ];
        await fixture.write("run-1", { attempts: [...attempts].reverse() });
        assertEqual(await fixture.all("attempts", { runId: "run-1" }), attempts);
        await expectMatches(fixture, "attempts", ({ executor }) => executor, [
          [{ runId: "run-1", task: "task-0" }, ["a", "b"]],
          [{ runId: "run-1", status: ["failed", "abandoned"] }, ["a", "c", "e"]],
          [{ runId: "run-1", index: [1] }, ["c"]],
          [{ runId: "run-1", index: [1, 0] }, ["d"]],
          [{ runId: "run-1", index: [] }, ["a", "b", "e", "f"]],
          [{ runId: "run-1", task: "task-0", status: ["succeeded"] }, ["b"]],
        ]);
      },
    },
    {
      name: "list() of logs gives them in the order they were written, and matches every filter",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        const logs = [
          // The order of writing counts, not the moment on the line.
          logRecord("run-1", "a", { at: START + 500 }),
          logRecord("run-1", "b", { at: START, level: "warn" }),
          logRecord("run-1", "c", { task: "task-1", index: [0], attempt: 2 }),
          logRecord("run-1", "d", { task: "task-1", index: [0, 1], level: "error" }),
        ];
        await fixture.write("run-1", { logs: logs.slice(0, 3) });
        await fixture.write("run-2", { logs: [logRecord("run-2", "other")] });
        await fixture.write("run-1", { logs: logs.slice(3) });
        assertEqual(await fixture.all("logs", { runId: "run-1" }), logs);
        await expectMatches(fixture, "logs", ({ message }) => message, [
          [{ runId: "run-1", task: "task-1" }, ["c", "d"]],
          [{ runId: "run-1", index: [0] }, ["c"]],
          [{ runId: "run-1", index: [] }, ["a", "b"]],
          [{ runId: "run-1", attempt: 2 }, ["c"]],
          [{ runId: "run-1", level: ["warn", "error"] }, ["b", "d"]],
          [{ runId: "run-1", task: "task-0", attempt: 1, level: ["info"] }, ["a"]],
        ]);
      },
    },
    {
      name: "list() of metrics and artifacts matches every filter, and leaves out the bytes",
      async check(fixture) {
        await fixture.owned("run-1");
        const bytes = Buffer.from("bytes");
        await fixture.write("run-1", {
          metrics: [
            metricRecord("run-1", "rows", 1),
            metricRecord("run-1", "rows", 2, { task: "task-1" }),
            metricRecord("run-1", "mape", 3),
          ],
          artifacts: [
            artifactRecord("run-1", "report", bytes, { contentType: "a" }),
            artifactRecord("run-1", "report", bytes, { contentType: "b", task: "task-1" }),
            artifactRecord("run-1", "model", bytes, { contentType: "c" }),
          ],
        });
        await expectMatches(fixture, "metrics", ({ value }) => `${value}`, [
          [{ runId: "run-1", name: "rows" }, ["1", "2"]],
          [{ runId: "run-1", task: "task-0" }, ["1", "3"]],
          [{ runId: "run-1", task: "task-1", name: "mape" }, []],
        ]);
        await expectMatches(fixture, "artifacts", ({ contentType }) => contentType, [
          [{ runId: "run-1", name: "report" }, ["a", "b"]],
          [{ runId: "run-1", task: "task-1" }, ["b"]],
          [{ runId: "run-1", task: "task-0", name: "model" }, ["c"]],
        ]);
        for (const artifact of await fixture.all("artifacts", { runId: "run-1" })) {
          assert.equal("data" in artifact, false, "a listing carries the bytes");
        }
      },
    },
    {
      name: "items of maps are listed by number, not by text, with none lost between pages",
      async check(fixture) {
        await fixture.owned("run-1");
        const items = Array.from({ length: 101 }, (_, n) => n);
        await fixture.write("run-1", {
          tasks: items.map((n) => taskRecord("run-1", 3, { index: [n] })),
          attempts: items.map((n) => attemptRecord("run-1", 3, 1, { index: [n] })),
        });
        const indexes = (records: readonly { readonly index: readonly number[] }[]) =>
          records.map(({ index }) => index[0]);
        for (const limit of [7, 101]) {
          assertEqual(indexes(await fixture.all("tasks", { runId: "run-1" }, limit)), items);
          const attempts = indexes(await fixture.all("attempts", { runId: "run-1" }, limit));
          assertEqual(
            attempts.sort((a, b) => a! - b!),
            items,
          );
        }
        const loaded = await readPages((page) => fixture.storage.loadTasks(["run-1"], page), 10);
        assertEqual(indexes(loaded), items);
      },
    },
  ],
};
