import type { EpochMs } from "../clock.js";
import type { ArtifactData, TaskOutcome } from "../contracts/executor.js";
import type { AttemptStatus, LogLevel } from "../contracts/records.js";
import type { TaskDefinition } from "../define/definition.js";
import type { WeftlineError } from "../errors.js";
import { nextAttemptAt } from "../run/retry.js";
import { isFinal, READY } from "../run/state.js";
import * as transition from "../run/transition.js";
import { decode } from "../values/codec.js";
import { type ErrorRecord, toErrorRecord } from "../values/error-record.js";
import * as abortReasons from "./abort-reasons.js";
import { type AttemptSink, LiveAttempt } from "./attempt.js";
import type { Refusals } from "./reload.js";
import type { RunParts } from "./run-parts.js";
import { taskJob } from "./task-job.js";
import { indexOf } from "./task-records.js";

/** What the attempts of a run ask of it. */
export interface AttemptsHost {
  /** Instances are ready although nothing was flushed: the delay before their next attempt is over. */
  startNow(instances: readonly number[]): void;
  /** A task failed for good and was not allowed to. */
  failedForGood(task: TaskDefinition): void;
  /** A transition was made: its effects are to be looked at. */
  afterTransition(): void;
}

interface EndedAttempt {
  readonly attempt: LiveAttempt;
  readonly outcome: TaskOutcome;
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
  readonly #host: AttemptsHost;
  readonly #live = new Map<number, LiveAttempt>();
  /** Ended attempts whose outcome is not durable yet, in order: what has to be applied again when a flush is refused. */
  readonly #unconfirmed: EndedAttempt[] = [];
  #isClosed = false;

  constructor(run: RunParts, host: AttemptsHost) {
    this.#run = run;
    this.#host = host;
  }

  /** How many ended attempts wait for a flush to confirm them. */
  get unconfirmed(): number {
    return this.#unconfirmed.length;
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
    const task = this.#taskOf(instance);
    const number = transition.start(state, instance);
    const attempt = new LiveAttempt(this, instance, task.position, indexOf(state, instance), number, now);
    this.#live.set(instance, attempt);
    recorder.started(attempt, task);
    core.journal.markLater(this.#run.journaled);
    this.#armTimeouts(attempt, task, now);
    let execution: Promise<TaskOutcome>;
    try {
      const job = taskJob(this.#run, attempt, task, core.graceMs);
      execution = entry.executors[task.position]!.execute(job, attempt);
    } catch (fault) {
      execution = Promise.reject(fault);
    }
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
  takeOver(former: RunAttempts, refusals: Refusals, expand: (task: number) => void): void {
    const ended = former.#unconfirmed.map(({ attempt, outcome }) => ({
      attempt,
      outcome: refusals.outcome(attempt, outcome),
    }));
    for (const { attempt } of ended) this.#adopt(attempt, expand);
    for (const attempt of former.#live.values()) this.#adopt(attempt, expand);
    for (const { attempt, outcome } of ended) {
      const isLatest = this.#run.state.attempts[attempt.instance] === attempt.number;
      if (isLatest) this.ended(attempt, outcome);
      else this.#retriedAlready(attempt, outcome);
    }
  }

  /** The attempt failed, and the next one began before that was durable: only history has to hear of it. */
  #retriedAlready(attempt: LiveAttempt, outcome: TaskOutcome): void {
    const { state, recorder } = this.#run;
    const { instance, startedAt, abortReason } = attempt;
    this.#unconfirmed.push({ attempt, outcome });
    state.firstStartAt.set(instance, Math.min(startedAt, state.firstStartAt.get(instance) ?? startedAt));
    const error = outcome.kind === "failed" && abortReason === undefined ? outcome.error : toErrorRecord(abortReason);
    recorder.attempt(attempt, outcome.kind === "abandoned" ? "abandoned" : "failed", error);
  }

  #adopt(attempt: LiveAttempt, expand: (task: number) => void): void {
    const { state } = this.#run;
    if (attempt.index.length > 0 && !state.expansions.has(attempt.position)) expand(attempt.position);
    const instance = state.instanceAt(attempt.position, attempt.index);
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
    this.#unconfirmed.push({ attempt, outcome });
    if (this.#isClosed) return;
    this.#live.delete(attempt.instance);
    const reason = attempt.abortReason;
    if (reason !== undefined) this.#endedByAbort(attempt, reason, outcome);
    else if (outcome.kind === "succeeded") this.#succeeded(attempt, outcome.output);
    else if (outcome.kind === "skipped") this.#skipped(attempt, outcome.reason);
    else if (outcome.kind === "failed") this.#failed(attempt, { ...outcome, abandoned: false });
    else this.#failed(attempt, { ...executorFault("abandoned without having been told to stop"), abandoned: true });
    this.#host.afterTransition();
  }

  late(attempt: LiveAttempt, status: AttemptStatus): void {
    this.#run.recorder.late(attempt, status);
  }

  outlived(attempt: LiveAttempt): void {
    this.#run.recorder.outlived(attempt);
  }

  #succeeded(attempt: LiveAttempt, output: string): void {
    const { state, effects, outputs, recorder } = this.#run;
    const { instance } = attempt;
    const isBranch = this.#taskOf(instance).kind === "branch";
    outputs.set(instance, output);
    transition.succeed(state, instance, effects, isBranch ? String(decode(output)) : undefined);
    this.#run.timers.clear(instance);
    recorder.attempt(attempt, "succeeded", undefined);
    recorder.finished(attempt, { output });
  }

  #skipped(attempt: LiveAttempt, reason: string): void {
    const { state, effects, recorder, timers } = this.#run;
    transition.skip(state, attempt.instance, effects);
    timers.clear(attempt.instance);
    recorder.attempt(attempt, "skipped", undefined);
    recorder.finished(attempt, { reason });
  }

  #failed(attempt: LiveAttempt, failure: FailedAttempt): void {
    const { core, state, timers, recorder } = this.#run;
    const { instance } = attempt;
    const facts = { ...failure, attempts: state.countedAttempts(instance), deadlineAt: timers.deadlineOf(instance) };
    const retryAt = nextAttemptAt(this.#taskOf(instance).retry, facts, core.clock.now(), core.random());
    recorder.attempt(attempt, failure.abandoned ? "abandoned" : "failed", failure.error);
    if (retryAt === undefined) this.#failedForGood(attempt, failure.error);
    else this.#retryLater(attempt, retryAt, failure.error);
  }

  #retryLater(attempt: LiveAttempt, retryAt: EpochMs, error: ErrorRecord): void {
    const { state, recorder } = this.#run;
    const { instance } = attempt;
    const startedAt = state.firstStartAt.get(instance) ?? attempt.startedAt;
    state.firstStartAt.set(instance, startedAt);
    transition.retryLater(state, instance, retryAt);
    recorder.retrying(instance, { startedAt, error }, retryAt);
    this.#armRetry(instance, retryAt);
  }

  #failedForGood(attempt: LiveAttempt, error: ErrorRecord): void {
    const { state, effects, recorder, timers } = this.#run;
    transition.fail(state, attempt.instance, effects);
    timers.clear(attempt.instance);
    recorder.finished(attempt, { error });
    this.#reportFailure(attempt.instance);
  }

  #reportFailure(instance: number): void {
    const task = this.#taskOf(instance);
    if (!task.allowFailure) this.#host.failedForGood(task);
  }

  #endedByAbort(attempt: LiveAttempt, reason: WeftlineError, outcome: TaskOutcome): void {
    const { state, effects, recorder, timers } = this.#run;
    const { instance } = attempt;
    const abandoned = outcome.kind === "abandoned";
    if (outcome.kind === "succeeded") this.late(attempt, "succeeded");
    if (reason.code === "TASK_TIMEOUT") return this.#timedOut(attempt, reason, abandoned);
    recorder.attempt(attempt, abandoned ? "abandoned" : "cancelled", toErrorRecord(reason));
    if (reason.code === "ENGINE_STOPPED") {
      transition.interrupt(state, instance);
      return recorder.task(instance, { startedAt: state.firstStartAt.get(instance) ?? attempt.startedAt });
    }
    transition.cancelled(state, instance, effects);
    timers.clear(instance);
    recorder.finished(attempt, { reason: reason.message });
  }

  #timedOut(attempt: LiveAttempt, reason: WeftlineError, abandoned: boolean): void {
    const error = toErrorRecord(reason);
    const { whileAbandoned } = this.#taskOf(attempt.instance).retry;
    const message = abandoned ? abortReasons.stillRunning(reason, whileAbandoned) : reason.message;
    this.#failed(attempt, { error: { ...error, message }, retryable: true, retryAfterMs: undefined, abandoned });
  }

  // ---- Timers

  /** After a takeover or a resume: what waited for its next attempt waits on, and deadlines stay what they were. */
  restoreTimers(): void {
    const { state } = this.#run;
    for (const [instance, at] of state.retryAt) this.#armRetry(instance, at);
    for (const [instance, at] of state.firstStartAt)
      if (!state.expansions.has(instance)) this.#armDeadline(instance, at);
  }

  #armTimeouts(attempt: LiveAttempt, task: TaskDefinition, now: EpochMs): void {
    const { core, state, timers } = this.#run;
    const { attemptMs, totalMs } = task.timeouts;
    if (attemptMs !== undefined) {
      attempt.clearTimer = core.clock.timer(now + attemptMs, () => attempt.abort(abortReasons.attemptTimeout(task)));
    }
    if (totalMs !== undefined && timers.deadlineOf(attempt.instance) === undefined) {
      this.#armDeadline(attempt.instance, state.firstStartAt.get(attempt.instance) ?? now);
    }
  }

  #armRetry(instance: number, at: EpochMs): void {
    this.#run.timers.armRetry(instance, at, () => {
      if (transition.retryNow(this.#run.state, instance)) this.#host.startNow([instance]);
    });
  }

  /** @param startedAt - When the task's first attempt began: the deadline is absolute, whoever owns the run by then. */
  #armDeadline(instance: number, startedAt: EpochMs): void {
    const { totalMs } = this.#taskOf(instance).timeouts;
    if (totalMs === undefined) return;
    this.#run.timers.armDeadline(instance, startedAt + totalMs, () => this.#deadlineReached(instance));
  }

  /** The task's time over all attempts is up: what runs is aborted, what waits for its next attempt fails now. */
  #deadlineReached(instance: number): void {
    const { state, effects, recorder, timers } = this.#run;
    const reason = abortReasons.taskTimeout(this.#taskOf(instance));
    const attempt = this.#live.get(instance);
    if (attempt) return attempt.abort(reason);
    if (isFinal(state.status[instance]!)) return;
    transition.fail(state, instance, effects);
    timers.clear(instance);
    recorder.settled(instance, { error: toErrorRecord(reason) });
    this.#reportFailure(instance);
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

  progress(attempt: LiveAttempt, fraction: number, message: string | undefined): void {
    this.#run.recorder.progress(attempt, fraction, message);
  }

  #markLater(): void {
    if (!this.#isClosed) this.#run.core.journal.markLater(this.#run.journaled);
  }

  #taskOf(instance: number): TaskDefinition {
    const { state } = this.#run;
    return state.plan.tasks[state.taskOf(instance)]!;
  }
}

/** An executor that breaks its contract costs the attempt, not the engine. */
function executorFault(cause: unknown): TaskOutcome & { readonly kind: "failed" } {
  return { kind: "failed", error: toErrorRecord(cause), retryable: true, retryAfterMs: undefined };
}
