import type { StandardSchemaV1 } from "@standard-schema/spec";
import { WeftlineError } from "../errors.js";
import type { Builder } from "./builder.js";
import { DefinitionBuilder } from "./definition-builder.js";
import { definitionHash } from "./definition-hash.js";
import { type TaskGraph, toGraph } from "./graph.js";
import type { ResultNodes, ResultOf } from "./handles.js";
import { checkId } from "./ids.js";
import { isCount, type KeyedLimit, type PipelineOptions, positiveMs } from "./options.js";
import { Plan } from "./plan.js";
import type { Schedule } from "./schedule.js";
import { show } from "./show.js";
import { keyedLimit } from "./task-policy.js";

// biome-ignore lint/complexity/noBannedTypes: a pipeline without a schema takes `{}`
type NoParams = {};
declare const PARAMS: unique symbol;
declare const RESULT: unique symbol;

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
  readonly keyed: KeyedLimit<{ readonly params: unknown }> | undefined;
  readonly maxActiveRuns: number | undefined;
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
export function pipeline(
  id: string,
  optionsOrBuild: AnyPipelineOptions | BuildFunction,
  maybeBuild?: BuildFunction,
): Pipeline {
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
  return finishPipeline(options, builder, build(builder.root as unknown as Builder<never>));
}

/**
 * Closes a builder and compiles what it collected.
 *
 * @param nodes - What the build function returned.
 * @param result - Result name → position, where there was no build function.
 */
export function finishPipeline(
  options: AnyPipelineOptions,
  builder: DefinitionBuilder,
  nodes: unknown,
  result?: ReadonlyMap<string, number>,
): Pipeline {
  const id = builder.pipelineId;
  builder.seal();
  const positions = result ?? resultPositions(id, builder, nodes);
  if (builder.tasks.length === 0) {
    throw invalid(id, "it has no tasks", "Add at least one p.task() in its build function.");
  }
  return new DefinedPipeline(id, options, builder, positions);
}

export type AnyPipelineOptions = Omit<PipelineOptions<StandardSchemaV1 | undefined, unknown>, "concurrency"> & {
  readonly concurrency?: number | KeyedLimit<{ readonly params: never }>;
};
type BuildFunction = (p: Builder<never>) => unknown;

class DefinedPipeline implements Pipeline {
  readonly id: string;
  readonly title: string | undefined;
  readonly description: string | undefined;
  readonly plan: Plan;
  readonly settings: PipelineSettings;
  #hash: string | undefined;

  constructor(
    id: string,
    options: AnyPipelineOptions,
    builder: DefinitionBuilder,
    result: ReadonlyMap<string, number>,
  ) {
    this.id = id;
    this.title = options.title;
    this.description = options.description;
    this.settings = Object.freeze({ ...checkSettings(id, options), result });
    this.plan = new Plan(builder);
    Object.freeze(this);
  }

  get taskIds(): readonly string[] {
    return this.plan.tasks.map((task) => task.id);
  }

  get graph(): TaskGraph {
    return toGraph(this);
  }

  get hash(): string {
    this.#hash ??= definitionHash(this);
    return this.#hash;
  }
}

function checkSettings(id: string, options: AnyPipelineOptions): Omit<PipelineSettings, "result"> {
  const { params, schedule, failWhen = "any", concurrency, timeout } = options;
  if (params !== undefined && typeof params?.["~standard"]?.validate !== "function") {
    throw invalid(
      id,
      "params is not a schema",
      "Give a Standard Schema, such as one made with zod, valibot or arktype.",
    );
  }
  for (const option of ["title", "description"] as const) {
    const text: unknown = options[option];
    if (text !== undefined && typeof text !== "string") {
      throw invalid(id, `${option} is ${show(text)}`, "Give a text, or leave it out.");
    }
  }
  if (failWhen !== "any" && failWhen !== "leaves") {
    throw invalid(id, `failWhen is ${show(failWhen)}`, 'Use "any" or "leaves".');
  }
  const isKeyed = typeof concurrency === "object" && concurrency !== null;
  checkCount(id, "concurrency", isKeyed ? undefined : concurrency);
  checkCount(id, "maxActiveRuns", options.maxActiveRuns);
  if (schedule !== undefined && typeof schedule?.next !== "function") {
    throw invalid(id, `schedule is ${show(schedule)}`, 'Give cron("0 2 * * *") or every("15m").');
  }
  return {
    schema: params,
    schedule,
    timeoutMs: timeout === undefined ? undefined : positiveMs(timeout, `timeout of pipeline "${id}"`),
    concurrency: isKeyed ? undefined : concurrency,
    keyed: isKeyed ? keyedLimit(concurrency, `pipeline "${id}"`) : undefined,
    maxActiveRuns: options.maxActiveRuns,
    failWhen,
    failFast: options.failFast ?? false,
  };
}

function checkCount(id: string, option: string, value: unknown): void {
  if (value === undefined || isCount(value)) return;
  throw invalid(id, `${option} is ${show(value)}`, "Give a whole number from 1, or leave it out.");
}

function resultPositions(id: string, builder: DefinitionBuilder, nodes: unknown): ReadonlyMap<string, number> {
  if (nodes instanceof Promise) {
    nodes.catch(() => undefined); // its own failure, as likely as not from the seal, would end the process unhandled
    throw invalid(id, "its build function is async", "Define tasks synchronously; await inside tasks.");
  }
  if (nodes !== undefined && nodes !== null && typeof nodes !== "object") {
    throw invalid(id, `its build function returned ${show(nodes)}`, "Return an object of task handles, or nothing.");
  }
  return new Map(builder.results(nodes, `the result of pipeline "${id}"`));
}

function invalid(id: string, problem: string, remedy: string): WeftlineError {
  return new WeftlineError("PIPELINE_INVALID", `Cannot define pipeline "${id}": ${problem}. ${remedy}`);
}
