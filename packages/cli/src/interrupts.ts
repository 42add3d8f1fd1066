import type { RunHandle } from "weftline";
import type { CliIo } from "./io.js";

export interface Interrupts {
  /** Settles when the person does not want to wait any longer. */
  readonly exit: Promise<void>;
  readonly isExit: boolean;
  /** Whether Ctrl-C, not a request to terminate, cancelled the run. */
  readonly wasCtrlC: boolean;
  /** Ctrl-C ends the process again, as it does by default. */
  stop(): void;
}

/** The first interrupt cancels the run, so that its tasks can stop in order; the second waits for nothing. */
export function watchInterrupts(
  handle: Pick<RunHandle, "cancel">,
  { onInterrupt }: CliIo,
  note: (text: string) => void,
): Interrupts {
  let signals = 0;
  let wasCtrlC = false;
  let exit = () => {};
  const exited = new Promise<void>((resolve) => {
    exit = resolve;
  });
  const stop = onInterrupt?.((signal) => {
    signals += 1;
    if (signals > 1) return exit();
    wasCtrlC = signal === "SIGINT";
    note(
      wasCtrlC
        ? "Cancelling the run. Press Ctrl-C again to exit at once."
        : "Cancelling the run, as asked to terminate.",
    );
    handle
      .cancel({ reason: wasCtrlC ? "Ctrl-C" : signal })
      .catch((error: unknown) => note(`Cannot cancel the run: ${error}`));
  });
  return {
    exit: exited,
    get isExit() {
      return signals > 1;
    },
    get wasCtrlC() {
      return wasCtrlC;
    },
    stop: () => stop?.(),
  };
}
