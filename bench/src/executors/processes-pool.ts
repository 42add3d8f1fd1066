import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { BareJob } from "./processes-bare.js";

const FILE = fileURLToPath(new URL("./executors/processes-bare.js", import.meta.url));

/** The least that runs functions in processes: a process is sent a job, and the next one when it has answered. */
export class BarePool {
  readonly #idle: ChildProcess[];
  readonly #all: readonly ChildProcess[];

  constructor(processes: number) {
    this.#all = Array.from({ length: processes }, () => fork(FILE));
    this.#idle = [...this.#all];
  }

  /** @returns The answers, in the order in which they came. */
  runAll(jobs: readonly BareJob[]): Promise<readonly number[]> {
    const answers: number[] = [];
    let sent = 0;
    return new Promise((resolve) => {
      const next = (child: ChildProcess): void => {
        const job = jobs[sent++];
        if (job === undefined) {
          this.#idle.push(child);
          return;
        }
        child.once("message", (answer) => {
          answers.push(answer as number);
          next(child);
          if (answers.length === jobs.length) resolve(answers);
        });
        child.send(job);
      };
      for (const child of this.#idle.splice(0)) next(child);
    });
  }

  async close(): Promise<void> {
    const exits = this.#all.map((child) => once(child, "exit"));
    for (const child of this.#all) child.kill("SIGKILL");
    await Promise.all(exits);
  }
}
