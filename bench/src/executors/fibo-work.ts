/** What the engine and its workers both load. */
import { type Node, type Pipeline, pipeline } from "weftline";
import { EXECUTORS, type ExecutorName, fibonacci, WORKLOADS, type WorkloadName } from "./fibo-workloads.js";

export type FiboPipeline = Pipeline<Record<never, never>, { readonly last: number }>;

/** Each workload on each executor. */
export const pipelines: readonly FiboPipeline[] = (Object.keys(WORKLOADS) as WorkloadName[]).flatMap((workload) =>
  EXECUTORS.map((executor) => chainOf(workload, executor)),
);

export function pipelineId(workload: WorkloadName, executor: ExecutorName): string {
  return `fibo-${workload}-${executor}`;
}

/** Its result is the last task's output, so that a run is not over before that can be read. */
function chainOf(workload: WorkloadName, executor: ExecutorName): FiboPipeline {
  const { tasks, n } = WORKLOADS[workload];
  return pipeline(pipelineId(workload, executor), (p) => {
    let last: Node<number> | undefined;
    for (let task = 0; task < tasks; task++) {
      const needs: Record<string, Node<number>> = last === undefined ? {} : { before: last };
      last = p.task(`task-${task}`, { needs, executor }, () => fibonacci(n));
    }
    return { last: last! };
  });
}
