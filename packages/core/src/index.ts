// Describe work
export { pipeline, type Pipeline } from "./define/pipeline.js";
export { fromGraph, type GraphContext, type GraphTask, type GraphTasks } from "./define/from-graph.js";
export type { Builder, Found } from "./define/builder.js";
export type {
  After,
  BranchNode,
  GroupNode,
  InputOf,
  ListsOf,
  Needs,
  Node,
  OutputOf,
  ResultNodes,
  ResultOf,
  WhenEdge,
} from "./define/handles.js";
export type {
  CacheOptions,
  CheckAnswer,
  CheckOptions,
  CheckResult,
  Expectation,
  GroupOptions,
  KeyContext,
  KeyedLimit,
  MapOptions,
  MappedGroupOptions,
  NodeOptions,
  PipelineOptions,
  PollOptions,
  RateLimitOptions,
  RetryOptions,
  RunTaskOptions,
  SignalOptions,
  SleepOptions,
  SleepUntilOptions,
  TaskDefaults,
  TaskOptions,
  TimeoutOptions,
} from "./define/options.js";
export type { ItemOf, MapContext, OuterOf, Resources, TaskContext, TaskFacts, TaskLog } from "./define/context.js";
export { type Duration, durationMs } from "./define/duration.js";
export { TRIGGER_RULES, type TriggerRule } from "./define/trigger-rules.js";
export {
  cron,
  type CronOptions,
  every,
  type Schedule,
  type ScheduleFire,
  type ScheduleOptions,
} from "./define/schedule.js";
export { toDot, toMermaid } from "./define/diagram.js";
export type { EdgeAttributes, NodeAttributes, TaskGraph } from "./define/graph.js";
export { diffPipelines, type FieldChange, type PipelineDiff, type TaskChange } from "./define/diff.js";
export {
  describePipeline,
  type EdgeDescription,
  type PipelineDescription,
  type TaskDescription,
} from "./define/description.js";
export type { TaskKind } from "./define/definition.js";
export { NonRetryableError, RetryAfter, SkipTask } from "./execute/signals.js";

// Run it
export { createEngine, type Engine, type StopOptions, type TriggerArguments } from "./engine/engine.js";
export type { EngineOptions } from "./engine/engine-options.js";
export type { TriggerOptions } from "./engine/trigger-options.js";
export type { NamedEvent, RunHandle } from "./engine/run-handle.js";
export { memoryStorage } from "./defaults/memory/memory-storage.js";
export { inProcess } from "./defaults/in-process.js";
export { timerScheduler } from "./defaults/timer-scheduler.js";

// Watch it, handle failures
export type { CancelOptions, RerunOptions, Runs } from "./engine/runs.js";
export type { PageOptions, RunHistory } from "./engine/run-history.js";
export type { LogInfo, RunInfo, StepInfo, TaskInfo } from "./engine/views.js";
export type { Health, HealthReason, HealthStatus } from "./engine/health.js";
export type { RemapOptions } from "./engine/remap.js";
export type { RunExplanation } from "./engine/explain.js";
export type { Reason, TaskAt, TaskExplanation } from "./run/explain.js";
export type { ScheduleInfo, Schedules } from "./engine/schedules.js";
export {
  type EngineEventName,
  type EngineEvents,
  type EngineListener,
  EVENT_NAMES,
  type RunEvent,
  type TaskEvent,
} from "./events.js";
export { RunCancelledError, RunFailedError, type TaskFailure, taskName } from "./engine/errors.js";
export { ERROR_CODES, type ErrorCode, WeftlineError } from "./errors.js";
export { describeError, type ErrorRecord } from "./values/error-record.js";
export type { Logger } from "./logger.js";

// Write an adapter
export type * from "./contracts/executor.js";
export type * from "./contracts/scheduler.js";
export type * from "./contracts/storage.js";
export type * from "./contracts/records.js";
export { isRunFinished, RUN_STATUSES, TASK_STATUSES } from "./contracts/records.js";
export { findRejected } from "./contracts/find-rejected.js";
export { LeaseBoard } from "./lease/lease-board.js";
export { LeaseRenewal, type LeaseRenewalOptions } from "./lease/lease-renewal.js";
export { type AttemptEnvironment, runAttempt } from "./execute/run-attempt.js";
export { decode, type Encoded, encode, type ValueLimits } from "./values/codec.js";
export { toErrorRecord } from "./values/error-record.js";

// Control time and chance
export { type Clock, type EpochMs, systemClock } from "./clock.js";
export { type Random, seededRandom } from "./random.js";
