import { writeFileSync } from "node:fs";

export interface FailpointOptions {
  /** The process kills itself at the place it passes as the n-th, from 1; `undefined`: nowhere. */
  readonly killAt: number | undefined;
  /** Where the name of that place is written first. */
  readonly note: string;
  /** Hears of every place. */
  readonly onPass?: (point: string, n: number) => void;
}

/** The places of a process at which it can be killed, in the order in which it passes them. */
export class Failpoints {
  readonly #options: FailpointOptions;
  #passed = 0;

  constructor(options: FailpointOptions) {
    this.#options = options;
  }

  /** How many have been passed. */
  get passed(): number {
    return this.#passed;
  }

  readonly pass = (point: string): void => {
    this.#passed++;
    this.#options.onPass?.(point, this.#passed);
    if (this.#passed !== this.#options.killAt) return;
    writeFileSync(this.#options.note, point);
    process.kill(process.pid, "SIGKILL"); // nothing of this process runs after it
  };
}
