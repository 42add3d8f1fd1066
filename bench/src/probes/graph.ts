import { CONTENDERS, type ContenderName, tasksRun } from "../contenders.js";
import { type Graph, SHAPES, type Shape } from "../graphs.js";
import { timed } from "./clock.js";

export interface GraphRequest {
  readonly contender: ContenderName;
  readonly shape: Shape;
  /** In tasks. */
  readonly size: number;
  /** How often it is defined and run, each time afresh; fewer when the time is up. */
  readonly rounds: number;
  /** How many tasks of smaller graphs are run before, so that compilers have done their work; fewer when time is up. */
  readonly warmUp: number;
}

/** Of each round, in milliseconds. */
interface GraphTimes {
  readonly defineMs: number[];
  readonly runMs: number[];
}

/** Memory in bytes, of the whole process. */
export interface GraphSample extends GraphTimes {
  /** The most at any time. */
  readonly maxRss: number;
  /** At the end, while the graph and the history are still held. */
  readonly rss: number;
}

const WARM_UP_SIZE = 10_000;
const WARM_UP_MS = 2_000;
/** After so long no further round begins. */
const ROUNDS_MS = 10_000;

/** Defines and runs one graph with one contender. */
export async function graphProbe({ contender, shape, size, rounds, warmUp }: GraphRequest): Promise<GraphSample> {
  const graphOf = SHAPES[shape];
  const small = Math.min(size, WARM_UP_SIZE);
  if (warmUp > 0) await repeat(contender, graphOf(small), Math.ceil(warmUp / small), WARM_UP_MS);
  const { rss, ...times } = await repeat(contender, graphOf(size), rounds, ROUNDS_MS);
  return { ...times, rss, maxRss: process.resourceUsage().maxRSS * 1_024 };
}

// No garbage collection is forced between rounds: it makes the engine's code slow again, and small graphs pay most.
async function repeat(contender: ContenderName, graph: Graph, rounds: number, ms: number) {
  const define = await CONTENDERS[contender](graph);
  const times: GraphTimes = { defineMs: [], runMs: [] };
  const end = performance.now() + ms;
  let rss = 0;
  for (let round = 0; round < rounds && (round === 0 || performance.now() < end); round++) {
    const { value: runnable, ms: defineMs } = await timed(define);
    const before = tasksRun();
    const { ms: runMs } = await timed(() => runnable.run());
    rss = process.memoryUsage().rss;
    if (tasksRun() - before !== graph.size) throw new Error(`${contender} ran ${tasksRun() - before} tasks`);
    await runnable.close?.();
    times.defineMs.push(defineMs);
    times.runMs.push(runMs);
  }
  return { ...times, rss };
}
