import type { EpochMs } from "../clock.js";
import type { ArtifactData } from "../contracts/executor.js";
import type { AttemptStatus, LogLevel, RunRecord } from "../contracts/records.js";
import type { RunChanges, RunState as StoredRunState } from "../contracts/storage.js";
import type { TaskDefinition } from "../define/definition.js";
import type { EngineEventName, EngineEvents, RunEvent, TaskEvent } from "../events.js";
import type { RunState } from "../run/state.js";
import { FAILED } from "../run/state.js";
import type { Encoded } from "../values/codec.js";
import type { ErrorRecord } from "../values/error-record.js";
import type { LiveAttempt } from "./attempt.js";
import { artifactRecord, logRecord, metricRecord, type Origin } from "./attempt-history.js";
import type { EngineCore } from "./engine-core.js";
import type { Refusals } from "./reload.js";
import { PendingChanges } from "./run-changes.js";
import { type TaskDetails, taskRecord } from "./task-records.js";

const NO_DETAILS: TaskDetails = Object.freeze({});

/**
 * Writes down what happens in one run: the records of the next flush, and the events to emit once they are durable.
 * It decides nothing.
 */
export class RunRecorder {
  readonly #core: EngineCore;
  readonly #run: RunRecord;
  readonly #state: RunState;
  #changes = new PendingChanges();
  #inFlight: PendingChanges | undefined;
  #announcements: (() => void)[] = [];
  /** Attempts that began since the event loop's last turn: most of them will have ended before the next. */
  #started: LiveAttempt[] = [];

  constructor(core: EngineCore, run: RunRecord, state: RunState) {
    this.#core = core;
    this.#run = run;
    this.#state = state;
  }

  /** Attempts that lasted for a turn of the event loop are recorded as running. */
  turnPassed(): void {
    for (const attempt of this.#started) if (!attempt.hasEnded) this.#recordRunning(attempt);
    this.#started = [];
  }

  /** Nothing waits for a flush. */
  get isIdle(): boolean {
    return this.#changes.isEmpty && this.#announcements.length === 0;
  }

  takeChanges(): RunChanges | undefined {
    if (this.#changes.isEmpty) return undefined;
    this.#inFlight = this.#changes;
    this.#changes = new PendingChanges();
    return this.#inFlight.toFlush(this.#run.id, this.#run.epoch);
  }

  takeAnnouncements(): readonly (() => void)[] {
    const taken = this.#announcements;
    this.#announcements = [];
    return taken;
  }

  /** What attempts said stays said, although the flush that held it was refused. */
  keepHistoryOf(former: RunRecorder, refusals: Refusals): void {
    if (former.#inFlight) this.#changes.addHistory(former.#inFlight);
    this.#changes.dropHistoryOf((line) => refusals.concern(line.task, line.index));
    this.#changes.addHistory(former.#changes);
  }

  // ---- The run

  consume(messageId: string): void {
    this.#changes.consumed.push(messageId);
  }

  runStarted(state: StoredRunState, resumed: boolean): void {
    this.#changes.run = state;
    this.#emit("run:started", () => ({ ...this.#runEvent(), resumed }));
  }

  /** What is known of the run as a whole, when that is no news to anybody. */
  runFacts(state: StoredRunState): void {
    this.#changes.run = state;
  }

  /** The run waits, is paused, or goes on. */
  runState(state: StoredRunState): void {
    this.#changes.run = state;
    const { status } = state;
    this.#announce("run:status", () => ({ ...this.#runEvent(), status }));
  }

  runFinished(state: StoredRunState): void {
    this.#changes.run = state;
    const { status, error, finishedAt = 0, startedAt = finishedAt } = state;
    this.#announce("run:finished", () => ({ ...this.#runEvent(), status, error, durationMs: finishedAt - startedAt }));
  }

  // ---- Tasks

  /** The record of an instance that has not finished, as its state is now. */
  task(instance: number, startedAt?: EpochMs): void {
    this.#write(instance, startedAt, undefined, NO_DETAILS);
  }

  retrying(instance: number, startedAt: EpochMs | undefined, error: ErrorRecord, retryAt: EpochMs): void {
    this.#write(instance, startedAt, undefined, { error });
    this.#announce("task:retrying", () => ({ ...this.#taskEvent(instance), error, retryAt }));
  }

  expanded(list: number, items: number): void {
    this.task(list, this.#state.firstStartAt.get(list));
    this.#emit("task:expanded", () => ({ ...this.#taskEvent(list), items }));
  }

  waiting(instance: number): void {
    this.task(instance, this.#state.firstStartAt.get(instance));
    const wait = this.#state.waits.get(instance)!;
    this.#announce("task:waiting", () => ({ ...this.#taskEvent(instance), wait }));
  }

  entered(group: number): void {
    this.task(group, this.#state.firstStartAt.get(group));
    this.#emit("task:started", () => ({ ...this.#taskEvent(group), executor: "" }));
  }

  /** An instance finished with its last attempt. */
  finished(attempt: LiveAttempt, details: TaskDetails, now: EpochMs): void {
    this.#finish(attempt.instance, this.#state.firstStartAt.get(attempt.instance) ?? attempt.startedAt, details, now);
  }

  /** An instance finished while it had no attempt running. */
  settled(instance: number, details: TaskDetails): void {
    this.#finish(instance, this.#state.firstStartAt.get(instance), details, this.#core.clock.now());
  }

  /** The last item of a list, or the last task of a group, finished. */
  joined(instance: number): void {
    const expansion = this.#state.expansions.get(instance);
    if (expansion === undefined) return this.settled(instance, NO_DETAILS);
    const { count, failed, succeeded } = expansion;
    if (failed > 0) {
      const message = `TASK_FAILED: ${failed} of ${count} items failed`;
      this.settled(instance, { error: { name: "WeftlineError", code: "TASK_FAILED", message } });
    } else if (count === 0) this.settled(instance, { reason: "its list is empty" });
    else this.settled(instance, succeeded === 0 ? { reason: "no item succeeded" } : NO_DETAILS);
  }

  #finish(instance: number, startedAt: EpochMs | undefined, details: TaskDetails, finishedAt: EpochMs): void {
    this.#write(instance, startedAt, finishedAt, details);
    const { events } = this.#core;
    if (!events.hears("task:finished") && !events.hears("task:failed")) return;
    const { error, reason, warning, cachedFrom } = details;
    const durationMs = finishedAt - (startedAt ?? finishedAt);
    const status = this.#state.statusOf(instance);
    const end = { status, durationMs, error, reason, warning, cachedFrom };
    this.#announce("task:finished", () => ({ ...this.#taskEvent(instance), ...end }));
    if (this.#state.status[instance] === FAILED && error) {
      this.#announce("task:failed", () => ({ ...this.#taskEvent(instance), error, durationMs }));
    }
  }

  #write(
    instance: number,
    startedAt: EpochMs | undefined,
    finishedAt: EpochMs | undefined,
    details: TaskDetails,
  ): void {
    const record = taskRecord(this.#run.id, this.#state, instance, startedAt, finishedAt, details);
    this.#changes.setTask(instance, record);
  }

  // ---- Attempts

  started(attempt: LiveAttempt, task: TaskDefinition): void {
    this.#emit("task:started", () => ({ ...this.#taskEvent(attempt.instance), executor: task.executor }));
  }

  /** The attempt goes on: it is recorded as running when it does so after the event loop's next turn. */
  watch(attempt: LiveAttempt): void {
    this.#started.push(attempt);
  }

  /** @param finishedAt - `undefined` while it runs. */
  attempt(
    attempt: LiveAttempt,
    status: AttemptStatus,
    error: ErrorRecord | undefined,
    finishedAt: EpochMs | undefined = this.#core.clock.now(),
  ): void {
    const { number, startedAt } = attempt;
    const task = this.#state.plan.tasks[attempt.position]!;
    this.#changes.attempts.push({
      runId: this.#run.id,
      task: task.id,
      position: task.position,
      index: attempt.index,
      generation: attempt.generation,
      attempt: number,
      status,
      executor: task.executor,
      engineId: this.#core.engineId,
      startedAt,
      finishedAt: status === "running" ? undefined : finishedAt,
      error,
    });
  }

  late(attempt: LiveAttempt, status: AttemptStatus): void {
    const event = { ...this.#taskEvent(attempt.instance), attempt: attempt.number, status };
    this.#core.log.warn(event, "an attempt that had been told to stop ended late; what it returned was dropped");
    this.#emit("task:late", () => event);
  }

  outlived(attempt: LiveAttempt): void {
    const event = { ...this.#taskEvent(attempt.instance), attempt: attempt.number };
    this.#core.log.warn(event, "task code went on after its attempt had ended: did it forget to await something?");
  }

  log(attempt: LiveAttempt, level: LogLevel, message: string, data: unknown): void {
    const record = logRecord(this.#origin(attempt), ++attempt.logLines, level, message, data, this.#core.limits);
    if (record === undefined) return;
    this.#changes.logs.push(record);
    this.#emit("task:log", () => ({
      ...this.#taskEvent(attempt.instance),
      level: record.level,
      message: record.message,
    }));
  }

  metric(attempt: LiveAttempt, name: string, value: number): void {
    this.#changes.metrics.push(metricRecord(this.#origin(attempt), name, value));
  }

  artifact(attempt: LiveAttempt, artifact: ArtifactData): void {
    this.#changes.artifacts.push(artifactRecord(this.#origin(attempt), artifact, this.#core.limits));
  }

  step(attempt: LiveAttempt, step: string, output: Encoded, startedAt: EpochMs): void {
    this.#changes.steps.push({ ...this.#origin(attempt), step, startedAt, output });
  }

  /** What the task declares to produce. */
  produced(attempt: Pick<LiveAttempt, "instance" | "number">, assets: readonly string[]): void {
    for (const asset of assets) this.#changes.assets.push({ ...this.#origin(attempt), asset });
  }

  cached(key: string, output: Encoded, expiresAt: EpochMs): void {
    this.#changes.cached.push({ key, output, runId: this.#run.id, expiresAt });
  }

  progress(attempt: LiveAttempt, fraction: number, message: string | undefined): void {
    this.#emit("task:progress", () => ({ ...this.#taskEvent(attempt.instance), fraction, message }));
  }

  #recordRunning(attempt: LiveAttempt): void {
    const { kind } = this.#state.plan.tasks[attempt.position]!;
    // A look that finds nothing is no attempt, and would be left running in history.
    if (kind !== "poll") this.attempt(attempt, "running", undefined);
    this.task(attempt.instance, this.#state.firstStartAt.get(attempt.instance) ?? attempt.startedAt);
  }

  #origin(attempt: Pick<LiveAttempt, "instance" | "number">): Origin {
    const task = this.#state.plan.tasks[this.#state.positionOf(attempt.instance)]!;
    const index = this.#state.indexOf(attempt.instance);
    const generation = this.#state.generationOf(attempt.instance);
    return {
      runId: this.#run.id,
      task: task.id,
      index,
      generation,
      attempt: attempt.number,
      at: this.#core.clock.now(),
    };
  }

  // ---- Events

  #announce<Name extends EngineEventName>(name: Name, build: () => EngineEvents[Name]): void {
    if (!this.#core.events.hears(name)) return;
    const event = build(); // now: the state may have moved on when the flush is durable
    this.#announcements.push(() => this.#core.events.emit(name, event));
  }

  #emit<Name extends EngineEventName>(name: Name, build: () => EngineEvents[Name]): void {
    if (this.#core.events.hears(name)) this.#core.events.emit(name, build());
  }

  #runEvent(): RunEvent {
    return { runId: this.#run.id, pipeline: this.#run.pipeline, at: this.#core.clock.now() };
  }

  #taskEvent(instance: number): TaskEvent {
    const task = this.#state.plan.tasks[this.#state.positionOf(instance)]!;
    const attempt = this.#state.attempts[instance]!;
    return { ...this.#runEvent(), task: task.id, index: this.#state.indexOf(instance), attempt };
  }
}
