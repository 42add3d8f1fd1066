import { mkdtemp } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Outcome, run } from "../child.js";
import { pause } from "../probes/clock.js";
import { progress } from "../progress.js";
import { freePort } from "./free-port.js";
import { start } from "./lifeline.js";

/** A Redis that keeps nothing on disk. */
export interface Redis {
  readonly description: string;
  /** Empties it and lends it. */
  withEmpty<T>(use: (url: string) => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

const PROGRAM = "redis-server";
const START_LIMIT_MS = 10_000;
const POLL_MS = 20;

/** A server of our own from the binary that is installed. */
export async function openRedis(): Promise<Outcome<Redis>> {
  const version = await run(PROGRAM, ["--version"]);
  if (!version.ok) return { ok: false, why: `no ${PROGRAM} is installed` };
  const folder = await mkdtemp(join(tmpdir(), "weftline-bench-redis-"));
  const port = await freePort();
  progress(`starting ${PROGRAM}`);
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no"];
  const lifeline = start(PROGRAM, args, { folder, signal: "TERM" });
  const end = performance.now() + START_LIMIT_MS;
  while (!(await tell(port, "PING").catch(() => false))) {
    if (performance.now() > end) {
      await lifeline.cut();
      return { ok: false, why: `${PROGRAM} did not start` };
    }
    await pause(POLL_MS);
  }
  const number = /v=(\S+)/.exec(version.value)?.[1] ?? "of an unknown version";
  return {
    ok: true,
    value: {
      description: `Redis ${number}, nothing on disk`,
      withEmpty: async (use) => {
        await tell(port, "FLUSHALL");
        return use(`redis://127.0.0.1:${port}`);
      },
      stop: lifeline.cut,
    },
  };
}

/** Sends one command. @returns Whether it was carried out. */
function tell(port: number, command: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(`${command}\r\n`));
    socket.once("error", reject).once("data", (answer) => {
      socket.destroy();
      resolve(answer.toString().startsWith("+"));
    });
  });
}
