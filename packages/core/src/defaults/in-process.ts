import { AsyncLocalStorage } from "node:async_hooks";
import type { Executor, ExecutorHost, TaskJob, TaskOutcome, TaskPort } from "../contracts/executor.js";
import type { TaskDefinition } from "../define/definition.js";
import type { Pipeline } from "../define/pipeline.js";
import { WeftlineError } from "../errors.js";
import { type AttemptEnvironment, runAttempt } from "../execute/run-attempt.js";
import { toErrorRecord } from "../values/error-record.js";

/**
 * Calls a function in the async context this module was loaded in. An attempt is started by whatever made room for it:
 * without this it would see the AsyncLocalStorage of another task, or of some request of the host.
 */
const outsideOfAnyTask = AsyncLocalStorage.snapshot();

/**
 * Runs task code in the engine's own thread. It cannot stop code that ignores its signal: such an attempt is
 * `abandoned` after its grace, and its slot stays taken until the code ends.
 */
export function inProcess(): Executor {
  return new InProcessExecutor();
}

class InProcessExecutor implements Executor {
  readonly supports = { killable: false, remote: false, memoryLimit: false };
  readonly slots = Number.POSITIVE_INFINITY;
  #host: ExecutorHost | undefined;
  #environment: AttemptEnvironment | undefined;
  readonly #graceTimers = new Set<() => void>();

  async start(host: ExecutorHost): Promise<void> {
    this.#host = host;
    this.#environment = { resources: host.resources, limits: host.limits, now: host.clock.now };
  }

  execute(job: TaskJob, port: TaskPort): TaskOutcome | Promise<TaskOutcome> {
    const host = this.#host!;
    const task = findTask(host.pipelines, job);
    if (task === undefined) return notFound(job);
    const outcome = outsideOfAnyTask(runAttempt, task, job, port, this.#environment!);
    if (!(outcome instanceof Promise)) return outcome;
    return new Promise((resolve) => {
      void outcome.then(resolve);
      port.whenAborted(() => this.#abandonAfterGrace(job, outcome, resolve));
    });
  }

  async stop(): Promise<void> {
    for (const clear of this.#graceTimers) clear();
    this.#graceTimers.clear();
  }

  #abandonAfterGrace(job: TaskJob, finished: Promise<TaskOutcome>, resolve: (outcome: TaskOutcome) => void): void {
    const { clock } = this.#host!;
    const ended = finished.then(() => undefined);
    const clear = clock.timer(clock.now() + job.graceMs, () => {
      this.#graceTimers.delete(clear);
      resolve({ kind: "abandoned", ended });
    });
    this.#graceTimers.add(clear);
    void ended.then(() => {
      clear();
      this.#graceTimers.delete(clear);
    });
  }
}

function findTask(pipelines: ReadonlyMap<string, Pipeline>, job: TaskJob): TaskDefinition | undefined {
  const task = pipelines.get(job.pipeline)?.plan.tasks[job.position];
  return task?.id === job.task ? task : undefined;
}

function notFound(job: TaskJob): TaskOutcome {
  const error = new WeftlineError(
    "TASK_NOT_FOUND",
    `Cannot run task "${job.task}" as this process has no pipeline "${job.pipeline}" with such a task. Give the pipeline to createEngine({ pipelines }).`,
  );
  return { kind: "failed", error: toErrorRecord(error), retryable: false, retryAfterMs: undefined };
}
