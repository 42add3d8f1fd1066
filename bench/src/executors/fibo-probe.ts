import type { Engine, Storage } from "weftline";
import { STORAGES, type StorageName } from "../durable/storages.js";
import { timed } from "../probes/clock.js";
import { EXECUTORS, type ExecutorName, fibonacci, WORKLOADS, type WorkloadName } from "./fibo-workloads.js";

export interface FiboRequest {
  readonly storage: StorageName | "memory";
  /** Where a durable storage keeps its data. */
  readonly place: string;
  /** How often each workload is done by everybody. */
  readonly rounds: Partial<Readonly<Record<WorkloadName, number>>>;
}

export type FiboContender = ExecutorName | "bare loop";
/** Of each round, in milliseconds. */
export type FiboTimes = Readonly<Record<FiboContender, readonly number[]>>;
export type FiboSample = Partial<Readonly<Record<WorkloadName, FiboTimes>>>;

type Work = typeof import("./fibo-work.js");

const MODULE = new URL("./executors/fibo-work.js", import.meta.url);
const WARM_UP_ROUNDS = 3;

/** Every executor in one engine, in turns with a bare loop, so that a slow moment of the machine meets all of them. */
export async function fiboProbe({ storage, place, rounds }: FiboRequest): Promise<FiboSample> {
  const work = (await import(MODULE.href)) as Work;
  const engine = await started(work, storage === "memory" ? undefined : await STORAGES[storage](place));
  await inTurns(work, engine, "short", WARM_UP_ROUNDS);
  const sample: Partial<Record<WorkloadName, FiboTimes>> = {};
  for (const [workload, count] of Object.entries(rounds) as [WorkloadName, number][]) {
    sample[workload] = await inTurns(work, engine, workload, count);
  }
  await engine.stop();
  return sample;
}

/** As it comes. */
async function started({ pipelines }: Work, storage: Storage | undefined): Promise<Engine> {
  const { createEngine, inProcess } = await import("weftline");
  const { workerThreads } = await import("@weftline/executor-worker-threads");
  const { childProcesses } = await import("@weftline/executor-child-process");
  const executors: Record<ExecutorName, import("weftline").Executor> = {
    "in-process": inProcess(),
    threads: workerThreads({ module: MODULE }),
    processes: childProcesses({ module: MODULE }),
  };
  const engine = createEngine({ pipelines, executors, ...(storage !== undefined && { storage }) });
  await engine.start();
  return engine;
}

async function inTurns(work: Work, engine: Engine, workload: WorkloadName, rounds: number): Promise<FiboTimes> {
  const contenders: readonly FiboContender[] = ["bare loop", ...EXECUTORS];
  const times: Record<FiboContender, number[]> = { "bare loop": [], "in-process": [], threads: [], processes: [] };
  const { result } = WORKLOADS[workload];
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) {
      const { value, ms } = await timed(() =>
        contender === "bare loop" ? looped(workload) : ran(work, engine, workload, contender),
      );
      if (value !== result) throw new Error(`${contender} gave ${value} instead of ${result}`);
      times[contender].push(ms);
    }
  }
  return times;
}

/** No engine: the same function as often, each awaited. */
async function looped(workload: WorkloadName): Promise<number> {
  const { tasks, n } = WORKLOADS[workload];
  const compute = async () => fibonacci(n);
  let last = 0;
  for (let task = 0; task < tasks; task++) last = await compute();
  return last;
}

async function ran(work: Work, engine: Engine, workload: WorkloadName, executor: ExecutorName): Promise<number> {
  const flow = work.pipelines.find(({ id }) => id === work.pipelineId(workload, executor))!;
  return (await (await engine.trigger(flow)).result()).last;
}
