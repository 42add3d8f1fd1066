import type { EpochMs } from "../clock.js";
import { isRunFinished, type RunMessage, type RunRecord, type RunStatus } from "../contracts/records.js";
import type { RejectedValue, RunChanges, RunState as StoredRunState } from "../contracts/storage.js";
import { WeftlineError } from "../errors.js";
import { BY_ITEMS, BY_STOP, noEffects } from "../run/effects.js";
import { failsRun, runOutcome } from "../run/outcome.js";
import { CANCELLED, READY, type RunState, type StopCause } from "../run/state.js";
import * as transition from "../run/transition.js";
import type { Encoded } from "../values/codec.js";
import { type ErrorRecord, toErrorRecord } from "../values/error-record.js";
import * as abortReasons from "./abort-reasons.js";
import type { Dispatchable } from "./dispatcher.js";
import type { EngineCore } from "./engine-core.js";
import type { Journaled } from "./journal.js";
import type { Gate } from "./limits.js";
import type { Outputs } from "./outputs.js";
import type { RegisteredPipeline } from "./registry.js";
import type { Refusals } from "./reload.js";
import { RunAttempts } from "./run-attempts.js";
import { applyCancel, applyRerun, applyResume } from "./run-commands.js";
import { RunGates } from "./run-gates.js";
import { RunGroups } from "./run-groups.js";
import { RunLanes } from "./run-lanes.js";
import type { RunParts } from "./run-parts.js";
import { RunRecorder } from "./run-recorder.js";
import { RunStarts, type StartsHost } from "./run-starts.js";
import type { RunSteps } from "./run-steps.js";
import { RunTimers } from "./run-timers.js";
import { RunWaits, type WaitsHost } from "./run-waits.js";
import { runFacts } from "./task-job.js";
import { reasonOf } from "./task-records.js";

/** What waits for a flush to be durable. */
interface Consequences {
  readonly ready: readonly number[];
  readonly expand: readonly number[];
  readonly announce: readonly (() => void)[];
  readonly durable: readonly Awaiting[];
  /** Instances that began to wait. */
  readonly waits: readonly number[];
  /** The flush holds the run's final status. */
  readonly isLast: boolean;
  /** How many ended attempts the flush holds. */
  readonly ended: number;
  /** The flush clears the run of suspicion. */
  readonly isTrusted: boolean;
}

/** Somebody who waits for what was recorded to be durable. */
interface Awaiting {
  readonly instance: number;
  readonly resolve: () => void;
  readonly reject: (error: WeftlineError) => void;
}

/** Larger runs are not read from storage again each time they wake. */
const MAX_UNLOADED_INSTANCES = 10_000;

/**
 * A run that this engine owns: turns what happens (attempts end, timers fire, messages arrive) into transitions of its
 * state, and their effects into records, attempts and timers. A consequence that starts something waits until its
 * cause is durable.
 */
export class ActiveRun implements Journaled, Dispatchable, StartsHost, WaitsHost {
  record: RunRecord;
  readonly entry: RegisteredPipeline;
  readonly state: RunState;
  readonly #core: EngineCore;
  readonly #outputs: Outputs;
  readonly #steps: RunSteps;
  readonly #effects = noEffects();
  readonly #recorder: RunRecorder;
  readonly #timers: RunTimers;
  readonly #waits: RunWaits;
  readonly #attempts: RunAttempts;
  readonly #groups: RunGroups;
  readonly #lanes: RunLanes;
  readonly #starts: RunStarts;
  readonly #gates: RunGates;
  /** Messages applied already: storage delivers them again until they are consumed. */
  readonly #applied = new Set<string>();
  #consequences: Consequences | undefined;
  #awaiting: Awaiting[] = [];
  #status: RunStatus;
  #startedAt: EpochMs | undefined;
  #deadlineAt: EpochMs | undefined;
  #last: StoredRunState | undefined;
  /** Why the run as a whole is being ended. */
  #stopReason: WeftlineError | undefined;
  /** Why tasks are being ended right now: the run's reason, or that of a single task. */
  #endReason: WeftlineError | undefined;
  /** Its engine has died before, and it has made no progress since. */
  #isSuspect: boolean;
  #hasBegun = false;
  /** Messages that came before it had begun. */
  readonly #early: RunMessage[] = [];
  #isClosed = false;
  /** Nobody goes on with what it still holds. */
  #isGivenUp = false;

  constructor(
    core: EngineCore,
    entry: RegisteredPipeline,
    record: RunRecord,
    { state, outputs, steps }: Pick<RunParts, "state" | "outputs" | "steps">,
  ) {
    this.#core = core;
    this.entry = entry;
    this.record = record;
    this.state = state;
    this.#outputs = outputs;
    this.#steps = steps;
    this.#recorder = new RunRecorder(core, record, state);
    this.#timers = new RunTimers(core.clock);
    const parts = this.#parts();
    this.#waits = new RunWaits(parts, this);
    this.#attempts = new RunAttempts(parts, this, this.#waits);
    this.#groups = new RunGroups(parts, this);
    this.#lanes = new RunLanes(this, core.dispatcher, entry, record.priority);
    this.#starts = new RunStarts(parts, this, { waits: this.#waits, groups: this.#groups, lanes: this.#lanes });
    this.#gates = new RunGates(parts, this);
    this.#status = record.status;
    this.#isSuspect = record.crashes > 0;
    this.#startedAt = record.startedAt;
    this.#deadlineAt = record.deadlineAt;
  }

  get id(): string {
    return this.record.id;
  }

  /** The messages it knows, of which some may not have been consumed. */
  get applied(): ReadonlySet<string> {
    return this.#applied;
  }

  /** Nothing that happens changes anything any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  get status(): RunStatus {
    return this.#status;
  }

  /** The run as its last flush recorded it. */
  get lastRecord(): RunRecord {
    return { ...this.record, ...this.#last, owner: undefined };
  }

  /** What a task outside of all groups' frames put out, in its stored form; `undefined`: nothing. */
  outputOf(position: number): Encoded | undefined {
    return this.#outputs.read(position, 0);
  }

  /**
   * Starts the run, or goes on with it, after the messages that waited for it.
   *
   * @param isDurable - False: some of its state has yet to be written.
   */
  begin(messages: readonly RunMessage[], isDurable = true): void {
    const resumed = this.#startedAt !== undefined;
    this.#hasBegun = true;
    if (this.record.crashes >= this.#core.quarantineAfter) return this.#quarantine();
    for (const message of [...messages, ...this.#early.splice(0)]) this.receive(message);
    if (isRunFinished(this.#status)) return this.#core.journal.mark(this);
    const { ready, expand } = this.#effects;
    const caused = new Set([...ready, ...expand]);
    if (this.#status === "queued") this.setRunning(resumed);
    else if (this.#deadlineAt !== undefined) this.#armDeadline(this.#deadlineAt);
    this.#attempts.restoreTimers();
    this.#groups.restoreTimers();
    this.#waits.restore();
    this.#starts.queueRestored();
    this.#failFastAgain();
    transition.begin(this.state, this.#effects);
    this.afterTransition();
    if (!isDurable) {
      if (ready.length > 0 || expand.length > 0) this.startsNow();
      return this.#core.journal.mark(this);
    }
    // What a message led to waits for the first flush, as its cause could still be lost. Nothing else here has one.
    const [all, lists] = [ready.splice(0), expand.splice(0)];
    if (caused.size === 0) return this.#starts.start(all, lists);
    for (const instance of all) if (caused.has(instance)) ready.push(instance);
    for (const list of lists) if (caused.has(list)) expand.push(list);
    const isFree = (instance: number) => !caused.has(instance);
    this.#starts.start(all.filter(isFree), lists.filter(isFree));
  }

  /** It has taken down as many engines as it may: nothing of it is started, and whoever waits for its end hears of it. */
  #quarantine(): void {
    const { id, pipeline, crashes } = this.record;
    this.#status = "quarantined";
    this.#recordLast(toErrorRecord(abortReasons.quarantined(id, pipeline, crashes)));
    this.#core.journal.mark(this);
  }

  /**
   * Applies a message of the inbox once. Most are consumed in the same flush; a signal when a task takes it. A
   * cancellation stays in the inbox until the run's final flush empties it: whoever takes the run over before that has
   * to cancel what it finds running.
   */
  receive(message: RunMessage): void {
    if (!this.#hasBegun) return void this.#early.push(message);
    if (this.#isClosed || this.#applied.has(message.id)) return; // closed: it stays for whoever goes on with the run
    this.#applied.add(message.id);
    if (message.kind === "resume" || message.kind === "rerun") this.#reopen(message);
    else if (isRunFinished(this.#status)) return;
    else if (message.kind === "signal") this.#waits.receive(message);
    else if (message.kind === "cancel") this.#cancel(message);
    else this.#setPaused(message.kind === "pause", message.id);
    this.#core.journal.mark(this);
  }

  /** Tells every attempt to stop, to be started again by whoever has the run next. */
  interrupt(reason: WeftlineError): void {
    this.#timers.clearAll();
    this.#attempts.abort(reason);
  }

  /** From here on nothing that happens changes anything. */
  close(): void {
    this.#stopListening();
    this.#isGivenUp = true;
    for (const { reject } of this.#takeAwaiting()) reject(givenUp());
  }

  #stopListening(): void {
    this.#isClosed = true;
    this.#attempts.close();
    this.#waits.close();
    this.#timers.clearAll();
    this.#core.journal.forget(this);
  }

  #takeAwaiting(): readonly Awaiting[] {
    return [...(this.#consequences?.durable ?? []), ...this.#awaiting.splice(0)];
  }

  /** Goes on in place of `former`, whose flush the store refused: that may have held the answers to messages too. */
  takeOver(former: ActiveRun, refusals: Refusals, messages: readonly RunMessage[]): void {
    this.#hasBegun = true;
    for (const message of messages) {
      if (message.kind === "resume" || message.kind === "rerun") this.receive(message);
    }
    this.#gates.keepThoseOf(former.#gates);
    this.#recorder.keepHistoryOf(former.#recorder, refusals);
    this.#attempts.takeOver(former.#attempts, refusals, (position, index) =>
      this.#starts.expandAround(position, index),
    );
    this.#takeOverSteps(former, refusals);
    this.begin(messages, false);
  }

  /** Steps that were on their way to storage are sent once more, but for those that it refuses. */
  #takeOverSteps(former: ActiveRun, refusals: Refusals): void {
    const isRefused = (instance: number): boolean => {
      const task = this.state.plan.tasks[former.state.positionOf(instance)]!;
      return refusals.concern(task.id, former.state.indexOf(instance));
    };
    this.#steps.keepThoseOf(former.#steps, isRefused);
    for (const awaiting of former.#takeAwaiting()) {
      if (isRefused(awaiting.instance)) awaiting.reject(refusedStep());
      else this.#awaiting.push(awaiting);
    }
  }

  /** The gate that keeps a ready instance from starting; `undefined`: none. */
  fullGateOf(instance: number): Gate | undefined {
    return this.#gates.peek(instance).find((gate) => gate.isFull);
  }

  // ---- Dispatcher

  gatesOf(instance: number): readonly Gate[] {
    const mayStart = !this.#isClosed && this.#status !== "paused" && this.state.status[instance] === READY;
    return mayStart ? this.#gates.of(instance) : NO_GATES;
  }

  startAttempt(instance: number, release: () => void): boolean {
    this.#lanes.left();
    if (this.#status !== "paused") return this.#attempts.start(instance, release);
    this.#starts.holdBack(instance);
    return false;
  }

  // ---- Journal

  turnPassed(): void {
    this.#recorder.turnPassed();
  }

  collect(): RunChanges | undefined {
    const { ready, expand } = this.#effects;
    const isTrusted = this.#isSuspect && this.#attempts.unconfirmed > 0;
    if (isTrusted) this.#trust();
    this.#consequences = {
      ready: ready.length === 0 ? NONE : ready.splice(0),
      expand: expand.length === 0 ? NONE : expand.splice(0),
      announce: this.#recorder.takeAnnouncements(),
      durable: this.#awaiting.length === 0 ? [] : this.#awaiting.splice(0),
      waits: this.#waits.takeBegun(),
      isLast: isRunFinished(this.#status),
      ended: this.#attempts.unconfirmed,
      isTrusted,
    };
    return this.#recorder.takeChanges();
  }

  /** Engines had died under it, and now an attempt of it has ended: that is forgiven with the flush that records it. */
  #trust(): void {
    this.#isSuspect = false;
    this.record = { ...this.record, crashes: 0 };
    if (!isRunFinished(this.#status)) this.#recorder.runFacts(this.#storedState(undefined, undefined));
  }

  confirmed(): void {
    const { ready, expand, announce, durable, waits, isLast, ended, isTrusted } = this.#consequences!;
    this.#consequences = undefined;
    this.#attempts.confirm(ended);
    if (isTrusted) this.#core.runTrusted(this);
    for (const { resolve } of durable) resolve();
    if (isLast) this.close();
    for (const emit of announce) emit(); // before anything starts, so that listeners hear causes before effects
    if (isLast) return this.#core.runFinished(this);
    if (waits.length > 0) this.#waits.confirmed(waits);
    this.#starts.start(ready, expand);
    if (this.#needsNoMemory()) this.#core.runWaits(this, this.#timers.next);
  }

  fenced(): void {
    this.close();
    this.#attempts.abort(abortReasons.leaseLost());
    this.#core.runLost(this);
  }

  rejected(values: readonly RejectedValue[]): void {
    this.#stopListening();
    this.#core.runRejected(this, values);
  }

  // ---- What the parts of the run ask for

  startNow(instances: readonly number[]): void {
    this.#starts.start(instances, NONE);
  }

  waitFailed(instance: number, error: ErrorRecord, retryable: boolean): void {
    this.#attempts.waitFailed(instance, error, retryable);
  }

  armDeadline(instance: number, startedAt: EpochMs): void {
    this.#attempts.armDeadline(instance, startedAt);
  }

  abort(reason: WeftlineError, instances: readonly number[]): void {
    this.#attempts.abort(reason, instances);
  }

  hasAbandoned(group: number): boolean {
    return this.#attempts.hasAbandoned(group);
  }

  endingBecause(reason: WeftlineError): void {
    this.#endReason = reason;
  }

  durable(instance: number): Promise<void> {
    if (this.#isGivenUp) return Promise.reject(givenUp());
    if (!this.#isClosed) this.#core.journal.mark(this); // else whoever goes on with the run records it
    return new Promise((resolve, reject) => this.#awaiting.push({ instance, resolve, reject }));
  }

  nextGeneration(): number {
    const generation = this.record.generation + 1;
    this.record = { ...this.record, generation };
    this.#recordState();
    return generation;
  }

  failedForGood(instance: number): void {
    if (this.state.plan.hasGroups && this.#groups.stopSiblings(instance)) return;
    if (!this.entry.pipeline.settings.failFast) return;
    const task = this.state.plan.tasks[this.state.positionOf(instance)]!;
    this.#stop("fail-fast", abortReasons.failedFast(this.record.pipeline, task.id));
  }

  /** Turns those effects into records that need no durability; the others wait for the flush. */
  afterTransition(): void {
    const { finished, entered, failedGroups, advanced } = this.#effects;
    while (finished.length > 0 || entered.length > 0 || failedGroups.length > 0 || advanced.length > 0) {
      for (const group of entered.splice(0)) this.#groups.entered(group);
      const ended = finished.splice(0);
      for (let place = 0; place < ended.length; place += 2) this.#recordFinished(ended[place]!, ended[place + 1]!);
      for (const group of failedGroups.splice(0)) this.#groups.failed(group);
      for (const owner of advanced.splice(0)) this.#groups.advance(owner);
    }
    if (this.state.open === 0 && !isRunFinished(this.#status)) this.#finish();
    else this.waitsNow();
    this.#core.journal.mark(this);
  }

  waitsNow(): void {
    if (this.#status === "running" && !this.#starts.isStarting && this.#isWaiting()) this.#setStatus("waiting");
  }

  startsNow(): void {
    if (this.#status === "waiting") this.#setStatus("running");
  }

  #recordFinished(instance: number, cause: number): void {
    this.#timers.clear(instance);
    if (cause === BY_ITEMS) return this.#recorder.joined(instance);
    const isStopped = cause === BY_STOP;
    const reason = isStopped ? this.#endReason?.message : reasonOf(this.state, instance, cause);
    if (this.state.status[instance] === CANCELLED) this.#waits.ended(instance, reason ?? "it was cancelled");
    this.#recorder.settled(instance, { reason });
  }

  /** The former owner may have been lost between a failure and what failing fast makes of it. */
  #failFastAgain(): void {
    if (!this.entry.pipeline.settings.failFast || this.state.open === 0) return;
    const failed = this.state.plan.tasks.find((task) => failsRun(this.state, task.position));
    if (failed) this.failedForGood(failed.position);
  }

  // ---- The run as a whole

  setRunning(resumed: boolean): void {
    const now = this.#core.clock.now();
    const { timeoutMs } = this.entry.pipeline.settings;
    this.#status = "running";
    this.#startedAt ??= now;
    if (timeoutMs !== undefined) this.#armDeadline(now + timeoutMs);
    this.#recorder.runStarted(this.#storedState(undefined, undefined), resumed);
  }

  #setStatus(status: RunStatus): void {
    this.#status = status;
    this.#recordState();
  }

  #recordState(): void {
    this.#recorder.runState(this.#storedState(undefined, undefined));
  }

  /** Unfinished tasks are left, and none of them runs or may start: all wait for a time, a signal or another run. */
  #isWaiting(): boolean {
    const { ready, expand } = this.#effects;
    if (this.#attempts.live > 0 || this.#lanes.size > 0 || ready.length > 0 || expand.length > 0) return false;
    const coming = this.#consequences;
    if (coming !== undefined && (coming.ready.length > 0 || coming.expand.length > 0)) return false;
    return this.state.waits.size > 0 || this.state.retryAt.size > 0;
  }

  #needsNoMemory(): boolean {
    if (this.#status !== "waiting" && this.#status !== "paused") return false;
    if (this.#attempts.live > 0 || this.#lanes.size > 0 || this.#awaiting.length > 0) return false;
    return (
      this.#recorder.isIdle &&
      !this.#waits.hasRuns &&
      !this.#groups.hasTimedPass &&
      !this.#waits.isChecking &&
      this.state.instances <= MAX_UNLOADED_INSTANCES
    );
  }

  #armDeadline(at: EpochMs): void {
    this.#deadlineAt = at;
    const { timeoutMs = 0 } = this.entry.pipeline.settings;
    this.#timers.armRunDeadline(at, () => {
      this.#stop("timeout", abortReasons.runTimeout(this.record.pipeline, timeoutMs));
    });
  }

  #reopen(message: Extract<RunMessage, { readonly kind: "resume" | "rerun" }>): void {
    this.#recorder.consume(message.id);
    // A run that was carried over to another version may have tasks in it that are new.
    if (this.state.open > 0 && this.#status !== "queued") return;
    this.#stopReason = undefined;
    const parts = this.#parts();
    const generation = this.record.generation + 1;
    if (message.kind === "resume") {
      if (applyResume(parts, generation)) this.record = { ...this.record, generation };
    } else {
      this.record = { ...this.record, generation, params: message.params ?? this.record.params };
      applyRerun(parts, message, generation);
    }
    this.setRunning(true);
  }

  #setPaused(isPaused: boolean, messageId: string): void {
    this.#recorder.consume(messageId);
    if (isPaused === (this.#status === "paused")) return;
    if (isPaused) {
      if (this.#status === "queued") this.setRunning(false);
      return this.#setStatus("paused");
    }
    this.#goOn();
    this.afterTransition();
  }

  #goOn(): void {
    this.#setStatus("running");
    this.#starts.startHeldBack();
  }

  #cancel(message: Extract<RunMessage, { readonly kind: "cancel" }>): void {
    if (message.task === undefined) return this.#stop("cancelled", abortReasons.runCancelled(message.reason));
    this.#endReason = abortReasons.taskCancelled(message.task, message.reason);
    applyCancel(this.#parts(), message);
    this.#attempts.abort(this.#endReason, this.#effects.abort.splice(0));
    this.afterTransition();
  }

  #stop(cause: StopCause, reason: WeftlineError): void {
    if (this.state.open === 0) return;
    this.#stopReason ??= reason;
    this.#endReason = this.#stopReason;
    transition.stop(this.state, cause, this.#effects);
    this.#attempts.abort(reason, this.#effects.abort.splice(0));
    if (this.#status === "paused") this.#goOn(); // a teardown that is held back would keep the run for ever
    this.afterTransition();
  }

  #finish(): void {
    this.#status = runOutcome(this.state, this.entry.pipeline.settings.failWhen);
    this.#timers.clearAll();
    this.#recordLast(this.state.stopping && this.#stopReason ? toErrorRecord(this.#stopReason) : undefined);
  }

  #recordLast(error: ErrorRecord | undefined): void {
    this.#last = this.#storedState(this.#core.clock.now(), error);
    this.#recorder.runFinished(this.#last);
  }

  #storedState(finishedAt: EpochMs | undefined, error: ErrorRecord | undefined): StoredRunState {
    const { generation, params, crashes } = this.record;
    const times = { startedAt: this.#startedAt, finishedAt, deadlineAt: this.#deadlineAt };
    return { status: this.#status, ...times, error, generation, params, crashes };
  }

  #parts(): RunParts {
    const run = this;
    return {
      core: this.#core,
      entry: this.entry,
      get record() {
        return run.record;
      },
      facts: runFacts(this.record),
      state: this.state,
      outputs: this.#outputs,
      steps: this.#steps,
      recorder: this.#recorder,
      timers: this.#timers,
      effects: this.#effects,
      journaled: this,
    };
  }
}

const NONE: readonly number[] = Object.freeze([]);

function givenUp(): WeftlineError {
  return new WeftlineError(
    "ATTEMPT_ENDED",
    "The run was given up by this engine before the step was kept. Another goes on with it.",
  );
}

function refusedStep(): WeftlineError {
  return new WeftlineError(
    "VALUE_REJECTED",
    "The store cannot keep the output of this step. Return something it can keep.",
  );
}
const NO_GATES: readonly Gate[] = Object.freeze([]);
