import type { Executor } from "../contracts/executor.js";
import type { TaskDefinition } from "../define/definition.js";
import type { Pipeline } from "../define/pipeline.js";
import { Limit } from "./dispatcher.js";

/** A pipeline as one engine runs it: with the executors its tasks asked for, and its limits over all runs. */
export interface RegisteredPipeline {
  readonly pipeline: Pipeline;
  /** By task position. */
  readonly executors: readonly Executor[];
  /** By task position, the narrowest first; per-map limits, which are each run's own, are not among them. */
  readonly limits: readonly (readonly Limit[])[];
}

const NO_LIMITS: readonly Limit[] = Object.freeze([]);

/** @param slots - The limit of each executor that has one. */
export function register(
  pipeline: Pipeline,
  executorOf: (task: TaskDefinition) => Executor,
  slots: ReadonlyMap<Executor, Limit>,
): RegisteredPipeline {
  const { concurrency } = pipeline.settings;
  const ofPipeline = concurrency === undefined ? NO_LIMITS : [new Limit(concurrency)];
  const executors = pipeline.plan.tasks.map(executorOf);
  const limits = pipeline.plan.tasks.map((task) => {
    const ofExecutor = slots.get(executors[task.position]!);
    const ofTask = task.concurrency !== undefined && task.kind !== "map" ? new Limit(task.concurrency) : undefined;
    if (ofExecutor === undefined && ofTask === undefined) return ofPipeline;
    return [...(ofTask ? [ofTask] : []), ...ofPipeline, ...(ofExecutor ? [ofExecutor] : [])];
  });
  return { pipeline, executors, limits };
}
