import type { TaskJob, TaskOutcome } from "../contracts/executor.js";
import { WeftlineError } from "../errors.js";
import { toErrorRecord } from "../values/error-record.js";

/**
 * Why a job cannot run here, if it cannot.
 *
 * @param task - The id of the task at the job's place, and @param hash - the definition of the pipeline of that name, as far as they exist here.
 */
export function refusalOf(job: TaskJob, task: string | undefined, hash: string | undefined): TaskOutcome | undefined {
  if (task === job.task && hash === job.definition) return undefined;
  const error = hash === undefined || hash === job.definition ? notFound(job) : changed(job);
  return { kind: "failed", error: toErrorRecord(error), retryable: false, retryAfterMs: undefined };
}

function notFound({ task, pipeline }: TaskJob): WeftlineError {
  return new WeftlineError(
    "TASK_NOT_FOUND",
    `Cannot run task "${task}" as there is no pipeline "${pipeline}" with such a task where it is to run. Give the pipeline to createEngine({ pipelines }), and export it from the module of its executor.`,
  );
}

function changed({ task, pipeline }: TaskJob): WeftlineError {
  return new WeftlineError(
    "DAG_CHANGED",
    `Cannot run task "${task}" as the code there is of another version of pipeline "${pipeline}" than the run. Build and deploy both together.`,
  );
}
