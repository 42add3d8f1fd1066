import type { ErrorRecord, LogLevel, NamedEvent, Pipeline, RunStatus, TaskEvent, TaskStatus } from "weftline";

type TaskDefinition = Pipeline["plan"]["tasks"][number];
type Named<Name extends NamedEvent["name"]> = Extract<NamedEvent, { name: Name }>;

export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
}

/** Where a task, or one item of a map, stands. Times are epoch milliseconds. */
export interface Instance {
  readonly task: TaskDefinition;
  /** Empty for a task, `[3]` for the fourth item of a map. */
  readonly index: readonly number[];
  status: TaskStatus;
  attempt: number;
  /** When its first attempt began, or its list was known. */
  startedAt: number | undefined;
  finishedAt: number | undefined;
  /** When the next attempt is due, while `retrying`. */
  retryAt: number | undefined;
  error: ErrorRecord | undefined;
  reason: string | undefined;
  /** What the attempt said last about how far it is. */
  progress: { readonly fraction: number; readonly message: string | undefined } | undefined;
  /** The last lines it logged. */
  readonly logs: LogLine[];
}

/** The items of a map: all of them as numbers, one by one only those that are worth a line. */
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

export interface TaskProgress extends Instance {
  /** Of a map, once it has begun. */
  items: Items | undefined;
}

const MAX_LOG_LINES = 5;
const MAX_FAILED_ITEMS = 100;

/** Where a run stands, as its events tell. It keeps no more of a map with a million items than of one with a thousand. */
export class ProgressModel {
  readonly pipeline: Pick<Pipeline, "id" | "plan">;
  /** In topological order. */
  readonly tasks: readonly TaskProgress[];
  status: RunStatus = "queued";
  startedAt: number | undefined;
  finishedAt: number | undefined;
  error: ErrorRecord | undefined;
  readonly #byId: ReadonlyMap<string, TaskProgress>;

  constructor(pipeline: Pick<Pipeline, "id" | "plan">) {
    const { tasks, rank } = pipeline.plan;
    this.pipeline = pipeline;
    this.tasks = [...tasks]
      .sort((a, b) => rank[a.position]! - rank[b.position]!)
      .map((task) => ({ ...newInstance(task, []), items: undefined }));
    this.#byId = new Map(this.tasks.map((task) => [task.task.id, task]));
  }

  task(id: string): TaskProgress | undefined {
    return this.#byId.get(id);
  }

  /** A task, or an item of a map that runs, waits for its next attempt or failed. */
  find(task: string, index: readonly number[]): Instance | undefined {
    const own = this.#byId.get(task);
    if (index.length === 0) return own;
    const key = index.join();
    const { running, retrying, failed } = own?.items ?? {};
    return running?.get(key) ?? retrying?.get(key) ?? failed?.find((item) => item.index.join() === key);
  }

  /** How many tasks have each status, items not counted. */
  countTasks(): ReadonlyMap<TaskStatus, number> {
    const counts = new Map<TaskStatus, number>();
    for (const { status } of this.tasks) counts.set(status, (counts.get(status) ?? 0) + 1);
    return counts;
  }

  /** Takes in what happened. Events of tasks it does not know change nothing. */
  apply(event: NamedEvent): void {
    switch (event.name) {
      case "run:started":
        this.status = "running";
        this.startedAt ??= event.at;
        return;
      case "run:finished":
        this.status = event.status;
        this.finishedAt = event.at;
        this.error = event.error;
        return;
      case "task:expanded":
        return this.#expanded(event);
      case "task:started":
        return this.#started(event);
      case "task:retrying":
        return this.#retrying(event);
      case "task:finished":
        return this.#finished(event);
      case "task:progress": {
        const instance = this.find(event.task, event.index);
        if (instance) instance.progress = { fraction: event.fraction, message: event.message };
        return;
      }
      case "task:log": {
        const instance = this.#live(event);
        if (!instance) return;
        if (instance.logs.length === MAX_LOG_LINES) instance.logs.shift();
        instance.logs.push({ level: event.level, message: event.message });
        return;
      }
    }
  }

  #expanded({ task, items, at }: Named<"task:expanded">): void {
    const map = this.#byId.get(task);
    if (!map) return;
    begin(map, at);
    itemsOf(map).total = items;
  }

  #started(event: Named<"task:started">): void {
    const instance = this.#live(event);
    if (!instance) return;
    begin(instance, event.at);
    Object.assign(instance, { attempt: event.attempt, retryAt: undefined, progress: undefined });
    const map = this.#byId.get(event.task)!;
    if (map === instance) return;
    move(instance, itemsOf(map).retrying, itemsOf(map).running);
    // Its list is being worked on, whether or not the event that says so has come.
    if (map.status === "pending") begin(map, event.at);
  }

  #retrying(event: Named<"task:retrying">): void {
    const instance = this.#live(event);
    // It is announced once it is stored, which may be after the next attempt has begun.
    if (!instance || event.attempt < instance.attempt) return;
    const { items } = this.#byId.get(event.task)!;
    if (items && event.index.length > 0) move(instance, items.running, items.retrying);
    instance.status = "retrying";
    instance.retryAt = event.retryAt;
    instance.error = event.error;
    instance.progress = undefined;
  }

  #finished(event: Named<"task:finished">): void {
    const instance = this.#live(event);
    if (!instance) return;
    const { status, at, attempt, error, reason } = event;
    Object.assign(instance, {
      status,
      attempt,
      error,
      reason,
      finishedAt: at,
      retryAt: undefined,
      progress: undefined,
    });
    const map = this.#byId.get(event.task)!;
    if (map !== instance) finishItem(itemsOf(map), instance);
  }

  /** The instance an event is about; an item is taken note of when it is first heard of. */
  #live({ task, index }: TaskEvent): Instance | undefined {
    const own = this.#byId.get(task);
    if (!own || index.length === 0) return own;
    const { running, retrying } = itemsOf(own);
    const key = index.join();
    const known = running.get(key) ?? retrying.get(key);
    if (known) return known;
    const item = newInstance(own.task, index);
    running.set(key, item);
    return item;
  }
}

function newInstance(task: TaskDefinition, index: readonly number[]): Instance {
  return {
    task,
    index,
    status: "pending",
    attempt: 0,
    startedAt: undefined,
    finishedAt: undefined,
    retryAt: undefined,
    error: undefined,
    reason: undefined,
    progress: undefined,
    logs: [],
  };
}

function begin(instance: Instance, at: number): void {
  instance.status = "running";
  instance.startedAt ??= at;
}

function itemsOf(map: TaskProgress): Items {
  map.items ??= { total: undefined, finished: new Map(), running: new Map(), retrying: new Map(), failed: [] };
  return map.items;
}

function move(item: Instance, from: Map<string, Instance>, to: Map<string, Instance>): void {
  const key = item.index.join();
  from.delete(key);
  to.set(key, item);
}

function finishItem(items: Items, item: Instance): void {
  const key = item.index.join();
  items.running.delete(key);
  items.retrying.delete(key);
  items.finished.set(item.status, (items.finished.get(item.status) ?? 0) + 1);
  if (item.status === "failed" && items.failed.length < MAX_FAILED_ITEMS) items.failed.push(item);
}

/** How many items of a map have ended, however they did. */
export function countFinished(items: Items): number {
  let finished = 0;
  for (const count of items.finished.values()) finished += count;
  return finished;
}
