import type { EpochMs } from "../clock.js";
import type { TaskDefinition } from "../define/definition.js";
import type { WeftlineError } from "../errors.js";
import { forEachInside } from "../run/frames.js";
import { nextAttemptAt } from "../run/retry.js";
import { RETRYING } from "../run/state.js";
import * as transition from "../run/transition.js";
import { type ErrorRecord, toErrorRecord } from "../values/error-record.js";
import * as abortReasons from "./abort-reasons.js";
import type { RunHost, RunParts } from "./run-parts.js";

/** The groups of one run: enters them, retries and times them out as a whole. */
export class RunGroups {
  readonly #run: RunParts;
  readonly #host: RunHost;
  /** Groups whose tasks were stopped because their time was up, and which time. */
  readonly #timedOut = new Map<number, WeftlineError>();

  constructor(run: RunParts, host: RunHost) {
    this.#run = run;
    this.#host = host;
  }

  /** A group's tasks may start. */
  entered(group: number): void {
    const { core, state, recorder } = this.#run;
    const now = core.clock.now();
    if (!state.firstStartAt.has(group)) state.firstStartAt.set(group, now);
    recorder.entered(group);
    this.#armTimeout(group, now);
  }

  /** Lets further items of a mapped group begin, as its concurrency allows. */
  advance(owner: number): void {
    const { state, effects } = this.#run;
    const { concurrency = Number.POSITIVE_INFINITY } = this.#taskOf(owner).policy;
    transition.enterItems(state, owner, concurrency, effects);
  }

  /**
   * A task failed for good: the nearest group around it that can still be retried stops the rest of its tasks.
   *
   * @returns Whether there is such a group, or one that may fail.
   */
  stopSiblings(instance: number): boolean {
    const { state, effects } = this.#run;
    for (let group = state.parentOf(instance); group >= 0; group = state.parentOf(group)) {
      const { retry, policy } = this.#taskOf(group);
      if (!state.groups.has(group) || state.countedAttempts(group) >= retry.attempts) {
        if (policy.allowFailure) return true; // its failure means nothing to what is around it
        continue;
      }
      const failed = state.plan.tasks[state.positionOf(instance)]!.id;
      const reason = abortReasons.groupStopped(this.#taskOf(group).id, failed);
      this.#stopInside(group, reason);
      this.#host.abort(reason, effects.abort.splice(0));
      return true;
    }
    return false;
  }

  /** All tasks of a group have ended, and one of them badly. */
  failed(group: number): void {
    const { core, state, timers, recorder } = this.#run;
    const { retry } = this.#taskOf(group);
    const reason = this.#timedOut.get(group);
    this.#timedOut.delete(group);
    timers.clearDeadline(group);
    const abandoned = this.#host.hasAbandoned(group);
    const error = this.#errorOf(group, reason, abandoned);
    const failure = {
      attempts: state.countedAttempts(group),
      retryable: state.stopping === undefined && !this.#isOuterStopping(group),
      abandoned,
      retryAfterMs: undefined,
      deadlineAt: this.#totalDeadline(group),
    };
    const retryAt = nextAttemptAt(retry, failure, core.clock.now(), core.random());
    if (retryAt === undefined) return this.#failedForGood(group, error);
    state.groups.delete(group);
    transition.retryLater(state, group, retryAt);
    recorder.retrying(group, state.firstStartAt.get(group), error, retryAt);
    this.#armRetry(group, retryAt);
  }

  /** Whether some pass has a time, whose beginning only this memory knows. */
  get hasTimedPass(): boolean {
    const isTimed = (group: number) => this.#taskOf(group).timeouts.attemptMs !== undefined;
    return [...this.#run.state.groups.keys()].some(isTimed);
  }

  /** After a takeover or a resume. */
  restoreTimers(): void {
    const { state } = this.#run;
    for (const [instance, at] of state.retryAt) if (this.#isGroup(instance)) this.#armRetry(instance, at);
    // A pass that goes on gets its time again; the time over all passes stays what it was.
    for (const group of state.groups.keys()) this.#armTimeout(group, this.#run.core.clock.now());
  }

  #isGroup(instance: number): boolean {
    return this.#taskOf(instance).kind === "group";
  }

  #failedForGood(group: number, error: ErrorRecord): void {
    const { state, effects, recorder } = this.#run;
    transition.fail(state, group, effects);
    recorder.settled(group, { error });
    if (!this.#taskOf(group).policy.allowFailure) this.#host.failedForGood(group);
  }

  #isOuterStopping(group: number): boolean {
    const { state } = this.#run;
    for (let outer = state.parentOf(group); outer >= 0; outer = state.parentOf(outer)) {
      if (state.groups.get(outer)?.stopping) return true;
    }
    return false;
  }

  #errorOf(group: number, timedOut: WeftlineError | undefined, abandoned: boolean): ErrorRecord {
    const error = timedOut === undefined ? this.#failureOf(group) : toErrorRecord(timedOut);
    if (!abandoned) return error;
    return { ...error, message: abortReasons.stillRunning(error, this.#taskOf(group).retry.whileAbandoned) };
  }

  #failureOf(group: number): ErrorRecord {
    const { failed } = this.#run.state.groups.get(group)!;
    const what = failed === 1 ? "1 of its tasks" : `${failed} of its tasks`;
    // Without a stack: the engine's own tells nobody anything, and groups may fail by the ten thousand.
    const message = `TASK_FAILED: ${what} failed. See those tasks for why.`;
    return { name: "WeftlineError", code: "TASK_FAILED", message };
  }

  #armRetry(group: number, at: EpochMs): void {
    this.#run.timers.armWake(group, at, () => this.#again(group));
  }

  /** The tasks of the group run again, all together, as a new generation. */
  #again(group: number): void {
    const { state, effects, outputs, steps, recorder } = this.#run;
    if (state.status[group] !== RETRYING) return;
    transition.retryNow(state, group);
    const generation = this.#host.nextGeneration();
    transition.resetGroup(state, group, generation);
    forEachInside(state, group, (instance) => {
      outputs.forget(instance);
      steps.forget(instance);
      recorder.task(instance);
    });
    transition.enter(state, group, effects);
    this.#host.afterTransition();
  }

  #armTimeout(group: number, now: EpochMs): void {
    const { attemptMs } = this.#taskOf(group).timeouts;
    const pass = attemptMs === undefined ? undefined : now + attemptMs;
    const total = this.#totalDeadline(group);
    const at = pass === undefined ? total : Math.min(pass, total ?? pass);
    if (at === undefined) return;
    this.#run.timers.armDeadline(group, at, () => this.#timeIsUp(group));
  }

  #totalDeadline(group: number): EpochMs | undefined {
    const { totalMs } = this.#taskOf(group).timeouts;
    const startedAt = this.#run.state.firstStartAt.get(group);
    return totalMs === undefined || startedAt === undefined ? undefined : startedAt + totalMs;
  }

  #timeIsUp(group: number): void {
    const { core, state, effects } = this.#run;
    const entered = state.groups.get(group);
    if (entered === undefined || entered.stopping) return;
    entered.failed++; // its tasks are stopped, but the group failed
    const isTotal = (this.#totalDeadline(group) ?? Number.POSITIVE_INFINITY) <= core.clock.now();
    const task = this.#taskOf(group);
    const reason = isTotal ? abortReasons.taskTimeout(task) : abortReasons.attemptTimeout(task);
    this.#timedOut.set(group, reason);
    const stopped = abortReasons.groupTimedOut(task.id);
    this.#stopInside(group, stopped);
    this.#host.abort(stopped, effects.abort.splice(0));
    this.#host.afterTransition();
  }

  #stopInside(group: number, reason: WeftlineError): void {
    this.#host.endingBecause(reason);
    transition.cancelInside(this.#run.state, group, this.#run.effects);
  }

  #taskOf(instance: number): TaskDefinition {
    const { state } = this.#run;
    return state.plan.tasks[state.positionOf(instance)]!;
  }
}
