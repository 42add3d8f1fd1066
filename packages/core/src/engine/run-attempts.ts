import type { EpochMs } from "../clock.js";
import type { ArtifactData, TaskOutcome } from "../contracts/executor.js";
import type { AttemptStatus, LogLevel } from "../contracts/records.js";
import type { TaskDefinition, TaskKind } from "../define/definition.js";
import type { WeftlineError } from "../errors.js";
import { nextAttemptAt } from "../run/retry.js";
import { isFinal, READY } from "../run/state.js";
import * as transition from "../run/transition.js";
import { decode, type Encoded } from "../values/codec.js";
import { type ErrorRecord, toErrorRecord } from "../values/error-record.js";
import * as abortReasons from "./abort-reasons.js";
import { type AttemptSink, type CachedOutput, LiveAttempt } from "./attempt.js";
import type { Refusals } from "./reload.js";
import type { RunHost, RunParts } from "./run-parts.js";
import type { RunWaits } from "./run-waits.js";
import { AttemptJob } from "./task-job.js";

type Succeeded = Extract<TaskOutcome, { readonly kind: "succeeded" }>;

interface EndedAttempt {
  readonly attempt: LiveAttempt;
  readonly outcome: TaskOutcome;
  readonly at: EpochMs;
}

interface FailedAttempt {
  readonly error: ErrorRecord;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly abandoned: boolean;
}

/** The attempts of one run: starts them, hears how they end, and decides with the retry policy what that means. */
export class RunAttempts implements AttemptSink {
  readonly #run: RunParts;
  readonly #host: RunHost;
  readonly #waits: RunWaits;
  readonly #live = new Map<number, LiveAttempt>();
  /** Ended attempts whose outcome is not durable yet, in order: what has to be applied again when a flush is refused. */
  readonly #unconfirmed: EndedAttempt[] = [];
  /** Attempts that were given up although their code still runs. */
  readonly #abandoned = new Set<LiveAttempt>();
  #isClosed = false;

  constructor(run: RunParts, host: RunHost, waits: RunWaits) {
    this.#run = run;
    this.#host = host;
    this.#waits = waits;
  }

  /** How many attempts run. */
  get live(): number {
    return this.#live.size;
  }

  /** How many ended attempts wait for a flush to confirm them. */
  get unconfirmed(): number {
    return this.#unconfirmed.length;
  }

  /** Whether code of a task inside a group still runs although its attempt was given up. */
  hasAbandoned(group: number): boolean {
    const { state } = this.#run;
    for (const { instance } of this.#abandoned) {
      for (let at = instance; at >= 0; at = state.parentOf(at)) if (at === group) return true;
    }
    return false;
  }

  /** @param count - How many of the ended attempts are durable now. */
  confirm(count: number): void {
    this.#unconfirmed.splice(0, count);
  }

  /** @returns False when the instance is not ready any more; nothing started then. */
  start(instance: number, release: () => void): boolean {
    const { core, state, recorder, entry } = this.#run;
    if (this.#isClosed || state.status[instance] !== READY) return false;
    const now = core.clock.now();
    const position = state.positionOf(instance);
    const task = state.plan.tasks[position]!;
    const number = transition.start(state, instance);
    const generation = state.generationOf(instance);
    const attempt = new LiveAttempt(this, instance, position, state.indexOf(instance), generation, number, now);
    recorder.started(attempt, task);
    this.#armTotal(attempt, task, now);
    let execution: TaskOutcome | Promise<TaskOutcome>;
    try {
      execution = entry.executorOf(position).execute(new AttemptJob(this.#run, attempt, task), attempt);
    } catch (fault) {
      execution = executorFault(fault);
    }
    if (!(execution instanceof Promise)) {
      this.#settle(attempt, execution, release);
      return true;
    }
    this.#live.set(instance, attempt);
    recorder.watch(attempt);
    core.journal.markLater(this.#run.journaled);
    execution.then(
      (outcome) => this.#settle(attempt, outcome, release),
      (fault: unknown) => this.#settle(attempt, executorFault(fault), release),
    );
    return true;
  }

  /** Tells running attempts to stop. @param instances - Default: all of them. */
  abort(reason: WeftlineError, instances: Iterable<number> = [...this.#live.keys()]): void {
    for (const instance of instances) this.#live.get(instance)?.abort(reason);
  }

  /** From here on nothing that attempts do changes anything. */
  close(): void {
    this.#isClosed = true;
  }

  /**
   * Goes on in place of `former`, whose flush was refused: takes over its running attempts and applies the ends of
   * those that had ended, this time without the values that the store refuses.
   *
   * @param expand - Makes sure that a map whose items had started is expanded here too.
   */
  takeOver(
    former: RunAttempts,
    refusals: Refusals,
    expand: (position: number, index: readonly number[]) => void,
  ): void {
    const ended = former.#endsThatCount().map(({ attempt, outcome, at }) => ({
      attempt,
      outcome: refusals.outcome(attempt, outcome),
      at,
    }));
    for (const { attempt } of ended) this.#adopt(attempt, expand);
    for (const attempt of former.#live.values()) this.#adopt(attempt, expand);
    for (const { attempt, outcome, at } of ended) {
      const isLatest = this.#run.state.attempts[attempt.instance] === attempt.number;
      if (isLatest) this.ended(attempt, outcome);
      else this.#retriedAlready(attempt, outcome, at);
    }
  }

  /** Without the looks of polls that found nothing and were followed by another: all of them are one attempt. */
  #endsThatCount(): readonly EndedAttempt[] {
    const goOn = new Set(this.#live.keys());
    const counting = this.#unconfirmed.toReversed().filter(({ attempt: { instance }, outcome }) => {
      const isFollowed = goOn.has(instance);
      goOn.add(instance);
      return outcome.kind !== "not-yet" || !isFollowed;
    });
    return counting.reverse();
  }

  /** The attempt failed, and the next one began before that was durable: only history has to hear of it. */
  #retriedAlready(attempt: LiveAttempt, outcome: TaskOutcome, at: EpochMs): void {
    const { state, recorder } = this.#run;
    const { instance, startedAt, abortReason } = attempt;
    this.#unconfirmed.push({ attempt, outcome, at });
    state.firstStartAt.set(instance, Math.min(startedAt, state.firstStartAt.get(instance) ?? startedAt));
    const error = outcome.kind === "failed" && abortReason === undefined ? outcome.error : toErrorRecord(abortReason);
    recorder.attempt(attempt, outcome.kind === "abandoned" ? "abandoned" : "failed", error, at);
  }

  #adopt(attempt: LiveAttempt, expand: (position: number, index: readonly number[]) => void): void {
    const { state } = this.#run;
    // Lists are expanded from the outside in; those around a task that runs had all been.
    expand(attempt.position, attempt.index);
    const instance = state.instanceAt(attempt.position, attempt.index);
    if (instance === undefined) return;
    transition.adopt(state, instance, attempt.number);
    attempt.instance = instance;
    attempt.sink = this;
    this.#live.set(instance, attempt);
  }

  // ---- How attempts end

  #settle(attempt: LiveAttempt, outcome: TaskOutcome, release: () => void): void {
    // Through the attempt's sink, since its run may have been taken up anew while it went on.
    attempt.sink.ended(attempt, outcome);
    if (outcome.kind !== "abandoned") return release();
    const recover = this.#run.core.dispatcher.abandon();
    void outcome.ended.then(() => {
      attempt.sink.late(attempt, "abandoned");
      recover();
      release();
    });
  }

  ended(attempt: LiveAttempt, outcome: TaskOutcome): void {
    attempt.end();
    this.#unconfirmed.push({ attempt, outcome, at: this.#run.core.clock.now() });
    if (this.#isClosed) return;
    this.#live.delete(attempt.instance);
    if (outcome.kind === "abandoned") this.#abandoned.add(attempt);
    const reason = attempt.abortReason;
    if (reason !== undefined) this.#endedByAbort(attempt, reason, outcome);
    else if (outcome.kind === "succeeded") this.#succeeded(attempt, outcome);
    else if (outcome.kind === "not-yet") this.#notYet(attempt);
    else if (outcome.kind === "skipped") this.#skipped(attempt, outcome.reason);
    else if (outcome.kind === "failed") this.#failed(attempt, { ...outcome, abandoned: false });
    else this.#failed(attempt, { ...executorFault("abandoned without having been told to stop"), abandoned: true });
    this.#host.afterTransition();
  }

  late(attempt: LiveAttempt, status: AttemptStatus): void {
    this.#abandoned.delete(attempt);
    this.#run.recorder.late(attempt, status);
  }

  outlived(attempt: LiveAttempt): void {
    this.#run.recorder.outlived(attempt);
  }

  #succeeded(attempt: LiveAttempt, outcome: Succeeded): void {
    const { core, state, recorder } = this.#run;
    const { kind, policy } = state.plan.tasks[attempt.position]!;
    const now = core.clock.now();
    if (kind === "sleep" || kind === "run") return this.#beginsToWait(attempt, kind, outcome.output);
    recorder.attempt(attempt, "succeeded", undefined, now);
    if (policy.cache !== undefined) this.#cache(attempt, policy.cache.ttlMs, outcome);
    if (policy.produces.length > 0) recorder.produced(attempt, policy.produces);
    this.#finished(attempt, kind, outcome, now);
  }

  #finished(attempt: LiveAttempt, kind: TaskKind, outcome: Succeeded, now: EpochMs): void {
    const { output } = outcome;
    const { state, effects, outputs, steps, recorder, timers } = this.#run;
    const { instance } = attempt;
    outputs.set(instance, output);
    transition.succeed(state, instance, effects, kind === "branch" ? String(decode(output)) : undefined);
    timers.clear(instance);
    steps.forget(instance);
    recorder.finished(attempt, outcome, now);
  }

  /** The attempt said how long to wait, or with which params another run is to be started. */
  #beginsToWait(attempt: LiveAttempt, kind: "sleep" | "run", output: Encoded): void {
    const { state, recorder } = this.#run;
    state.firstStartAt.set(attempt.instance, state.firstStartAt.get(attempt.instance) ?? attempt.startedAt);
    try {
      if (kind === "sleep") this.#waits.sleep(attempt.instance, output);
      else this.#waits.startRun(attempt.instance, output);
      recorder.attempt(attempt, "succeeded", undefined, this.#run.core.clock.now());
    } catch (thrown) {
      const error = toErrorRecord(thrown);
      this.#failed(attempt, { error, retryable: false, retryAfterMs: undefined, abandoned: false });
    }
  }

  /** A poll's probe found nothing: the attempt goes on with the next look. */
  #notYet(attempt: LiveAttempt): void {
    const { state } = this.#run;
    state.firstStartAt.set(attempt.instance, state.firstStartAt.get(attempt.instance) ?? attempt.startedAt);
    transition.forgetAttempt(state, attempt.instance);
    this.#waits.lookAgain(attempt.instance);
  }

  #cache(attempt: LiveAttempt, ttlMs: number, { cacheKey, output }: Succeeded): void {
    if (cacheKey === undefined) return;
    this.#run.recorder.cached(this.#cacheKey(attempt, cacheKey), output, this.#run.core.clock.now() + ttlMs);
  }

  #cacheKey({ position }: LiveAttempt, key: string): string {
    const { record, state } = this.#run;
    return `${record.pipeline}/${state.plan.tasks[position]!.id}/${key}`;
  }

  #skipped(attempt: LiveAttempt, reason: string): void {
    const { core, state, effects, recorder, timers } = this.#run;
    transition.skip(state, attempt.instance, effects);
    timers.clear(attempt.instance);
    const now = core.clock.now();
    recorder.attempt(attempt, "skipped", undefined, now);
    recorder.finished(attempt, { reason }, now);
  }

  #failed(attempt: LiveAttempt, failure: FailedAttempt): void {
    const { core, state, timers, recorder } = this.#run;
    const { instance } = attempt;
    const facts = { ...failure, attempts: state.countedAttempts(instance), deadlineAt: timers.deadlineOf(instance) };
    const now = core.clock.now(); // once, so that the pause before the next attempt is what the records say
    const retryAt = nextAttemptAt(this.#taskOf(instance).retry, facts, now, core.random());
    recorder.attempt(attempt, failure.abandoned ? "abandoned" : "failed", failure.error, now);
    if (retryAt === undefined) this.#failedForGood(instance, failure.error, { attempt, now });
    else this.#retryLater(attempt, retryAt, failure.error);
  }

  #retryLater(attempt: LiveAttempt, retryAt: EpochMs, error: ErrorRecord): void {
    const { state, recorder } = this.#run;
    const { instance } = attempt;
    const startedAt = state.firstStartAt.get(instance) ?? attempt.startedAt;
    state.firstStartAt.set(instance, startedAt);
    transition.retryLater(state, instance, retryAt);
    recorder.retrying(instance, startedAt, error, retryAt);
    this.#armRetry(instance, retryAt);
  }

  /** @param end - Of the attempt that failed, where one did. */
  #failedForGood(
    instance: number,
    error: ErrorRecord,
    end?: { readonly attempt: LiveAttempt; readonly now: EpochMs },
  ): void {
    const { state, effects, recorder, timers } = this.#run;
    transition.fail(state, instance, effects);
    timers.clear(instance);
    if (end) recorder.finished(end.attempt, { error }, end.now);
    else recorder.settled(instance, { error });
    this.#reportFailure(instance);
  }

  #reportFailure(instance: number): void {
    if (!this.#taskOf(instance).policy.allowFailure) this.#host.failedForGood(instance);
  }

  /** A wait failed: the run that was started, or a signal that did not come. Retried as an attempt is. */
  waitFailed(instance: number, error: ErrorRecord, retryable: boolean): void {
    const { core, state, recorder, timers } = this.#run;
    const deadlineAt = timers.deadlineOf(instance);
    const attempts = Math.max(1, state.countedAttempts(instance));
    const failure = { attempts, retryable, abandoned: false, retryAfterMs: undefined, deadlineAt };
    const retryAt = nextAttemptAt(this.#taskOf(instance).retry, failure, core.clock.now(), core.random());
    if (retryAt === undefined) this.#failedForGood(instance, error);
    else {
      state.waits.delete(instance); // another attempt starts another run
      transition.retryLater(state, instance, retryAt);
      recorder.retrying(instance, state.firstStartAt.get(instance), error, retryAt);
      this.#armRetry(instance, retryAt);
    }
    this.#host.afterTransition();
  }

  #endedByAbort(attempt: LiveAttempt, reason: WeftlineError, outcome: TaskOutcome): void {
    const { core, state, effects, recorder, timers } = this.#run;
    const { instance } = attempt;
    const abandoned = outcome.kind === "abandoned";
    if (outcome.kind === "succeeded") this.late(attempt, "succeeded");
    const error = abortReasons.withForce(toErrorRecord(reason), outcome);
    if (reason.code === "TASK_TIMEOUT") return this.#timedOut(attempt, error, abandoned);
    recorder.attempt(attempt, abandoned ? "abandoned" : "cancelled", error);
    if (reason.code === "ENGINE_STOPPED") {
      transition.interrupt(state, instance);
      return recorder.task(instance, state.firstStartAt.get(instance) ?? attempt.startedAt);
    }
    transition.cancelled(state, instance, effects);
    timers.clear(instance);
    recorder.finished(attempt, { reason: reason.message }, core.clock.now());
  }

  #timedOut(attempt: LiveAttempt, error: ErrorRecord, abandoned: boolean): void {
    const { whileAbandoned } = this.#taskOf(attempt.instance).retry;
    const message = abandoned ? abortReasons.stillRunning(error, whileAbandoned) : error.message;
    this.#failed(attempt, { error: { ...error, message }, retryable: true, retryAfterMs: undefined, abandoned });
  }

  // ---- Timers

  /** After a takeover or a resume: what waited for its next attempt waits on, and deadlines stay what they were. */
  restoreTimers(): void {
    const { state } = this.#run;
    for (const [instance, at] of state.retryAt) if (!this.#isGroup(instance)) this.#armRetry(instance, at);
    for (const [instance, at] of state.firstStartAt) {
      if (!state.expansions.has(instance) && !this.#isGroup(instance)) this.armDeadline(instance, at);
    }
  }

  #isGroup(instance: number): boolean {
    return this.#taskOf(instance).kind === "group";
  }

  started(attempt: LiveAttempt): void {
    const { clock } = this.#run.core;
    const task = this.#run.state.plan.tasks[attempt.position]!;
    const { attemptMs } = task.timeouts;
    if (attemptMs === undefined) return;
    attempt.clearTimer = clock.timer(clock.now() + attemptMs, () => attempt.abort(abortReasons.attemptTimeout(task)));
  }

  #armTotal(attempt: LiveAttempt, task: TaskDefinition, now: EpochMs): void {
    const { state, timers } = this.#run;
    const { totalMs } = task.timeouts;
    if (totalMs !== undefined && timers.deadlineOf(attempt.instance) === undefined) {
      this.armDeadline(attempt.instance, state.firstStartAt.get(attempt.instance) ?? now);
    }
  }

  #armRetry(instance: number, at: EpochMs): void {
    this.#run.timers.armWake(instance, at, () => {
      if (transition.retryNow(this.#run.state, instance)) this.#host.startNow([instance]);
    });
  }

  /** @param startedAt - When the task's first attempt began: the deadline is absolute, whoever owns the run by then. */
  armDeadline(instance: number, startedAt: EpochMs): void {
    const { kind, timeouts } = this.#taskOf(instance);
    const { totalMs } = timeouts;
    // A sleep cannot say otherwise than the defaults of its pipeline do, and those are not meant to end it.
    if (totalMs === undefined || kind === "sleep") return;
    this.#run.timers.armDeadline(instance, startedAt + totalMs, () => this.#deadlineReached(instance));
  }

  /** The task's time over all attempts is up: what runs is aborted, what waits for its next attempt fails now. */
  #deadlineReached(instance: number): void {
    const { state } = this.#run;
    const reason = abortReasons.taskTimeout(this.#taskOf(instance));
    const attempt = this.#live.get(instance);
    if (attempt) return attempt.abort(reason);
    if (isFinal(state.status[instance]!)) return;
    this.#waits.ended(instance, reason.message);
    this.#failedForGood(instance, toErrorRecord(reason));
    this.#host.afterTransition();
  }

  // ---- What attempts say

  log(attempt: LiveAttempt, level: LogLevel, message: string, data: unknown): void {
    this.#run.recorder.log(attempt, level, message, data);
    this.#markLater();
  }

  metric(attempt: LiveAttempt, name: string, value: number): void {
    this.#run.recorder.metric(attempt, name, value);
    this.#markLater();
  }

  artifact(attempt: LiveAttempt, artifact: ArtifactData): void {
    this.#run.recorder.artifact(attempt, artifact);
    this.#markLater();
  }

  findStep({ instance }: LiveAttempt, step: string): Encoded | undefined {
    return this.#run.steps.find(instance, step);
  }

  keepStep(attempt: LiveAttempt, step: string, output: Encoded, startedAt: EpochMs): Promise<void> {
    this.#run.steps.keep(attempt.instance, step, output);
    this.#run.recorder.step(attempt, step, output, startedAt);
    return this.#host.durable(attempt.instance);
  }

  async findCached(attempt: LiveAttempt, key: string): Promise<CachedOutput | undefined> {
    const { core } = this.#run;
    try {
      return await core.storage.getCached(this.#cacheKey(attempt, key), core.clock.now());
    } finally {
      // However long that took: the task's function does not begin unless the run is surely ours.
      await core.dispatcher.whenMayStart();
    }
  }

  progress(attempt: LiveAttempt, fraction: number, message: string | undefined): void {
    this.#run.recorder.progress(attempt, fraction, message);
  }

  #markLater(): void {
    if (!this.#isClosed) this.#run.core.journal.markLater(this.#run.journaled);
  }

  #taskOf(instance: number): TaskDefinition {
    const { state } = this.#run;
    return state.plan.tasks[state.positionOf(instance)]!;
  }
}

/** An executor that breaks its contract costs the attempt, not the engine. */
function executorFault(cause: unknown): TaskOutcome & { readonly kind: "failed" } {
  return { kind: "failed", error: toErrorRecord(cause), retryable: true, retryAfterMs: undefined };
}
