import assert from "node:assert/strict";
import type { Page, PageRequest } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { readPages, rejectsWith, type StorageFixture } from "./fixture.js";
import { changes, stepRecord, taskRecord } from "./records.js";

const LOADS = ["loadTasks", "loadSteps"] as const;

function load(fixture: StorageFixture, what: (typeof LOADS)[number], ids: readonly string[]) {
  return (page: PageRequest): Promise<Page<object>> => fixture.storage[what](ids, page);
}

export const loading: ContractTopic<StorageFixture> = {
  name: "loading",
  cases: [
    {
      name: "loadTasks() reads the tasks of a run in the definition's order, items in theirs",
      async check(fixture) {
        await fixture.owned("run-1", "run-2");
        const tasks = [
          taskRecord("run-1", 0),
          taskRecord("run-1", 1, { items: 12 }),
          ...Array.from({ length: 12 }, (_, n) => taskRecord("run-1", 1, { index: [n] })),
          taskRecord("run-1", 2, { index: [0] }),
          taskRecord("run-1", 2, { index: [0, 2] }),
          taskRecord("run-1", 2, { index: [0, 10] }),
          taskRecord("run-1", 2, { index: [1] }),
          taskRecord("run-1", 11),
        ];
        await fixture.write("run-1", { tasks: [...tasks].reverse() });
        await fixture.write("run-2", { tasks: [taskRecord("run-2", 0)] });
        for (const limit of [1, 4, tasks.length, 1_000]) {
          const loaded = await readPages(load(fixture, "loadTasks", ["run-1"]), limit);
          assertEqual(loaded, tasks, `in pages of ${limit}`);
        }
      },
    },
    {
      name: "loadTasks() reads run after run, in the order of the ids, with none lost between pages",
      async check(fixture) {
        const ids = ["c", "empty", "a", "b", "d"];
        await fixture.owned(...ids);
        const tasks = (id: string, count: number) =>
          Array.from({ length: count }, (_, n) => taskRecord(id, n >> 1, { index: n & 1 ? [10] : [2] }));
        const written = { a: tasks("a", 5), b: tasks("b", 1), c: tasks("c", 4), d: tasks("d", 3) };
        for (const [id, own] of Object.entries(written)) await fixture.write(id, { tasks: [...own].reverse() });
        const unknown = ["no-such-run", ...ids, "nor-this-one"];
        for (const order of [ids, ["d", "a"], ["b"], ["empty"], unknown, [...ids].reverse()]) {
          const expected = order.flatMap((id) => written[id as keyof typeof written] ?? []);
          for (const limit of [1, 2, 4, 5, 13, 1_000]) {
            const loaded = await readPages(load(fixture, "loadTasks", order), limit);
            assertEqual(loaded, expected, `${order.join()} in pages of ${limit}`);
          }
        }
      },
    },
    {
      name: "loadTasks() reads of each run its current generations, and none of the others'",
      async check(fixture) {
        await fixture.owned("a", "b");
        const map = (id: string, generation: number) => taskRecord(id, 0, { generation });
        const item = (id: string, generation: number) => taskRecord(id, 0, { index: [0], generation });
        await fixture.write("a", { tasks: [map("a", 1), item("a", 1), map("a", 2)] });
        await fixture.write("b", { tasks: [map("b", 1), item("b", 1), item("b", 3)] });
        for (const limit of [1, 2, 3, 10]) {
          const loaded = await readPages(load(fixture, "loadTasks", ["b", "a"]), limit);
          assertEqual(loaded, [map("b", 1), item("b", 3), map("a", 2)], `in pages of ${limit}`);
        }
      },
    },
    {
      name: "loadSteps() reads the steps of some runs, in the order of the ids and as they were written",
      async check(fixture) {
        await fixture.owned("b", "a", "empty", "other");
        const steps = (id: string) => ["z", "y", "x"].map((step) => stepRecord(id, step, { index: [1, 10] }));
        for (const id of ["a", "other", "b"]) await fixture.write(id, { steps: steps(id).slice(0, 2) });
        for (const id of ["b", "a", "other"]) await fixture.write(id, { steps: steps(id).slice(2) });
        for (const order of [["b", "empty", "a"], ["a", "no-such-run", "b"], ["empty"]]) {
          const expected = order.filter((id) => ["a", "b"].includes(id)).flatMap(steps);
          for (const limit of [1, 2, 3, 6, 1_000]) {
            const loaded = await readPages(load(fixture, "loadSteps", order), limit);
            assertEqual(loaded, expected, `${order.join()} in pages of ${limit}`);
          }
        }
      },
    },
    {
      name: "loadTasks() and loadSteps() read 1,000 runs at once",
      async check(fixture) {
        const ids = Array.from({ length: 1_000 }, (_, n) => `run-${n}`);
        await fixture.owned(...ids);
        const write = ids.map((id) => changes(id, 1, { tasks: [taskRecord(id, 0)], steps: [stepRecord(id, "s")] }));
        await fixture.commit("engine-1", ...write);
        for (const what of LOADS) {
          const loaded = await readPages(load(fixture, what, ids), 400);
          const found = loaded.map((record) => (record as { runId: string }).runId);
          assert.ok(found.length === 1_000 && found.every((id, place) => id === ids[place]), what);
        }
      },
    },
    {
      name: "loadTasks() and loadSteps() refuse a foreign cursor with CURSOR_INVALID",
      async check(fixture) {
        await fixture.owned("run-1");
        await fixture.write("run-1", {
          tasks: [taskRecord("run-1", 0), taskRecord("run-1", 1)],
          steps: [stepRecord("run-1", "a"), stepRecord("run-1", "b")],
        });
        const cursors = new Map<string, string>();
        for (const what of LOADS) cursors.set(what, (await fixture.storage[what](["run-1"], { limit: 1 })).next!);
        for (const what of LOADS) {
          const foreign = [...cursors].filter(([from]) => from !== what).map(([, cursor]) => cursor);
          for (const cursor of ["nonsense", "'; --", "tasks:", "-1", ...foreign]) {
            const call = fixture.storage[what](["run-1"], { limit: 1, cursor });
            await rejectsWith(call, "CURSOR_INVALID", `${what} with ${cursor}`);
          }
        }
      },
    },
  ],
};
