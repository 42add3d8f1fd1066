import type { Encoded } from "../values/codec.js";
import type { AnyContext } from "./context.js";
import type { RetryPolicy, Timeouts } from "./options.js";
import type { TriggerRule } from "./trigger-rules.js";

export type TaskKind = "task" | "map" | "branch";

/** A task with all its options checked and filled in; tasks are told apart by `position` inside a definition. */
export interface TaskDefinition {
  readonly id: string;
  /** From 0, in the order of definition. */
  readonly position: number;
  readonly kind: TaskKind;
  readonly needs: readonly Need[];
  /** What comes before without being read: `after`, and edges added by `order`. */
  readonly after: readonly OrderEdge[];
  /** A map's list: the position of the task that makes it, or the encoded items themselves. */
  readonly over: { readonly from: number } | { readonly items: readonly Encoded[] } | undefined;
  readonly maxItems: number;
  readonly triggerRule: TriggerRule;
  readonly when: ((context: AnyContext) => boolean | Promise<boolean>) | undefined;
  readonly retry: RetryPolicy;
  readonly timeouts: Timeouts;
  readonly allowFailure: boolean;
  readonly executor: string;
  readonly concurrency: number | undefined;
  readonly title: string | undefined;
  readonly description: string | undefined;
  readonly tags: readonly string[];
  readonly run: (context: AnyContext) => unknown;
}

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
