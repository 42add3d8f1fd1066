import { AssertionError } from "node:assert";
import { describeError, type RunInfo, type TaskInfo, type TaskStatus, taskName } from "weftline";
import { table } from "./table.js";

/** Values by task, or by item as `train[3]`. */
export type ByTask<Value> = Readonly<Record<string, Value>>;

/** @throws {AssertionError} With a table, when a task has another status. */
export function assertStatuses(run: RunInfo, tasks: readonly TaskInfo[], expected: ByTask<TaskStatus>): void {
  compare("statuses", run, tasks, expected, (task) => task.status);
}

/** @throws {AssertionError} With a table, when a task was tried more or less often. */
export function assertAttempts(run: RunInfo, tasks: readonly TaskInfo[], expected: ByTask<number>): void {
  compare("attempts", run, tasks, expected, (task) => task.attempts);
}

/**
 * @param started - The names of the tasks that began, in that order.
 * @throws {AssertionError} With a table, when the expected ones did not begin in the order given.
 */
export function assertOrder(run: RunInfo, started: readonly string[], expected: readonly string[]): void {
  const actual = started.filter((name) => expected.includes(name));
  if (actual.join() === expected.join()) return;
  const length = Math.max(actual.length, expected.length);
  const rows = Array.from({ length }, (_, place) => {
    const [wanted = "", found = ""] = [expected[place], actual[place]];
    return [wanted === found ? "" : "✗", String(place + 1), wanted, found];
  });
  const missing = expected.filter((name) => !actual.includes(name));
  throw failure(
    `Order of ${show(run)} differs`,
    [["", "", "expected", "actual"], ...rows],
    missing.map((name) => `"${name}" never began.`),
    { actual, expected },
  );
}

function compare<Value>(
  what: string,
  run: RunInfo,
  tasks: readonly TaskInfo[],
  expected: ByTask<Value>,
  read: (task: TaskInfo) => Value,
): void {
  const byName = new Map(tasks.map((task) => [taskName(task.task, task.index), task]));
  const names = Object.keys(expected);
  const actual = Object.fromEntries(names.map((name) => [name, actualOf(byName.get(name), read)]));
  if (names.every((name) => actual[name] === expected[name])) return;
  const rows = names.map((name) => {
    const isEqual = actual[name] === expected[name];
    const why = isEqual ? "" : reasonOf(byName.get(name));
    return [isEqual ? "" : "✗", name, String(expected[name]), String(actual[name] ?? "no such task"), why];
  });
  const others = [...byName.keys()].filter((name) => !names.includes(name));
  const unknown = names.some((name) => !byName.has(name)) ? [`It also has ${others.join(", ") || "nothing"}.`] : [];
  throw failure(`Task ${what} of ${show(run)} differ`, [["", "task", "expected", "actual", ""], ...rows], unknown, {
    actual,
    expected,
  });
}

function actualOf<Value>(task: TaskInfo | undefined, read: (task: TaskInfo) => Value): Value | undefined {
  return task === undefined ? undefined : read(task);
}

function reasonOf(task: TaskInfo | undefined): string {
  if (task?.error) return describeError(task.error);
  return task?.reason ?? "";
}

function show({ id, pipeline, status }: RunInfo): string {
  return `run ${id} of "${pipeline}" (${status})`;
}

function failure(
  title: string,
  rows: readonly (readonly string[])[],
  notes: readonly string[],
  values: { readonly actual: unknown; readonly expected: unknown },
): AssertionError {
  const message = [`${title}:`, "", table(rows), ...(notes.length > 0 ? ["", ...notes] : [])].join("\n");
  return new AssertionError({ message, operator: "compare", ...values });
}
