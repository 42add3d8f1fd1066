import { checkPipeline } from "./check-pipeline.js";
import type { TaskKind } from "./definition.js";
import type { Pipeline } from "./pipeline.js";

/** A pipeline's structure as plain data: what a run keeps of the definition it ran with. */
export interface PipelineDescription {
  readonly pipeline: string;
  readonly title: string | undefined;
  readonly description: string | undefined;
  /** The structural hash. */
  readonly hash: string;
  /** What fails a run. */
  readonly failWhen: "any" | "leaves";
  readonly tasks: readonly TaskDescription[];
  readonly edges: readonly EdgeDescription[];
}

export interface TaskDescription {
  readonly id: string;
  readonly kind: TaskKind;
  readonly title: string | undefined;
  readonly description: string | undefined;
  readonly tags: readonly string[];
  /** The id of the group around it. */
  readonly group: string | undefined;
  /** What it reads: a name of its own choice, and the task that puts it out. */
  readonly needs: readonly { readonly name: string; readonly task: string }[];
  readonly triggerRule: string;
  readonly executor: string;
  readonly allowFailure: boolean;
  readonly teardown: boolean;
  /** Whether it runs once for each item of a list. */
  readonly mapped: boolean;
  /** The id of the pipeline it runs. */
  readonly child: string | undefined;
  readonly pool: string | undefined;
  readonly produces: readonly string[];
}

export interface EdgeDescription {
  readonly from: string;
  readonly to: string;
  /** The branch choices under which it holds; `undefined`: always. */
  readonly choices: readonly string[] | undefined;
}

/** O(tasks + edges). An edge into or out of a group is one of the group. */
export function describePipeline(pipeline: Pipeline): PipelineDescription {
  checkPipeline(pipeline, "describePipeline()");
  const { id, title, description, hash, plan, settings } = pipeline;
  const tasks = plan.tasks.map(({ id: task, kind, policy, extra, position, isMapped }) => ({
    id: task,
    kind,
    title: policy.title,
    description: policy.description,
    tags: policy.tags,
    group: plan.tasks[plan.parent[position]!]?.id,
    needs: plan.needsOf(position).map(({ name, from }) => ({ name, task: plan.tasks[from]!.id })),
    triggerRule: policy.triggerRule,
    executor: policy.executor,
    allowFailure: policy.allowFailure,
    teardown: policy.teardown,
    mapped: isMapped,
    child: extra.child?.id,
    pool: policy.pool,
    produces: policy.produces,
  }));
  const edges: EdgeDescription[] = [];
  for (let position = 0; position < tasks.length; position++) {
    for (let e = plan.successorStart[position]!; e < plan.successorStart[position + 1]!; e++) {
      edges.push({ from: tasks[position]!.id, to: tasks[plan.successors[e]!]!.id, choices: plan.choices.get(e) });
    }
  }
  return { pipeline: id, title, description, hash, failWhen: settings.failWhen, tasks, edges };
}
