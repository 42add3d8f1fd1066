import { WeftlineError } from "../errors.js";
import { durationMs } from "./duration.js";
import {
  checkTriggerRule,
  type Expectation,
  isCount,
  type KeyedLimit,
  NO_RETRY,
  NO_TIMEOUTS,
  positiveMs,
  type RatePolicy,
  retryPolicy,
  type TaskDefaults,
  type TaskPolicy,
  timeouts,
} from "./options.js";
import { show } from "./show.js";

const DEFAULT_MAX_ITEMS = 100_000;
const NO_NAMES: readonly string[] = Object.freeze([]);

/** The options of any kind of task, as a caller without types may have written them. */
export type PolicyOptions = { readonly [Option in keyof TaskPolicy | "timeout"]?: unknown };

/** How tasks run that say nothing themselves. @throws {WeftlineError} `RETRY_INVALID`, `DURATION_INVALID`. */
export function defaultPolicy(pipelineId: string, defaults: TaskDefaults): TaskPolicy {
  const where = `defaults of pipeline "${pipelineId}"`;
  return Object.freeze({
    triggerRule: "all-success",
    when: undefined,
    retry: defaults.retry ? retryPolicy(defaults.retry, where) : NO_RETRY,
    timeouts: defaults.timeout === undefined ? NO_TIMEOUTS : timeouts(defaults.timeout, where),
    allowFailure: false,
    executor: optionalText(defaults.executor, "executor", where) ?? "default",
    pool: undefined,
    slots: 1,
    priority: 0,
    concurrency: undefined,
    keyed: undefined,
    rateLimit: undefined,
    cache: undefined,
    expect: undefined,
    produces: NO_NAMES,
    teardown: false,
    failRun: false,
    maxItems: DEFAULT_MAX_ITEMS,
    title: undefined,
    description: undefined,
    tags: NO_NAMES,
  });
}

/** Options that say how a task is wired, not how it runs. */
const WIRING: ReadonlySet<string> = new Set(["needs", "after", "over"]);

/**
 * The policy of a task: the pipeline's default itself where its options say nothing else.
 *
 * @throws {WeftlineError} `TASK_INVALID`, `RETRY_INVALID`, `DURATION_INVALID`.
 */
export function taskPolicy(options: PolicyOptions, defaults: TaskPolicy, where: string): TaskPolicy {
  for (const option in options) if (!WIRING.has(option)) return Object.freeze(readPolicy(options, defaults, where));
  return defaults;
}

function readPolicy(options: PolicyOptions, defaults: TaskPolicy, where: string): TaskPolicy {
  const { concurrency, produces, tags, teardown } = options;
  const isKeyed = typeof concurrency === "object" && concurrency !== null;
  if (options.slots !== undefined && options.pool === undefined) {
    throw invalid(where, "slots is given without a pool", "Name the pool whose slots it takes, or leave slots out.");
  }
  return {
    triggerRule: options.triggerRule === undefined ? "all-success" : checkTriggerRule(options.triggerRule, where),
    when: fn(options.when, "when", where) as TaskPolicy["when"],
    retry: options.retry === undefined ? defaults.retry : retryPolicy(options.retry as never, where),
    timeouts: options.timeout === undefined ? defaults.timeouts : timeouts(options.timeout as never, where),
    allowFailure: Boolean(options.allowFailure),
    executor: optionalText(options.executor, "executor", where) ?? defaults.executor,
    pool: options.pool === undefined ? undefined : text(options.pool, "pool", where),
    slots: count(options.slots, "slots", where) ?? 1,
    priority: wholeNumber(options.priority, "priority", where) ?? 0,
    concurrency: isKeyed ? undefined : count(concurrency, "concurrency", where),
    keyed: isKeyed ? keyedLimit(concurrency, where) : undefined,
    rateLimit: options.rateLimit === undefined ? undefined : ratePolicy(options.rateLimit, where),
    cache: options.cache === undefined ? undefined : cachePolicy(options.cache, where),
    expect: options.expect === undefined ? undefined : expectations(options.expect, where),
    produces: produces === undefined ? NO_NAMES : names(produces, "produces", where),
    teardown: teardown !== undefined && teardown !== false,
    failRun: (teardown as { failRun?: boolean } | undefined)?.failRun === true,
    maxItems: count(options.maxItems, "maxItems", where) ?? DEFAULT_MAX_ITEMS,
    title: optionalText(options.title, "title", where),
    description: optionalText(options.description, "description", where),
    tags: tags === undefined ? NO_NAMES : texts(tags, "tags", where),
  };
}

/** @throws {WeftlineError} `TASK_INVALID` when the key is no function or the limit no count. */
export function keyedLimit(options: object, where: string): KeyedLimit<unknown> {
  const { key, limit } = options as { key?: unknown; limit?: unknown };
  if (typeof key !== "function") {
    throw invalid(where, "concurrency.key is not a function", "Give a function to a text, and a limit from 1.");
  }
  return Object.freeze({ key: key as () => string, limit: requiredCount(limit, "concurrency.limit", where) });
}

function ratePolicy(options: unknown, where: string): RatePolicy {
  const { limit, per, key } = Object(options) as { limit?: unknown; per?: unknown; key?: unknown };
  return Object.freeze({
    limit: requiredCount(limit, "rateLimit.limit", where),
    perMs: positiveMs(per as never, `rateLimit.per of ${where}`),
    key: fn(key, "rateLimit.key", where) as RatePolicy["key"],
  });
}

function cachePolicy(options: unknown, where: string): TaskPolicy["cache"] {
  const { key, ttl } = Object(options) as { key?: unknown; ttl?: unknown };
  if (typeof key !== "function") {
    throw invalid(
      where,
      "cache.key is not a function",
      "Give a function from the context to what the work depends on.",
    );
  }
  return Object.freeze({ key: key as () => unknown, ttlMs: durationMs(ttl as never, `cache.ttl of ${where}`) });
}

function expectations(options: unknown, where: string): Readonly<Record<string, Expectation>> {
  for (const [name, bounds] of Object.entries(Object(options) as object)) {
    const { min, max, severity = "error" } = Object(bounds) as Expectation;
    const isBound = (bound: unknown) => bound === undefined || (typeof bound === "number" && !Number.isNaN(bound));
    if (!isBound(min) || !isBound(max) || (min === undefined && max === undefined)) {
      throw invalid(where, `expect["${name}"] has no usable bounds`, "Give min, max or both, as numbers.");
    }
    if (severity !== "error" && severity !== "warning") {
      throw invalid(where, `expect["${name}"].severity is ${show(severity)}`, 'Use "error" or "warning".');
    }
  }
  return Object.freeze({ ...(options as object) });
}

function optionalText(value: unknown, option: string, where: string): string | undefined {
  if (value === undefined || typeof value === "string") return value;
  throw invalid(where, `${option} is ${show(value)}`, "Give a text, or leave it out.");
}

function texts(value: unknown, option: string, where: string): readonly string[] {
  if (!Array.isArray(value)) throw invalid(where, `${option} is ${show(value)}`, "Give a list of texts.");
  return Object.freeze(Array.from(value, (one: unknown) => text(one, option, where)));
}

function names(value: unknown, option: string, where: string): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return Object.freeze(list.map((name) => text(name, option, where)));
}

function text(value: unknown, option: string, where: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw invalid(where, `${option} is ${show(value)}`, "Give a text that is not empty.");
}

function fn(value: unknown, option: string, where: string): unknown {
  if (value === undefined || typeof value === "function") return value;
  throw invalid(where, `${option} is not a function`, "Give a function of the context.");
}

function count(value: unknown, option: string, where: string): number | undefined {
  if (value === undefined || isCount(value)) return value;
  throw invalid(where, `${option} is ${show(value)}`, "Give a whole number from 1, or leave it out.");
}

function requiredCount(value: unknown, option: string, where: string): number {
  if (isCount(value)) return value;
  throw invalid(where, `${option} is ${show(value)}`, "Give a whole number from 1.");
}

function wholeNumber(value: unknown, option: string, where: string): number | undefined {
  if (value === undefined || Number.isSafeInteger(value)) return value as number | undefined;
  throw invalid(where, `${option} is ${show(value)}`, "Give a whole number; higher ones go first.");
}

export function invalid(where: string, problem: string, remedy: string, cause?: unknown): WeftlineError {
  return new WeftlineError("TASK_INVALID", `Cannot define ${where}: ${problem}. ${remedy}`, { cause });
}
