import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import type { Executor, ExecutorHost, TaskJob, TaskOutcome, TaskPort } from "../contracts/executor.js";
import { refusalOf } from "../execute/refusal.js";
import { type AttemptEnvironment, runAttempt } from "../execute/run-attempt.js";

/**
 * Calls a function in the async context this module was loaded in. An attempt is started by whatever made room for it:
 * without this it would see the AsyncLocalStorage of another task, or of some request of the host.
 */
const outsideOfAnyTask = AsyncLocalStorage.snapshot();

/** One for each attempt: what one enters (`enterWith`) would stay for all that follow, up to Node 22. */
const inOwnContext: typeof runAttempt = (task, job, port, environment) =>
  new AsyncResource("weftline-task", { requireManualDestroy: true }).runInAsyncScope(
    runAttempt,
    undefined,
    task,
    job,
    port,
    environment,
  );

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
    const pipeline = host.pipelines.get(job.pipeline);
    const task = pipeline?.plan.tasks[job.position];
    const refusal = refusalOf(job, task?.id, pipeline?.hash);
    if (refusal !== undefined) return refusal;
    port.started();
    const outcome = outsideOfAnyTask(inOwnContext, task!, job, port, this.#environment!);
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
      // Where the event loop stood still for all of the grace, the code has had no turn in which to hear of it.
      clock.afterTurn(() => resolve({ kind: "abandoned", ended }));
    });
    this.#graceTimers.add(clear);
    void ended.then(() => {
      clear();
      this.#graceTimers.delete(clear);
    });
  }
}
