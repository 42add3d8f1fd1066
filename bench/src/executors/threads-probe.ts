import { monitorEventLoopDelay } from "node:perf_hooks";
import type { WorkName } from "./threads-work.js";

export interface ThreadsRequest {
  readonly work: WorkName;
  readonly items: number;
  readonly threads: number;
  /** How often each is measured, in turns. */
  readonly rounds: number;
}

/** Milliseconds for all items, one figure for each round. */
export interface ThreadsSample {
  readonly weftline: readonly number[];
  readonly piscina: readonly number[];
  /** The 99th percentile of the host's event-loop delay while Weftline's ran, in milliseconds. */
  readonly delayMs: number;
}

const MODULE = new URL("./executors/threads-work.js", import.meta.url);

/** A map over some items in threads, and the same function as often by piscina alone, in turns. */
export async function threadsProbe(request: ThreadsRequest): Promise<ThreadsSample> {
  const ours = await weftline(request);
  const bare = await piscina(request);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const sample: { weftline: number[]; piscina: number[] } = { weftline: [], piscina: [] };
  await ours.run(); // warm
  await ours.forget();
  await bare.run();
  for (let round = 0; round < request.rounds; round++) {
    delay.enable();
    sample.weftline.push(await timed(ours.run));
    delay.disable();
    await ours.forget();
    sample.piscina.push(await timed(bare.run));
  }
  await Promise.all([ours.close(), bare.close()]);
  return { ...sample, delayMs: delay.percentile(99) / 1e6 };
}

interface Runnable {
  run(): Promise<unknown>;
  /** Drops what is kept of the last run. */
  forget(): Promise<unknown>;
  close(): Promise<void>;
}

async function weftline({ work, items, threads }: ThreadsRequest): Promise<Runnable> {
  const { createEngine } = await import("weftline");
  const { workerThreads } = await import("@weftline/executor-worker-threads");
  const { pipelineId, pipelines } = (await import(MODULE.href)) as typeof import("./threads-work.js");
  const flow = pipelines.find(({ id }) => id === pipelineId(work))!;
  const executor = workerThreads({ module: MODULE, minThreads: threads, maxThreads: threads });
  const engine = createEngine({ pipelines: [flow as never], executors: { default: executor } });
  await engine.start();
  let last = "";
  return {
    async run() {
      const run = await engine.trigger(flow, { items });
      last = run.id;
      return run.result();
    },
    // The history of the rounds before would be no part of the work, and is all the collector's.
    forget: () => engine.runs.delete(last),
    close: () => engine.stop(),
  };
}

const NAMES = { "no-op": "noOp", "1 ms": "busyFor1", "50 ms": "busyFor50" } as const;

async function piscina({ work, items, threads }: ThreadsRequest): Promise<Runnable> {
  const { Piscina } = await import("piscina");
  const pool = new Piscina({ filename: MODULE.href, name: NAMES[work], minThreads: threads, maxThreads: threads });
  return {
    run: () => Promise.all(Array.from({ length: items }, (_, item) => pool.run(item) as Promise<unknown>)),
    forget: async () => undefined,
    close: () => pool.destroy(),
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
