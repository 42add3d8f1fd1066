import { STORAGES, type StorageName } from "../durable/storages.js";
import { range } from "../durable/workloads.js";

export interface LongChainRequest {
  readonly storage: StorageName;
  readonly place: string;
  /** In tasks. */
  readonly size: number;
}

/** The time between the starts of each task and the next, in milliseconds. */
export interface LongChainSample {
  readonly stepMs: readonly number[];
}

/** Runs tasks one after the other in one run, after another such run that warms up. */
export async function longChainProbe({ storage, place, size }: LongChainRequest): Promise<LongChainSample> {
  const { createEngine, pipeline } = await import("weftline");
  let starts: number[] = [];
  const flow = pipeline("long-chain", (p) => {
    let last = p.task("task-0", () => void starts.push(performance.now()));
    for (const task of range(size - 1)) {
      last = p.task(`task-${task + 1}`, { needs: { last } }, () => void starts.push(performance.now()));
    }
  });
  const engine = createEngine({ pipelines: [flow], storage: await STORAGES[storage](place) });
  await engine.start();
  await engine.run(flow);
  starts = [];
  await engine.run(flow);
  await engine.stop();
  if (starts.length !== size) throw new Error(`${starts.length} of ${size} tasks ran`);
  return { stepMs: starts.slice(1).map((start, index) => start - starts[index]!) };
}
