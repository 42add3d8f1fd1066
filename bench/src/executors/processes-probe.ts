import type { Engine, Executor, TaskOutcome } from "weftline";
import { timed } from "../probes/clock.js";
import { BarePool } from "./processes-pool.js";
import type { WorkName } from "./processes-work.js";

export type ProcessesRequest =
  | { readonly kind: "dispatch"; readonly rounds: number }
  | { readonly kind: "cold start"; readonly rounds: number }
  | {
      readonly kind: "throughput";
      readonly rounds: number;
      readonly work: WorkName;
      readonly items: number;
      readonly processes: number;
    };

/** Milliseconds, one figure for each round; those of the same round were measured one after the other. */
export interface ProcessesSample {
  readonly weftline: readonly number[];
  readonly bare: readonly number[];
}

type Work = typeof import("./processes-work.js");

const MODULE = new URL("./executors/processes-work.js", import.meta.url);
/** Tasks of one round. */
const DISPATCHED = 50;
const WARM_UP_ROUNDS = 20;

export async function processesProbe(request: ProcessesRequest): Promise<ProcessesSample> {
  const work = (await import(MODULE.href)) as Work;
  if (request.kind === "dispatch") return dispatch(work, request.rounds);
  if (request.kind === "cold start") return coldStart(work, request.rounds);
  return throughput(work, request);
}

/** A task that does nothing, in a process that waits for it; of each round the mean of some. */
async function dispatch(work: Work, rounds: number): Promise<ProcessesSample> {
  const watched = await watch();
  const engine = await started(work, watched.executor);
  const bare = new BarePool(1);
  const sample = await inTurns(rounds + WARM_UP_ROUNDS, {
    weftline: async () => {
      for (let task = 0; task < DISPATCHED; task++) await only(work, engine);
      return sum(watched.executeMs.splice(0)) / DISPATCHED;
    },
    bare: async () => {
      const { ms } = await timed(() => bare.runAll(jobs("no-op", DISPATCHED)));
      return ms / DISPATCHED;
    },
  });
  await Promise.all([engine.stop(), bare.close()]);
  return { weftline: sample.weftline.slice(WARM_UP_ROUNDS), bare: sample.bare.slice(WARM_UP_ROUNDS) };
}

/** From nothing to the answer of the first task. */
function coldStart(work: Work, rounds: number): Promise<ProcessesSample> {
  return inTurns(rounds, {
    weftline: async () => {
      const watched = await watch();
      const engine = await started(work, watched.executor);
      await only(work, engine);
      await engine.stop();
      return watched.firstMs();
    },
    bare: async () => {
      const start = performance.now();
      const bare = new BarePool(1);
      await bare.runAll(jobs("no-op", 1));
      const ms = performance.now() - start;
      await bare.close();
      return ms;
    },
  });
}

/** A map over some items, and the same function as often in a bare pool of the same size. */
async function throughput(
  work: Work,
  { work: name, items, processes, rounds }: Extract<ProcessesRequest, { readonly kind: "throughput" }>,
): Promise<ProcessesSample> {
  const engine = await started(work, await childProcessesOf(processes));
  const bare = new BarePool(processes);
  const flow = work.maps.find(({ id }) => id === work.mapId(name))!;
  const list = jobs(name, items);
  const sample = await inTurns(rounds + 1, {
    weftline: async () => (await timed(async () => (await engine.trigger(flow, { items })).result())).ms,
    bare: async () => (await timed(() => bare.runAll(list))).ms,
  });
  await Promise.all([engine.stop(), bare.close()]);
  return { weftline: sample.weftline.slice(1), bare: sample.bare.slice(1) };
}

type Measures = Readonly<Record<keyof ProcessesSample, () => Promise<number>>>;

async function inTurns(rounds: number, { weftline, bare }: Measures): Promise<ProcessesSample> {
  const sample: { weftline: number[]; bare: number[] } = { weftline: [], bare: [] };
  for (let round = 0; round < rounds; round++) {
    sample.weftline.push(await weftline());
    sample.bare.push(await bare());
  }
  return sample;
}

interface Watched {
  readonly executor: Executor;
  /** How long each attempt took, from `execute()` to its outcome. */
  readonly executeMs: number[];
  /** From the call of `start()` to the first outcome. */
  firstMs(): number;
}

/** Child processes as the engine gets them, and how long their calls take. */
async function watch(): Promise<Watched> {
  const inner = await childProcessesOf(1);
  const executeMs: number[] = [];
  let startedAt = 0;
  let firstAt: number | undefined;
  const executor: Executor = {
    supports: inner.supports,
    slots: inner.slots,
    start: (host) => {
      startedAt = performance.now();
      return inner.start(host);
    },
    execute: async (job, port): Promise<TaskOutcome> => {
      const start = performance.now();
      const outcome = await inner.execute(job, port);
      const end = performance.now();
      firstAt ??= end;
      executeMs.push(end - start);
      return outcome;
    },
    stop: (options) => inner.stop(options),
  };
  return { executor, executeMs, firstMs: () => firstAt! - startedAt };
}

async function childProcessesOf(count: number): Promise<Executor> {
  const { childProcesses } = await import("@weftline/executor-child-process");
  return childProcesses({ module: MODULE, minProcesses: count, maxProcesses: count });
}

async function started({ single, maps }: Work, executor: Executor): Promise<Engine> {
  const { createEngine, inProcess } = await import("weftline");
  const engine = createEngine({ pipelines: [single, ...maps], executors: { default: executor, host: inProcess() } });
  await engine.start();
  return engine;
}

async function only({ single }: Work, engine: Engine): Promise<void> {
  await (await engine.trigger(single)).result();
}

function jobs(name: WorkName, count: number): readonly { readonly name: WorkName; readonly item: number }[] {
  return Array.from({ length: count }, (_, item) => ({ name, item }));
}

function sum(figures: readonly number[]): number {
  return figures.reduce((total, figure) => total + figure, 0);
}
