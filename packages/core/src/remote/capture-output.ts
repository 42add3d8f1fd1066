import { OutputLines } from "./output-lines.js";

/** Lines that no task wrote are few, or somebody floods: as many are kept of each thread. */
const MAX_NOISE_LINES = 200;
const MAX_NOISE_BYTES = 65_536;

type Stream = "stdout" | "stderr";

/**
 * In a worker: sends what its code writes to the output streams to the task that runs, else to `noise`, and never to the
 * streams themselves: what is written faster than somebody reads it would pile up in memory.
 *
 * @param toTask - Such as {@link TaskServer.wrote}. @returns False when no task runs.
 */
export function captureOutput(
  toTask: (stream: Stream, chunk: string | Uint8Array) => boolean,
  noise: (level: "info" | "warn", text: string) => void,
): void {
  for (const stream of ["stdout", "stderr"] as const) {
    const level = stream === "stdout" ? "info" : "warn";
    const lines = new OutputLines({
      line: (text) => noise(level, text),
      dropped: () => {},
      maxLines: MAX_NOISE_LINES,
      maxBytes: MAX_NOISE_BYTES,
    });
    process[stream].write = ((chunk: string | Uint8Array, ...rest: readonly unknown[]) => {
      if (!toTask(stream, chunk)) lines.write(chunk);
      const callback = rest.find((argument) => typeof argument === "function") as (() => void) | undefined;
      if (callback) process.nextTick(callback);
      return true;
    }) as typeof process.stdout.write;
  }
}
