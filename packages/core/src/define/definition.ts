import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Encoded } from "../values/codec.js";
import type { AnyContext } from "./context.js";
import type { TaskPolicy } from "./options.js";
import type { Pipeline } from "./pipeline.js";

export type TaskKind = "task" | "map" | "branch" | "group" | "run" | "sleep" | "poll" | "signal" | "check";

/** A map's list: the position of the task that makes it, or the encoded items themselves. */
export type ListSource = { readonly from: number } | { readonly items: readonly Encoded[] };

export interface Need {
  readonly name: string;
  /** The position of the task whose output is read. */
  readonly from: number;
}

export interface OrderEdge {
  readonly from: number;
  /** The edge holds only when that branch chose this. */
  readonly choice: string | undefined;
}

/** What only some tasks have. */
export interface TaskExtra {
  /** What comes before without being read: `after`, and edges added by `order`. */
  after: readonly OrderEdge[];
  /** Of a map and of a mapped group. */
  readonly over?: ListSource;
  /** Of a group: how many tasks stand inside it, at the positions that follow its own. */
  size?: number;
  /** Of a group: the outputs its build function named; missing where it returned nothing. */
  outputs?: readonly Need[];
  /** Of a sub-pipeline. */
  readonly child?: Pipeline;
  /** Of a sleep: how long, where that is known beforehand, in milliseconds. */
  readonly sleepMs?: number;
  /** Of a sleep whose function gives the moment rather than the length. */
  readonly isUntil?: boolean;
  /** Of a poll: the time between two looks, in milliseconds. */
  readonly everyMs?: number;
  /** Of a signal. */
  readonly schema?: StandardSchemaV1;
  readonly signalKey?: (context: AnyContext) => string;
  /** Of a check. */
  readonly severity?: "error" | "warning";
}

const NO_EXTRA: TaskExtra = Object.freeze({ after: Object.freeze([]) });

/**
 * A task with all its options checked and filled in; tasks are told apart by `position` inside a definition. Pipelines
 * have up to a million of them: what is the same for many stands in one shared policy, and what a task needs in the plan.
 */
export class TaskDefinition {
  extra: TaskExtra = NO_EXTRA;

  constructor(
    readonly id: string,
    /** From 0, in the order of definition. */
    readonly position: number,
    readonly kind: TaskKind,
    readonly policy: TaskPolicy,
    readonly run: (context: AnyContext) => unknown,
  ) {}

  get after(): readonly OrderEdge[] {
    return this.extra.after;
  }

  get over(): ListSource | undefined {
    return this.extra.over;
  }

  get retry(): TaskPolicy["retry"] {
    return this.policy.retry;
  }

  get timeouts(): TaskPolicy["timeouts"] {
    return this.policy.timeouts;
  }

  get executor(): string {
    return this.policy.executor;
  }

  get title(): string | undefined {
    return this.policy.title;
  }

  /** Whether it runs once for each item of a list. */
  get isMapped(): boolean {
    return this.extra.over !== undefined;
  }
}
