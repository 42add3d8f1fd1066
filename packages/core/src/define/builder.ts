import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { ItemOf, MapContext, OuterOf, TaskContext } from "./context.js";
import type { Duration } from "./duration.js";
import type { After, BranchNode, GroupNode, InputOf, ListsOf, Needs, Node, ResultNodes, ResultOf } from "./handles.js";
import type {
  CheckAnswer,
  CheckOptions,
  CheckResult,
  GroupOptions,
  MapOptions,
  MappedGroupOptions,
  PollOptions,
  RunTaskOptions,
  SignalOptions,
  SleepOptions,
  SleepUntilOptions,
  TaskOptions,
} from "./options.js";
import type { Pipeline } from "./pipeline.js";
import type { TriggerRule } from "./trigger-rules.js";

// biome-ignore lint/complexity/noBannedTypes: "no inputs", and "nothing around", are exactly what `{}` infers to here
type Nothing = {};

/** What a task's functions receive. */
type ContextOf<Params, Around, N extends Needs, Rule extends TriggerRule> = TaskContext<Params, InputOf<N, Rule>> &
  Around;
type ItemContextOf<Params, Around, N extends Needs, Rule extends TriggerRule, Item> = MapContext<
  Params,
  InputOf<N, Rule>,
  Item
> &
  OuterOf<Around>;

/** What a probe found: `undefined` and `false` mean "not yet", every other value ends the poll. */
export type Found<Output> = Exclude<Awaited<Output>, undefined | false | void>;

/**
 * What `pipeline()` and `group()` hand to their build functions. Every call adds one task and returns its handle.
 * `Around` is what tasks receive because of the mapped group they stand in.
 */
export interface Builder<Params, Around = Nothing> {
  /** Adds a task. */
  task<Output>(id: string, run: (context: TaskContext<Params, Nothing> & Around) => Output): Node<Awaited<Output>>;
  task<Output, const N extends Needs = Nothing, const Rule extends TriggerRule = "all-success">(
    id: string,
    options: TaskOptions<ContextOf<Params, Around, N, Rule>, N, Rule>,
    run: (context: ContextOf<Params, Around, N, Rule>) => Output,
  ): Node<Awaited<Output>>;

  /**
   * Adds a task that runs once for each item of a list, with retries and a status of its own for each. Its output is
   * the items' outputs in the list's order; items that were skipped or failed are left out. An empty list skips it.
   */
  map<Item, Output, const N extends Needs = Nothing, const Rule extends TriggerRule = "all-success">(
    id: string,
    options: MapOptions<ItemContextOf<Params, Around, N, Rule, Item>, N, Rule, Item>,
    run: (context: ItemContextOf<Params, Around, N, Rule, Item>) => Output,
  ): Node<Awaited<Output>[]>;

  /** Adds a task that chooses a path by returning its name. Tasks after `gate.when(name)` of other names are skipped. */
  branch<const Choice extends string, const N extends Needs = Nothing, const Rule extends TriggerRule = "all-success">(
    id: string,
    options: TaskOptions<ContextOf<Params, Around, N, Rule>, N, Rule>,
    choose: (context: ContextOf<Params, Around, N, Rule>) => Choice | Promise<Choice>,
  ): BranchNode<Choice>;

  /**
   * Adds tasks as one group: their ids begin with the group's and a dot, and its retry, timeout and concurrency are for
   * all of them together. To its outside the group is one task: it starts when all that its tasks need from outside is
   * there, and what comes after it waits for its end. Groups may stand in groups.
   */
  group<Nodes extends ResultNodes | void>(
    id: string,
    build: (g: Builder<Params, Around>) => Nodes,
  ): GroupNode<ResultOf<Nodes>, Nodes>;
  /** With a list in `over` the whole group runs once for each item, which its tasks receive as `item` and `index`. */
  group<Item, Nodes extends ResultNodes | void>(
    id: string,
    options: MappedGroupOptions<Item>,
    build: (g: Builder<Params, ItemOf<Item> & OuterOf<Around>>) => Nodes,
  ): GroupNode<ResultOf<Nodes>[], ListsOf<Nodes>>;
  group<Nodes extends ResultNodes | void>(
    id: string,
    options: GroupOptions,
    build: (g: Builder<Params, Around>) => Nodes,
  ): GroupNode<ResultOf<Nodes>, Nodes>;

  /**
   * Adds a task that starts a run of another pipeline and waits for it, without holding a slot. Its output is that run's
   * result; when that run fails, so does the task. Cancelling this run cancels that one.
   */
  run<ChildParams, Result, const N extends Needs = Nothing, const Rule extends TriggerRule = "all-success">(
    id: string,
    pipeline: Pipeline<ChildParams, Result>,
    ...options: Record<never, never> extends ChildParams
      ? [options?: RunTaskOptions<ContextOf<Params, Around, N, Rule>, N, Rule, ChildParams>]
      : [
          options: RunTaskOptions<ContextOf<Params, Around, N, Rule>, N, Rule, ChildParams> & {
            readonly params: (context: ContextOf<Params, Around, N, Rule>) => ChildParams | Promise<ChildParams>;
          },
        ]
  ): Node<Result>;

  /** Adds a pause that holds no slot; its end is kept as a moment, whatever happens to the engine meanwhile. */
  sleep<const N extends Needs = Nothing, const Rule extends TriggerRule = "all-success">(
    id: string,
    options: Duration | SleepOptions<ContextOf<Params, Around, N, Rule>, N, Rule>,
  ): Node<void>;
  /** Adds a pause that ends at a moment. */
  sleepUntil<const N extends Needs = Nothing, const Rule extends TriggerRule = "all-success">(
    id: string,
    options: Date | SleepUntilOptions<ContextOf<Params, Around, N, Rule>, N, Rule>,
  ): Node<void>;

  /** Adds a task that looks again and again until its probe finds something, and holds no slot between two looks. */
  poll<Output, const N extends Needs = Nothing, const Rule extends TriggerRule = "all-success">(
    id: string,
    options: PollOptions<ContextOf<Params, Around, N, Rule>, N, Rule>,
    probe: (context: ContextOf<Params, Around, N, Rule>) => Output,
  ): Node<Found<Output>>;

  /**
   * Adds a task that waits for something to be said from outside (an approval, a callback) with `run.signal(id, payload)`
   * or to its key. A signal that came before anybody waited is kept. Its output is the payload.
   */
  signal<
    Schema extends StandardSchemaV1 = StandardSchemaV1<unknown, unknown>,
    const N extends Needs = Nothing,
    const Rule extends TriggerRule = "all-success",
  >(
    id: string,
    options?: SignalOptions<ContextOf<Params, Around, N, Rule>, N, Rule, Schema>,
  ): Node<StandardSchemaV1.InferOutput<Schema>>;

  /** Adds a test of what others put out: a failure, or a warning in history, with the measured value. */
  check<const N extends Needs = Nothing, const Rule extends TriggerRule = "all-success">(
    id: string,
    options: CheckOptions<ContextOf<Params, Around, N, Rule>, N, Rule>,
    test: (context: ContextOf<Params, Around, N, Rule>) => CheckAnswer | Promise<CheckAnswer>,
  ): Node<CheckResult>;

  /** Makes `after` wait for `before` without reading it. The one edge that can close a cycle, so it is checked. */
  order(before: After, after: Node<unknown>): void;
}
