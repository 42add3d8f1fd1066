import type { CliIo, InterruptSignal } from "./io.js";

const SIGNALS: readonly InterruptSignal[] = ["SIGINT", "SIGTERM"];
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;

/** This process as the commands see it. */
export function processIo(): CliIo {
  const { stdout, stderr } = process;
  // Bound before anybody captures: this is how the command itself keeps printing.
  const write = stdout.write.bind(stdout);
  return {
    stdout: { write: (text) => write(text) },
    stderr: { write: stderr.write.bind(stderr) },
    isTTY: stdout.isTTY === true,
    get columns() {
      return stdout.columns || DEFAULT_COLUMNS;
    },
    get rows() {
      return stdout.rows || DEFAULT_ROWS;
    },
    env: process.env,
    cwd: process.cwd(),
    onInterrupt(listener) {
      for (const signal of SIGNALS) process.on(signal, listener);
      return () => {
        for (const signal of SIGNALS) process.off(signal, listener);
      };
    },
    captureOutput,
  };
}

function captureOutput(listener: (text: string) => void): () => void {
  const streams = process.stderr.isTTY ? [process.stdout, process.stderr] : [process.stdout];
  const releases = streams.map((stream) => captureStream(stream, listener));
  return () => {
    for (const release of releases) release();
  };
}

function captureStream(stream: NodeJS.WriteStream, listener: (text: string) => void): () => void {
  const { write } = stream;
  stream.write = ((chunk: string | Uint8Array, ...rest: unknown[]) => {
    const done = rest.find((argument) => typeof argument === "function");
    listener(typeof chunk === "string" ? chunk : Buffer.from(chunk).toString());
    if (done) process.nextTick(done);
    return true;
  }) as typeof stream.write;
  return () => {
    stream.write = write;
  };
}
