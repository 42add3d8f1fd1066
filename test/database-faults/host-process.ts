import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { FlushCounts, HostOptions, HostReply, HostRequest } from "./protocol.js";

const HOST = fileURLToPath(new URL("host.ts", import.meta.url));
const LOADER = new URL("../typescript.mjs", import.meta.url).href;
const NOTHING: FlushCounts = { confirmed: 0, sentAgain: 0, unknown: 0, failures: {} };

/** A process with an engine of its own, see `host.ts`. It does not outlive this one. */
export class HostProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #counts = NOTHING;
  #complaints = "";

  private constructor(options: HostOptions) {
    this.#child = fork(HOST, [JSON.stringify(options)], {
      execArgv: ["--import", LOADER],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env: { PATH: process.env.PATH },
    });
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#complaints += text;
    });
    this.#child.on("message", (reply: HostReply) => {
      if (reply.told === "counts") this.#counts = reply.counts;
    });
    this.#ended = once(this.#child, "close");
  }

  /** Settles when its engine has started. */
  static async start(options: HostOptions): Promise<HostProcess> {
    const host = new HostProcess(options);
    await host.#told("ready");
    return host;
  }

  /** What became of its flushes so far, some 200 ms ago. */
  get counts(): FlushCounts {
    return this.#counts;
  }

  /** What it wrote to standard error. */
  get complaints(): string {
    return this.#complaints;
  }

  /** Triggers a run for each key, however long that takes. @returns The runs by their keys. */
  async trigger(keys: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const told = this.#told("triggered");
    this.#ask({ do: "trigger", keys });
    return new Map((await told).runs);
  }

  async stop(): Promise<void> {
    this.#ask({ do: "stop" });
    await this.#ended;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #ask(request: HostRequest): void {
    this.#child.send(request);
  }

  async #told<What extends HostReply["told"]>(what: What): Promise<HostReply & { readonly told: What }> {
    let onMessage: (reply: HostReply) => void = () => {};
    const told = new Promise<HostReply>((resolve) => {
      onMessage = (reply) => reply.told === what && resolve(reply);
      this.#child.on("message", onMessage);
    });
    const gone = this.#ended.then(() => {
      throw new Error(`The host ended before it said "${what}": ${this.#complaints}`);
    });
    try {
      return (await Promise.race([told, gone])) as HostReply & { readonly told: What };
    } finally {
      gone.catch(() => {});
      this.#child.off("message", onMessage);
    }
  }
}
