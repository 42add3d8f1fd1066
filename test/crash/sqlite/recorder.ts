import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { LineFile } from "../witness.js";
import type { Call } from "./failpoint-storage.js";
import { CALLS, DATABASE } from "./host-options.js";
import { type LogPlace, placeInLog } from "./wal-file.js";

/** One line of what a host keeps, in the order in which it happened. */
export type RecordedLine =
  /** A transaction was committed, and the log ends there. */
  | ({ readonly type: "committed" } & LogPlace)
  /** A call of the storage was answered: what it changed is part of the last transaction before. */
  | ({ readonly type: "called" } & Call)
  /** A place where the process could have been killed. `copied`: the files as they were then are in `copies/<n>`. */
  | { readonly type: "passed"; readonly point: string; readonly n: number; readonly copied: boolean };

/** Keeps what a host does to its database, and copies of the files as they are at some failpoints. */
export class Recorder {
  readonly #folder: string;
  readonly #every: number;
  readonly #lines: LineFile;

  /** @param every - At each failpoint whose number this divides, the files are copied. */
  constructor(folder: string, every: number) {
    this.#folder = folder;
    this.#every = every;
    this.#lines = new LineFile(join(folder, CALLS));
  }

  committed(): void {
    const shm = readFileSync(join(this.#folder, `${DATABASE}-shm`));
    this.#write({ type: "committed", ...placeInLog(shm) });
  }

  called(call: Call): void {
    this.#write({ type: "called", ...call });
  }

  passed(point: string, n: number): void {
    const copied = n % this.#every === 0 && existsSync(join(this.#folder, DATABASE));
    this.#write({ type: "passed", point, n, copied });
    if (copied) this.#copy(n);
  }

  /** Nothing else of this process runs meanwhile, and no other has the file open: as good as a snapshot of the disk. */
  #copy(n: number): void {
    const to = join(this.#folder, "copies", String(n));
    mkdirSync(to, { recursive: true });
    for (const suffix of ["", "-wal", "-shm"]) {
      const from = join(this.#folder, DATABASE + suffix);
      if (existsSync(from)) copyFileSync(from, join(to, DATABASE + suffix));
    }
  }

  #write(line: RecordedLine): void {
    this.#lines.append(line);
  }
}
