import type { StandardSchemaV1 } from "@standard-schema/spec";
import { WeftlineError } from "../errors.js";
import type { AnyContext } from "./context.js";
import { type Duration, durationMs } from "./duration.js";
import type { After, Needs, Node } from "./handles.js";
import type { Schedule } from "./schedule.js";
import { show } from "./show.js";
import { TRIGGER_RULES, type TriggerRule } from "./trigger-rules.js";

export interface RetryOptions {
  /** How many attempts in all, the first included: 1 to 10,000. */
  readonly attempts: number;
  /** The delay before the second attempt. Default: `"1s"`, or `maxDelay` when that is shorter. */
  readonly delay?: Duration;
  /** How the delay grows: `delay`, `delay × n`, `delay × 2ⁿ⁻¹` after the n-th failure. Default: `"exponential"`. */
  readonly backoff?: "fixed" | "linear" | "exponential";
  /** No delay is longer; not shorter than `delay`. Default: `"10m"`, or `delay` when that is longer. */
  readonly maxDelay?: Duration;
  /** `"full"` draws each delay evenly between 0 and its full length, so that many failures do not return in step. Default: `"full"` for exponential, else `"none"`. */
  readonly jitter?: "full" | "none";
  /** Whether this error is worth another attempt; asked where the task ran, with what it threw. Default: always. */
  readonly when?: (error: unknown) => boolean;
  /** Retry although the code of a timed-out attempt ignored its signal and still runs, so that two may run at once. Default: false. */
  readonly whileAbandoned?: boolean;
}

/** Retry options with every default filled in. */
export interface RetryPolicy {
  readonly attempts: number;
  readonly delayMs: number;
  readonly backoff: "fixed" | "linear" | "exponential";
  readonly maxDelayMs: number;
  readonly jitter: "full" | "none";
  readonly when: ((error: unknown) => boolean) | undefined;
  readonly whileAbandoned: boolean;
}

/** One length for each attempt, or two lengths: for each attempt, and for the task over all its attempts and delays. */
export type TimeoutOptions = Duration | { readonly attempt?: Duration; readonly total?: Duration };

/** What decides a key before an attempt starts: without the inputs, which only the executor decodes. */
export type KeyContext<Context> = Omit<
  Context,
  "input" | "signal" | "log" | "metric" | "progress" | "artifact" | "step"
>;

/** At most `limit` at once of those for which `key` gives the same text. */
export interface KeyedLimit<Context> {
  readonly key: (context: Context) => string;
  /** ≥ 1. */
  readonly limit: number;
}

/** At most `limit` starts within any stretch of time as long as `per`. */
export interface RateLimitOptions<Context> {
  /** ≥ 1. */
  readonly limit: number;
  readonly per: Duration;
  /** Counts separately for each text it gives. Default: one count for the task. */
  readonly key?: (context: Context) => string;
}

export interface CacheOptions<Context> {
  /** What the work depends on, any value that can be stored; asked where the task runs. Equal values take one output. */
  readonly key: (context: Context) => unknown;
  /** How long an output may be taken. */
  readonly ttl: Duration;
}

/** Bounds on a number, both allowed themselves. */
export interface Expectation {
  readonly min?: number;
  readonly max?: number;
  /** Whether the task fails, or succeeds with a warning in its history. Default: `"error"`. */
  readonly severity?: "error" | "warning";
}

/** What every kind of task takes. */
export interface NodeOptions<N extends Needs, Rule extends TriggerRule> {
  /** The tasks whose outputs this one reads, under names of your choice: `input.<name>`. */
  readonly needs?: N;
  /** Tasks (or branch choices: `gate.when("deploy")`) that come before, without their output. */
  readonly after?: readonly After[];
  /** When the task may start, judged by how its upstream ended. Default: `"all-success"`. */
  readonly triggerRule?: Rule;
  /** The run does not fail because of this task. Tasks that need it are still `upstream-failed`. Default: false. */
  readonly allowFailure?: boolean;
  readonly title?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
}

export interface TaskOptions<Context, N extends Needs, Rule extends TriggerRule> extends NodeOptions<N, Rule> {
  /** Asked just before the function; `false` skips the task. */
  readonly when?: (context: Context) => boolean | Promise<boolean>;
  /** Default: the pipeline's `defaults.retry`, else one attempt. */
  readonly retry?: RetryOptions;
  readonly timeout?: TimeoutOptions;
  /** The name of the executor that runs it, mapped to an adapter by each deployment. Default: `"default"`. */
  readonly executor?: string;
  /** The pool whose slots its attempts take: `createEngine({ pools: { gpu: 1 } })`. */
  readonly pool?: string;
  /** How many of the pool's slots one attempt takes. Default: 1. */
  readonly slots?: number;
  /** Among tasks that wait for the same place those of the highest priority start first; any whole number. Default: 0. */
  readonly priority?: number;
  /**
   * How many attempts at this task may run at once in one engine, over all runs, ≥ 1; for a map: how many items of one
   * run. With a key: how many for which it gives the same text, such as a tenant's.
   */
  readonly concurrency?: number | KeyedLimit<KeyContext<Context>>;
  /** How often attempts at this task may start in one engine, over all runs. */
  readonly rateLimit?: RateLimitOptions<KeyContext<Context>>;
  /** Takes the output of an earlier run instead of running the task, while there is one for the same key. */
  readonly cache?: CacheOptions<Context>;
  /** Bounds by the name of a metric, or by `output` and the path of a number in it: `{ mape: { max: 5 }, "output.rows.length": { min: 100 } }`. */
  readonly expect?: Readonly<Record<string, Expectation>>;
  /** Names of what it makes outside (tables, files, models): recorded with each success. */
  readonly produces?: string | readonly string[];
  /**
   * Cleans up after the tasks in `needs`, its setup: runs when all of them succeeded and everything before it has ended,
   * however that went, also when the run is cancelled. Its failure does not fail the run unless `failRun` asks for it.
   */
  readonly teardown?: boolean | { readonly failRun: boolean };
}

export interface MapOptions<Context, N extends Needs, Rule extends TriggerRule, Item>
  extends TaskOptions<Context, N, Rule> {
  /** The list: an output known only at run time, or a fixed one. */
  readonly over: Node<readonly Item[]> | readonly Item[];
  /** A longer list fails the map before anything starts. Default: 100,000. */
  readonly maxItems?: number;
}

/** A group takes its tasks' needs from outside as its own, and is one for its outside. */
export interface GroupOptions
  extends Pick<NodeOptions<Needs, TriggerRule>, "after" | "allowFailure" | "title" | "description" | "tags"> {
  /** When one of its tasks fails for good, the others are stopped and all of them run again together. Default: no retry. */
  readonly retry?: RetryOptions;
  /** For one pass over all its tasks, or in `total` over all passes. */
  readonly timeout?: TimeoutOptions;
  /** How many attempts of its tasks run at once in one run; of a mapped group: how many items. ≥ 1. */
  readonly concurrency?: number;
}

export interface MappedGroupOptions<Item> extends GroupOptions {
  /** The list for each item of which the whole group runs. */
  readonly over: Node<readonly Item[]> | readonly Item[];
  /** A longer list fails the group before anything starts. Default: 100,000. */
  readonly maxItems?: number;
}

export interface RunTaskOptions<Context, N extends Needs, Rule extends TriggerRule, Params>
  extends Omit<TaskOptions<Context, N, Rule>, "cache" | "expect"> {
  /** For the other pipeline's run, and those of all retries, together; or `{ attempt }` for making its params. */
  readonly timeout?: TimeoutOptions;
  /** The params of the other pipeline's run. Default: none. */
  readonly params?: (context: Context) => Params | Promise<Params>;
}

export interface SleepOptions<Context, N extends Needs, Rule extends TriggerRule> extends NodeOptions<N, Rule> {
  readonly for: Duration | ((context: Context) => Duration | Promise<Duration>);
}

export interface SleepUntilOptions<Context, N extends Needs, Rule extends TriggerRule> extends NodeOptions<N, Rule> {
  /** The moment, as a Date or in epoch milliseconds; a past one means now. */
  readonly at: Date | number | ((context: Context) => Date | number | Promise<Date | number>);
}

export interface PollOptions<Context, N extends Needs, Rule extends TriggerRule> extends TaskOptions<Context, N, Rule> {
  /** The time between two looks. Nothing is held meanwhile. */
  readonly every: Duration;
  /** How long to look in all, or `{ attempt }` for one look. Default: for ever. */
  readonly timeout?: TimeoutOptions;
}

export interface SignalOptions<Context, N extends Needs, Rule extends TriggerRule, Schema extends StandardSchemaV1>
  extends NodeOptions<N, Rule> {
  /** What the payload has to be; any Standard Schema. Default: anything that can be stored. */
  readonly schema?: Schema;
  /** How long to wait. Default: for ever. */
  readonly timeout?: Duration;
  /** What senders that do not know the run may address: `engine.runs.signalKey(key, payload)`. */
  readonly key?: (context: KeyContext<Context>) => string;
}

/** What came of a check: the answer, or with words and the value that was measured. */
export type CheckAnswer = boolean | { readonly passed: boolean; readonly message?: string; readonly value?: unknown };

/** A check's output. */
export interface CheckResult {
  readonly passed: boolean;
  readonly message: string;
}

export interface CheckOptions<Context, N extends Needs, Rule extends TriggerRule>
  extends TaskOptions<Context, N, Rule> {
  /** Whether a check that does not pass fails, or succeeds with a warning in its history. Default: `"error"`. */
  readonly severity?: "error" | "warning";
}

export interface TaskDefaults {
  readonly retry?: RetryOptions;
  readonly timeout?: TimeoutOptions;
  readonly executor?: string;
}

export interface PipelineOptions<Schema extends StandardSchemaV1 | undefined, Params> {
  /** Any Standard Schema (zod, valibot, arktype …). Params are validated before a run exists. */
  readonly params?: Schema;
  /** Starts runs by itself while an engine that has the pipeline is up. */
  readonly schedule?: Schedule<Params>;
  /** For every task that does not say otherwise. */
  readonly defaults?: TaskDefaults;
  /** Ends the whole run, counted from its start; kept as an absolute deadline. */
  readonly timeout?: Duration;
  /** How many attempts of all runs of this pipeline may run at once in one engine, ≥ 1. With a key: of the runs for which it gives the same text. */
  readonly concurrency?: number | KeyedLimit<{ readonly params: Params }>;
  /** How many runs of this pipeline may be active at once, over all engines; further ones stay `queued`. ≥ 1. */
  readonly maxActiveRuns?: number;
  /** What fails a run: any task that failed and was not allowed to, or only tasks without downstream (Airflow). Default: `"any"`. */
  readonly failWhen?: "any" | "leaves";
  /** The first failure cancels everything that has not finished. Default: false. */
  readonly failFast?: boolean;
  readonly title?: string;
  readonly description?: string;
}

/** How a task is run, checked and filled in; shared by all tasks with the same options. */
export interface TaskPolicy {
  readonly triggerRule: TriggerRule;
  readonly when: ((context: AnyContext) => boolean | Promise<boolean>) | undefined;
  readonly retry: RetryPolicy;
  readonly timeouts: Timeouts;
  readonly allowFailure: boolean;
  readonly executor: string;
  readonly pool: string | undefined;
  readonly slots: number;
  readonly priority: number;
  readonly concurrency: number | undefined;
  readonly keyed: KeyedLimit<AnyContext> | undefined;
  readonly rateLimit: RatePolicy | undefined;
  readonly cache: { readonly key: (context: AnyContext) => unknown; readonly ttlMs: number } | undefined;
  readonly expect: Readonly<Record<string, Expectation>> | undefined;
  readonly produces: readonly string[];
  readonly teardown: boolean;
  /** A teardown's failure fails the run as well. */
  readonly failRun: boolean;
  readonly maxItems: number;
  readonly title: string | undefined;
  readonly description: string | undefined;
  readonly tags: readonly string[];
}

export interface RatePolicy {
  readonly limit: number;
  readonly perMs: number;
  readonly key: ((context: AnyContext) => string) | undefined;
}

const DEFAULT_RETRY_DELAY_MS = 1_000;
const DEFAULT_MAX_DELAY_MS = 600_000;
const MAX_ATTEMPTS = 10_000;

export const NO_RETRY: RetryPolicy = Object.freeze({
  attempts: 1,
  delayMs: DEFAULT_RETRY_DELAY_MS,
  backoff: "exponential",
  maxDelayMs: DEFAULT_MAX_DELAY_MS,
  jitter: "full",
  when: undefined,
  whileAbandoned: false,
});

/**
 * Checks retry options and fills in the defaults.
 *
 * @param where - Whose options they are, e.g. `task "fetch" of pipeline "nightly"`.
 * @throws {WeftlineError} `RETRY_INVALID`, `DURATION_INVALID`.
 */
export function retryPolicy(options: RetryOptions, where: string): RetryPolicy {
  if (typeof options !== "object" || options === null) {
    throw invalidRetry(where, `it is ${show(options)}`, "Give an object such as { attempts: 3 }.");
  }
  const { backoff = "exponential" } = options;
  const policy: RetryPolicy = {
    attempts: options.attempts,
    ...delays(options, where),
    backoff,
    jitter: options.jitter ?? (backoff === "exponential" ? "full" : "none"),
    when: options.when,
    whileAbandoned: options.whileAbandoned ?? false,
  };
  checkRetry(policy, where);
  return Object.freeze(policy);
}

/** A limit that was not asked for gives way to the one that was. */
function delays(options: RetryOptions, where: string): Pick<RetryPolicy, "delayMs" | "maxDelayMs"> {
  const delayMs = options.delay === undefined ? undefined : durationMs(options.delay, `retry.delay of ${where}`);
  const maxDelayMs =
    options.maxDelay === undefined ? undefined : durationMs(options.maxDelay, `retry.maxDelay of ${where}`);
  return {
    delayMs: delayMs ?? Math.min(DEFAULT_RETRY_DELAY_MS, maxDelayMs ?? DEFAULT_MAX_DELAY_MS),
    maxDelayMs: maxDelayMs ?? Math.max(DEFAULT_MAX_DELAY_MS, delayMs ?? 0),
  };
}

function checkRetry(policy: RetryPolicy, where: string): void {
  const refuse = (problem: string, remedy: string): never => {
    throw invalidRetry(where, problem, remedy);
  };
  if (!isCount(policy.attempts) || policy.attempts > MAX_ATTEMPTS) {
    refuse(
      `attempts is ${show(policy.attempts)}`,
      "Give the number of attempts in all, 1 to 10,000; 1 means no retry.",
    );
  }
  if (!["fixed", "linear", "exponential"].includes(policy.backoff)) {
    refuse(`backoff is ${show(policy.backoff)}`, 'Use "fixed", "linear" or "exponential".');
  }
  if (!["full", "none"].includes(policy.jitter)) refuse(`jitter is ${show(policy.jitter)}`, 'Use "full" or "none".');
  if (policy.when !== undefined && typeof policy.when !== "function") {
    refuse("when is not a function", "Give a function from the error to true or false.");
  }
  if (policy.maxDelayMs < policy.delayMs) {
    refuse("maxDelay is shorter than delay", "Raise maxDelay or lower delay.");
  }
}

function invalidRetry(where: string, problem: string, remedy: string): WeftlineError {
  return new WeftlineError("RETRY_INVALID", `Cannot use the retry policy of ${where}: ${problem}. ${remedy}`);
}

export interface Timeouts {
  readonly attemptMs: number | undefined;
  readonly totalMs: number | undefined;
}

export const NO_TIMEOUTS: Timeouts = Object.freeze({ attemptMs: undefined, totalMs: undefined });

/** @throws {WeftlineError} `DURATION_INVALID`. */
export function timeouts(options: TimeoutOptions, where: string): Timeouts {
  if (typeof options !== "object" || options === null) {
    return Object.freeze({ attemptMs: positiveMs(options, `timeout of ${where}`), totalMs: undefined });
  }
  return Object.freeze({
    attemptMs: options.attempt === undefined ? undefined : positiveMs(options.attempt, `timeout.attempt of ${where}`),
    totalMs: options.total === undefined ? undefined : positiveMs(options.total, `timeout.total of ${where}`),
  });
}

/** A duration that has to be longer than nothing. */
export function positiveMs(duration: Duration, where: string): number {
  const ms = durationMs(duration, where);
  if (ms === 0) {
    throw new WeftlineError(
      "DURATION_INVALID",
      `Cannot use 0 as ${where}: nothing could ever finish. Leave it out for no limit.`,
    );
  }
  return ms;
}

/** @throws {WeftlineError} `TASK_INVALID` naming the rules there are. */
export function checkTriggerRule(rule: unknown, where: string): TriggerRule {
  if (TRIGGER_RULES.includes(rule as TriggerRule)) return rule as TriggerRule;
  throw new WeftlineError(
    "TASK_INVALID",
    `Cannot define ${where}: unknown trigger rule ${show(rule)}. Use one of ${TRIGGER_RULES.join(", ")}.`,
  );
}

/** True for 1, 2, 3 … */
export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 1;
}

export { show } from "./show.js";
