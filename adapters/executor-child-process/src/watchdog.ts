// A thread in each child process. Whatever the process does, even in a loop that never yields: it ends, with all it has
// started, when the engine's process is gone, or when it uses more than it may.
import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { VERDICT_FD, type Verdict } from "./wire.js";

export interface WatchdogData {
  readonly parent: number;
  readonly cpuMs: number | undefined;
  readonly memoryLimitMb: number | undefined;
  /** One number: how many attempts have begun, negative while none runs. */
  readonly attempts: Int32Array;
}

const LOOK_EVERY_MS = 250;

const { parent, cpuMs, memoryLimitMb, attempts } = workerData as WatchdogData;
let attempt = 0;
let usedBefore = 0;

function look(): void {
  if (process.ppid !== parent) end();
  if (memoryLimitMb !== undefined && process.memoryUsage.rss() > memoryLimitMb * 1_048_576) end("memory");
  if (cpuMs !== undefined && cpuOfAttempt() > cpuMs) end("cpu");
}

/** Since the first look at the attempt that runs. */
function cpuOfAttempt(): number {
  const now = Atomics.load(attempts, 0);
  const { user, system } = process.cpuUsage();
  const used = (user + system) / 1_000;
  if (now !== attempt) {
    attempt = now;
    usedBefore = used;
  }
  return now > 0 ? used - usedBefore : 0;
}

function end(verdict?: Verdict): void {
  if (verdict !== undefined) {
    try {
      writeSync(VERDICT_FD, verdict);
    } catch {
      // Nobody is left to read it.
    }
  }
  // The whole group, whose leader this process is.
  process.kill(-process.pid, "SIGKILL");
}

setInterval(look, LOOK_EVERY_MS);
