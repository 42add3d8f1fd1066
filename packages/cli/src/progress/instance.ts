import type { ErrorRecord, LogLevel, Pipeline, TaskStatus, Wait } from "weftline";

type Plan = Pipeline["plan"];
export type TaskDefinition = Plan["tasks"][number];

export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
}

/** Where a task, a group, or one item of either stands. Times are epoch milliseconds. */
export interface Instance {
  readonly task: TaskDefinition;
  /** Empty for a task, `[3]` for the fourth item of a map; one more number for each list around it. */
  readonly index: readonly number[];
  status: TaskStatus;
  attempt: number;
  /** When its first attempt began, or its list was known. */
  startedAt: number | undefined;
  finishedAt: number | undefined;
  /** When the next attempt is due, while `retrying`. */
  retryAt: number | undefined;
  /** What it waits for, while `waiting`. */
  wait: Wait | undefined;
  error: ErrorRecord | undefined;
  reason: string | undefined;
  warning: string | undefined;
  /** The run whose output was taken instead of running it. */
  cachedFrom: string | undefined;
  /** What the attempt said last about how far it is. */
  progress: { readonly fraction: number; readonly message: string | undefined } | undefined;
  /** The last lines it logged. */
  readonly logs: LogLine[];
  /** Of a map or a mapped group, once it has begun. */
  items: Items | undefined;
  /** Of a group, or an item of a mapped one: the tasks in it, in topological order. */
  readonly inside: readonly Instance[];
}

/** The items of a list: all of them as numbers, one by one only those that are worth a line. */
export interface Items {
  /** `undefined` until the list is known. */
  total: number | undefined;
  readonly finished: Map<TaskStatus, number>;
  /** By index. */
  readonly running: Map<string, Instance>;
  /** Waiting for their next attempt, by index. */
  readonly retrying: Map<string, Instance>;
  /** Those that failed, in the order of their ends; at most {@link MAX_FAILED_ITEMS}. */
  readonly failed: Instance[];
}

const MAX_LOG_LINES = 5;
const MAX_FAILED_ITEMS = 100;

/** The tasks directly inside a group (-1: the pipeline), in topological order, with what is inside those. */
export function instancesInside(layout: Layout, group: number, index: readonly number[]): Instance[] {
  return layout.inside(group).map((task) => newInstance(task, index, layout));
}

/** An instance to which nothing has happened. */
export function newInstance(task: TaskDefinition, index: readonly number[], layout: Layout): Instance {
  const depth = layout.plan.depth[task.position]!;
  // Of a mapped group only the items have tasks in them.
  const isFrame = task.kind === "group" && (!task.isMapped || index.length > depth);
  return {
    task,
    index,
    status: "pending",
    attempt: 0,
    startedAt: undefined,
    finishedAt: undefined,
    retryAt: undefined,
    wait: undefined,
    error: undefined,
    reason: undefined,
    warning: undefined,
    cachedFrom: undefined,
    progress: undefined,
    logs: [],
    items: undefined,
    inside: isFrame ? instancesInside(layout, task.position, index) : [],
  };
}

/** Which tasks stand in which group, in topological order. */
export class Layout {
  readonly plan: Plan;
  readonly #inside = new Map<number, TaskDefinition[]>();

  constructor(plan: Plan) {
    this.plan = plan;
    const ordered = [...plan.tasks].sort((a, b) => plan.rank[a.position]! - plan.rank[b.position]!);
    for (const task of ordered) {
      const group = plan.parent[task.position]!;
      if (!this.#inside.has(group)) this.#inside.set(group, []);
      this.#inside.get(group)!.push(task);
    }
  }

  /** @param group - Its position; -1 for the pipeline. */
  inside(group: number): readonly TaskDefinition[] {
    return this.#inside.get(group) ?? [];
  }
}

/** What is forgotten when a group runs its tasks again. */
export function reset(instance: Instance): void {
  Object.assign(instance, {
    status: "pending",
    attempt: 0,
    startedAt: undefined,
    finishedAt: undefined,
    retryAt: undefined,
    wait: undefined,
    error: undefined,
    reason: undefined,
    warning: undefined,
    cachedFrom: undefined,
    progress: undefined,
    items: undefined,
  });
  instance.inside.forEach(reset);
}

export function begin(instance: Instance, at: number): void {
  instance.status = "running";
  instance.startedAt ??= at;
  instance.finishedAt = undefined;
  instance.wait = undefined;
}

export function addLog({ logs }: Instance, line: LogLine): void {
  if (logs.length === MAX_LOG_LINES) logs.shift();
  logs.push(line);
}

export function itemsOf(list: Instance): Items {
  list.items ??= { total: undefined, finished: new Map(), running: new Map(), retrying: new Map(), failed: [] };
  return list.items;
}

/** An item that is in progress or failed. */
export function findItem(items: Items | undefined, index: readonly number[]): Instance | undefined {
  const key = index.join();
  return items?.running.get(key) ?? items?.retrying.get(key) ?? items?.failed.find((item) => item.index.join() === key);
}

/** Puts an item where those that run, or wait for another attempt, are. */
export function moveItem(items: Items, item: Instance, to: "running" | "retrying"): void {
  const key = item.index.join();
  items.running.delete(key);
  items.retrying.delete(key);
  const failed = items.failed.indexOf(item);
  if (failed >= 0) {
    items.failed.splice(failed, 1);
    uncount(items, "failed");
  }
  items[to].set(key, item);
}

export function finishItem(items: Items, item: Instance): void {
  const key = item.index.join();
  items.running.delete(key);
  items.retrying.delete(key);
  items.finished.set(item.status, (items.finished.get(item.status) ?? 0) + 1);
  if (item.status === "failed" && items.failed.length < MAX_FAILED_ITEMS) items.failed.push(item);
}

function uncount({ finished }: Items, status: TaskStatus): void {
  const left = (finished.get(status) ?? 0) - 1;
  if (left > 0) finished.set(status, left);
  else finished.delete(status);
}

/** How many items of a list have ended, however they did. */
export function countFinished(items: Items): number {
  let finished = 0;
  for (const count of items.finished.values()) finished += count;
  return finished;
}

export function isFinal(status: TaskStatus): boolean {
  return ["succeeded", "failed", "skipped", "upstream-failed", "cancelled"].includes(status);
}
