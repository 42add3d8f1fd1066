import assert from "node:assert/strict";
import {
  type ArtifactData,
  type Clock,
  decode,
  type EpochMs,
  type Executor,
  encode,
  type Logger,
  type LogLevel,
  type Pipeline,
  systemClock,
  type TaskJob,
  type TaskOutcome,
  type TaskPort,
  WeftlineError,
} from "weftline";
import { contractPipelines } from "../contract-pipelines.js";

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };
/** The largest value the host allows. */
export const MAX_BYTES = 100_000;
/** How long anything may take that has nothing to wait for: a worker may have to be started. */
const PATIENCE_MS = 4_000;
const POLL_MS = 5;
const { setTimeout: startTimeout, clearTimeout: stopTimeout } = globalThis;

export type OpenExecutor = (pipelines: readonly Pipeline[]) => Executor | Promise<Executor>;

/** An executor, started, with the pipelines of the suite; jobs for it, and ports that remember. */
export class ExecutorFixture {
  readonly executor: Executor;
  readonly clock = new CountingClock();
  readonly #open: OpenExecutor;
  #isStopped = false;
  #runs = 0;

  private constructor(open: OpenExecutor, executor: Executor) {
    this.#open = open;
    this.executor = executor;
  }

  /** Runs a check on a started executor, and stops it. */
  static async with(open: OpenExecutor, check: (fixture: ExecutorFixture) => Promise<void>): Promise<void> {
    const fixture = await ExecutorFixture.#started(open);
    try {
      await check(fixture);
    } finally {
      await fixture.stop(0);
    }
  }

  static async #started(open: OpenExecutor): Promise<ExecutorFixture> {
    const fixture = new ExecutorFixture(open, await open(contractPipelines));
    await fixture.executor.start({
      log: SILENT,
      clock: fixture.clock,
      pipelines: new Map(contractPipelines.map((pipeline) => [pipeline.id, pipeline])),
      resources: {},
      limits: { maxBytes: MAX_BYTES, maxDepth: 100 },
    });
    return fixture;
  }

  /** Another executor beside this one, for the case to stop. */
  another(): Promise<ExecutorFixture> {
    return ExecutorFixture.#started(this.#open);
  }

  /** Stops the executor, once. */
  async stop(graceMs: number): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    await this.executor.stop({ graceMs });
  }

  /** A job for the first attempt at a task, each in a run of its own. */
  job(task: string, params: unknown = {}, details: Partial<TaskJob> = {}): TaskJob {
    const runId = details.runId ?? `run-${++this.#runs}`;
    return {
      runId,
      pipeline: "contract",
      definition: "definition-1",
      task,
      index: [],
      attempt: 1,
      params: encode(params, "params"),
      input: {},
      item: undefined,
      run: { id: runId, pipeline: "contract", createdAt: 0, key: undefined, tags: [], instant: undefined },
      graceMs: 5_000,
      ...details,
    };
  }

  /** Starts an attempt. What `execute()` may never do, to reject or to throw, fails the case. */
  execute(job: TaskJob, port = new RecordingPort()): Execution {
    let outcome: Promise<TaskOutcome>;
    try {
      outcome = this.executor.execute(job, port);
    } catch (error) {
      outcome = Promise.reject(error);
    }
    const settled = outcome.catch((error: unknown) =>
      assert.fail(`execute() of "${job.task}" rejected: ${String(error)}`),
    );
    settled.catch(() => undefined); // a case that fails before it looks here has its own message
    return { port, outcome: settled };
  }

  /** Runs an attempt to its end. */
  async run(task: string, params: unknown = {}, details: Partial<TaskJob> = {}): Promise<TaskOutcome> {
    return within(PATIENCE_MS, this.execute(this.job(task, params, details)).outcome, `"${task}" to end`);
  }

  /** What a task returned, decoded. */
  async returned(task: string, params: unknown = {}, details: Partial<TaskJob> = {}): Promise<unknown> {
    const outcome = await this.run(task, params, details);
    assert.equal(outcome.kind, "succeeded", JSON.stringify(outcome));
    return decode((outcome as TaskOutcome & { kind: "succeeded" }).output);
  }

  async failed(task: string, params: unknown = {}, details: Partial<TaskJob> = {}): Promise<FailedOutcome> {
    return asFailed(await this.run(task, params, details));
  }
}

export interface Execution {
  readonly port: RecordingPort;
  readonly outcome: Promise<TaskOutcome>;
}

export type FailedOutcome = TaskOutcome & { readonly kind: "failed" };

function asFailed(outcome: TaskOutcome): FailedOutcome {
  assert.equal(outcome.kind, "failed", JSON.stringify(outcome));
  return outcome as FailedOutcome;
}

/** The engine's side of an attempt: remembers what it is told, and tells to stop. */
export class RecordingPort implements TaskPort {
  readonly calls: unknown[][] = [];
  readonly #controller = new AbortController();
  #onAbort: () => void = () => {};

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  whenAborted(fire: () => void): void {
    if (this.signal.aborted) fire();
    else this.#onAbort = fire; // as the engine's port does: one callback is kept
  }

  abort(): void {
    this.#controller.abort(new WeftlineError("TASK_TIMEOUT", "the suite told the attempt to stop"));
    this.#onAbort();
  }

  log(level: LogLevel, message: string, data: unknown): void {
    this.calls.push(["log", level, message, data]);
  }

  metric(name: string, value: number): void {
    this.calls.push(["metric", name, value]);
  }

  progress(fraction: number, message: string | undefined): void {
    this.calls.push(["progress", fraction, message]);
  }

  artifact({ name, contentType, data }: ArtifactData): void {
    this.calls.push([
      "artifact",
      name,
      contentType,
      typeof data === "string" ? data : Buffer.from(data).toString("hex"),
    ]);
  }

  /** Settles when the task has said this as its progress. */
  async hears(message: string): Promise<void> {
    await eventually(() => this.calls.some((call) => call[2] === message), `the task to say "${message}"`);
  }
}

/** The machine's clock, with a count of the timers that have not fired. */
class CountingClock implements Clock {
  pendingTimers = 0;
  readonly now = (): EpochMs => systemClock.now();

  monotonicMs(): number {
    return systemClock.monotonicMs();
  }

  timer(at: EpochMs, fire: () => void): () => void {
    let isPending = true;
    const end = () => {
      if (isPending) this.pendingTimers--;
      isPending = false;
    };
    this.pendingTimers++;
    const clear = systemClock.timer(at, () => {
      end();
      fire();
    });
    return () => {
      end();
      clear();
    };
  }

  afterTurn(fire: () => void): void {
    systemClock.afterTurn(fire);
  }
}

/** Fails when `work` takes longer, in real time. */
export async function within<Value>(ms: number, work: Promise<Value>, what: string): Promise<Value> {
  let timeout: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timeout = startTimeout(() => reject(new assert.AssertionError({ message: `waited ${ms} ms for ${what}` })), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    stopTimeout(timeout);
  }
}

/** Waits, in real time, until something holds. */
export async function eventually(holds: () => boolean, what: string, ms = PATIENCE_MS): Promise<void> {
  for (const end = performance.now() + ms; !holds(); ) {
    if (performance.now() > end) assert.fail(`waited ${ms} ms for ${what}`);
    await passTime(POLL_MS);
  }
}

export function passTime(ms: number): Promise<void> {
  return new Promise((resolve) => startTimeout(resolve, ms));
}
