import type { EpochMs } from "../clock.js";
import { isRunFinished, type RunMessage, type RunRecord, type RunStatus } from "../contracts/records.js";
import type { RejectedValue, RunChanges, RunState as StoredRunState } from "../contracts/storage.js";
import type { TaskDefinition } from "../define/definition.js";
import type { WeftlineError } from "../errors.js";
import { failsRun, runOutcome } from "../run/outcome.js";
import { reopen } from "../run/restore.js";
import { READY, type RunState, type StopCause } from "../run/state.js";
import * as transition from "../run/transition.js";
import type { Encoded } from "../values/codec.js";
import { type ErrorRecord, toErrorRecord } from "../values/error-record.js";
import * as abortReasons from "./abort-reasons.js";
import { type Dispatchable, Lane, Limit } from "./dispatcher.js";
import type { EngineCore } from "./engine-core.js";
import type { Journaled } from "./journal.js";
import type { Outputs } from "./outputs.js";
import type { RegisteredPipeline } from "./registry.js";
import type { Refusals } from "./reload.js";
import { type AttemptsHost, RunAttempts } from "./run-attempts.js";
import type { RunParts } from "./run-parts.js";
import { RunRecorder } from "./run-recorder.js";
import { RunTimers } from "./run-timers.js";
import { runFacts } from "./task-job.js";
import { reasonOf } from "./task-records.js";

/** What waits for a flush to be durable. */
interface Consequences {
  readonly ready: readonly number[];
  readonly expand: readonly number[];
  readonly announce: readonly (() => void)[];
  /** The flush holds the run's final status. */
  readonly isLast: boolean;
  /** How many ended attempts the flush holds. */
  readonly ended: number;
}

/**
 * A run that this engine owns: turns what happens (attempts end, timers fire, messages arrive) into transitions of its
 * state, and their effects into records, attempts and timers. A consequence that starts something waits until its
 * cause is durable.
 */
export class ActiveRun implements Journaled, Dispatchable, AttemptsHost {
  readonly record: RunRecord;
  readonly entry: RegisteredPipeline;
  readonly state: RunState;
  readonly #core: EngineCore;
  readonly #outputs: Outputs;
  readonly #effects = transition.noEffects();
  readonly #recorder: RunRecorder;
  readonly #timers: RunTimers;
  readonly #attempts: RunAttempts;
  readonly #lane = new Lane(this);
  readonly #mapLimits = new Map<number, Limit>();
  /** Messages applied already: storage delivers them again until they are consumed. */
  readonly #applied = new Set<string>();
  #consequences: Consequences | undefined;
  #status: RunStatus;
  #startedAt: EpochMs | undefined;
  #deadlineAt: EpochMs | undefined;
  /** Why the run as a whole is being ended. */
  #stopReason: WeftlineError | undefined;
  /** Why tasks are being ended right now: the run's reason, or that of a single task. */
  #endReason: WeftlineError | undefined;
  #isClosed = false;

  constructor(core: EngineCore, entry: RegisteredPipeline, record: RunRecord, state: RunState, outputs: Outputs) {
    this.#core = core;
    this.entry = entry;
    this.record = record;
    this.state = state;
    this.#outputs = outputs;
    this.#recorder = new RunRecorder(core, record, state);
    this.#timers = new RunTimers(core.clock);
    this.#attempts = new RunAttempts(this.#parts(), this);
    this.#status = record.status;
    this.#startedAt = record.startedAt;
    this.#deadlineAt = record.deadlineAt;
  }

  get id(): string {
    return this.record.id;
  }

  /** Starts the run, or goes on with it, after the messages that waited for it. */
  begin(messages: readonly RunMessage[]): void {
    const resumed = this.#startedAt !== undefined;
    for (const message of messages) this.receive(message);
    if (isRunFinished(this.#status)) return this.#core.journal.mark(this);
    if (this.#status === "queued") this.#setRunning(resumed);
    else if (this.#deadlineAt !== undefined) this.#armDeadline(this.#deadlineAt);
    this.#attempts.restoreTimers();
    this.#queueRestored();
    this.#failFastAgain();
    transition.begin(this.state, this.#effects);
    this.afterTransition();
    // Nothing here has a cause that could still be lost, so nothing waits for the first flush.
    this.#start(this.#effects.ready.splice(0), this.#effects.expand.splice(0));
  }

  /**
   * Applies a message of the inbox once. A resume is consumed in the same flush. A cancellation stays in the inbox until
   * the run's final flush empties it: whoever takes the run over before that has to cancel what it finds running.
   */
  receive(message: RunMessage): void {
    if (this.#isClosed || this.#applied.has(message.id)) return; // closed: it stays for whoever goes on with the run
    this.#applied.add(message.id);
    if (message.kind === "resume") {
      this.#recorder.consume(message.id);
      this.#resume();
    } else if (isRunFinished(this.#status)) return;
    else if (message.task === undefined) this.#stop("cancelled", abortReasons.runCancelled(message.reason));
    else this.#cancelTask(message.task, message.reason);
    this.#core.journal.mark(this);
  }

  /** Tells every attempt to stop, to be started again by whoever has the run next. */
  interrupt(reason: WeftlineError): void {
    this.#timers.clearAll();
    this.#attempts.abort(reason);
  }

  /** From here on nothing that happens changes anything. */
  close(): void {
    this.#isClosed = true;
    this.#attempts.close();
    this.#timers.clearAll();
    this.#core.journal.forget(this);
  }

  /** Goes on in place of `former`, whose flush the store refused: that may have held the answers to messages too. */
  takeOver(former: ActiveRun, refusals: Refusals, messages: readonly RunMessage[]): void {
    for (const message of messages) if (message.kind === "resume") this.receive(message);
    for (const [task, limit] of former.#mapLimits) this.#mapLimits.set(task, limit);
    this.#recorder.keepHistoryOf(former.#recorder, refusals);
    this.#attempts.takeOver(former.#attempts, refusals, (task) => this.#expandState(task));
    this.begin(messages);
  }

  // ---- Dispatcher

  limitsOf(instance: number): readonly Limit[] {
    const task = this.state.taskOf(instance);
    const shared = this.entry.limits[task]!;
    const { kind, concurrency } = this.state.plan.tasks[task]!;
    if (kind !== "map" || concurrency === undefined) return shared;
    return [this.#mapLimit(task, concurrency), ...shared];
  }

  startAttempt(instance: number, release: () => void): boolean {
    return this.#attempts.start(instance, release);
  }

  #mapLimit(task: number, concurrency: number): Limit {
    let limit = this.#mapLimits.get(task);
    if (limit === undefined) {
      limit = new Limit(concurrency);
      this.#mapLimits.set(task, limit);
    }
    return limit;
  }

  // ---- Journal

  turnPassed(): void {
    this.#recorder.turnPassed();
  }

  collect(): RunChanges | undefined {
    const { ready, expand } = this.#effects;
    this.#consequences = {
      ready: ready.splice(0),
      expand: expand.splice(0),
      announce: this.#recorder.takeAnnouncements(),
      isLast: isRunFinished(this.#status),
      ended: this.#attempts.unconfirmed,
    };
    return this.#recorder.takeChanges();
  }

  confirmed(): void {
    const { ready, expand, announce, isLast, ended } = this.#consequences!;
    this.#consequences = undefined;
    this.#attempts.confirm(ended);
    if (isLast) this.close();
    for (const emit of announce) emit(); // before anything starts, so that listeners hear causes before effects
    if (isLast) this.#core.runFinished(this);
    else this.#start(ready, expand);
  }

  fenced(): void {
    this.close();
    this.#attempts.abort(abortReasons.leaseLost());
    this.#core.runLost(this);
  }

  rejected(values: readonly RejectedValue[]): void {
    this.close();
    this.#core.runRejected(this, values);
  }

  // ---- Attempts

  startNow(instances: readonly number[]): void {
    this.#start(instances, []);
  }

  failedForGood(task: TaskDefinition): void {
    if (!this.entry.pipeline.settings.failFast) return;
    this.#stop("fail-fast", abortReasons.failedFast(this.record.pipeline, task.id));
  }

  /** Turns those effects into records that need no durability; the others wait for the flush. */
  afterTransition(): void {
    const { finished } = this.#effects;
    for (let place = 0; place < finished.length; place += 2) {
      this.#recordFinished(finished[place]!, finished[place + 1]!);
    }
    finished.length = 0;
    if (this.state.open === 0 && this.#status === "running") this.#finish();
    this.#core.journal.mark(this);
  }

  #recordFinished(instance: number, cause: number): void {
    this.#timers.clear(instance);
    if (cause === transition.BY_ITEMS) return this.#recorder.joined(instance);
    const reason = cause === transition.BY_STOP ? this.#endReason?.message : reasonOf(this.state, instance, cause);
    this.#recorder.settled(instance, { reason });
  }

  #start(ready: readonly number[], expand: readonly number[]): void {
    for (const map of expand) this.#expand(map);
    if (ready.length > 0) this.#core.dispatcher.enqueue(this.#lane, ready);
  }

  #expand(map: number): void {
    if (this.#isClosed || this.state.status[map] !== READY) return;
    this.#expandState(map);
    const { base, count } = this.state.expansions.get(map) ?? { base: 0, count: 0 };
    const items = Array.from({ length: count }, (_, item) => base + item);
    this.#core.dispatcher.enqueue(this.#lane, items);
    this.afterTransition();
  }

  #expandState(map: number): void {
    const items = this.#readItems(map);
    if (items === undefined) return;
    this.state.firstStartAt.set(map, this.#core.clock.now());
    transition.expand(this.state, map, items.length, this.#effects, this.#outputs.listToKeep(map));
    this.#recorder.expanded(map, items.length);
  }

  /** @returns `undefined` when there is no usable list, and the map failed for that. */
  #readItems(map: number): readonly Encoded[] | undefined {
    try {
      return this.#outputs.list(map);
    } catch (thrown) {
      transition.fail(this.state, map, this.#effects);
      this.#recorder.settled(map, { error: toErrorRecord(thrown) });
      const task = this.state.plan.tasks[map]!;
      if (!task.allowFailure) this.failedForGood(task);
      return undefined;
    }
  }

  /** After a takeover or a resume: what is ready already waits for no transition. */
  #queueRestored(): void {
    const { state } = this;
    for (let instance = 0; instance < state.instances; instance++) {
      if (state.status[instance] !== READY) continue;
      const isUnexpandedMap = state.plan.tasks[instance]?.kind === "map";
      (isUnexpandedMap ? this.#effects.expand : this.#effects.ready).push(instance);
    }
  }

  /** The former owner may have been lost between a failure and what failing fast makes of it. */
  #failFastAgain(): void {
    if (!this.entry.pipeline.settings.failFast || this.state.open === 0) return;
    const failed = this.state.plan.tasks.find((task) => failsRun(this.state, task.position));
    if (failed) this.failedForGood(failed);
  }

  // ---- The run as a whole

  #setRunning(resumed: boolean): void {
    const now = this.#core.clock.now();
    const { timeoutMs } = this.entry.pipeline.settings;
    this.#status = "running";
    this.#startedAt ??= now;
    if (timeoutMs !== undefined) this.#armDeadline(now + timeoutMs);
    this.#recorder.runStarted(this.#storedState(undefined, undefined), resumed);
  }

  #armDeadline(at: EpochMs): void {
    this.#deadlineAt = at;
    const { timeoutMs = 0 } = this.entry.pipeline.settings;
    this.#timers.armRunDeadline(at, () => {
      this.#stop("timeout", abortReasons.runTimeout(this.record.pipeline, timeoutMs));
    });
  }

  #resume(): void {
    if (this.state.open > 0) return;
    this.#stopReason = undefined;
    for (const instance of reopen(this.state)) {
      if (this.state.expansions.has(instance)) this.#outputs.forgetList(instance);
      this.#recorder.task(instance, {});
    }
    this.#setRunning(true);
  }

  #cancelTask(id: string, reason: string | undefined): void {
    const task = this.state.plan.positions.get(id);
    if (task === undefined) return;
    this.#endReason = abortReasons.taskCancelled(id, reason);
    transition.cancelTask(this.state, task, this.#effects);
    this.#attempts.abort(this.#endReason, this.#effects.abort.splice(0));
    this.afterTransition();
  }

  #stop(cause: StopCause, reason: WeftlineError): void {
    if (this.state.open === 0) return;
    this.#stopReason ??= reason;
    this.#endReason = this.#stopReason;
    transition.stop(this.state, cause, this.#effects);
    this.#attempts.abort(reason, this.#effects.abort.splice(0));
    this.afterTransition();
  }

  #finish(): void {
    this.#status = runOutcome(this.state, this.entry.pipeline.settings.failWhen);
    this.#timers.clearAll();
    const error = this.state.stopping && this.#stopReason ? toErrorRecord(this.#stopReason) : undefined;
    this.#recorder.runFinished(this.#storedState(this.#core.clock.now(), error));
  }

  #storedState(finishedAt: EpochMs | undefined, error: ErrorRecord | undefined): StoredRunState {
    return { status: this.#status, startedAt: this.#startedAt, finishedAt, deadlineAt: this.#deadlineAt, error };
  }

  #parts(): RunParts {
    return {
      core: this.#core,
      entry: this.entry,
      record: this.record,
      facts: runFacts(this.record),
      state: this.state,
      outputs: this.#outputs,
      recorder: this.#recorder,
      timers: this.#timers,
      effects: this.#effects,
      journaled: this,
    };
  }
}
