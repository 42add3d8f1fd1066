import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const child = new URL("./child.mjs", import.meta.url).href;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly lines: readonly string[];
  /** What it wrote to standard error. */
  readonly complaints: string;
}

/** A process that runs a script, whose lines can be followed. */
export class ScriptProcess {
  /** What it has printed so far. */
  readonly lines: string[] = [];
  readonly ended: Promise<Ended>;
  readonly #process;
  #onLine: () => void = () => {};

  /** @param script - The body of a module; names of `child.mjs` are there, and the arguments as `args`. */
  constructor(script: string, ...args: readonly string[]) {
    const source = `import * as child from ${JSON.stringify(child)};
      const { sqliteStorage, ENGINE, DEFINITIONS, openStorage, register, newRun, claim, task, changes, succeeded, block, sleep } = child;
      const args = process.argv.slice(1);
      ${script}`;
    this.#process = spawn(process.execPath, ["--input-type=module", "--eval", source, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let complaints = "";
    this.#process.stderr.setEncoding("utf8").on("data", (text: string) => {
      complaints += text;
    });
    createInterface({ input: this.#process.stdout }).on("line", (line) => {
      this.lines.push(line);
      this.#onLine();
    });
    this.ended = once(this.#process, "close").then(([code, signal]) => ({
      code,
      signal,
      lines: this.lines,
      complaints,
    }));
  }

  /** Waits until it has printed so many lines. */
  async printed(count: number): Promise<void> {
    const enough = new Promise<void>((resolve) => {
      this.#onLine = () => {
        if (this.lines.length >= count) resolve();
      };
      this.#onLine();
    });
    await Promise.race([
      enough,
      this.ended.then(({ code, complaints }) => {
        if (this.lines.length < count) throw new Error(`The process ended with ${code} too early: ${complaints}`);
      }),
    ]);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  async kill(): Promise<Ended> {
    this.signal("SIGKILL");
    return this.ended;
  }
}

/** Runs a script to its end, and gives what it printed. @throws When it fails. */
export async function run(script: string, ...args: readonly string[]): Promise<readonly string[]> {
  const { code, signal, lines, complaints } = await new ScriptProcess(script, ...args).ended;
  if (code !== 0) throw new Error(`The process ended with ${code ?? signal}: ${complaints}`);
  return lines;
}
