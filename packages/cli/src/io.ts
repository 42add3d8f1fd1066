/** Where a command writes, and what it may know about the terminal. `bin.ts` makes the real one, tests their own. */
export interface CliIo {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  /** Whether `stdout` is a terminal: colours and the live view depend on it. */
  readonly isTTY: boolean;
  /** The terminal's size, read again for each frame of the live view. */
  readonly columns: number;
  readonly rows: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Hears Ctrl-C and requests to terminate until the returned function is called. */
  readonly onInterrupt?: (listener: (signal: InterruptSignal) => void) => () => void;
  /**
   * Hands what other code prints (`console.log` in a task) to `listener` instead of printing it, until the returned
   * function is called. Without it such text is printed as it comes.
   */
  readonly captureOutput?: (listener: (text: string) => void) => () => void;
}

export type InterruptSignal = "SIGINT" | "SIGTERM";

export interface TextSink {
  write(text: string): unknown;
}
