import { WeftlineError } from "../errors.js";
import { type Encoded, encode } from "../values/codec.js";
import type { AnyContext, MapContext, TaskContext } from "./context.js";
import type { Need, OrderEdge, TaskDefinition, TaskKind } from "./definition.js";
import { type After, type BranchNode, type InputOf, type Needs, type Node, TaskHandle, WhenHandle } from "./handles.js";
import {
  checkTriggerRule,
  isCount,
  type MapOptions,
  NO_RETRY,
  NO_TIMEOUTS,
  type RetryPolicy,
  retryPolicy,
  type TaskDefaults,
  type TaskOptions,
  type Timeouts,
  timeouts,
} from "./options.js";
import { show } from "./show.js";
import type { TriggerRule } from "./trigger-rules.js";

// biome-ignore lint/complexity/noBannedTypes: "no inputs" is exactly what `{}` infers to here
type NoNeeds = {};

/** What `pipeline()` hands to its build function. Every call adds one task and returns its handle. */
export interface Builder<Params> {
  /** Adds a task. */
  task<Output>(id: string, run: (context: TaskContext<Params, NoNeeds>) => Output): Node<Awaited<Output>>;
  task<Output, const N extends Needs = NoNeeds, const Rule extends TriggerRule = "all-success">(
    id: string,
    options: TaskOptions<Params, InputOf<N, Rule>, N, Rule>,
    run: (context: TaskContext<Params, InputOf<N, Rule>>) => Output,
  ): Node<Awaited<Output>>;

  /**
   * Adds a task that runs once for each item of a list, with retries and a status of its own for each. Its output is
   * the items' outputs in the list's order; items that were skipped or failed are left out. An empty list skips it.
   */
  map<Item, Output, const N extends Needs = NoNeeds, const Rule extends TriggerRule = "all-success">(
    id: string,
    options: MapOptions<Params, InputOf<N, Rule>, N, Rule, Item>,
    run: (context: MapContext<Params, InputOf<N, Rule>, Item>) => Output,
  ): Node<Awaited<Output>[]>;

  /** Adds a task that chooses a path by returning its name. Tasks after `gate.when(name)` of other names are skipped. */
  branch<const Choice extends string, const N extends Needs = NoNeeds, const Rule extends TriggerRule = "all-success">(
    id: string,
    options: TaskOptions<Params, InputOf<N, Rule>, N, Rule>,
    choose: (context: TaskContext<Params, InputOf<N, Rule>>) => Choice | Promise<Choice>,
  ): BranchNode<Choice>;

  /** Makes `after` wait for `before` without reading it. The one edge that can close a cycle, so it is checked. */
  order(before: After, after: Node<unknown>): void;
}

const ID_RULE = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$/;
const DEFAULT_MAX_ITEMS = 100_000;
const NO_TAGS: readonly string[] = Object.freeze([]);
const NO_NEEDS: readonly Need[] = Object.freeze([]);

/** @throws {WeftlineError} `code`, when the id is not 1 to 200 of the characters that are safe in URLs, files and SQL. */
export function checkId(id: unknown, code: "PIPELINE_INVALID" | "TASK_INVALID", what: string): asserts id is string {
  if (typeof id === "string" && ID_RULE.test(id)) return;
  throw new WeftlineError(
    code,
    `Cannot use ${show(id)} as ${what}. Use 1 to 200 letters, digits, "_", "-" or ".", beginning with a letter, a digit or "_".`,
  );
}

type AnyTaskOptions = Omit<Partial<MapOptions<unknown, never, Needs, TriggerRule, unknown>>, "when"> & {
  readonly when?: unknown;
};
type Run = (context: AnyContext) => unknown;

/** A definition to which `order` still adds. */
interface OpenDefinition extends TaskDefinition {
  readonly after: OrderEdge[];
}

/** Collects and checks what a build function defines. */
export class DefinitionBuilder {
  readonly tasks: OpenDefinition[] = [];
  readonly #ids = new Map<string, TaskHandle>();
  readonly #pipelineId: string;
  readonly #defaultRetry: RetryPolicy;
  readonly #defaultTimeouts: Timeouts;
  readonly #defaultExecutor: string;
  #sealed = false;

  constructor(pipelineId: string, defaults: TaskDefaults) {
    const where = `defaults of pipeline "${pipelineId}"`;
    this.#pipelineId = pipelineId;
    this.#defaultRetry = defaults.retry ? retryPolicy(defaults.retry, where) : NO_RETRY;
    this.#defaultTimeouts = defaults.timeout === undefined ? NO_TIMEOUTS : timeouts(defaults.timeout, where);
    this.#defaultExecutor = defaults.executor ?? "default";
  }

  task(id: string, options: AnyTaskOptions | Run, run?: Run): TaskHandle {
    return typeof options === "function" ? this.#add("task", id, {}, options) : this.#add("task", id, options, run);
  }

  map(id: string, options: AnyTaskOptions, run: Run): TaskHandle {
    return this.#add("map", id, options, run);
  }

  branch(id: string, options: AnyTaskOptions, run: Run): TaskHandle {
    return this.#add("branch", id, options, run);
  }

  order(before: After, after: Node<unknown>): void {
    this.#checkOpen("order()");
    const target = this.tasks[this.position(after, `order(before, after) of pipeline "${this.#pipelineId}", after`)]!;
    const where = `order(before, task "${target.id}") of pipeline "${this.#pipelineId}"`;
    target.after.push(this.#orderEdge(before, where));
  }

  /** After the build function returned, nothing may be added: the definition is frozen. */
  seal(): void {
    this.#sealed = true;
    for (const task of this.tasks) {
      Object.freeze(task.after);
      Object.freeze(task);
    }
    Object.freeze(this.tasks);
  }

  /** The position of a task named by one of this builder's handles. */
  position(node: unknown, where: string): number {
    if (node instanceof TaskHandle && node.owner === this) return node.position;
    const shown = node instanceof TaskHandle ? `task "${node.id}" of another pipeline` : show(node);
    throw this.#invalid(
      where,
      `${shown} is not a task of this pipeline`,
      "Pass the handle that p.task(), p.map() or p.branch() of this build function returned.",
    );
  }

  #add(kind: TaskKind, id: string, options: AnyTaskOptions, run: Run | undefined): TaskHandle {
    this.#checkOpen(`${kind}(${show(id)})`);
    checkId(id, "TASK_INVALID", `the id of a task of pipeline "${this.#pipelineId}"`);
    const where = `task "${id}" of pipeline "${this.#pipelineId}"`;
    if (this.#ids.has(id)) {
      throw new WeftlineError(
        "TASK_DUPLICATE",
        `Cannot define ${where} twice. Give each task of a pipeline its own id.`,
      );
    }
    if (typeof run !== "function") {
      throw this.#invalid(where, "it has no function", `Write ${kind}(id, options, function).`);
    }
    if (typeof options !== "object" || options === null) {
      throw this.#invalid(where, `its options are ${show(options)}`, `Write ${kind}(id, options, function).`);
    }
    const handle = new TaskHandle(id, this, this.tasks.length);
    this.tasks.push(this.#define(kind, handle, options, run, where));
    this.#ids.set(id, handle);
    return handle;
  }

  #define(kind: TaskKind, handle: TaskHandle, options: AnyTaskOptions, run: Run, where: string): OpenDefinition {
    if (options.when !== undefined && typeof options.when !== "function") {
      throw this.#invalid(where, "when is not a function", "Give a function from the context to true or false.");
    }
    return {
      id: handle.id,
      position: handle.position,
      kind,
      needs: options.needs === undefined ? NO_NEEDS : this.#needs(options.needs, where),
      after: this.#after(options.after ?? [], where),
      over: kind === "map" ? this.#over(options.over, where) : undefined,
      maxItems: this.#count(options.maxItems, "maxItems", where) ?? DEFAULT_MAX_ITEMS,
      triggerRule: options.triggerRule === undefined ? "all-success" : checkTriggerRule(options.triggerRule, where),
      when: options.when as TaskDefinition["when"],
      retry: options.retry === undefined ? this.#defaultRetry : retryPolicy(options.retry, where),
      timeouts: options.timeout === undefined ? this.#defaultTimeouts : timeouts(options.timeout, where),
      allowFailure: options.allowFailure ?? false,
      executor: options.executor ?? this.#defaultExecutor,
      concurrency: this.#count(options.concurrency, "concurrency", where),
      title: options.title,
      description: options.description,
      tags: options.tags === undefined ? NO_TAGS : Object.freeze([...options.tags]),
      run,
    };
  }

  #needs(needs: Needs, where: string): readonly Need[] {
    if (typeof needs !== "object" || needs === null) {
      throw this.#invalid(where, `needs is ${show(needs)}`, "Give an object of task handles: { needs: { sales } }.");
    }
    return Object.freeze(
      Object.entries(needs).map(([name, node]) => ({ name, from: this.position(node, `${where}, needs.${name}`) })),
    );
  }

  #after(edges: readonly After[], where: string): OrderEdge[] {
    if (!Array.isArray(edges)) {
      throw this.#invalid(where, `after is ${show(edges)}`, "Give a list of task handles: { after: [sales] }.");
    }
    return edges.map((edge: After) => this.#orderEdge(edge, `${where}, after`));
  }

  #orderEdge(edge: After, where: string): OrderEdge {
    if (!(edge instanceof WhenHandle)) return { from: this.position(edge, where), choice: undefined };
    const from = this.position(edge.handle, where);
    if (typeof edge.choice !== "string") {
      throw this.#invalid(
        where,
        `when(${show(edge.choice)}) names no path`,
        "Give one of the texts the branch returns.",
      );
    }
    if (this.tasks[from]?.kind !== "branch") {
      throw this.#invalid(
        where,
        `when("${edge.choice}") was asked of "${edge.branch}", which is no branch`,
        "Only p.branch() has paths.",
      );
    }
    return { from, choice: edge.choice };
  }

  #over(over: unknown, where: string): TaskDefinition["over"] {
    if (!Array.isArray(over)) return { from: this.position(over, `${where}, over`) };
    return { items: Object.freeze(Array.from(over, (item: unknown, index) => this.#item(item, index, where))) };
  }

  #item(item: unknown, index: number, where: string): Encoded {
    try {
      return encode(item, "item");
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw this.#invalid(where, `over[${index}] cannot be stored`, reason, cause);
    }
  }

  #count(value: unknown, option: string, where: string): number | undefined {
    if (value === undefined || isCount(value)) return value;
    throw this.#invalid(where, `${option} is ${show(value)}`, "Give a whole number from 1, or leave it out.");
  }

  #checkOpen(call: string): void {
    if (!this.#sealed) return;
    throw new WeftlineError(
      "PIPELINE_INVALID",
      `Cannot call ${call} on pipeline "${this.#pipelineId}" after its build function returned. Define everything inside it; a list known only at run time is what p.map() is for.`,
    );
  }

  #invalid(where: string, problem: string, remedy: string, cause?: unknown): WeftlineError {
    return new WeftlineError("TASK_INVALID", `Cannot define ${where}: ${problem}. ${remedy}`, { cause });
  }
}
