import type { Executor, ExecutorHost, TaskJob, TaskOutcome, TaskPort } from "weftline";
import { checkDefinitions } from "weftline/remote";
import { readOptions, type Settings, type WorkerThreadsOptions } from "./options.js";
import { ThreadPool } from "./thread-pool.js";

/**
 * Runs tasks in threads, so that CPU-bound work leaves the event loop of the host alone. Code that does not stop when it
 * is told to is ended with its thread.
 *
 * @throws {WeftlineError} `EXECUTOR_INVALID`, `DURATION_INVALID` for options that cannot be.
 */
export function workerThreads(options: WorkerThreadsOptions): Executor {
  return new WorkerThreads(readOptions(options));
}

class WorkerThreads implements Executor {
  readonly supports = { killable: true, remote: false, memoryLimit: true };
  readonly slots: number;
  readonly #settings: Settings;
  #pool: ThreadPool | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.slots = settings.maxThreads;
  }

  async start(host: ExecutorHost): Promise<void> {
    const pool = new ThreadPool(this.#settings, host);
    try {
      checkDefinitions(host.pipelines, await pool.start(), this.#settings.url);
    } catch (error) {
      await pool.stop(0);
      throw error;
    }
    this.#pool = pool;
  }

  execute(job: TaskJob, port: TaskPort): Promise<TaskOutcome> {
    return this.#pool!.run(job, port);
  }

  async stop({ graceMs }: { readonly graceMs: number }): Promise<void> {
    await this.#pool?.stop(graceMs);
  }
}
