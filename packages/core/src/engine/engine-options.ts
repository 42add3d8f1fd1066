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
import type { ResourcesOption } from "../execute/resources.js";
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
  /**
   * Handed to every task as `resources`: connections, clients, configuration. A function is called when the engine starts;
   * what it returns is ended when the engine stops, by its `Symbol.asyncDispose` or `Symbol.dispose`. Workers of other
   * threads and processes have their own: the export `resources` of their module.
   */
  readonly resources?: ResourcesOption<Resources>;
  /** Slots that tasks name in their `pool` option, by name: `{ gpu: 1, api: 8 }`. */
  readonly pools?: Readonly<Record<string, number>>;
  /** How many attempts run at once over all pipelines. Default: 64. */
  readonly concurrency?: number;
  /** How long code may go on after its signal aborted, before its attempt is given up. Default: `"5s"`. */
  readonly abortGrace?: Duration;
  /**
   * How long runs stay with this engine after it was last heard of; then others take them over. Matters only where
   * several processes share a storage. From `"100ms"`. Default: `"10s"`.
   */
  readonly lease?: Duration;
  /**
   * How often an engine looks into a storage that several processes share, when no hint comes. From `"20ms"`.
   * Default: `"2s"`.
   */
  readonly poll?: Duration;
  /**
   * How long the event loop of this process may be blocked before its runs are left to others, where the storage can
   * tell (it renews the lease from a thread). Default: `"60s"`, and never less than `lease`.
   */
  readonly maxBlocked?: Duration;
  /** A run under which so many engines died without making progress is quarantined. Default: 3. */
  readonly quarantineAfter?: number;
  /**
   * How long finished runs are kept; older ones are deleted in the background. `false`: for ever. Default: `"30d"` in a
   * durable storage, `false` in one that forgets with its process.
   */
  readonly retention?: Duration | false;
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
  /** Those that were given. */
  readonly pipelines: readonly Pipeline[];
  /** With those that they run as sub-pipelines, which need not be given. */
  readonly registered: readonly Pipeline[];
  readonly pools: ReadonlyMap<string, number>;
  readonly storage: Storage;
  readonly executors: ReadonlyMap<string, Executor>;
  /** Whether names without an adapter run on `default`. */
  readonly isAnyExecutorAllowed: boolean;
  readonly scheduler: Scheduler;
  readonly resources: ResourcesOption;
  readonly concurrency: number;
  readonly graceMs: number;
  readonly leaseMs: number;
  readonly pollMs: number;
  readonly maxBlockedMs: number;
  readonly quarantineAfter: number;
  /** `undefined`: finished runs are kept for ever. */
  readonly retentionMs: number | undefined;
  readonly limits: ValueLimits;
  readonly log: Logger;
  readonly engineId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly newId: () => string;
}

const DEFAULT_CONCURRENCY = 64;
const DEFAULT_GRACE_MS = 5_000;
const DEFAULT_LEASE_MS = 10_000;
const MIN_LEASE_MS = 100;
const DEFAULT_POLL_MS = 2_000;
const MIN_POLL_MS = 20;
const DEFAULT_MAX_BLOCKED_MS = 60_000;
const DEFAULT_QUARANTINE_AFTER = 3;
const DEFAULT_RETENTION_MS = 30 * 86_400_000;

/** @throws {WeftlineError} `ENGINE_INVALID`, `EXECUTOR_UNKNOWN`, `DURATION_INVALID`. */
export function engineSettings(options: EngineOptions): EngineSettings {
  const { pipelines, limits = {}, executors } = options;
  if (!Array.isArray(pipelines))
    throw invalid("pipelines is not a list", "Write createEngine({ pipelines: [myPipeline] }).");
  checkParts(options);
  const newId = options.newId ?? defaultNewId;
  checkPipelines(pipelines);
  const leaseMs = atLeast(options.lease, "lease", MIN_LEASE_MS) ?? DEFAULT_LEASE_MS;
  const storage = options.storage ?? memoryStorage();
  const settings: EngineSettings = {
    pipelines,
    registered: withSubPipelines(pipelines),
    pools: new Map(Object.entries(options.pools ?? {})),
    storage,
    executors: new Map(Object.entries({ default: inProcess(), ...executors })),
    isAnyExecutorAllowed: executors === undefined,
    scheduler: options.scheduler ?? timerScheduler(),
    resources: options.resources ?? {},
    concurrency: count(options.concurrency, "concurrency") ?? DEFAULT_CONCURRENCY,
    graceMs: options.abortGrace === undefined ? DEFAULT_GRACE_MS : durationMs(options.abortGrace, "abortGrace"),
    leaseMs,
    pollMs: atLeast(options.poll, "poll", MIN_POLL_MS) ?? DEFAULT_POLL_MS,
    maxBlockedMs: Math.max(leaseMs, atLeast(options.maxBlocked, "maxBlocked", 1) ?? DEFAULT_MAX_BLOCKED_MS),
    quarantineAfter: count(options.quarantineAfter, "quarantineAfter") ?? DEFAULT_QUARANTINE_AFTER,
    retentionMs: retention(options.retention, storage),
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
  for (const [name, slots] of settings.pools) count(slots, `pools["${name}"]`);
  for (const pipeline of settings.registered) checkTasks(pipeline, settings);
  return settings;
}

/** What each part that can be given has to have: one that does not fit is found here, not in the middle of a run. */
const PARTS = {
  storage: ["open", "close", "commit", "claimRuns", "list"],
  scheduler: ["start", "stop", "changed"],
  clock: ["now", "monotonicMs", "timer", "afterTurn"],
  log: ["debug", "info", "warn", "error"],
} as const;
const EXECUTOR = ["start", "execute", "stop"];

/** @throws {WeftlineError} `ENGINE_INVALID`. */
function checkParts(options: EngineOptions): void {
  for (const [name, methods] of Object.entries(PARTS)) checkPart(name, options[name as keyof typeof PARTS], methods);
  const { executors = {}, name, newId, random } = options;
  if (typeof executors !== "object" || executors === null) {
    throw invalid(`executors is ${show(executors)}`, "Give an object of executors by name.");
  }
  for (const [key, executor] of Object.entries(executors)) {
    if (executor === undefined) throw invalid(`executors["${key}"] is undefined`, "Give an executor, or leave it out.");
    checkPart(`executors["${key}"]`, executor, EXECUTOR);
  }
  if (name !== undefined && typeof name !== "string") throw invalid(`name is ${show(name)}`, "Give a text.");
  for (const [key, value] of Object.entries({ newId, random })) {
    if (value !== undefined && typeof value !== "function")
      throw invalid(`${key} is ${show(value)}`, "Give a function.");
  }
}

function checkPart(name: string, part: unknown, methods: readonly string[]): void {
  if (part === undefined) return;
  const missing = methods.find((method) => typeof (part as Record<string, unknown> | null)?.[method] !== "function");
  if (missing === undefined) return;
  throw invalid(`${name} is ${show(part)} without a method ${missing}()`, "Give what its factory returned.");
}

/** The given pipelines and those their tasks run, each once. */
function withSubPipelines(pipelines: readonly Pipeline[]): readonly Pipeline[] {
  const byId = new Map(pipelines.map((pipeline) => [pipeline.id, pipeline]));
  for (const pipeline of byId.values()) {
    for (const { extra, id } of pipeline.plan.tasks) {
      if (extra.child === undefined) continue;
      const known = byId.get(extra.child.id);
      if (known !== undefined && known !== extra.child) {
        throw invalid(
          `task "${id}" of pipeline "${pipeline.id}" runs another pipeline "${extra.child.id}" than the one that is given`,
          "Give different pipelines different ids.",
        );
      }
      byId.set(extra.child.id, extra.child);
    }
  }
  return [...byId.values()];
}

function checkPipelines(pipelines: readonly Pipeline[]): void {
  const ids = new Set<string>();
  for (const pipeline of pipelines) {
    if (pipeline?.plan === undefined)
      throw invalid(`${show(pipeline)} is no pipeline`, "Pass what pipeline() returned.");
    if (ids.has(pipeline.id)) {
      throw invalid(`pipeline "${pipeline.id}" is given twice`, "Give each pipeline its own id, or pass it once.");
    }
    ids.add(pipeline.id);
  }
}

function checkTasks(pipeline: Pipeline, { executors, isAnyExecutorAllowed, pools }: EngineSettings): void {
  for (const { id, policy } of pipeline.plan.tasks) {
    const where = `task "${id}" of pipeline "${pipeline.id}"`;
    if (!isAnyExecutorAllowed && !executors.has(policy.executor)) {
      throw new WeftlineError(
        "EXECUTOR_UNKNOWN",
        `${where} asks for executor "${policy.executor}", and this engine has ${[...executors.keys()].map(show).join(", ")}. Add it to createEngine({ executors }).`,
      );
    }
    if (policy.pool !== undefined) checkPool(policy.pool, policy.slots, pools, where);
  }
}

function checkPool(pool: string, slots: number, pools: ReadonlyMap<string, number>, where: string): void {
  const size = pools.get(pool);
  if (size !== undefined && slots <= size) return;
  throw new WeftlineError(
    "POOL_UNKNOWN",
    size === undefined
      ? `${where} asks for pool "${pool}", which this engine does not have. Add it to createEngine({ pools: { "${pool}": 1 } }).`
      : `${where} asks for ${slots} slots of pool "${pool}", which has ${size}: it could never start. Enlarge the pool.`,
  );
}

function retention(value: Duration | false | undefined, { supports }: Storage): number | undefined {
  if (value === undefined) return supports.durable ? DEFAULT_RETENTION_MS : undefined;
  return value === false ? undefined : durationMs(value, "retention");
}

function atLeast(value: Duration | undefined, option: string, minMs: number): number | undefined {
  if (value === undefined) return undefined;
  const ms = durationMs(value, option);
  if (ms >= minMs) return ms;
  throw invalid(`${option} is ${show(value)}`, `Give ${minMs} ms or more, or leave it out.`);
}

function count(value: number | undefined, option: string): number | undefined {
  if (value === undefined || isCount(value)) return value;
  throw invalid(`${option} is ${show(value)}`, "Give a whole number from 1, or leave it out.");
}

function invalid(problem: string, remedy: string): WeftlineError {
  return new WeftlineError("ENGINE_INVALID", `Cannot create an engine: ${problem}. ${remedy}`);
}
