import type { EpochMs } from "../clock.js";
import type { ArtifactData } from "../contracts/executor.js";
import type { AttemptStatus, LogLevel, RunRecord } from "../contracts/records.js";
import type { RunChanges, RunState as StoredRunState } from "../contracts/storage.js";
import type { TaskDefinition } from "../define/definition.js";
import type { EngineEventName, EngineEvents, RunEvent, TaskEvent } from "../events.js";
import type { RunState } from "../run/state.js";
import { FAILED } from "../run/state.js";
import type { ErrorRecord } from "../values/error-record.js";
import type { LiveAttempt } from "./attempt.js";
import { artifactRecord, logRecord, metricRecord, type Origin } from "./attempt-history.js";
import type { EngineCore } from "./engine-core.js";
import type { Refusals } from "./reload.js";
import { PendingChanges } from "./run-changes.js";
import { indexOf, type TaskDetails, taskRecord } from "./task-records.js";

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

  runFinished(state: StoredRunState): void {
    this.#changes.run = state;
    const { status, error, finishedAt = 0, startedAt = finishedAt } = state;
    this.#announce("run:finished", () => ({ ...this.#runEvent(), status, error, durationMs: finishedAt - startedAt }));
  }

  // ---- Tasks

  /** The record of an instance as its state is now. */
  task(instance: number, details: TaskDetails): void {
    this.#changes.tasks.set(instance, taskRecord(this.#run.id, this.#state, instance, details));
  }

  retrying(instance: number, details: TaskDetails & { readonly error: ErrorRecord }, retryAt: EpochMs): void {
    this.task(instance, details);
    this.#announce("task:retrying", () => ({ ...this.#taskEvent(instance), error: details.error, retryAt }));
  }

  expanded(map: number, items: number): void {
    this.task(map, { startedAt: this.#state.firstStartAt.get(map) });
    this.#emit("task:expanded", () => ({ ...this.#taskEvent(map), items }));
  }

  /** An instance finished with its last attempt. */
  finished(attempt: LiveAttempt, details: TaskDetails): void {
    const startedAt = this.#state.firstStartAt.get(attempt.instance) ?? attempt.startedAt;
    this.#finish(attempt.instance, { ...details, startedAt });
  }

  /** An instance finished while it had no attempt running. */
  settled(instance: number, details: TaskDetails): void {
    this.#finish(instance, { ...details, startedAt: this.#state.firstStartAt.get(instance) });
  }

  /** The last item of a map finished. */
  joined(map: number): void {
    const { count, failed, succeeded } = this.#state.expansions.get(map)!;
    const startedAt = this.#state.firstStartAt.get(map);
    if (failed > 0) {
      const message = `${failed} of ${count} items failed`;
      this.#finish(map, {
        startedAt,
        error: { name: "WeftlineError", code: "TASK_FAILED", message: `TASK_FAILED: ${message}` },
      });
    } else if (count === 0) this.#finish(map, { startedAt, reason: "its list is empty" });
    else this.#finish(map, { startedAt, reason: succeeded === 0 ? "no item succeeded" : undefined });
  }

  #finish(instance: number, details: TaskDetails): void {
    const finishedAt = this.#core.clock.now();
    this.task(instance, { ...details, finishedAt });
    const { events } = this.#core;
    if (!events.hears("task:finished") && !events.hears("task:failed")) return;
    const { error, reason, startedAt = finishedAt } = details;
    const durationMs = finishedAt - startedAt;
    const status = this.#state.statusOf(instance);
    this.#announce("task:finished", () => ({ ...this.#taskEvent(instance), status, durationMs, error, reason }));
    if (this.#state.status[instance] === FAILED && error) {
      this.#announce("task:failed", () => ({ ...this.#taskEvent(instance), error, durationMs }));
    }
  }

  // ---- Attempts

  started(attempt: LiveAttempt, task: TaskDefinition): void {
    this.#started.push(attempt);
    this.#emit("task:started", () => ({ ...this.#taskEvent(attempt.instance), executor: task.executor }));
  }

  attempt(attempt: LiveAttempt, status: AttemptStatus, error: ErrorRecord | undefined): void {
    const { instance, number, startedAt } = attempt;
    const task = this.#state.plan.tasks[this.#state.taskOf(instance)]!;
    this.#changes.attempts.push({
      runId: this.#run.id,
      task: task.id,
      position: task.position,
      index: indexOf(this.#state, instance),
      attempt: number,
      status,
      executor: task.executor,
      engineId: this.#core.engineId,
      startedAt,
      finishedAt: status === "running" ? undefined : this.#core.clock.now(),
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

  progress(attempt: LiveAttempt, fraction: number, message: string | undefined): void {
    this.#emit("task:progress", () => ({ ...this.#taskEvent(attempt.instance), fraction, message }));
  }

  #recordRunning(attempt: LiveAttempt): void {
    this.attempt(attempt, "running", undefined);
    this.task(attempt.instance, { startedAt: this.#state.firstStartAt.get(attempt.instance) ?? attempt.startedAt });
  }

  #origin(attempt: LiveAttempt): Origin {
    const task = this.#state.plan.tasks[this.#state.taskOf(attempt.instance)]!;
    const index = indexOf(this.#state, attempt.instance);
    return { runId: this.#run.id, task: task.id, index, attempt: attempt.number, at: this.#core.clock.now() };
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
    const task = this.#state.plan.tasks[this.#state.taskOf(instance)]!;
    const attempt = this.#state.attempts[instance]!;
    return { ...this.#runEvent(), task: task.id, index: indexOf(this.#state, instance), attempt };
  }
}
