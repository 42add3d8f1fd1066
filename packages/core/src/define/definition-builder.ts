import { WeftlineError } from "../errors.js";
import { encode } from "../values/codec.js";
import type { AnyContext } from "./context.js";
import { type ListSource, type OrderEdge, TaskDefinition, type TaskExtra, type TaskKind } from "./definition.js";
import { type Duration, durationMs } from "./duration.js";
import { type After, GroupHandle, type Needs, type Node, type ResultNodes, TaskHandle, WhenHandle } from "./handles.js";
import { checkId } from "./ids.js";
import { positiveMs, type TaskDefaults, type TaskPolicy } from "./options.js";
import type { PlanSource } from "./plan.js";
import { show } from "./show.js";
import { defaultPolicy, invalid, type PolicyOptions, taskPolicy } from "./task-policy.js";

type Run = (context: AnyContext) => unknown;
/** The options of any task, as a caller without types may have written them. */
type AnyOptions = PolicyOptions & { readonly [option: string]: unknown };

/** Where tasks are being added: the pipeline itself, or a group in it. */
interface Scope {
  readonly prefix: string;
  /** The group's position; -1: the pipeline. */
  readonly group: number;
  readonly around: Scope | undefined;
}

const NO_FUNCTION: Run = () => undefined;

/** Collects and checks what build functions define. */
export class DefinitionBuilder implements PlanSource {
  readonly pipelineId: string;
  readonly tasks: TaskDefinition[] = [];
  readonly needStart: number[] = [0];
  readonly needFrom: number[] = [];
  readonly needNames: string[] = [];
  readonly parent: number[] = [];
  readonly root: ScopedBuilder;
  readonly #ids = new Set<string>();
  readonly #defaults: TaskPolicy;
  #scope: Scope = { prefix: "", group: -1, around: undefined };
  #sealed = false;

  constructor(pipelineId: string, defaults: TaskDefaults) {
    this.pipelineId = pipelineId;
    this.#defaults = defaultPolicy(pipelineId, defaults);
    this.root = new ScopedBuilder(this, this.#scope);
  }

  /** After the build function returned, nothing may be added: the definition is frozen. */
  seal(): void {
    this.#sealed = true;
    for (const task of this.tasks) {
      if (task.extra.after.length > 0) Object.freeze(task.extra.after);
      Object.freeze(task.extra);
      Object.freeze(task);
    }
    Object.freeze(this.tasks);
    Object.freeze(this.needNames);
  }

  /** @param needs - Names and positions, where they are known already instead of handles. */
  add(
    scope: Scope,
    kind: TaskKind,
    id: string,
    options: AnyOptions,
    run: Run,
    extra: Partial<TaskExtra> = {},
    needs?: Iterable<readonly [name: string, from: number]>,
  ): TaskHandle {
    this.#checkOpen(scope, `${kind}(${show(id)})`);
    checkId(id, "TASK_INVALID", `the id of a task of pipeline "${this.pipelineId}"`);
    const fullId = scope.prefix + id;
    if (scope.prefix !== "") checkId(fullId, "TASK_INVALID", `the id of a task of pipeline "${this.pipelineId}"`);
    const where = `task "${fullId}" of pipeline "${this.pipelineId}"`;
    if (this.#ids.has(fullId)) {
      throw new WeftlineError(
        "TASK_DUPLICATE",
        `Cannot define ${where} twice. Give each task of a pipeline its own id.`,
      );
    }
    if (typeof run !== "function") throw invalid(where, "it has no function", `Write ${kind}(id, options, function).`);
    if (typeof options !== "object" || options === null) {
      throw invalid(where, `its options are ${show(options)}`, `Write ${kind}(id, options, function).`);
    }
    const position = this.tasks.length;
    const task = new TaskDefinition(fullId, position, kind, taskPolicy(options, this.#defaults, where), run);
    const after = options.after === undefined ? undefined : this.#after(options.after, where);
    const over = "over" in options ? this.#over(options.over, where) : undefined;
    if (needs) for (const [name, from] of needs) this.#need(name, from);
    else if (options.needs !== undefined) this.#needs(options.needs, where);
    if (after !== undefined || over !== undefined || Object.keys(extra).length > 0) {
      task.extra = { ...extra, after: after ?? [], ...(over && { over }) };
    }
    this.needStart.push(this.needFrom.length);
    this.tasks.push(task);
    this.parent.push(scope.group);
    this.#ids.add(fullId);
    return new TaskHandle(fullId, this, position);
  }

  group(scope: Scope, id: string, options: AnyOptions, build: unknown): GroupHandle {
    const { pipelineId } = this;
    if (typeof build !== "function") {
      throw invalid(
        `group ${show(id)} of pipeline "${pipelineId}"`,
        "it has no build function",
        "Write group(id, (g) => { g.task(…) }).",
      );
    }
    const { position, id: fullId } = this.add(scope, "group", id, options, NO_FUNCTION, { size: 0 });
    const inner: Scope = { prefix: `${fullId}.`, group: position, around: scope };
    this.#scope = inner;
    let nodes: unknown;
    try {
      nodes = (build as (g: ScopedBuilder) => unknown)(new ScopedBuilder(this, inner));
    } finally {
      this.#scope = scope;
    }
    const where = `group "${fullId}" of pipeline "${pipelineId}"`;
    const { extra } = this.tasks[position]!;
    extra.size = this.tasks.length - position - 1;
    if (extra.size === 0) throw invalid(where, "it has no tasks", "Add at least one g.task() in its build function.");
    const outputs = this.#results(nodes, inner, where);
    if (nodes !== undefined && nodes !== null) extra.outputs = outputs.map(([name, from]) => ({ name, from }));
    return new GroupHandle(fullId, this, position, this.#outputHandles(nodes as ResultNodes, position));
  }

  /** What a mapped group hands out are the lists of what its items put out. */
  #outputHandles(nodes: ResultNodes | undefined, group: number): ResultNodes {
    if (!this.tasks[group]!.isMapped) return nodes ?? {};
    const handles = Object.entries(nodes ?? {}) as [string, TaskHandle][];
    return Object.fromEntries(
      handles.map(([name, { id, position }]) => [name, new TaskHandle(id, this, position, group)]),
    );
  }

  order(scope: Scope, before: After, after: Node<unknown>): void {
    this.#checkOpen(scope, "order()");
    const where = `order(before, after) of pipeline "${this.pipelineId}"`;
    const target = this.tasks[this.position(after, scope, `${where}, after`)]!;
    const edge = this.#orderEdge(before, scope, `order(before, task "${target.id}") of pipeline "${this.pipelineId}"`);
    if (Object.isFrozen(target.extra)) target.extra = { after: [edge] };
    else (target.extra.after as OrderEdge[]).push(edge); // in place: one task may come after very many
  }

  /** What a build function returned: result names and positions. */
  results(nodes: unknown, where: string): readonly (readonly [string, number])[] {
    return this.#results(nodes, this.#scope, where);
  }

  #results(nodes: unknown, scope: Scope, where: string): readonly (readonly [string, number])[] {
    if (nodes === undefined || nodes === null) return [];
    if (nodes instanceof Promise) {
      nodes.catch(() => undefined); // its own failure, as likely as not from the seal, would end the process unhandled
      throw invalid(where, "its build function is async", "Define tasks synchronously; await inside tasks.");
    }
    if (typeof nodes !== "object") {
      throw invalid(
        where,
        `its build function returned ${show(nodes)}`,
        "Return an object of task handles, or nothing.",
      );
    }
    return Object.entries(nodes).map(([name, node]) => [name, this.position(node, scope, `${where}, ${name}`)]);
  }

  /** The position of a task named by one of this builder's handles. */
  position(node: unknown, scope: Scope, where: string): number {
    if (node instanceof TaskHandle && node.owner === this) {
      this.#checkVisible(node, scope, where);
      return node.position;
    }
    const shown = node instanceof TaskHandle ? `task "${node.id}" of another pipeline` : show(node);
    throw invalid(
      where,
      `${shown} is not a task of this pipeline`,
      "Pass the handle that p.task(), p.map() or another method of this build function returned.",
    );
  }

  /** From outside, a task of a mapped group is not one value but a list, which only the group hands out. */
  #checkVisible(node: TaskHandle, scope: Scope, where: string): void {
    const hidden = this.#mappedGroupsAround(node.position).find((group) => !isInside(scope, group));
    if (hidden === node.listOf) return;
    const group = this.tasks[hidden ?? node.listOf!]!;
    throw hidden === undefined
      ? invalid(
          where,
          `"${node.id}" is asked for its list inside group "${group.id}"`,
          "Use the handle of the task itself.",
        )
      : invalid(
          where,
          `"${node.id}" stands inside mapped group "${group.id}", once for each item`,
          "Return it from the group's build function, and use the group's `outputs`.",
        );
  }

  /** The outermost first. */
  #mappedGroupsAround(position: number): number[] {
    const groups: number[] = [];
    for (let group = this.parent[position]!; group >= 0; group = this.parent[group]!) {
      if (this.tasks[group]!.isMapped) groups.unshift(group);
    }
    return groups;
  }

  #needs(needs: unknown, where: string): void {
    if (typeof needs !== "object" || needs === null) {
      throw invalid(where, `needs is ${show(needs)}`, "Give an object of task handles: { needs: { sales } }.");
    }
    const names = Object.keys(needs);
    // All of them are found before one is added: what is refused leaves nothing behind.
    const from = names.map((name) => this.position((needs as Needs)[name], this.#scope, `${where}, needs.${name}`));
    for (let n = 0; n < names.length; n++) this.#need(names[n]!, from[n]!);
  }

  #need(name: string, from: number): void {
    this.needNames.push(name);
    this.needFrom.push(from);
  }

  #after(edges: unknown, where: string): OrderEdge[] {
    if (!Array.isArray(edges)) {
      throw invalid(where, `after is ${show(edges)}`, "Give a list of task handles: { after: [sales] }.");
    }
    return edges.map((edge: After) => this.#orderEdge(edge, this.#scope, `${where}, after`));
  }

  #orderEdge(edge: After, scope: Scope, where: string): OrderEdge {
    if (!(edge instanceof WhenHandle)) return { from: this.position(edge, scope, where), choice: undefined };
    const from = this.position(edge.handle, scope, where);
    if (typeof edge.choice !== "string") {
      throw invalid(where, `when(${show(edge.choice)}) names no path`, "Give one of the texts the branch returns.");
    }
    if (this.tasks[from]?.kind !== "branch") {
      throw invalid(
        where,
        `when("${edge.choice}") was asked of "${edge.branch}", which is no branch`,
        "Only p.branch() has paths.",
      );
    }
    if (this.parent[from] !== scope.group) {
      throw invalid(
        where,
        `the path when("${edge.choice}") of "${edge.branch}" leads into or out of a group`,
        "Put it on the group as a whole, or move the branch to where its paths are.",
      );
    }
    return { from, choice: edge.choice };
  }

  #over(over: unknown, where: string): ListSource {
    if (!Array.isArray(over)) return { from: this.position(over, this.#scope, `${where}, over`) };
    const items = Array.from(over, (item: unknown, index) => {
      try {
        return encode(item, "item");
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw invalid(where, `over[${index}] cannot be stored`, reason, cause);
      }
    });
    return { items: Object.freeze(items) };
  }

  #checkOpen(scope: Scope, call: string): void {
    if (this.#sealed) {
      throw new WeftlineError(
        "PIPELINE_INVALID",
        `Cannot call ${call} on pipeline "${this.pipelineId}" after its build function returned. Define everything inside it; a list known only at run time is what p.map() is for.`,
      );
    }
    if (scope === this.#scope) return;
    throw new WeftlineError(
      "PIPELINE_INVALID",
      `Cannot call ${call} on pipeline "${this.pipelineId}" with the builder of another scope. Inside a group use the builder that its build function received, and only there.`,
    );
  }
}

function isInside(scope: Scope, group: number): boolean {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.around) if (at.group === group) return true;
  return false;
}

/** The methods that build functions call: `Builder` without its types. */
export class ScopedBuilder {
  readonly #builder: DefinitionBuilder;
  readonly #scope: Scope;

  constructor(builder: DefinitionBuilder, scope: Scope) {
    this.#builder = builder;
    this.#scope = scope;
  }

  task(id: string, options: AnyOptions | Run, run?: Run): TaskHandle {
    if (typeof options === "function") return this.#add("task", id, {}, options);
    return this.#add("task", id, options, run!);
  }

  /** A task whose needs are known by position, of tasks that may come later. */
  addWithNeeds(id: string, options: AnyOptions, run: Run, needs: Iterable<readonly [string, number]>): TaskHandle {
    return this.#builder.add(this.#scope, "task", id, options, run, {}, needs);
  }

  map(id: string, options: AnyOptions, run: Run): TaskHandle {
    const given = typeof options === "object" && options !== null ? { ...options, over: options.over } : options;
    return this.#add("map", id, given, run);
  }

  branch(id: string, options: AnyOptions, run: Run): TaskHandle {
    return this.#add("branch", id, options, run);
  }

  group(id: string, options: unknown, build?: unknown): GroupHandle {
    if (typeof options === "function") return this.#builder.group(this.#scope, id, {}, options);
    return this.#builder.group(this.#scope, id, options as AnyOptions, build);
  }

  run(id: string, child: unknown, options: AnyOptions = {}): TaskHandle {
    const where = this.#where(id);
    if ((child as { plan?: unknown } | undefined)?.plan === undefined) {
      throw invalid(where, `${show(child)} is no pipeline`, "Write run(id, otherPipeline, options).");
    }
    const { params = () => ({}) } = Object(options) as AnyOptions;
    if (typeof params !== "function")
      throw invalid(where, "params is not a function", "Give a function of the context.");
    return this.#add("run", id, withTotalTimeout(options), params as Run, {
      child: child as NonNullable<TaskExtra["child"]>,
    });
  }

  sleep(id: string, options: unknown): TaskHandle {
    const where = this.#where(id);
    const given = asOptions(options, "for");
    if (typeof given.for === "function") return this.#add("sleep", id, given, given.for as Run);
    const sleepMs = durationMs(given.for as Duration, `for of ${where}`);
    return this.#add("sleep", id, given, NO_FUNCTION, { sleepMs });
  }

  sleepUntil(id: string, options: unknown): TaskHandle {
    const given = asOptions(options, "at");
    if (typeof given.at === "function") return this.#add("sleep", id, given, given.at as Run, { isUntil: true });
    const at = given.at instanceof Date ? given.at.getTime() : given.at;
    if (!Number.isFinite(at))
      throw invalid(this.#where(id), `at is ${show(given.at)}`, "Give a valid Date or epoch milliseconds.");
    return this.#add("sleep", id, given, () => at, { isUntil: true });
  }

  poll(id: string, options: AnyOptions, probe: Run): TaskHandle {
    const everyMs = positiveMs(options?.every as Duration, `every of ${this.#where(id)}`);
    return this.#add("poll", id, withTotalTimeout(options), probe, { everyMs });
  }

  signal(id: string, options: AnyOptions = {}): TaskHandle {
    const { schema, key, timeout } = Object(options) as AnyOptions;
    const where = this.#where(id);
    if (
      schema !== undefined &&
      typeof (schema as { "~standard"?: { validate?: unknown } })["~standard"]?.validate !== "function"
    ) {
      throw invalid(
        where,
        "schema is not a schema",
        "Give a Standard Schema, such as one made with zod, valibot or arktype.",
      );
    }
    if (key !== undefined && typeof key !== "function")
      throw invalid(where, "key is not a function", "Give a function to a text.");
    const timed = timeout === undefined ? options : { ...options, timeout: { total: timeout } };
    return this.#add("signal", id, timed, NO_FUNCTION, {
      ...(schema !== undefined && { schema: schema as NonNullable<TaskExtra["schema"]> }),
      ...(key !== undefined && { signalKey: key as NonNullable<TaskExtra["signalKey"]> }),
    });
  }

  check(id: string, options: AnyOptions, test: Run): TaskHandle {
    const { severity = "error" } = Object(options) as AnyOptions;
    if (severity !== "error" && severity !== "warning") {
      throw invalid(this.#where(id), `severity is ${show(severity)}`, 'Use "error" or "warning".');
    }
    return this.#add("check", id, options, test, { severity });
  }

  order(before: After, after: Node<unknown>): void {
    this.#builder.order(this.#scope, before, after);
  }

  #add(kind: TaskKind, id: string, options: AnyOptions, run: Run, extra?: Partial<TaskExtra>): TaskHandle {
    return this.#builder.add(this.#scope, kind, id, options, run, extra);
  }

  /** @throws {WeftlineError} `TASK_INVALID` when the id is none, as it is to be quoted whole. */
  #where(id: string): string {
    checkId(id, "TASK_INVALID", `the id of a task of pipeline "${this.#builder.pipelineId}"`);
    return `task "${this.#scope.prefix}${id}" of pipeline "${this.#builder.pipelineId}"`;
  }
}

/** An attempt is one look, or the start of a run; a plain timeout is for all that follows it too. */
function withTotalTimeout(options: AnyOptions): AnyOptions {
  const { timeout } = Object(options) as AnyOptions;
  if (timeout === undefined || (typeof timeout === "object" && timeout !== null)) return options;
  return { ...options, timeout: { total: timeout } };
}

/** A bare value stands for the one option that is required. */
function asOptions(options: unknown, required: string): AnyOptions {
  const isBare = typeof options !== "object" || options === null || options instanceof Date;
  return isBare ? { [required]: options } : (options as AnyOptions);
}
