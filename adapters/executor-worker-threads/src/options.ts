import { availableParallelism } from "node:os";
import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import type { ResourceLimits } from "node:worker_threads";
import { type Duration, durationMs, WeftlineError } from "weftline";

export interface WorkerThreadsOptions {
  /**
   * The module whose pipelines run here, as a URL (`new URL("./pipelines.js", import.meta.url)`) or an absolute path. Each
   * thread imports it. It exports the pipelines that `createEngine()` gets, and may export `resources`: what its tasks
   * receive, or a function that makes it, once for each thread. TypeScript is loaded with jiti.
   */
  readonly module: URL | string;
  /** How many threads stay when there is nothing to do; one is started with the engine. Default: 1. */
  readonly minThreads?: number;
  /** How many tasks run at once, each in a thread of its own. Default: as many as the machine has processors for. */
  readonly maxThreads?: number;
  /** After being idle for so long, a thread beyond `minThreads` ends. Default: `"10s"`. */
  readonly idleTimeout?: Duration;
  /** A thread is replaced after so many tasks. Default: never. */
  readonly tasksPerThread?: number;
  /** How long a thread may take to load the module. Default: `"30s"`. */
  readonly startTimeout?: Duration;
  /** The memory of each thread, as for `new Worker()`. Default: Node's own limits. */
  readonly resourceLimits?: ResourceLimits;
  /**
   * What becomes of a thread whose task left timers, sockets or other handles behind: `recycle` replaces it, so that they
   * are never another task's trouble; `ignore` is for code that shares connections between tasks, and does not look.
   * Default: `"recycle"`.
   */
  readonly leftovers?: "recycle" | "ignore";
  /** The environment of the threads. Default: a copy of this process's. */
  readonly env?: Readonly<Record<string, string>>;
  /** Node's own options for the threads. Default: those of this process, without a program that it was given as text. */
  readonly execArgv?: readonly string[];
}

/** The options with their defaults, checked. */
export interface Settings {
  /** Of a file. */
  readonly url: string;
  readonly minThreads: number;
  readonly maxThreads: number;
  readonly idleMs: number;
  readonly tasksPerThread: number;
  readonly startMs: number;
  readonly resourceLimits: ResourceLimits | undefined;
  readonly isRecycling: boolean;
  readonly env: Readonly<Record<string, string>> | undefined;
  readonly execArgv: readonly string[] | undefined;
}

/** @throws {WeftlineError} `EXECUTOR_INVALID`, `DURATION_INVALID` */
export function readOptions(options: WorkerThreadsOptions): Settings {
  const { idleTimeout = "10s", startTimeout = "30s", leftovers = "recycle", resourceLimits, env, execArgv } = options;
  const maxThreads = count(options.maxThreads ?? availableParallelism(), "maxThreads", 1);
  const minThreads = count(options.minThreads ?? Math.min(1, maxThreads), "minThreads", 0);
  if (minThreads > maxThreads) {
    throw invalid(`minThreads is ${minThreads} and maxThreads ${maxThreads}`, "Give a minThreads that is not higher.");
  }
  if (leftovers !== "recycle" && leftovers !== "ignore") {
    throw invalid(`leftovers is ${show(leftovers)}`, 'Give "recycle" or "ignore".');
  }
  return {
    url: moduleUrl(options.module),
    minThreads,
    maxThreads,
    idleMs: durationMs(idleTimeout, "`idleTimeout` of workerThreads()"),
    tasksPerThread:
      options.tasksPerThread === undefined
        ? Number.POSITIVE_INFINITY
        : count(options.tasksPerThread, "tasksPerThread", 1),
    startMs: durationMs(startTimeout, "`startTimeout` of workerThreads()"),
    resourceLimits: checkedLimits(resourceLimits),
    isRecycling: leftovers === "recycle",
    env,
    execArgv,
  };
}

function moduleUrl(module: unknown): string {
  const remedy = 'Give new URL("./pipelines.js", import.meta.url), or an absolute path.';
  const text = module instanceof URL ? module.href : module;
  if (typeof text !== "string" || text === "") throw invalid(`module is ${show(module)}`, remedy);
  if (text.startsWith("file:")) return text;
  if (!isAbsolute(text)) throw invalid(`module ${show(text)} is no file's URL and no absolute path`, remedy);
  return pathToFileURL(text).href;
}

function checkedLimits(limits: ResourceLimits | undefined): ResourceLimits | undefined {
  for (const [name, value] of Object.entries(limits ?? {})) {
    if (typeof value !== "number" || !(value > 0)) {
      throw invalid(`resourceLimits.${name} is ${show(value)}`, "Give a number of megabytes above 0, or leave it out.");
    }
  }
  return limits;
}

function count(value: unknown, option: string, min: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= min) return value as number;
  throw invalid(`${option} is ${show(value)}`, `Give a whole number from ${min}, or leave it out.`);
}

function show(value: unknown): string {
  return typeof value === "string" ? `"${value}"` : String(value);
}

function invalid(problem: string, remedy: string): WeftlineError {
  return new WeftlineError("EXECUTOR_INVALID", `Cannot run tasks in worker threads: ${problem}. ${remedy}`);
}
