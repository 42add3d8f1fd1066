import {
  type ErrorRecord,
  type NamedEvent,
  type Pipeline,
  type RunStatus,
  type TaskEvent,
  type TaskInfo,
  type TaskStatus,
  taskName,
} from "weftline";
import {
  addLog,
  begin,
  findItem,
  finishItem,
  type Instance,
  instancesInside,
  isFinal,
  itemsOf,
  Layout,
  moveItem,
  newInstance,
  reset,
} from "./instance.js";

type Named<Name extends NamedEvent["name"]> = Extract<NamedEvent, { name: Name }>;

/** What storage says of a task: as much of it as the picture shows. */
export type StoredTask = Omit<TaskInfo, "output">;

/** What was not as expected although it succeeded. */
export interface WarningReport {
  readonly task: string;
  readonly index: readonly number[];
  readonly warning: string;
}

const MAX_NOTED = 100;

/** Where a run stands, as its events tell. It keeps no more of a map with a million items than of one with a thousand. */
export class ProgressModel {
  readonly pipeline: Pick<Pipeline, "id" | "plan">;
  /** Those that stand in no group, in topological order; the others are inside these. */
  readonly roots: readonly Instance[];
  /** All but those in mapped groups, which are there once for each item; groups before what is in them. */
  readonly tasks: readonly Instance[];
  status: RunStatus = "queued";
  startedAt: number | undefined;
  finishedAt: number | undefined;
  error: ErrorRecord | undefined;
  /** The first of them, in the order of their ends. */
  readonly warnings: WarningReport[] = [];
  /** Tasks and items whose outputs were taken from earlier runs; the first of them. */
  readonly cached: string[] = [];
  readonly #layout: Layout;
  readonly #byId: ReadonlyMap<string, Instance>;

  constructor(pipeline: Pick<Pipeline, "id" | "plan">) {
    this.pipeline = pipeline;
    this.#layout = new Layout(pipeline.plan);
    this.roots = instancesInside(this.#layout, -1, []);
    this.tasks = flatten(this.roots);
    this.#byId = new Map(this.tasks.map((task) => [task.task.id, task]));
  }

  /** A task that is there once. */
  task(id: string): Instance | undefined {
    return this.#byId.get(id);
  }

  /** A task, or an item of a list that runs, waits for its next attempt or failed. */
  find(task: string, index: readonly number[]): Instance | undefined {
    return this.#locate(task, index, false);
  }

  /** The list that an item belongs to. */
  listOf(task: string, index: readonly number[]): Instance | undefined {
    const position = this.pipeline.plan.positions.get(task);
    if (position === undefined || index.length <= this.pipeline.plan.depth[position]!) return undefined;
    return this.#locate(task, index.slice(0, -1), false);
  }

  /** Every list that an item, or a task inside a mapped group, stands in: its own first. */
  listsAround(task: string, index: readonly number[]): readonly Instance[] {
    const { positions, depth, parent, tasks } = this.pipeline.plan;
    const lists = [this.listOf(task, index)];
    for (let at = positions.get(task) ?? -1; at >= 0 && depth[at]! > 0; at = parent[at]!) {
      const group = parent[at]!;
      if (tasks[group]!.isMapped) lists.push(this.find(tasks[group]!.id, index.slice(0, depth[group]!)));
    }
    return lists.filter((list) => list !== undefined);
  }

  /** How many tasks have each status, neither items nor groups counted, unless these are mapped. */
  countTasks(): ReadonlyMap<TaskStatus, number> {
    const counts = new Map<TaskStatus, number>();
    for (const { status } of this.counted()) counts.set(status, (counts.get(status) ?? 0) + 1);
    return counts;
  }

  /** The tasks that make up the run's size. */
  counted(): readonly Instance[] {
    return this.tasks.filter(({ task }) => task.kind !== "group" || task.isMapped);
  }

  /** Takes over where the tasks stood when the events began. The records of a list come before those of its items. */
  restore(records: readonly StoredTask[]): void {
    for (const record of records) {
      const instance = this.#locate(record.task, record.index, true);
      if (instance) this.#restoreOne(instance, record);
    }
  }

  /** Forgets what the events said of the tasks, but for their logs, and takes over the records instead. */
  refresh(records: readonly StoredTask[]): void {
    this.roots.forEach(reset);
    this.warnings.length = 0;
    this.cached.length = 0;
    this.restore(records);
  }

  #restoreOne(instance: Instance, record: StoredTask): void {
    const list = this.listOf(record.task, record.index);
    const { status, startedAt, finishedAt, retryAt, wait, error, reason, warning, cachedFrom } = record;
    const state = { status, attempt: record.attempts, startedAt, finishedAt, retryAt, error, reason };
    Object.assign(instance, { ...state, wait: status === "waiting" ? wait : undefined, warning, cachedFrom });
    this.#note(instance);
    if (record.items !== undefined && instance.items === undefined) itemsOf(instance).total = record.items;
    if (list === undefined) return;
    const items = itemsOf(list);
    if (isFinal(status)) finishItem(items, instance);
    else if (status === "retrying") moveItem(items, instance, "retrying");
    else if (status === "pending" || status === "ready") items.running.delete(instance.index.join());
  }

  /** The run had begun before: of a run that is gone on with, no event tells that. */
  goOn(status: RunStatus, at: number): void {
    if (status === "queued") return;
    this.status = status;
    this.startedAt = at;
  }

  /** Takes in what happened. Events of tasks it does not know change nothing. */
  apply(event: NamedEvent): void {
    switch (event.name) {
      case "run:started":
        this.status = "running";
        this.startedAt ??= event.at;
        this.finishedAt = undefined;
        return;
      case "run:status":
        this.status = event.status;
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
      case "task:waiting": {
        const instance = this.#locate(event.task, event.index, false);
        if (instance) {
          begin(instance, event.at);
          Object.assign(instance, { status: "waiting", wait: event.wait, progress: undefined });
        }
        return;
      }
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
        const instance = this.#locate(event.task, event.index, true);
        if (instance) addLog(instance, event);
        return;
      }
    }
  }

  #expanded({ task, index, items, at }: Named<"task:expanded">): void {
    const list = this.#locate(task, index, true);
    if (!list) return;
    begin(list, at);
    itemsOf(list).total = items;
  }

  #started(event: Named<"task:started">): void {
    const instance = this.#locate(event.task, event.index, true);
    if (!instance) return;
    // All tasks of a group that is tried again run again.
    if (instance.task.kind === "group" && event.attempt > 1) instance.inside.forEach(reset);
    begin(instance, event.at);
    const cleared = {
      retryAt: undefined,
      progress: undefined,
      error: undefined,
      reason: undefined,
      warning: undefined,
    };
    Object.assign(instance, { attempt: event.attempt, ...cleared });
    const list = this.#listOf(event);
    if (list === undefined) return;
    moveItem(itemsOf(list), instance, "running");
    // Its list is being worked on, whether or not the event that says so has come.
    if (list.status === "pending") begin(list, event.at);
  }

  #retrying(event: Named<"task:retrying">): void {
    const instance = this.#locate(event.task, event.index, true);
    // It is announced once it is stored, which may be after the next attempt has begun.
    if (!instance || event.attempt < instance.attempt) return;
    const list = this.#listOf(event);
    if (list) moveItem(itemsOf(list), instance, "retrying");
    instance.status = "retrying";
    instance.retryAt = event.retryAt;
    instance.error = event.error;
    instance.progress = undefined;
  }

  #finished(event: Named<"task:finished">): void {
    const instance = this.#locate(event.task, event.index, true);
    if (!instance) return;
    const { status, at, attempt, error, reason, warning, cachedFrom } = event;
    const cleared = { retryAt: undefined, wait: undefined, progress: undefined };
    Object.assign(instance, { status, attempt, error, reason, warning, cachedFrom, finishedAt: at, ...cleared });
    this.#note(instance);
    const list = this.#listOf(event);
    if (list) finishItem(itemsOf(list), instance);
  }

  #note({ task: { id }, index, warning, cachedFrom }: Instance): void {
    if (warning !== undefined && this.warnings.length < MAX_NOTED) this.warnings.push({ task: id, index, warning });
    if (cachedFrom !== undefined && this.cached.length < MAX_NOTED) this.cached.push(taskName(id, index));
  }

  #listOf({ task, index }: TaskEvent): Instance | undefined {
    return this.listOf(task, index);
  }

  /** @param isNew - An item of the task itself may be one that was not heard of so far; of groups around it they are known. */
  #locate(id: string, index: readonly number[], isNew: boolean): Instance | undefined {
    const { plan } = this.pipeline;
    const position = plan.positions.get(id);
    if (position === undefined) return undefined;
    const whole = plan.depth[position] === 0 ? this.#byId.get(id) : this.#inGroups(position, index);
    if (whole === undefined || index.length <= plan.depth[position]!) return whole;
    const known = findItem(whole.items, index);
    if (known || !isNew) return known;
    const item = newInstance(whole.task, index, this.#layout);
    item.status = "running";
    itemsOf(whole).running.set(index.join(), item);
    return item;
  }

  /** A task inside mapped groups, where the items it stands in are in progress or failed. */
  #inGroups(position: number, index: readonly number[]): Instance | undefined {
    const { plan } = this.pipeline;
    const path = [position];
    while (plan.depth[path[0]!]! > 0) path.unshift(plan.parent[path[0]!]!);
    let instance = this.#byId.get(plan.tasks[path[0]!]!.id);
    for (const step of path.slice(1)) {
      const group = instance?.task.isMapped ? findItem(instance.items, indexOf(instance, index, plan)) : instance;
      instance = group?.inside.find(({ task }) => task.position === step);
    }
    return instance;
  }
}

/** The part of an index that says which item of a mapped group it is. */
function indexOf({ task }: Instance, index: readonly number[], plan: Pipeline["plan"]): readonly number[] {
  return index.slice(0, plan.depth[task.position]! + 1);
}

function flatten(instances: readonly Instance[]): Instance[] {
  const all: Instance[] = [];
  const add = (instance: Instance): void => {
    all.push(instance);
    instance.inside.forEach(add);
  };
  instances.forEach(add);
  return all;
}
