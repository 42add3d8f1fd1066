import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type AttemptQuery,
  type AttemptRecord,
  TASK_STATUSES,
  type TaskQuery,
  type TaskRecord,
} from "../../contracts/records.js";
import { ColumnHistory } from "./column-history.js";
import { listOfRun } from "./listing.js";
import { RunStore } from "./run-store.js";
import { SmallHistory } from "./small-history.js";
import { type AttemptPlace, pathOf, type TaskHistory } from "./task-history.js";
import { TaskMoves } from "./task-moves.js";
import { attemptRecord, changes, newRun, runState, taskRecord } from "./test-records.js";

type Write = { readonly task: TaskRecord } | { readonly attempt: AttemptRecord };

/** Everything there is, in a list: as simple as it can be, and as slow. */
class Reference {
  readonly #tasks = new Map<string, TaskRecord>();
  readonly #attempts = new Map<string, AttemptRecord>();

  put(write: Write): void {
    if ("task" in write) this.#tasks.set(JSON.stringify(placeOf(write.task)), write.task);
    else this.#attempts.set(JSON.stringify([...placeOf(write.attempt), write.attempt.attempt]), write.attempt);
  }

  tasks({ task, status, generation }: TaskQuery): TaskRecord[] {
    const isWanted = (record: TaskRecord) =>
      (generation === undefined ? this.#isCurrent(record) : record.generation === generation) &&
      (task === undefined || record.task === task) &&
      (status === undefined || status.includes(record.status));
    return [...this.#tasks.values()].filter(isWanted).sort(byPlace);
  }

  attempts({ task, status, generation, index }: AttemptQuery): AttemptRecord[] {
    const isWanted = (record: AttemptRecord) =>
      (generation === undefined || record.generation === generation) &&
      (task === undefined || record.task === task) &&
      (index === undefined || String(record.index) === String(index)) &&
      (status === undefined || status.includes(record.status));
    const found = [...this.#attempts.values()].filter(isWanted);
    return found.sort((a, b) => byPlace(a, b) || a.attempt - b.attempt);
  }

  currentTask(position: number, index: readonly number[]): TaskRecord | undefined {
    const isThere = (record: TaskRecord) => String(pathOf(record)) === String([position, ...index]);
    return this.tasks({ runId: "run" }).find(isThere);
  }

  #isCurrent({ position, index, generation }: TaskRecord): boolean {
    const above = [...this.#tasks.values()].filter(
      (other) => other.position === position && String(other.index) === String(index.slice(0, other.index.length)),
    );
    return Math.max(...above.map((other) => other.generation)) === generation;
  }
}

function placeOf({ position, index, generation }: TaskRecord | AttemptRecord): unknown[] {
  return [position, index, generation];
}

/** A task before its items, and both by number. */
function byPlace(a: TaskRecord | AttemptRecord, b: TaskRecord | AttemptRecord): number {
  const text = ({ position, index }: TaskRecord | AttemptRecord) =>
    [position, ...index].map((number) => String(number).padStart(6, "0")).join();
  if (text(a) !== text(b)) return text(a) < text(b) ? -1 : 1;
  return a.generation - b.generation;
}

// ---- Random records

/** Few places, so that much is written to each, and some that are far away. */
const number = fc.oneof({ weight: 9, arbitrary: fc.nat({ max: 2 }) }, fc.constantFrom(10, 300));
const place = fc.record({
  position: number,
  index: fc.oneof(fc.constant([]), fc.array(number, { maxLength: 3 })),
  generation: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 2, max: 4 })),
});
const moment = fc.option(fc.constantFrom(0, 1_767_225_600_000, 1.5), { nil: undefined });
const text = fc.option(fc.string(), { nil: undefined, freq: 2 });
const error = fc.option(fc.constant({ name: "Error", message: "boom" }), { nil: undefined, freq: 2 });

/** What few records have: one thing, or nothing. */
const rest = fc.oneof(
  fc.constant<Partial<TaskRecord>>({}),
  ...[
    { attemptsBefore: 3 },
    { retryAt: 0 },
    { wait: { kind: "sleep", until: 9 } as const },
    { error: { name: "Error", message: "boom" } },
    { reason: "" },
    { warning: "slow" },
    { cachedFrom: "other" },
    { items: 0 },
    { list: "j1:[]" },
  ].map((part) => fc.constant<Partial<TaskRecord>>(part)),
);

const task: fc.Arbitrary<Write> = fc
  .record({
    place,
    details: fc.record({
      status: fc.constantFrom(...TASK_STATUSES),
      attempts: fc.constantFrom(0, 1, 2, 254, 255, 256, 10_000),
      startedAt: moment,
      finishedAt: moment,
      output: text,
    }),
    rest,
  })
  .map(({ place, details, rest }) => ({
    task: taskRecord("run", { task: `t${place.position}`, ...place, ...details, ...rest }),
  }));

const attempt: fc.Arbitrary<Write> = fc
  .record({
    place,
    details: fc.record({
      attempt: fc.oneof({ weight: 3, arbitrary: fc.constant(1) }, fc.integer({ min: 2, max: 5 })),
      status: fc.constantFrom("running", "succeeded", "failed", "skipped", "cancelled", "abandoned"),
      executor: fc.constantFrom("default", "gpu"),
      engineId: fc.constantFrom("a", "b"),
      startedAt: fc.constantFrom(0, 1_767_225_600_000),
      finishedAt: moment,
      error,
    }),
  })
  .map(({ place, details }) => ({
    attempt: attemptRecord("run", { task: `t${place.position}`, ...place, ...(details as Partial<AttemptRecord>) }),
  }));

/** More than fast-check makes by itself: most of what can go wrong takes several records of one place. */
const writes = fc.array(fc.oneof(task, attempt), { maxLength: 150, size: "max" });

// ---- Queries of every kind, in pages of every kind

const TASK_QUERIES: readonly TaskQuery[] = [
  { runId: "run" },
  { runId: "run", generation: 1 },
  { runId: "run", generation: 2 },
  { runId: "run", generation: 9 },
  { runId: "run", task: "t2" },
  { runId: "run", task: "t10", generation: 3 },
  { runId: "run", status: ["failed", "waiting", "succeeded"] },
  { runId: "run", status: [] },
  { runId: "run", task: "t1", status: ["pending"], generation: 1 },
];
const ATTEMPT_QUERIES: readonly AttemptQuery[] = [
  { runId: "run" },
  { runId: "run", generation: 1 },
  { runId: "run", generation: 3 },
  { runId: "run", task: "t0" },
  { runId: "run", index: [] },
  { runId: "run", index: [1] },
  { runId: "run", task: "t1", index: [2, 0] },
  { runId: "run", index: [300], status: ["succeeded"] },
  { runId: "run", status: ["failed", "running"] },
  { runId: "run", task: "t2", status: ["succeeded"], generation: 2 },
];
const LIMITS = [1, 7, 1_000];
/** Pages that come to no end are wrong; a test does not wait for it. */
const TOO_MANY = 2_000;

function taskPages(history: TaskHistory, query: TaskQuery, limit: number): TaskRecord[] {
  const all: TaskRecord[] = [];
  while (all.length < TOO_MANY) {
    const page = history.tasks(query, all.length === 0 ? [] : pathOf(all.at(-1)!), limit);
    all.push(...page);
    if (page.length < limit) break;
  }
  return all;
}

function attemptPages(history: TaskHistory, query: AttemptQuery, limit: number): AttemptRecord[] {
  const all: AttemptRecord[] = [];
  let after: AttemptPlace = { path: [], generation: 0, attempt: 0 };
  while (all.length < TOO_MANY) {
    const page = history.attempts(query, after, limit);
    all.push(...page);
    if (page.length < limit) break;
    const { generation, attempt } = page.at(-1)!;
    after = { path: pathOf(page.at(-1)!), generation, attempt };
  }
  return all;
}

function put(history: TaskHistory, write: Write): void {
  if ("task" in write) history.putTask(write.task);
  else history.putAttempt(write.attempt);
}

function writeAll(run: RunStore, all: readonly Write[]): void {
  const tasks = all.flatMap((write) => ("task" in write ? [write.task] : []));
  const attempts = all.flatMap((write) => ("attempt" in write ? [write.attempt] : []));
  run.write(changes("run", 1, { tasks, attempts }));
}

function newStore(): RunStore {
  const { generation, crashes } = runState("running");
  const times = { startedAt: undefined, finishedAt: undefined, deadlineAt: undefined };
  return new RunStore(
    { ...newRun({ id: "run" }), ...times, status: "running", generation, crashes, epoch: 1, error: undefined },
    1,
  );
}

describe("the history of tasks and attempts", () => {
  it.each([
    ["small", () => new SmallHistory()],
    ["large", () => new ColumnHistory("run")],
  ])("of a %s run is what a list of everything would give, whatever is written", (_, make) => {
    fc.assert(
      fc.property(writes, (all) => {
        const history = make();
        const reference = new Reference();
        for (const write of all) {
          put(history, write);
          reference.put(write);
        }
        for (const query of TASK_QUERIES) {
          const expected = reference.tasks(query);
          for (const limit of LIMITS) expect(taskPages(history, query, limit)).toStrictEqual(expected);
        }
        for (const query of ATTEMPT_QUERIES) {
          const expected = reference.attempts(query);
          for (const limit of LIMITS) expect(attemptPages(history, query, limit)).toStrictEqual(expected);
        }
        for (const write of all) {
          const { position, index } = "task" in write ? write.task : write.attempt;
          expect(history.currentTask(position, index)).toStrictEqual(reference.currentTask(position, index));
        }
      }),
      { numRuns: 50 },
    );
  });

  it("is the same before, while and after a run becomes large, in pages between its commits", () => {
    fc.assert(
      fc.property(fc.array(writes, { minLength: 1, maxLength: 3 }), (commits) => {
        const run = newStore();
        const reference = new Reference();
        for (const all of commits) {
          for (const write of all) reference.put(write);
          writeAll(run, all);
          for (const query of TASK_QUERIES) expect(listed("tasks", run, query)).toStrictEqual(reference.tasks(query));
          for (const query of ATTEMPT_QUERIES)
            expect(listed("attempts", run, query)).toStrictEqual(reference.attempts(query));
        }
      }),
      { numRuns: 40 },
    );
  });

  it("goes over to the places of another definition, and forgets what has none there", () => {
    const moves = fc
      .tuple(fc.subarray([0, 1, 2, 10, 300]), fc.shuffledSubarray([0, 1, 2, 3, 10, 300], { minLength: 5 }))
      .map(([kept, places]) => kept.map((from, n) => ({ from, position: places[n]!, task: `new-${from}` })));
    fc.assert(
      fc.property(writes, moves, writes, (all, tasks, later) => {
        const place = ({ position }: TaskRecord | AttemptRecord) => tasks.find(({ from }) => from === position);
        const run = newStore();
        const reference = new Reference();
        writeAll(run, all);
        for (const write of all) {
          const moved = place("task" in write ? write.task : write.attempt);
          if (moved === undefined) continue;
          const { position, task } = moved;
          if ("task" in write) reference.put({ task: { ...write.task, position, task } });
          else reference.put({ attempt: { ...write.attempt, position, task } });
        }
        run.move(new TaskMoves(tasks));
        const names = new Map(tasks.map(({ position, task }) => [position, task]));
        const renamed = <Record extends TaskRecord | AttemptRecord>(record: Record): Record => ({
          ...record,
          task: names.get(record.position) ?? record.task,
        });
        const anew = later.map((write) =>
          "task" in write ? { task: renamed(write.task) } : { attempt: renamed(write.attempt) },
        );
        for (const writes of [[], anew]) {
          writeAll(run, writes);
          for (const write of writes) reference.put(write);
          for (const query of TASK_QUERIES) expect(listed("tasks", run, query)).toStrictEqual(reference.tasks(query));
          for (const query of ATTEMPT_QUERIES)
            expect(listed("attempts", run, query)).toStrictEqual(reference.attempts(query));
        }
      }),
      { numRuns: 40 },
    );
  });

  it("keeps more executors and engines apart than a byte can name", () => {
    const history = new ColumnHistory("run");
    const attempts = Array.from({ length: 600 }, (_, n) => attemptRecord("run", { position: n, engineId: `e${n}` }));
    for (const record of [...attempts, ...attempts]) history.putAttempt(record);
    expect(attemptPages(history, { runId: "run" }, 1_000)).toStrictEqual(attempts);
  });

  it("finds its way through 100,000 items, and those that a rerun left behind", () => {
    const history = new ColumnHistory("run");
    const item = (n: number, generation: number) => taskRecord("run", { position: 1, index: [n], generation });
    history.putTask(taskRecord("run", { position: 1, items: 100_000 }));
    for (let n = 0; n < 100_000; n++) history.putTask(item(n, 1));
    history.putTask(taskRecord("run", { position: 2 }));
    expect(history.tasks({ runId: "run" }, [1, 99_998], 10).map(pathOf)).toStrictEqual([[1, 99_999], [2]]);
    history.putTask(taskRecord("run", { position: 1, generation: 2, items: 3 }));
    history.putTask(item(2, 2));
    expect(history.tasks({ runId: "run" }, [], 10).map(pathOf)).toStrictEqual([[1], [1, 2], [2]]);
    expect(history.tasks({ runId: "run", generation: 1 }, [1, 99_998], 10).map(pathOf)).toStrictEqual([
      [1, 99_999],
      [2],
    ]);
  });
});

function listed<Kind extends "tasks" | "attempts">(
  kind: Kind,
  run: RunStore,
  query: TaskQuery | AttemptQuery,
): unknown[] {
  const records: unknown[] = [];
  let cursor: string | undefined;
  do {
    const page = listOfRun(kind, run, query, cursor === undefined ? { limit: 7 } : { limit: 7, cursor });
    records.push(...page.items);
    cursor = page.next;
  } while (cursor !== undefined && records.length < TOO_MANY);
  return records;
}
