import type { Engine, Pipeline } from "weftline";
import { pause } from "./clock.js";

export interface WaitingRequest {
  readonly runs: number;
}

/** In bytes for each run. */
export interface WaitingSample {
  /** JavaScript's objects, and memory outside of its heap that they hold. */
  readonly heap: number;
  readonly rss: number;
  /** Timers that keep the process alive, for all runs together. */
  readonly timers: number;
}

/** What the builder can do once there are tasks that wait for a time. */
interface Sleeper {
  sleep(id: string, duration: string): unknown;
}

/** These come first and are not counted: code that is compiled once, collections that have to grow anyway. */
const FIRST_RUNS = 1_000;
const BATCH = 1_000;
const PATIENCE_MS = 60_000;

/** What each of many runs costs that do nothing but wait. @returns Nothing when this Weftline has no task that sleeps. */
export async function waitingProbe({ runs }: WaitingRequest): Promise<WaitingSample | undefined> {
  const { createEngine, pipeline } = await import("weftline");
  let canSleep = true;
  const flow = pipeline("waiting", (p) => {
    const sleeper = sleeperOf(p);
    canSleep = sleeper !== undefined;
    if (sleeper) sleeper.sleep("pause", "1h");
    else p.task("pause", () => undefined);
  });
  if (!canSleep) return undefined;
  const engine = createEngine({ pipelines: [flow] });
  await engine.start();
  await letWait(engine, flow, FIRST_RUNS);
  const before = memory();
  await letWait(engine, flow, runs);
  const after = memory();
  const timers = process.getActiveResourcesInfo().filter((resource) => resource === "Timeout").length;
  return { heap: (after.heap - before.heap) / runs, rss: (after.rss - before.rss) / runs, timers };
}

function sleeperOf(builder: object): Sleeper | undefined {
  return "sleep" in builder && typeof builder.sleep === "function" ? (builder as Sleeper) : undefined;
}

async function letWait(engine: Engine, flow: Pipeline<Record<never, never>>, runs: number): Promise<void> {
  for (let left = runs; left > 0; left -= BATCH) {
    const batch = Array.from({ length: Math.min(left, BATCH) }, () => engine.trigger(flow));
    const handles = await Promise.all(batch);
    await waits(engine, handles.at(-1)!.id);
  }
}

/** Runs take turns in the order they came, so when the last of a batch waits all of them do. */
async function waits(engine: Engine, runId: string): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const { items } = await engine.runs.tasks(runId);
    if (items[0]?.status === "waiting") return;
    if (performance.now() > end) throw new Error(`the task is ${items[0]?.status ?? "unknown"} instead of waiting`);
    await pause(1);
  }
}

function memory(): { heap: number; rss: number } {
  // What weak references and finalizers held goes with the second.
  for (let pass = 0; pass < 2; pass++) globalThis.gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed + external, rss };
}
