import { type Clock, systemClock } from "../clock.js";
import type { Executor } from "../contracts/executor.js";
import type { Scheduler } from "../contracts/scheduler.js";
import type { Storage } from "../contracts/storage.js";
import { inProcess } from "../defaults/in-process.js";
import { memoryStorage } from "../defaults/memory/memory-storage.js";
import { timerScheduler } from "../defaults/timer-scheduler.js";
import type { Resources } from "../define/context.js";
import { type Duration, durationMs } from "../define/duration.js";
import { isCount, show } from "../define/options.js";
import type { Pipeline } from "../define/pipeline.js";
import { WeftlineError } from "../errors.js";
import { consoleLogger, type Logger } from "../logger.js";
import { defaultNewId, defaultRandom, type Random } from "../random.js";
import { DEFAULT_VALUE_LIMITS, type ValueLimits } from "../values/codec.js";

export interface EngineOptions {
  /** What this engine can run. */
  readonly pipelines: readonly Pipeline[];
  /** Where runs and their history are kept. Default: `memoryStorage()`. */
  readonly storage?: Storage;
  /**
   * Which adapter runs the tasks of each executor name. `default` is `inProcess()` unless given here. Without this
   * option every name runs in-process, so that any pipeline can be tested as it is.
   */
  readonly executors?: Readonly<Record<string, Executor>>;
  /** What wakes the engine for its schedules. Default: `timerScheduler()`. */
  readonly scheduler?: Scheduler;
  /** Handed to every task as `resources`: connections, clients, configuration. */
  readonly resources?: Resources;
  /** How many attempts run at once over all pipelines. Default: 64. */
  readonly concurrency?: number;
  /** How long code may go on after its signal aborted, before its attempt is given up. Default: `"5s"`. */
  readonly abortGrace?: Duration;
  readonly limits?: {
    /** The largest output, item, params or artifact, in bytes of its stored form. Default: 16 MiB. */
    readonly maxValueBytes?: number;
    /** The deepest nesting of a value. Default: 500. */
    readonly maxValueDepth?: number;
  };
  /** Where the engine reports what no caller asked about. Default: warnings and errors to the console. */
  readonly log?: Logger;
  /** Part of the engine's identity in history; a random part is added. Default: `engine`. */
  readonly name?: string;
  /** For tests and simulations: time, chance and ids. */
  readonly clock?: Clock;
  readonly random?: Random;
  readonly newId?: () => string;
}

/** The options, checked, with every default filled in. */
export interface EngineSettings {
  readonly pipelines: readonly Pipeline[];
  readonly storage: Storage;
  readonly executors: ReadonlyMap<string, Executor>;
  /** Whether names without an adapter run on `default`. */
  readonly isAnyExecutorAllowed: boolean;
  readonly scheduler: Scheduler;
  readonly resources: object;
  readonly concurrency: number;
  readonly graceMs: number;
  readonly limits: ValueLimits;
  readonly log: Logger;
  readonly engineId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly newId: () => string;
}

const DEFAULT_CONCURRENCY = 64;
const DEFAULT_GRACE_MS = 5_000;

/** @throws {WeftlineError} `ENGINE_INVALID`, `EXECUTOR_UNKNOWN`, `DURATION_INVALID`. */
export function engineSettings(options: EngineOptions): EngineSettings {
  const { pipelines, limits = {}, executors } = options;
  if (!Array.isArray(pipelines))
    throw invalid("pipelines is not a list", "Write createEngine({ pipelines: [myPipeline] }).");
  const newId = options.newId ?? defaultNewId;
  const settings: EngineSettings = {
    pipelines,
    storage: options.storage ?? memoryStorage(),
    executors: new Map(Object.entries({ default: inProcess(), ...executors })),
    isAnyExecutorAllowed: executors === undefined,
    scheduler: options.scheduler ?? timerScheduler(),
    resources: options.resources ?? {},
    concurrency: count(options.concurrency, "concurrency") ?? DEFAULT_CONCURRENCY,
    graceMs: options.abortGrace === undefined ? DEFAULT_GRACE_MS : durationMs(options.abortGrace, "abortGrace"),
    limits: {
      maxBytes: count(limits.maxValueBytes, "limits.maxValueBytes") ?? DEFAULT_VALUE_LIMITS.maxBytes,
      maxDepth: count(limits.maxValueDepth, "limits.maxValueDepth") ?? DEFAULT_VALUE_LIMITS.maxDepth,
    },
    log: options.log ?? consoleLogger,
    engineId: `${options.name ?? "engine"}-${newId()}`,
    clock: options.clock ?? systemClock,
    random: options.random ?? defaultRandom,
    newId,
  };
  checkPipelines(settings);
  return settings;
}

function checkPipelines({ pipelines, executors, isAnyExecutorAllowed }: EngineSettings): void {
  const ids = new Set<string>();
  for (const pipeline of pipelines) {
    if (pipeline?.plan === undefined)
      throw invalid(`${show(pipeline)} is no pipeline`, "Pass what pipeline() returned.");
    if (ids.has(pipeline.id)) {
      throw invalid(`pipeline "${pipeline.id}" is given twice`, "Give each pipeline its own id, or pass it once.");
    }
    ids.add(pipeline.id);
    if (isAnyExecutorAllowed) continue;
    for (const task of pipeline.plan.tasks) {
      if (executors.has(task.executor)) continue;
      throw new WeftlineError(
        "EXECUTOR_UNKNOWN",
        `task "${task.id}" of pipeline "${pipeline.id}" asks for executor "${task.executor}", and this engine has ${[...executors.keys()].map(show).join(", ")}. Add it to createEngine({ executors }).`,
      );
    }
  }
}

function count(value: number | undefined, option: string): number | undefined {
  if (value === undefined || isCount(value)) return value;
  throw invalid(`${option} is ${show(value)}`, "Give a whole number from 1, or leave it out.");
}

function invalid(problem: string, remedy: string): WeftlineError {
  return new WeftlineError("ENGINE_INVALID", `Cannot create an engine: ${problem}. ${remedy}`);
}
