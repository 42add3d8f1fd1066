import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { range } from "../durable/workloads.js";
import { pause } from "./clock.js";

export interface RecoveryRequest {
  /** The connection string of an empty database. */
  readonly place: string;
  readonly runs: number;
  /** Of both engines, in milliseconds. */
  readonly leaseMs: number;
}

/** From the kill on, in milliseconds. */
export interface RecoverySample {
  /** Until the first run was taken up by the engine that lives. */
  readonly firstMs: number;
  /** Until the last. */
  readonly lastMs: number;
}

const IN_FLIGHT = "in flight";
/** After so long, what is to be written is written, and the engine that lives has nothing to do. */
const SETTLE_MS = 1_000;

/** Kills an engine with many runs in flight and measures how long another, which is up, needs to take up all of them. */
export async function recoveryProbe(request: RecoveryRequest): Promise<RecoverySample> {
  const { runs } = request;
  const victim = await startVictim(request);
  const startedMs: number[] = [];
  let takenUp = () => {};
  const allTakenUp = new Promise<void>((resolve) => {
    takenUp = resolve;
  });
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { engine } = await start(request, () => {
    if (startedMs.push(performance.now()) === runs) takenUp();
    return released;
  });
  const finished = whenFinished(engine, runs);
  await pause(SETTLE_MS);
  if (startedMs.length > 0) throw new Error(`${startedMs.length} runs were taken from an engine that lives`);
  victim.kill("SIGKILL");
  const killedMs = performance.now();
  await allTakenUp;
  release();
  await finished;
  await engine.stop();
  if (startedMs.length !== runs) throw new Error(`${startedMs.length} attempts at ${runs} runs`);
  return { firstMs: startedMs[0]! - killedMs, lastMs: startedMs.at(-1)! - killedMs };
}

/** The engine that is killed. */
export async function victimProbe(request: RecoveryRequest): Promise<never> {
  const never = new Promise<void>(() => {});
  let started = 0;
  let allStarted = () => {};
  const ready = new Promise<void>((resolve) => {
    allStarted = resolve;
  });
  const { engine, flow } = await start(request, () => {
    if (++started === request.runs) allStarted();
    return never;
  });
  await Promise.all(range(request.runs).map(() => engine.trigger(flow)));
  await ready;
  await pause(SETTLE_MS);
  console.log(IN_FLIGHT);
  return never as Promise<never>;
}

async function startVictim(request: RecoveryRequest): Promise<ChildProcess> {
  const victim = spawn(process.execPath, [process.argv[1]!, "victim", JSON.stringify(request)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  for await (const line of createInterface(victim.stdout)) if (line === IN_FLIGHT) return victim;
  throw new Error("the engine that was to be killed has ended by itself");
}

async function start({ place, runs, leaseMs }: RecoveryRequest, work: () => Promise<void>) {
  const { createEngine, pipeline } = await import("weftline");
  const { postgresStorage } = await import("@weftline/storage-postgres");
  const flow = pipeline("recovery", (p) => {
    p.task("wait", work);
  });
  const storage = postgresStorage({ connectionString: place });
  const engine = createEngine({ pipelines: [flow], storage, lease: leaseMs, concurrency: runs });
  await engine.start();
  return { engine, flow };
}

/** Nothing is lost: all of them end, each once. */
function whenFinished(engine: Awaited<ReturnType<typeof start>>["engine"], runs: number): Promise<void> {
  const ids = new Set<string>();
  return new Promise((resolve) => {
    engine.on("run:finished", ({ runId }) => {
      ids.add(runId);
      if (ids.size === runs) resolve();
    });
  });
}
