import type { StandardSchemaV1 } from "@standard-schema/spec";
import { WeftlineError } from "../errors.js";
import { type Builder, checkId, DefinitionBuilder } from "./builder.js";
import { definitionHash } from "./definition-hash.js";
import { type TaskGraph, toGraph } from "./graph.js";
import type { Node, OutputOf } from "./handles.js";
import { isCount, type PipelineOptions, positiveMs } from "./options.js";
import { compilePlan, type Plan } from "./plan.js";
import type { Schedule } from "./schedule.js";
import { show } from "./show.js";

// biome-ignore lint/complexity/noBannedTypes: a pipeline without a schema takes `{}`
type NoParams = {};
declare const PARAMS: unique symbol;
declare const RESULT: unique symbol;

/** The handles a build function returns: the outputs that make up the run's result. */
export type ResultNodes = Readonly<Record<string, Node<unknown>>>;
export type ResultOf<Nodes> = Nodes extends ResultNodes ? { [Name in keyof Nodes]: OutputOf<Nodes[Name]> } : void;

/** A frozen definition. `Params` is what callers pass, `Result` what a run resolves to. */
export interface Pipeline<in Params = never, out Result = unknown> {
  readonly id: string;
  readonly title: string | undefined;
  readonly description: string | undefined;
  /** The ids of its tasks, in the order of definition. */
  readonly taskIds: readonly string[];
  /** The definition as a graphology graph, built afresh on each reading. */
  readonly graph: TaskGraph;
  /** Structural hash: equal for two definitions under which the same run can go on. */
  readonly hash: string;
  /** The compiled definition, for the engine and for tools. */
  readonly plan: Plan;
  readonly settings: PipelineSettings;
  readonly [PARAMS]?: (params: Params) => void;
  readonly [RESULT]?: Result;
}

/** The pipeline's own options, checked. */
export interface PipelineSettings {
  readonly schema: StandardSchemaV1 | undefined;
  readonly schedule: Schedule<unknown> | undefined;
  readonly timeoutMs: number | undefined;
  readonly concurrency: number | undefined;
  readonly failWhen: "any" | "leaves";
  readonly failFast: boolean;
  /** Result name → position of the task. */
  readonly result: ReadonlyMap<string, number>;
}

/**
 * Defines a pipeline. `build` runs once, now; what it returns names the outputs a run resolves to.
 *
 * @throws {WeftlineError} `PIPELINE_INVALID`, `TASK_INVALID`, `TASK_DUPLICATE`, `DAG_CYCLE`, `DURATION_INVALID`,
 * `RETRY_INVALID`: each names the pipeline, the task and the way out.
 */
export function pipeline<Nodes extends ResultNodes | void>(
  id: string,
  build: (p: Builder<NoParams>) => Nodes,
): Pipeline<NoParams, ResultOf<Nodes>>;
export function pipeline<Schema extends StandardSchemaV1, Nodes extends ResultNodes | void>(
  id: string,
  options: PipelineOptions<Schema, StandardSchemaV1.InferInput<Schema>> & { readonly params: Schema },
  build: (p: Builder<StandardSchemaV1.InferOutput<Schema>>) => Nodes,
): Pipeline<StandardSchemaV1.InferInput<Schema>, ResultOf<Nodes>>;
export function pipeline<Nodes extends ResultNodes | void>(
  id: string,
  options: PipelineOptions<undefined, NoParams>,
  build: (p: Builder<NoParams>) => Nodes,
): Pipeline<NoParams, ResultOf<Nodes>>;
export function pipeline(id: string, optionsOrBuild: AnyOptions | BuildFunction, maybeBuild?: BuildFunction): Pipeline {
  const options = typeof optionsOrBuild === "function" ? {} : optionsOrBuild;
  const build = typeof optionsOrBuild === "function" ? optionsOrBuild : maybeBuild;
  checkId(id, "PIPELINE_INVALID", "the id of a pipeline");
  if (typeof options !== "object" || options === null) {
    throw invalid(id, `its options are ${show(options)}`, "Write pipeline(id, options, (p) => { p.task(…) }).");
  }
  if (typeof build !== "function") {
    throw invalid(id, "it has no build function", "Write pipeline(id, options, (p) => { p.task(…) }).");
  }
  const builder = new DefinitionBuilder(id, options.defaults ?? {});
  const nodes = build(builder as unknown as Builder<never>);
  builder.seal();
  if (nodes instanceof Promise) {
    nodes.catch(() => undefined); // its own failure, as likely as not from the seal, would end the process unhandled
    throw invalid(id, "its build function is async", "Define tasks synchronously; await inside tasks.");
  }
  if (builder.tasks.length === 0) {
    throw invalid(id, "it has no tasks", "Add at least one p.task() in its build function.");
  }
  return new DefinedPipeline(id, options, builder, nodes);
}

type AnyOptions = PipelineOptions<StandardSchemaV1 | undefined, unknown>;
type BuildFunction = (p: Builder<never>) => unknown;

class DefinedPipeline implements Pipeline {
  readonly id: string;
  readonly title: string | undefined;
  readonly description: string | undefined;
  readonly plan: Plan;
  readonly settings: PipelineSettings;
  #hash: string | undefined;

  constructor(id: string, options: AnyOptions, builder: DefinitionBuilder, nodes: unknown) {
    this.id = id;
    this.title = options.title;
    this.description = options.description;
    this.settings = Object.freeze({ ...checkSettings(id, options), result: resultPositions(id, builder, nodes) });
    this.plan = Object.freeze(compilePlan(id, builder.tasks));
    Object.freeze(this);
  }

  get taskIds(): readonly string[] {
    return this.plan.tasks.map((task) => task.id);
  }

  get graph(): TaskGraph {
    return toGraph(this);
  }

  get hash(): string {
    this.#hash ??= definitionHash(this.id, this.plan.tasks, this.settings.failWhen);
    return this.#hash;
  }
}

function checkSettings(id: string, options: AnyOptions): Omit<PipelineSettings, "result"> {
  const { params, schedule, failWhen = "any", concurrency, timeout } = options;
  if (params !== undefined && typeof params?.["~standard"]?.validate !== "function") {
    throw invalid(
      id,
      "params is not a schema",
      "Give a Standard Schema, such as one made with zod, valibot or arktype.",
    );
  }
  if (failWhen !== "any" && failWhen !== "leaves") {
    throw invalid(id, `failWhen is ${show(failWhen)}`, 'Use "any" or "leaves".');
  }
  if (concurrency !== undefined && !isCount(concurrency)) {
    throw invalid(id, `concurrency is ${show(concurrency)}`, "Give a whole number from 1, or leave it out.");
  }
  if (schedule !== undefined && typeof schedule?.next !== "function") {
    throw invalid(id, `schedule is ${show(schedule)}`, 'Give cron("0 2 * * *") or every("15m").');
  }
  return {
    schema: params,
    schedule,
    timeoutMs: timeout === undefined ? undefined : positiveMs(timeout, `timeout of pipeline "${id}"`),
    concurrency,
    failWhen,
    failFast: options.failFast ?? false,
  };
}

function resultPositions(id: string, builder: DefinitionBuilder, nodes: unknown): ReadonlyMap<string, number> {
  if (nodes === undefined || nodes === null) return new Map();
  if (typeof nodes !== "object") {
    throw invalid(id, `its build function returned ${show(nodes)}`, "Return an object of task handles, or nothing.");
  }
  const where = `the result of pipeline "${id}"`;
  return new Map(Object.entries(nodes).map(([name, node]) => [name, builder.position(node, `${where}, ${name}`)]));
}

function invalid(id: string, problem: string, remedy: string): WeftlineError {
  return new WeftlineError("PIPELINE_INVALID", `Cannot define pipeline "${id}": ${problem}. ${remedy}`);
}
