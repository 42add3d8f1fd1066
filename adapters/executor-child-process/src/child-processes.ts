import {
  type Executor,
  type ExecutorHost,
  type TaskJob,
  type TaskOutcome,
  type TaskPort,
  WeftlineError,
} from "weftline";
import { checkDefinitions, RemoteAttempt } from "weftline/remote";
import { Child } from "./child.js";
import { type ChildProcessesOptions, readOptions, type Settings } from "./options.js";

/**
 * Runs task code in child processes: a crash, a leak or a loop that never ends costs one attempt and nothing else. What
 * has to be stopped is stopped by force, with all that it has started; and all of it ends when the engine's process does.
 *
 * @throws {WeftlineError} `EXECUTOR_INVALID`, `DURATION_INVALID`.
 */
export function childProcesses(options: ChildProcessesOptions): Executor {
  return new ProcessPool(readOptions(options));
}

/** An attempt that waits for a process, or has one. */
interface Work {
  readonly attempt: RemoteAttempt;
  readonly port: TaskPort;
  child: Child | undefined;
}

class ProcessPool implements Executor {
  readonly supports = { killable: true, remote: false, memoryLimit: true };
  readonly slots: number;
  readonly #settings: Settings;
  /** Every process that is not gone, those that start included. */
  readonly #children = new Set<Child>();
  /** Ready for work, the one that was used last at the end. */
  readonly #idle: Child[] = [];
  readonly #waiting: Work[] = [];
  readonly #working = new Set<Work>();
  #host!: ExecutorHost;
  #lastToken = 0;
  #isStopping = false;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.slots = settings.maxProcesses;
  }

  async start(host: ExecutorHost): Promise<void> {
    this.#host = host;
    this.#isStopping = false;
    const first = this.#startChild();
    try {
      checkDefinitions(host.pipelines, await first.ready, this.#settings.url);
    } catch (thrown) {
      await this.stop({ graceMs: 0 });
      throw thrown;
    }
    this.#keepReady();
  }

  execute(job: TaskJob, port: TaskPort): Promise<TaskOutcome> {
    const token = ++this.#lastToken;
    const { clock } = this.#host;
    const work: Work = {
      port,
      child: undefined,
      attempt: new RemoteAttempt({ token, job, port, clock, kill: () => this.#end(work) }),
    };
    this.#working.add(work);
    this.#waiting.push(work);
    this.#dispatch();
    void work.attempt.outcome.then(() => this.#working.delete(work));
    return work.attempt.outcome;
  }

  async stop({ graceMs }: { readonly graceMs: number }): Promise<void> {
    this.#isStopping = true;
    const { clock } = this.#host;
    const clear = clock.timer(clock.now() + graceMs, () => {
      for (const work of this.#working) void this.#endForGood(work);
    });
    await Promise.all([...this.#working].map(({ attempt }) => attempt.outcome));
    clear();
    await Promise.all([...this.#children].map((child) => this.#close(child)));
  }

  /** Ends the process of an attempt by force, or takes the attempt out of the queue. */
  async #end(work: Work): Promise<void> {
    const place = this.#waiting.indexOf(work);
    if (place >= 0) this.#waiting.splice(place, 1);
    await work.child?.kill();
  }

  async #endForGood(work: Work): Promise<void> {
    await this.#end(work);
    work.attempt.fail(
      new WeftlineError(
        "WORKER_EXITED",
        `task "${work.attempt.job.task}" was ended by force, as the engine stopped. The next attempt does it again.`,
      ),
    );
  }

  #dispatch(): void {
    while (this.#waiting.length > 0) {
      if (this.#waiting[0]!.attempt.hasSettled) {
        this.#waiting.shift(); // told to stop before there was a process for it
        continue;
      }
      const child = this.#idle.pop();
      if (child === undefined) return this.#startMissing();
      child.clearIdle?.();
      child.clearIdle = undefined;
      if (child.isWorn) continue;
      const work = this.#waiting.shift()!;
      work.child = child;
      child.run(work.attempt, work.port);
    }
    this.#keepReady();
  }

  /** As many processes as there is work for; those that start already count. */
  #startMissing(): void {
    const starting = [...this.#children].filter((child) => !child.isBusy && !child.isWorn).length;
    for (let missing = this.#waiting.length - starting; missing > 0; missing--) this.#startChild();
  }

  /** Processes that nobody waits for yet, up to the minimum. */
  #keepReady(): void {
    if (this.#isStopping) return;
    const { minProcesses, maxProcesses, isPerTask } = this.#settings;
    const usable = [...this.#children].filter((child) => !child.isWorn);
    // Where each task has its own, those at work are spent already.
    const counted = isPerTask ? usable.filter((child) => !child.isBusy) : usable;
    const room = isPerTask ? minProcesses : Math.min(minProcesses, maxProcesses);
    for (let missing = room - counted.length; missing > 0; missing--) this.#startChild();
  }

  #startChild(): Child {
    const child = new Child({
      settings: this.#settings,
      host: this.#host,
      onFree: (free) => this.#free(free),
      onGone: (gone) => this.#gone(gone),
    });
    this.#children.add(child);
    child.ready.then(
      () => this.#free(child),
      (error: WeftlineError) => this.#unfit(child, error),
    );
    return child;
  }

  #free(child: Child): void {
    if (child.isGone) return;
    if (child.isWorn) void this.#close(child);
    else {
      this.#idle.push(child);
      this.#armIdle(child);
    }
    this.#dispatch();
  }

  #armIdle(child: Child): void {
    if (this.#isStopping || this.#idle.length <= this.#settings.minProcesses) return;
    const { clock } = this.#host;
    child.clearIdle = clock.timer(clock.now() + this.#settings.idleMs, () => {
      child.clearIdle = undefined;
      if (this.#idle.length > this.#settings.minProcesses) void this.#close(child);
    });
  }

  async #close(child: Child): Promise<void> {
    this.#forget(child);
    await child.close();
  }

  /** A process that cannot be started fails the work that would have been its, so that nothing waits for ever. */
  #unfit(child: Child, error: WeftlineError): void {
    this.#forget(child);
    this.#children.delete(child);
    this.#waiting.shift()?.attempt.fail(error);
    if (this.#waiting.length > 0) this.#dispatch();
  }

  #gone(child: Child): void {
    this.#forget(child);
    this.#children.delete(child);
    if (!this.#isStopping) this.#dispatch();
  }

  #forget(child: Child): void {
    child.clearIdle?.();
    child.clearIdle = undefined;
    const place = this.#idle.indexOf(child);
    if (place >= 0) this.#idle.splice(place, 1);
  }
}
