import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import type { Account } from "./account.js";

export interface ServiceOptions extends Account {
  readonly command: string;
  readonly args: readonly string[];
  /** Where it works; removed when the process that started it dies. */
  readonly folder: string;
  /** What it prints on stderr when it can be used. */
  readonly ready: RegExp;
  /** Makes it end at once. */
  readonly stopSignal: NodeJS.Signals;
}

/** A server in a process of its own, which does not outlive this one. */
export interface Service {
  /** The end of what it printed on stderr. */
  log(): string;
  signal(signal: NodeJS.Signals): void;
  /** Settles when it has ended, whoever ended it. */
  readonly ended: Promise<void>;
}

const KEEPER = fileURLToPath(new URL("keeper.mjs", import.meta.url));
const READY_WITHIN_MS = 60_000;
const LOG_LENGTH = 100_000;

/** Settles when the server is ready. @throws When it ends before, with what it printed. */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { ready, folder } = options;
  const order = JSON.stringify({ ...options, cwd: folder });
  // A group of its own, so that Ctrl-C in a terminal reaches the server only by way of this process.
  const keeper = spawn(process.execPath, [KEEPER, order], { detached: true, stdio: ["pipe", "ignore", "pipe"] });
  let printed = "";
  keeper.stderr.setEncoding("utf8").on("data", (text: string) => {
    printed = (printed + text).slice(-LOG_LENGTH);
  });
  // It may be gone by the time it is told something.
  keeper.stdin.on("error", () => {});
  const ended = new Promise<void>((resolve) => {
    keeper.once("close", () => resolve());
  });
  const outcome = await new Promise<"ready" | "ended" | "silent">((resolve) => {
    const patience = setTimeout(() => resolve("silent"), READY_WITHIN_MS);
    const settle = (outcome: "ready" | "ended") => {
      clearTimeout(patience);
      resolve(outcome);
    };
    keeper.stderr.on("data", () => {
      if (ready.test(printed)) settle("ready");
    });
    keeper.once("close", () => settle("ended"));
  });
  if (outcome !== "ready") {
    keeper.stdin.end();
    throw new Error(`${options.command} did not start (${outcome}):\n${printed.slice(-2_000)}`);
  }
  return {
    ended,
    log: () => printed,
    signal: (signal) => void keeper.stdin.write(`${signal}\n`),
  };
}

/** A TCP port of 127.0.0.1 that is free at the moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
