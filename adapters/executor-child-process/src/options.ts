import { statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { isAbsolute } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Duration, durationMs, WeftlineError } from "weftline";
import { type EnvironmentOption, environmentOf } from "./environment.js";
import { inheritedArgv } from "./inherited-argv.js";

export interface ChildProcessesOptions {
  /**
   * The module whose pipelines run here, as a URL (`new URL("./pipelines.js", import.meta.url)`) or an absolute path. Each
   * process imports it. It exports the pipelines that `createEngine()` gets, and may export `resources`: what its tasks
   * receive, or a function that makes it, once for each process. TypeScript is loaded with jiti.
   */
  readonly module: URL | string;
  /**
   * `pool`: processes stay, and run one task after the other. `per-task`: each attempt gets a process that no other has
   * used, and that ends with it. Default: `"pool"`.
   */
  readonly mode?: "pool" | "per-task";
  /**
   * How many processes are kept ready when there is nothing to do. Default: 1, and 0 where each task has its own.
   */
  readonly minProcesses?: number;
  /** How many tasks run at once, each in a process of its own. Default: as many as the machine has processors for. */
  readonly maxProcesses?: number;
  /** After being idle for so long, a process beyond `minProcesses` ends. Default: `"30s"`. */
  readonly idleTimeout?: Duration;
  /** A process is replaced after so many tasks. Default: never. */
  readonly tasksPerProcess?: number;
  /** How long a process may take to load the module. Default: `"30s"`. */
  readonly startTimeout?: Duration;
  /**
   * How much memory a process may have, in megabytes, ≥ 64: of its JavaScript heap, and of all it holds (RSS, looked at
   * four times a second; without the processes it starts). Default: Node's own limit for the heap, none for the rest.
   */
  readonly memoryLimitMb?: number;
  /**
   * How much processor time one attempt may use, all threads of its process together; looked at four times a second.
   * Default: no limit.
   */
  readonly cpuTime?: Duration;
  /** Where the processes run. Default: where this one does. */
  readonly cwd?: string;
  /**
   * What the processes see of the environment beyond names such as PATH, HOME, LANG and TZ: a text is given, `true` takes
   * over what this process has. Secrets of this process stay in it unless they are named here. Default: nothing more.
   */
  readonly env?: EnvironmentOption;
  /** The user and the group the processes run as; this process has to have the right to that. */
  readonly uid?: number;
  readonly gid?: number;
  /** Node's own options for the processes. Default: those of this process, without debuggers, watchers and scripts. */
  readonly execArgv?: readonly string[];
}

/** The options with their defaults, checked. */
export interface Settings {
  /** Of a file. */
  readonly url: string;
  readonly isPerTask: boolean;
  readonly minProcesses: number;
  readonly maxProcesses: number;
  readonly idleMs: number;
  readonly tasksPerProcess: number;
  readonly startMs: number;
  readonly memoryLimitMb: number | undefined;
  readonly cpuMs: number | undefined;
  readonly cwd: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly execArgv: readonly string[];
}

const MIN_MEMORY_MB = 64;

/** @throws {WeftlineError} `EXECUTOR_INVALID`, `DURATION_INVALID`. */
export function readOptions(options: ChildProcessesOptions): Settings {
  const { mode = "pool", idleTimeout = "30s", startTimeout = "30s", memoryLimitMb, cpuTime, env, uid, gid } = options;
  if (process.platform === "win32") {
    throw invalid("Windows has neither signals nor process groups", "Use workerThreads() there.");
  }
  if (mode !== "pool" && mode !== "per-task") throw invalid(`mode is ${show(mode)}`, 'Give "pool" or "per-task".');
  const isPerTask = mode === "per-task";
  const maxProcesses = count(options.maxProcesses ?? availableParallelism(), "maxProcesses", 1);
  const minProcesses = count(options.minProcesses ?? (isPerTask ? 0 : 1), "minProcesses", 0);
  if (minProcesses > maxProcesses) {
    throw invalid(
      `minProcesses is ${minProcesses} and maxProcesses ${maxProcesses}`,
      "Give a minProcesses that is not higher.",
    );
  }
  if (memoryLimitMb !== undefined) count(memoryLimitMb, "memoryLimitMb", MIN_MEMORY_MB);
  const execArgv = options.execArgv ?? inheritedArgv(process.execArgv);
  return {
    url: moduleUrl(options.module),
    isPerTask,
    minProcesses,
    maxProcesses,
    idleMs: durationMs(idleTimeout, "`idleTimeout` of childProcesses()"),
    tasksPerProcess: isPerTask ? 1 : count(options.tasksPerProcess, "tasksPerProcess", 1, Number.POSITIVE_INFINITY),
    startMs: durationMs(startTimeout, "`startTimeout` of childProcesses()"),
    memoryLimitMb,
    cpuMs: cpuTime === undefined ? undefined : durationMs(cpuTime, "`cpuTime` of childProcesses()"),
    cwd: folder(options.cwd),
    env: environmentOf(env, process.env),
    uid: uid === undefined ? undefined : count(uid, "uid", 0),
    gid: gid === undefined ? undefined : count(gid, "gid", 0),
    execArgv: memoryLimitMb === undefined ? execArgv : [...execArgv, `--max-old-space-size=${memoryLimitMb}`],
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

/** fork() would answer with ENOENT, as if Node itself were missing. */
function folder(cwd: string | URL | undefined): string | undefined {
  if (cwd === undefined) return undefined;
  const path = cwd instanceof URL ? fileURLToPath(cwd) : cwd;
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return path;
  throw invalid(`cwd ${show(path)} is no folder`, "Make it, or leave the option out.");
}

function count(value: unknown, option: string, min: number, fallback?: number): number {
  if (value === undefined && fallback !== undefined) return fallback;
  if (Number.isSafeInteger(value) && (value as number) >= min) return value as number;
  throw invalid(`${option} is ${show(value)}`, `Give a whole number from ${min}, or leave it out.`);
}

function show(value: unknown): string {
  return typeof value === "string" ? `"${value}"` : String(value);
}

function invalid(problem: string, remedy: string): WeftlineError {
  return new WeftlineError("EXECUTOR_INVALID", `Cannot run tasks in child processes: ${problem}. ${remedy}`);
}
