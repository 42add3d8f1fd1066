import type { CliIo, InterruptSignal } from "../io.js";

export interface FakeIo extends CliIo {
  /** Everything printed so far. */
  readonly out: () => string;
  readonly err: () => string;
  /** What pressing Ctrl-C does. */
  readonly interrupt: (signal?: InterruptSignal) => void;
}

/** A terminal, or a pipe, that only remembers. */
export function fakeIo(options: Partial<CliIo> = {}): FakeIo {
  const out: string[] = [];
  const err: string[] = [];
  const listeners = new Set<(signal: InterruptSignal) => void>();
  return {
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    isTTY: false,
    columns: 80,
    rows: 24,
    env: {},
    cwd: process.cwd(),
    onInterrupt(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    ...options,
    out: () => out.join(""),
    err: () => err.join(""),
    interrupt: (signal = "SIGINT") => {
      for (const listener of listeners) listener(signal);
    },
  };
}
