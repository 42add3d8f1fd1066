import { constants } from "node:os";
import type { Engine } from "weftline";

/** So soon after the first, a second signal is nobody's wish: npm passes on what the terminal has sent to all already. */
const ECHO_MS = 5_000;

export interface StopSignals {
  /** What a process ends with that was told to stop; `undefined`: nobody did. */
  readonly exitCode: number | undefined;
  /** Signals do again what they do without this. */
  release(): void;
}

/** Ctrl-C and SIGTERM stop the engine in order, so that its runs are given back; who insists ends the process at once. */
export function stopOnSignals(engine: Engine, say: (line: string) => void): StopSignals {
  let firstAt: number | undefined;
  let exitCode: number | undefined;
  const hear = (signal: "SIGINT" | "SIGTERM"): void => {
    exitCode = 128 + constants.signals[signal];
    if (firstAt === undefined) {
      firstAt = Date.now();
      say("Stopping: what runs may end, and the next start goes on from there.");
      void engine.stop();
    } else if (Date.now() - firstAt >= ECHO_MS) process.exit(exitCode);
  };
  process.on("SIGINT", hear).on("SIGTERM", hear);
  return {
    get exitCode() {
      return exitCode;
    },
    release: () => void process.off("SIGINT", hear).off("SIGTERM", hear),
  };
}
