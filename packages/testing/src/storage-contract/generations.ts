import assert from "node:assert/strict";
import type { TaskRecord } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { readPages, type StorageFixture } from "./fixture.js";
import { attemptRecord, changes, ended, rerunMessage, runState, taskRecord } from "./records.js";

/** A record of `run-1` that says in its output which it is. */
function record(
  position: number,
  index: readonly number[],
  generation: number,
  details: Partial<TaskRecord> = {},
): TaskRecord {
  const output = `j1:"${position} [${index.join()}] in ${generation}"`;
  return taskRecord("run-1", position, { index, generation, output, ...details });
}

/** Checks what a listing of the run's tasks and its loading give, in pages of every kind. */
async function expectCurrent(fixture: StorageFixture, expected: readonly TaskRecord[]): Promise<void> {
  for (const limit of [1, 2, 3, expected.length, 1_000]) {
    assertEqual(await fixture.all("tasks", { runId: "run-1" }, limit), expected, `listed in pages of ${limit}`);
    const loaded = await readPages((page) => fixture.storage.loadTasks(["run-1"], page), limit);
    assertEqual(loaded, expected, `loaded in pages of ${limit}`);
  }
}

export const generations: ContractTopic<StorageFixture> = {
  name: "generations",
  cases: [
    {
      name: "commit() writes a run's generation and params",
      async check(fixture) {
        await fixture.owned("run-1");
        const state = runState("running", { generation: 7, params: 'j1:{"day":"2026-02-02"}' });
        await fixture.write("run-1", { run: state });
        const { generation, params, fingerprint } = await fixture.run("run-1");
        assertEqual([generation, params, fingerprint], [7, state.params, "fingerprint-1"]);
      },
    },
    {
      name: "commit() keeps what a task was in each generation, and replaces only within one",
      async check(fixture) {
        await fixture.owned("run-1");
        const first = record(0, [], 1, { status: "failed", reason: "once" });
        const third = record(0, [], 3);
        await fixture.write("run-1", { tasks: [record(0, [], 1), record(0, [], 3, { status: "running" })] });
        await fixture.write("run-1", { tasks: [first] });
        await fixture.write("run-1", { tasks: [third] });
        assertEqual(await fixture.all("tasks", { runId: "run-1", generation: 1 }), [first]);
        assertEqual(await fixture.all("tasks", { runId: "run-1", generation: 2 }), []);
        assertEqual(await fixture.all("tasks", { runId: "run-1", generation: 3 }), [third]);
      },
    },
    {
      name: "list() of tasks and loadTasks() give each task as it is in its newest generation",
      async check(fixture) {
        await fixture.owned("run-1");
        const current = [record(0, [], 1), record(1, [], 2), record(2, [], 10), record(4, [], 9), record(11, [], 1)];
        await fixture.write("run-1", { tasks: [record(2, [], 2), record(1, [], 1), record(4, [], 1), ...current] });
        await expectCurrent(fixture, current);
      },
    },
    {
      name: "the newest generation is the highest, whatever was written last",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.write("run-1", { tasks: [record(0, [], 2)] });
        await fixture.write("run-1", { tasks: [record(0, [], 1)] });
        await expectCurrent(fixture, [record(0, [], 2)]);
      },
    },
    {
      name: "items of a map that was opened anew are no longer current",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.write("run-1", {
          tasks: [
            record(0, [], 1),
            record(1, [], 1, { items: 12 }),
            ...Array.from({ length: 12 }, (_, n) => record(1, [n], 1)),
            record(2, [0], 1),
          ],
        });
        const anew = record(1, [], 2, { status: "running" });
        await fixture.write("run-1", { tasks: [anew] });
        await expectCurrent(fixture, [record(0, [], 1), anew, record(2, [0], 1)]);
        await fixture.write("run-1", { tasks: [record(1, [2], 2), record(1, [1], 2)] });
        await expectCurrent(fixture, [record(0, [], 1), anew, record(1, [1], 2), record(1, [2], 2), record(2, [0], 1)]);
        assert.equal((await fixture.all("tasks", { runId: "run-1", generation: 1 })).length, 15);
      },
    },
    {
      name: "an item that was opened anew takes what is below it along, and nothing beside it",
      async check(fixture) {
        await fixture.owned("run-1");
        const hidden = [record(1, [1], 1), record(1, [1, 0], 1), record(1, [1, 0, 4], 2), record(1, [3], 1)];
        const current = [
          record(0, [1], 1),
          record(1, [], 1),
          record(1, [0], 1),
          record(1, [0, 1], 1),
          record(1, [1], 3),
          record(1, [1, 2], 3),
          record(1, [1, 2, 0], 4),
          record(1, [3], 2),
          record(1, [10], 1),
          record(1, [10, 1], 1),
          record(1, [11], 1),
          record(2, [1, 0], 1),
        ];
        await fixture.write("run-1", { tasks: [...hidden, ...current].reverse() });
        await expectCurrent(fixture, current);
      },
    },
    {
      name: "list() of tasks filters the current records, not those from which they were chosen",
      async check(fixture) {
        await fixture.owned("run-1");
        const failed = record(0, [], 1, { status: "failed" });
        const anew = record(0, [], 2, { status: "succeeded" });
        const hidden = record(1, [0], 1, { status: "failed" });
        const map = record(1, [], 2, { status: "running" });
        await fixture.write("run-1", { tasks: [failed, anew, record(1, [], 1), hidden, map] });
        assertEqual(await fixture.all("tasks", { runId: "run-1", status: ["failed"] }), []);
        assertEqual(await fixture.all("tasks", { runId: "run-1", status: ["succeeded"] }), [anew]);
        assertEqual(await fixture.all("tasks", { runId: "run-1", task: "task-1" }), [map]);
      },
    },
    {
      name: "list() of tasks of a generation gives exactly the records of that generation",
      async check(fixture) {
        await fixture.owned("run-1");
        const first = [record(0, [], 1), record(1, [], 1), record(1, [0], 1, { status: "failed" }), record(1, [10], 1)];
        const second = [record(1, [], 2), record(1, [9], 2), record(3, [], 2, { status: "failed" })];
        await fixture.write("run-1", { tasks: [...first, ...second].reverse() });
        for (const limit of [1, 3, 100]) {
          assertEqual(await fixture.all("tasks", { runId: "run-1", generation: 1 }, limit), first);
          assertEqual(await fixture.all("tasks", { runId: "run-1", generation: 2 }, limit), second);
        }
        const query = { runId: "run-1", generation: 1, task: "task-1", status: ["failed"] } as const;
        assertEqual(await fixture.all("tasks", query), [first[2]]);
        assertEqual(await fixture.all("tasks", { runId: "run-1", generation: 3 }), []);
      },
    },
    {
      name: "pages of tasks are full and end with the last current record, whatever generations hide",
      async check(fixture) {
        await fixture.owned("run-1");
        const items = Array.from({ length: 400 }, (_, n) => n);
        await fixture.write("run-1", {
          tasks: [
            ...items.map((n) => record(0, [n], 1)),
            record(1, [], 1),
            ...items.map((n) => record(2, [n], 1)),
            record(0, [], 2),
            record(2, [], 2),
            record(2, [399], 2),
          ],
        });
        const current = [record(0, [], 2), record(1, [], 1), record(2, [], 2), record(2, [399], 2)];
        await expectCurrent(fixture, current);
        await fixture.write("run-1", { tasks: [record(2, [], 3)] });
        const page = { limit: 3 };
        const pages = [
          await fixture.storage.list("tasks", { runId: "run-1" }, page),
          await fixture.storage.loadTasks(["run-1"], page),
        ];
        for (const { items: last, next } of pages) assertEqual([last.length, next], [3, undefined]);
      },
    },
    {
      name: "attempts are kept, replaced and counted within their generation",
      async check(fixture) {
        await fixture.owned("run-1");
        const attempts = [
          attemptRecord("run-1", 0, 1, { status: "failed" }),
          attemptRecord("run-1", 0, 2),
          attemptRecord("run-1", 0, 1, { generation: 2, status: "failed" }),
          attemptRecord("run-1", 0, 2, { generation: 2 }),
        ];
        const running = { status: "running", finishedAt: undefined } as const;
        await fixture.write("run-1", { attempts: attempts.map((attempt) => ({ ...attempt, ...running })) });
        await fixture.write("run-1", { attempts: attempts.slice(2) });
        await fixture.write("run-1", { attempts: attempts.slice(0, 2) });
        assertEqual(await fixture.all("attempts", { runId: "run-1" }), attempts);
      },
    },
    {
      name: "list() of attempts goes by position, index, generation and attempt, with none lost between pages",
      async check(fixture) {
        await fixture.owned("run-1");
        const attempts = [
          attemptRecord("run-1", 0, 1),
          attemptRecord("run-1", 0, 10),
          attemptRecord("run-1", 0, 1, { generation: 2 }),
          attemptRecord("run-1", 1, 1, { generation: 3 }),
          attemptRecord("run-1", 1, 2, { index: [2] }),
          attemptRecord("run-1", 1, 1, { index: [2], generation: 2 }),
          attemptRecord("run-1", 1, 1, { index: [2, 0] }),
          attemptRecord("run-1", 1, 1, { index: [10] }),
          attemptRecord("run-1", 1, 1, { index: [10], generation: 12 }),
          attemptRecord("run-1", 10, 1),
        ];
        await fixture.write("run-1", { tasks: [record(1, [], 3)], attempts: [...attempts].reverse() });
        for (const limit of [1, 3, 10, 1_000]) {
          assertEqual(await fixture.all("attempts", { runId: "run-1" }, limit), attempts, `in pages of ${limit}`);
        }
      },
    },
    {
      name: "list() of attempts matches a generation",
      async check(fixture) {
        await fixture.owned("run-1");
        const first = [attemptRecord("run-1", 0, 1), attemptRecord("run-1", 1, 1, { index: [0] })];
        const second = [attemptRecord("run-1", 0, 1, { generation: 2, status: "failed" })];
        await fixture.write("run-1", { attempts: [...first, ...second] });
        assertEqual(await fixture.all("attempts", { runId: "run-1", generation: 1 }, 1), first);
        assertEqual(await fixture.all("attempts", { runId: "run-1", generation: 2 }, 1), second);
        const query = { runId: "run-1", generation: 2, task: "task-0", index: [], status: ["failed"] } as const;
        assertEqual(await fixture.all("attempts", query), second);
        assertEqual(await fixture.all("attempts", { ...query, generation: 1 }), []);
      },
    },
    {
      name: "a rerun adds its generation to the history of the run",
      async check(fixture) {
        await fixture.owned("run-1");
        const first = record(0, [], 1);
        await fixture.write("run-1", { run: ended("succeeded"), tasks: [first] });
        await fixture.storage.send([rerunMessage("m1", "run-1")]);
        await fixture.claim("engine-1");
        const second = record(0, [], 2, { status: "running" });
        const state = runState("running", { generation: 2 });
        await fixture.commit("engine-1", changes("run-1", 2, { run: state, tasks: [second], consumed: ["m1"] }));
        await expectCurrent(fixture, [second]);
        assertEqual(await fixture.all("tasks", { runId: "run-1", generation: 1 }), [first]);
      },
    },
  ],
};
