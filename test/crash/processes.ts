import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

const children = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly complaints: string;
}

/** A program of this folder in a process of its own, which ends with this one. */
export class Program {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  #output = "";
  #onOutput: () => void = () => {};

  /** @param options - What the program reads as JSON from its first argument. */
  constructor(program: URL, options: object) {
    const child = spawn(process.execPath, ["--enable-source-maps", program.pathname, JSON.stringify(options)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.process = child;
    children.add(child);
    let complaints = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
      this.#onOutput();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      complaints = (complaints + text).slice(-10_000);
    });
    this.ended = once(child, "close").then(([code, signal]) => {
      children.delete(child);
      return { code, signal, output: this.#output, complaints } as Ended;
    });
  }

  /** Settles when it has printed this line, or has ended. @returns Whether it has printed it. */
  async says(line: string): Promise<boolean> {
    const said = () => this.#output.split("\n").includes(line);
    const heard = new Promise<void>((resolve) => {
      this.#onOutput = () => {
        if (said()) resolve();
      };
      this.#onOutput();
    });
    await Promise.race([heard, this.ended]);
    return said();
  }

  /** Waits for its end, and ends it when that takes longer. @returns `undefined`: it had to be ended. */
  async endedWithin(ms: number): Promise<Ended | undefined> {
    let isLate = false;
    const patience = setTimeout(() => {
      isLate = true;
      this.signal("SIGKILL");
    }, ms);
    const ended = await this.ended;
    clearTimeout(patience);
    return isLate ? undefined : ended;
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }
}
