import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";

const child = new URL("./child.mjs", import.meta.url).href;

/** A process that runs a script, whose lines can be followed. It does not outlive the test. */
export class ScriptProcess {
  /** What it has printed so far. */
  readonly lines: string[] = [];
  readonly ended: Promise<number | null>;
  readonly #process;
  #complaints = "";
  #onLine: () => void = () => {};

  /** @param script - The body of a module; `child` has the names of `child.mjs`, and `args` the arguments. */
  constructor(script: string, ...args: readonly string[]) {
    const source = `import * as child from ${JSON.stringify(child)};
      const args = process.argv.slice(1);
      ${script}`;
    this.#process = spawn(process.execPath, ["--input-type=module", "--eval", source, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#complaints += text;
    });
    createInterface({ input: this.#process.stdout }).on("line", (line) => {
      this.lines.push(line);
      this.#onLine();
    });
    this.ended = once(this.#process, "close").then(([code]) => code as number | null);
    onTestFinished(async () => {
      this.kill();
      await this.ended;
    });
  }

  /** Waits until it has printed so many lines. @returns The last of them. */
  async printed(count: number): Promise<string> {
    const enough = new Promise<void>((resolve) => {
      this.#onLine = () => this.lines.length >= count && resolve();
      this.#onLine();
    });
    await Promise.race([enough, this.ended]);
    if (this.lines.length < count) throw new Error(`The process ended too early: ${this.#complaints}`);
    return this.lines[count - 1]!;
  }

  /** As a crash of the machine would. */
  kill(): void {
    this.#process.kill("SIGKILL");
  }
}
