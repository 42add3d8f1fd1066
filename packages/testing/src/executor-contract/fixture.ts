import assert from "node:assert/strict";
import {
  type ArtifactData,
  type Clock,
  decode,
  type Encoded,
  type EpochMs,
  type Executor,
  encode,
  type Logger,
  type LogLevel,
  type Pipeline,
  type RunFacts,
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
const PIPELINES = new Map(contractPipelines.map((pipeline) => [pipeline.id, pipeline]));
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
      pipelines: PIPELINES,
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
    const pipeline = details.pipeline ?? "contract";
    return new SuiteJob({
      runId,
      pipeline,
      definition: PIPELINES.get(pipeline)?.hash ?? "of no pipeline",
      task,
      // Of a task that there is not, a place where another one stands.
      position: Math.max(0, PIPELINES.get(pipeline)?.taskIds.indexOf(task) ?? 0),
      index: [],
      generation: 1,
      attempt: 1,
      params: encode(params, "params"),
      input: {},
      items: [],
      run: { id: runId, pipeline: "contract", createdAt: 0, key: undefined, tags: [], instant: undefined },
      graceMs: 5_000,
      ...details,
    });
  }

  /** Starts an attempt. What `execute()` may never do, to reject or to throw, fails the case. */
  execute(job: TaskJob, port = new RecordingPort()): Execution {
    let outcome: Promise<TaskOutcome>;
    try {
      outcome = Promise.resolve(this.executor.execute(job, port));
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

  /** Runs an attempt to its end, with what its port heard and knew. */
  async runOn(port: RecordingPort, task: string, params: unknown = {}): Promise<TaskOutcome> {
    return within(PATIENCE_MS, this.execute(this.job(task, params), port).outcome, `"${task}" to end`);
  }

  /** What a task returned, decoded. */
  async returned(task: string, params: unknown = {}, details: Partial<TaskJob> = {}): Promise<unknown> {
    return outputOf(await this.run(task, params, details));
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

/** What a succeeded attempt put out, decoded. */
export function outputOf(outcome: TaskOutcome): unknown {
  assert.equal(outcome.kind, "succeeded", JSON.stringify(outcome));
  return decode((outcome as TaskOutcome & { kind: "succeeded" }).output);
}

export function asFailed(outcome: TaskOutcome): FailedOutcome {
  assert.equal(outcome.kind, "failed", JSON.stringify(outcome));
  return outcome as FailedOutcome;
}

/** A job as engines make it: what it takes to put together is there when it is read, and not before. */
class SuiteJob implements TaskJob {
  readonly runId: string;
  readonly pipeline: string;
  readonly definition: string;
  readonly task: string;
  readonly position: number;
  readonly index: readonly number[];
  readonly generation: number;
  readonly attempt: number;
  readonly params: Encoded;
  readonly run: RunFacts;
  readonly graceMs: number;
  readonly #input: TaskJob["input"];
  readonly #items: TaskJob["items"];

  constructor(job: TaskJob) {
    this.runId = job.runId;
    this.pipeline = job.pipeline;
    this.definition = job.definition;
    this.task = job.task;
    this.position = job.position;
    this.index = job.index;
    this.generation = job.generation;
    this.attempt = job.attempt;
    this.params = job.params;
    this.run = job.run;
    this.graceMs = job.graceMs;
    this.#input = job.input;
    this.#items = job.items;
  }

  get input(): TaskJob["input"] {
    return this.#input;
  }

  get items(): TaskJob["items"] {
    return this.#items;
  }
}

/** The engine's side of an attempt: remembers what it is told, and tells to stop. */
export class RecordingPort implements TaskPort {
  readonly calls: unknown[][] = [];
  /** How much it had heard each time it was told that the code starts. */
  readonly starts: number[] = [];
  /** What earlier attempts have done, by step. */
  readonly stepsBefore = new Map<string, Encoded>();
  /** What it takes until a step is found. */
  onFindStep: (step: string) => Promise<void> = async () => {};
  /** What it takes until a step is durable. */
  onKeepStep: (step: string) => Promise<void> = async () => {};
  /** What the cache answers. */
  onFindCached: (key: string) => ReturnType<TaskPort["findCached"]> = async () => undefined;
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

  started(): void {
    this.starts.push(this.calls.length);
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

  async findStep(step: string): Promise<Encoded | undefined> {
    await this.onFindStep(step);
    return this.stepsBefore.get(step);
  }

  async keepStep(step: string, output: Encoded, startedAt: number): Promise<void> {
    this.calls.push(["step", step, output, startedAt]);
    await this.onKeepStep(step);
  }

  async findCached(key: string): ReturnType<TaskPort["findCached"]> {
    this.calls.push(["cache", key]);
    return this.onFindCached(key);
  }

  /** The calls of one kind, without their kind. */
  heard(kind: string): readonly (readonly unknown[])[] {
    return this.calls.filter((call) => call[0] === kind).map((call) => call.slice(1));
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
