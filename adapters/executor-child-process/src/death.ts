import { WeftlineError } from "weftline";
import type { Settings } from "./options.js";
import type { Verdict } from "./wire.js";

/** How a process ended. */
export interface Death {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What the watchdog ended it for. */
  readonly verdict: Verdict | undefined;
  /** The end of what it wrote to its standard error. */
  readonly lastWords: string;
  /** This executor ended it, as it stopped. */
  readonly isOurs: boolean;
}

/** What the attempt that ran in it fails with. */
export function deathOf(task: string, death: Death, settings: Settings): WeftlineError {
  const { code, signal, verdict, lastWords } = death;
  if (verdict === "cpu") {
    return new WeftlineError(
      "WORKER_CPU_LIMIT",
      `task "${task}" used more than ${settings.cpuMs} ms of processor time, and its process was ended. Raise cpuTime, or give it less to do at once.`,
    );
  }
  if (verdict === "memory" || /heap out of memory|Allocation failed/i.test(lastWords)) {
    const limit = settings.memoryLimitMb === undefined ? "" : ` (${settings.memoryLimitMb} MB)`;
    return new WeftlineError(
      "WORKER_OUT_OF_MEMORY",
      `task "${task}" needed more memory than its process may have${limit}. Let it hold less at once, or raise memoryLimitMb.`,
    );
  }
  if (death.isOurs) {
    return new WeftlineError(
      "WORKER_EXITED",
      `the process of task "${task}" was ended by force, as the engine stopped. The next attempt does it again.`,
    );
  }
  if (signal === null && code === 0) {
    return new WeftlineError(
      "NO_RESULT",
      `the process of task "${task}" ended with code 0 and without a result. Do not call process.exit() in a task: return.`,
    );
  }
  return new WeftlineError("WORKER_EXITED", `the process of task "${task}" ${howItEnded(death)}.${said(lastWords)}`);
}

/** Why a process is of no use, which ended before it was ready. */
export function startFailure(url: string, death: Death): WeftlineError {
  return new WeftlineError(
    "WORKER_START_FAILED",
    `a process for module ${url} ${howItEnded(death)} before it was ready.${said(death.lastWords)}`,
  );
}

function howItEnded({ code, signal }: Death): string {
  if (signal === "SIGKILL") return "was killed by SIGKILL, out of memory? Look at the kernel's log";
  if (signal !== null) return `was killed by ${signal}`;
  return `exited with code ${code}`;
}

function said(lastWords: string): string {
  const text = lastWords.trim();
  return text === "" ? "" : ` It wrote: ${text}`;
}
