import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import type { WitnessLine } from "./history.js";

/** Where tasks write down what they do. Several processes may write to one file. */
export interface WitnessFile {
  /** Appends one line, which is on the disk when this returns. `at` is the system's clock, the process the execution. */
  write(line: Omit<WitnessLine, "at"> & { readonly at?: number }): void;
  close(): void;
}

/** @param path - Of a local file: appending in one write is atomic there, not on a network's file system. */
export function openWitnessFile(path: string): WitnessFile {
  const file = openSync(path, "a");
  return {
    write(line) {
      writeSync(file, `${JSON.stringify({ at: Date.now(), execution: String(process.pid), ...line })}\n`);
      fsyncSync(file);
    },
    close: () => closeSync(file),
  };
}
