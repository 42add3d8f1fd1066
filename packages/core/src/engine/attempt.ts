import type { EpochMs } from "../clock.js";
import type { ArtifactData, TaskOutcome, TaskPort } from "../contracts/executor.js";
import type { AttemptStatus, CacheEntry, LogLevel } from "../contracts/records.js";
import { WeftlineError } from "../errors.js";
import type { Encoded } from "../values/codec.js";

/** Who hears what an attempt says and how it ends. */
export interface AttemptSink {
  /** Its code begins to run. */
  started(attempt: LiveAttempt): void;
  ended(attempt: LiveAttempt, outcome: TaskOutcome): void;
  /** Its code ended after the attempt was over, or with a result nobody waits for. */
  late(attempt: LiveAttempt, status: AttemptStatus): void;
  /** Its code used the context after the attempt was over. */
  outlived(attempt: LiveAttempt): void;
  log(attempt: LiveAttempt, level: LogLevel, message: string, data: unknown): void;
  metric(attempt: LiveAttempt, name: string, value: number): void;
  progress(attempt: LiveAttempt, fraction: number, message: string | undefined): void;
  artifact(attempt: LiveAttempt, artifact: ArtifactData): void;
  findStep(attempt: LiveAttempt, step: string): Encoded | undefined;
  keepStep(attempt: LiveAttempt, step: string, output: Encoded, startedAt: EpochMs): Promise<void>;
  findCached(attempt: LiveAttempt, key: string): Promise<CachedOutput | undefined>;
}

/** An output in the cache, and the run it came from. */
export type CachedOutput = Pick<CacheEntry, "output" | "runId">;

/** An attempt between its start and its end: the engine's side of the executor's port, and its one abort switch. */
export class LiveAttempt implements TaskPort {
  sink: AttemptSink;
  /** Where its task or item stands in the state of the run that owns it now. */
  instance: number;
  readonly position: number;
  readonly index: readonly number[];
  readonly generation: number;
  readonly number: number;
  readonly startedAt: EpochMs;
  /** Lines logged so far, those dropped included. */
  logLines = 0;
  /** Takes back the timer of this attempt's timeout. */
  clearTimer: (() => void) | undefined = undefined;
  #reason: WeftlineError | undefined = undefined;
  #controller: AbortController | undefined = undefined;
  #onAbort: (() => void) | undefined = undefined;
  #hasStarted = false;
  #hasEnded = false;
  #hasOutlived = false;

  constructor(
    sink: AttemptSink,
    instance: number,
    position: number,
    index: readonly number[],
    generation: number,
    number: number,
    startedAt: EpochMs,
  ) {
    this.sink = sink;
    this.instance = instance;
    this.position = position;
    this.index = index;
    this.generation = generation;
    this.number = number;
    this.startedAt = startedAt;
  }

  /** Why it was told to stop, if it was. The first reason stays. */
  get abortReason(): WeftlineError | undefined {
    return this.#reason;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  whenAborted(fire: () => void): void {
    if (this.#reason) fire();
    else this.#onAbort = fire;
  }

  abort(reason: WeftlineError): void {
    if (this.#hasEnded || this.#reason) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.#onAbort?.();
  }

  /** From here on the attempt has nothing to say. */
  end(): void {
    this.#hasEnded = true;
    this.#onAbort = undefined;
    this.clearTimer?.();
  }

  started(): void {
    if (this.#hasStarted || this.#hasEnded) return;
    this.#hasStarted = true;
    this.sink.started(this);
  }

  log(level: LogLevel, message: string, data: unknown): void {
    if (this.#isOpen()) this.sink.log(this, level, message, data);
  }

  metric(name: string, value: number): void {
    if (this.#isOpen()) this.sink.metric(this, name, value);
  }

  progress(fraction: number, message: string | undefined): void {
    if (this.#isOpen()) this.sink.progress(this, fraction, message);
  }

  artifact(artifact: ArtifactData): void {
    if (this.#isOpen()) this.sink.artifact(this, artifact);
  }

  async findStep(step: string): Promise<Encoded | undefined> {
    this.#checkOpen(step);
    return this.sink.findStep(this, step);
  }

  async keepStep(step: string, output: Encoded, startedAt: EpochMs): Promise<void> {
    this.#checkOpen(step);
    await this.sink.keepStep(this, step, output, startedAt);
  }

  async findCached(key: string): Promise<CachedOutput | undefined> {
    return this.#isOpen() ? this.sink.findCached(this, key) : undefined;
  }

  #checkOpen(step: string): void {
    if (this.#isOpen()) return;
    throw new WeftlineError(
      "ATTEMPT_ENDED",
      `Cannot do step "${step}" as its attempt has ended. Stop when \`signal\` aborts.`,
    );
  }

  /** Code that speaks after its attempt's end most likely lost a promise; said once. */
  #isOpen(): boolean {
    if (this.#hasEnded && !this.#hasOutlived) {
      this.#hasOutlived = true;
      this.sink.outlived(this);
    }
    return !this.#hasEnded;
  }
}
