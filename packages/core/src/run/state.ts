import { TASK_STATUSES, type TaskStatus } from "../contracts/records.js";
import type { Plan } from "../define/plan.js";
import type { Encoded } from "../values/codec.js";

/** Statuses as small numbers: their places in `TASK_STATUSES`, of which no transition leads to `waiting`. */
export const PENDING = 0;
export const READY = 1;
export const RUNNING = 2;
export const RETRYING = 3;
export const SUCCEEDED = 5;
export const FAILED = 6;
export const SKIPPED = 7;
export const UPSTREAM_FAILED = 8;
export const CANCELLED = 9;

/** What an edge reports to its successor; also the place of the counter in {@link RunState.upstream}. */
export const UPSTREAM_SUCCEEDED = 0;
export const UPSTREAM_FAILURE = 1;
export const UPSTREAM_SKIPPED = 2;
export const UPSTREAM_UPSTREAM_FAILED = 3;
export const UPSTREAM_COUNTERS = 4;

/** A map whose list is known. Its items are instances `base … base + count - 1`. */
export interface Expansion {
  readonly task: number;
  readonly base: number;
  readonly count: number;
  /** The encoded list of items, where it could not be read again from its source. */
  readonly list: Encoded | undefined;
  /** Items that have not finished. */
  open: number;
  succeeded: number;
  failed: number;
  /** Items cancelled one by one or with the run. */
  cancelled: number;
}

/** Why a run is being brought to its end before its tasks are through. */
export type StopCause = "cancelled" | "timeout" | "fail-fast";

/**
 * Where every task of one run stands: compact, changed in place by the functions of `transition.ts` alone.
 *
 * An *instance* is what has a status of its own: task `t` is instance `t`; the items of an expanded map follow after
 * all tasks, numbered as the maps were expanded.
 */
export class RunState {
  readonly plan: Plan;
  /** By instance. */
  status: Uint8Array;
  /** By instance: how many attempts have begun, over the run's whole life. */
  attempts: Int32Array;
  /** By instance, where not 0: attempts that no longer count against the retry policy. */
  readonly attemptsBefore = new Map<number, number>();
  /** By instance, while it waits for its next attempt: when that is due, in epoch milliseconds. */
  readonly retryAt = new Map<number, number>();
  /** By instance, once it has been more than one attempt: when the first since the start or the last resume began. */
  readonly firstStartAt = new Map<number, number>();
  /** Four counters for each task: how its upstream ended so far. */
  readonly upstream: Int32Array;
  /** By task. */
  readonly expansions = new Map<number, Expansion>();
  /** In the order of their bases. */
  readonly expansionsByBase: Expansion[] = [];
  /** What each finished branch chose, by task. */
  readonly choices = new Map<number, string>();
  /** How many instances there are: tasks and items. */
  instances: number;
  /** Tasks that have not finished. */
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
  }

  /** Makes room for the items of a map; they begin `pending`. */
  addExpansion(task: number, count: number, list?: Encoded): Expansion {
    const base = this.instances;
    const expansion = { task, base, count, list, open: count, succeeded: 0, failed: 0, cancelled: 0 };
    this.instances = base + count;
    if (this.status.length < this.instances) {
      // Doubling keeps many small expansions linear.
      const capacity = Math.max(this.instances, this.status.length * 2);
      this.status = grow(this.status, new Uint8Array(capacity));
      this.attempts = grow(this.attempts, new Int32Array(capacity));
    }
    this.expansions.set(task, expansion);
    this.expansionsByBase.push(expansion);
    return expansion;
  }

  /** The expansion an item belongs to; `undefined` for a task. */
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

  /** The instance of a record; its map is expanded. */
  instanceAt(position: number, [item]: readonly number[]): number {
    return item === undefined ? position : this.expansions.get(position)!.base + item;
  }

  /** The task an instance is, or is an item of. */
  taskOf(instance: number): number {
    return this.expansionOf(instance)?.task ?? instance;
  }

  statusOf(instance: number): TaskStatus {
    return TASK_STATUSES[this.status[instance]!]!;
  }

  /** Attempts since the task was started or resumed. */
  countedAttempts(instance: number): number {
    return this.attempts[instance]! - (this.attemptsBefore.get(instance) ?? 0);
  }
}

function grow<Column extends Uint8Array | Int32Array>(from: Column, to: Column): Column {
  to.set(from);
  return to;
}

export function isFinal(status: number): boolean {
  return status >= SUCCEEDED;
}
