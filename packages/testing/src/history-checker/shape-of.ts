import {
  decode,
  describePipeline,
  type Encoded,
  type Pipeline,
  type PipelineDescription,
  type TriggerRule,
} from "weftline";
import type { RetryShape, Shape, TaskShape } from "./history.js";

/** The shape of a pipeline, as far as a checker has to know it. */
export function shapeOf(pipeline: Pipeline): Shape {
  const { plan, settings } = pipeline;
  const described = shapeOfDescription(describePipeline(pipeline));
  const tasks = described.tasks.map((task, position): TaskShape => {
    const { policy, extra } = plan.tasks[position]!;
    const { attempts, delayMs, backoff, maxDelayMs, jitter, whileAbandoned } = policy.retry;
    return {
      ...task,
      over: extra.over && "from" in extra.over ? plan.tasks[extra.over.from]!.id : undefined,
      failRun: policy.failRun,
      conditional: policy.when !== undefined,
      cached: policy.cache !== undefined,
      retry: { attempts, delayMs, backoff, maxDelayMs, jitter, whileAbandoned },
      timeoutMs: policy.timeouts.attemptMs,
      totalTimeoutMs: policy.timeouts.totalMs,
      concurrency: policy.concurrency,
      slots: policy.slots,
    };
  });
  return { ...described, tasks, failFast: settings.failFast, timeoutMs: settings.timeoutMs };
}

/** As {@link shapeOf}, of several pipelines by their hashes, with those that their sub-pipelines run. */
export function shapesOf(pipelines: readonly Pipeline[]): Readonly<Record<string, Shape>> {
  const shapes: Record<string, Shape> = {};
  const open = [...pipelines];
  for (let pipeline = open.pop(); pipeline !== undefined; pipeline = open.pop()) {
    if (shapes[pipeline.hash]) continue;
    shapes[pipeline.hash] = shapeOf(pipeline);
    for (const { extra } of pipeline.plan.tasks) if (extra.child) open.push(extra.child);
  }
  return shapes;
}

/** The shape that a stored definition tells: without retry policies, timeouts, limits and conditions, which it does not hold. */
export function shapeOfDefinition(graph: Encoded): Shape {
  return shapeOfDescription(decode(graph) as PipelineDescription);
}

const UNKNOWN_RETRY: RetryShape = {
  attempts: undefined,
  delayMs: undefined,
  backoff: undefined,
  maxDelayMs: undefined,
  jitter: undefined,
  whileAbandoned: true,
};

/** What is not known is taken as allowed. */
function shapeOfDescription({ pipeline, hash, failWhen, tasks, edges }: PipelineDescription): Shape {
  const upstream = new Map<string, { task: string; choices: readonly string[] | undefined }[]>();
  for (const { id } of tasks) upstream.set(id, []);
  for (const { from, to, choices } of edges) upstream.get(to)?.push({ task: from, choices });
  return {
    pipeline,
    hash,
    failWhen,
    failFast: true,
    timeoutMs: undefined,
    tasks: tasks.map((task) => ({
      id: task.id,
      kind: task.kind,
      mapped: task.mapped,
      upstream: upstream.get(task.id)!,
      needs: task.needs,
      over: undefined,
      rule: task.triggerRule as TriggerRule,
      group: task.group,
      teardown: task.teardown,
      failRun: false,
      allowFailure: task.allowFailure,
      conditional: true,
      cached: true,
      retry: UNKNOWN_RETRY,
      timeoutMs: undefined,
      totalTimeoutMs: undefined,
      concurrency: undefined,
      pool: task.pool,
      slots: 1,
    })),
  };
}
