import { TASK_STATUSES, type TaskStatus, type Wait } from "../contracts/records.js";
import type { Plan } from "../define/plan.js";
import type { Encoded } from "../values/codec.js";

/** Statuses as small numbers: their places in `TASK_STATUSES`. */
export const PENDING = 0;
export const READY = 1;
export const RUNNING = 2;
export const RETRYING = 3;
export const WAITING = 4;
export const SUCCEEDED = 5;
export const FAILED = 6;
export const SKIPPED = 7;
export const UPSTREAM_FAILED = 8;
export const CANCELLED = 9;
/** No status: the place that a task inside a mapped group has in the frame around that group. It never runs there. */
const TEMPLATE = 10;

/** What an edge reports to its successor; also the place of the counter in {@link RunState.upstream}. */
export const UPSTREAM_SUCCEEDED = 0;
export const UPSTREAM_FAILURE = 1;
export const UPSTREAM_SKIPPED = 2;
export const UPSTREAM_UPSTREAM_FAILED = 3;
export const UPSTREAM_COUNTERS = 4;

/** A map, or a mapped group, whose list is known. Item `k` begins at instance `base + k × stride`. */
export interface Expansion {
  /** The instance whose list it is. */
  readonly owner: number;
  readonly task: number;
  readonly base: number;
  readonly count: number;
  /** How many instances an item has: itself, and of a mapped group the tasks inside. */
  readonly stride: number;
  /** The encoded list of items, where it could not be read again from its source. */
  readonly list: Encoded | undefined;
  /** Items that have not finished. */
  open: number;
  succeeded: number;
  failed: number;
  /** Items cancelled one by one or with the run. */
  cancelled: number;
  /** Of a mapped group: how many items have been entered and have not finished. */
  entered: number;
  /** Of a mapped group: no item before it is still to be entered. */
  next: number;
}

/** A group whose tasks may run. */
export interface EnteredGroup {
  /** Tasks directly inside that have not finished. */
  open: number;
  succeeded: number;
  failed: number;
  cancelled: number;
  /** Its tasks are being ended, and none begins. */
  stopping: boolean;
}

/** Why a run is being brought to its end before its tasks are through. */
export type StopCause = "cancelled" | "timeout" | "fail-fast";

/**
 * Where every task of one run stands: compact, changed in place by the functions of `transition.ts` and `reopen.ts` alone.
 *
 * An *instance* is what has a status of its own. Task `t` is instance `t`; the items of an expanded map or mapped group
 * follow after all tasks, numbered as they were expanded. Each item of a mapped group is a *frame*: it holds the group's
 * tasks in the order of their positions, so that two tasks of one frame are as far apart as their positions.
 */
export class RunState {
  readonly plan: Plan;
  /** By instance. */
  status: Uint8Array;
  /** By instance: how many attempts have begun in its generation. */
  attempts: Int32Array;
  /** Four counters for each instance: how its upstream ended so far. */
  upstream: Int32Array;
  /** By instance, where not 1. */
  readonly generations = new Map<number, number>();
  /** By instance, where not 0: attempts that no longer count against the retry policy. */
  readonly attemptsBefore = new Map<number, number>();
  /** By instance, while it waits for its next attempt: when that is due, in epoch milliseconds. */
  readonly retryAt = new Map<number, number>();
  /** By instance: what it waits for, or the run it started before. */
  readonly waits = new Map<number, Wait>();
  /** By instance, once it has been more than one attempt: when the first since the start or the last resume began. */
  readonly firstStartAt = new Map<number, number>();
  /** By the instance whose list it is. */
  readonly expansions = new Map<number, Expansion>();
  /** In the order of their bases; those that are out of date stay, for attempts that end late. */
  readonly expansionsByBase: Expansion[] = [];
  /** By instance. */
  readonly groups = new Map<number, EnteredGroup>();
  /** What each finished branch chose, by instance. */
  readonly choices = new Map<number, string>();
  /** Empty between transitions: what finished and is to be followed up, kept so that it need not be made each time. */
  readonly scratch: number[] = [];
  /** How many instances there are: tasks and items. */
  instances: number;
  /** Tasks outside all groups that have not finished. */
  open: number;
  stopping: StopCause | undefined = undefined;

  constructor(plan: Plan) {
    const count = plan.tasks.length;
    this.plan = plan;
    this.status = new Uint8Array(count);
    this.attempts = new Int32Array(count);
    this.upstream = new Int32Array(count * UPSTREAM_COUNTERS);
    this.instances = count;
    this.open = count;
    if (!plan.hasGroups) return;
    for (let task = 0; task < count; task++) {
      if (plan.depth[task]! > 0) this.status[task] = TEMPLATE;
      if (plan.parent[task]! >= 0) this.open--;
    }
  }

  /** Makes room for the items of a list; they begin `pending`. */
  addExpansion(owner: number, count: number, list?: Encoded): Expansion {
    const task = this.positionOf(owner);
    const stride = 1 + (this.plan.tasks[task]!.extra.size ?? 0);
    const base = this.instances;
    const tally = { open: count, succeeded: 0, failed: 0, cancelled: 0, entered: 0, next: 0 };
    const expansion = { owner, task, base, count, stride, list, ...tally };
    this.instances = base + count * stride;
    if (this.status.length < this.instances) {
      // Doubling keeps many small expansions linear.
      const capacity = Math.max(this.instances, this.status.length * 2);
      this.status = grow(this.status, new Uint8Array(capacity));
      this.attempts = grow(this.attempts, new Int32Array(capacity));
      this.upstream = grow(this.upstream, new Int32Array(capacity * UPSTREAM_COUNTERS));
    }
    this.#markTemplates(expansion);
    this.expansions.set(owner, expansion);
    this.expansionsByBase.push(expansion);
    return expansion;
  }

  /** Forgets the items of a list, and of the lists inside them. */
  dropExpansion(owner: number): void {
    const dropped = this.expansions.get(owner);
    if (dropped === undefined) return;
    this.expansions.delete(owner);
    const end = dropped.base + dropped.count * dropped.stride;
    for (let instance = dropped.base; instance < end; instance++) this.groups.delete(instance);
    if (dropped.stride === 1) return;
    for (const inner of [...this.expansions.keys()]) {
      if (inner >= dropped.base && inner < end) this.dropExpansion(inner);
    }
  }

  #markTemplates({ task, base, count, stride }: Expansion): void {
    const { depth } = this.plan;
    for (let slot = 1; slot < stride; slot++) {
      if (depth[task + slot] === depth[task]! + 1) continue;
      for (let item = 0; item < count; item++) this.status[base + item * stride + slot] = TEMPLATE;
    }
  }

  /** The expansion an instance stands in; `undefined` outside of all lists. */
  expansionOf(instance: number): Expansion | undefined {
    if (instance < this.plan.tasks.length) return undefined;
    let low = 0;
    let high = this.expansionsByBase.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.expansionsByBase[middle]!.base <= instance) low = middle;
      else high = middle - 1;
    }
    return this.expansionsByBase[low];
  }

  /** The task an instance is, or is an item of. */
  positionOf(instance: number): number {
    const expansion = this.expansionOf(instance);
    return expansion === undefined ? instance : expansion.task + ((instance - expansion.base) % expansion.stride);
  }

  /** Whether it is an item of a list, rather than a task. */
  isItem(instance: number): boolean {
    const expansion = this.expansionOf(instance);
    return expansion !== undefined && (instance - expansion.base) % expansion.stride === 0;
  }

  /** The list an item belongs to, or the group around a task; -1: neither. */
  parentOf(instance: number): number {
    const expansion = this.expansionOf(instance);
    if (expansion === undefined) return this.plan.parent[instance]!;
    const slot = (instance - expansion.base) % expansion.stride;
    return slot === 0 ? expansion.owner : this.plan.parent[expansion.task + slot]! + instance - expansion.task - slot;
  }

  /** Its place in each of the lists around it, the outermost first. */
  indexOf(instance: number): readonly number[] {
    if (instance < this.plan.tasks.length) return NO_INDEX;
    const index: number[] = [];
    for (let at = instance, expansion = this.expansionOf(at); expansion; expansion = this.expansionOf(at)) {
      index.unshift(Math.floor((at - expansion.base) / expansion.stride));
      at = expansion.owner;
    }
    return index;
  }

  /** The instance of a task or item; `undefined` when the lists around it have no such place. */
  instanceAt(position: number, index: readonly number[]): number | undefined {
    if (index.length === 0) return position;
    const lists = this.#listsAround(position);
    let delta = 0; // between positions and instances of the frame
    for (let level = 0; level < index.length; level++) {
      const list = lists[level] ?? position;
      const expansion = this.expansions.get(list + delta);
      const item = index[level]!;
      if (expansion === undefined || !Number.isInteger(item) || item < 0 || item >= expansion.count) return undefined;
      delta = expansion.base + item * expansion.stride - expansion.task;
    }
    return position + delta;
  }

  /** The mapped groups around a task, the outermost first. */
  #listsAround(position: number): readonly number[] {
    const lists: number[] = [];
    for (let group = this.plan.parent[position]!; group >= 0; group = this.plan.parent[group]!) {
      if (this.plan.tasks[group]!.isMapped) lists.unshift(group);
    }
    return lists;
  }

  /** Calls `visit` for everything that has a status, the tasks of a frame in the order of their positions. */
  forEach(visit: (instance: number, position: number) => void): void {
    for (let task = 0; task < this.plan.tasks.length; task++) if (this.status[task] !== TEMPLATE) visit(task, task);
    for (const { base, task, count, stride } of [...this.expansions.values()]) {
      for (let place = 0; place < count * stride; place++) {
        if (this.status[base + place] !== TEMPLATE) visit(base + place, task + (place % stride));
      }
    }
  }

  /** False for what belonged to a list that has been dropped. */
  isCurrent(instance: number): boolean {
    for (let at = instance, list = this.expansionOf(at); list !== undefined; list = this.expansionOf(at)) {
      if (this.expansions.get(list.owner) !== list) return false;
      at = list.owner;
    }
    return true;
  }

  statusOf(instance: number): TaskStatus {
    return TASK_STATUSES[this.status[instance]!]!;
  }

  generationOf(instance: number): number {
    return this.generations.get(instance) ?? 1;
  }

  /** Attempts since the task was started or resumed. */
  countedAttempts(instance: number): number {
    return this.attempts[instance]! - (this.attemptsBefore.get(instance) ?? 0);
  }
}

const NO_INDEX: readonly number[] = Object.freeze([]);

function grow<Column extends Uint8Array | Int32Array>(from: Column, to: Column): Column {
  to.set(from);
  return to;
}

export function isFinal(status: number): boolean {
  return status >= SUCCEEDED;
}
