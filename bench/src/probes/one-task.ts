import { CONTENDERS, type Contender, type ContenderName } from "../contenders.js";
import { SHAPES } from "../graphs.js";
import { timed } from "./clock.js";

export interface OneTaskRequest {
  readonly contender: ContenderName;
  readonly warmUp: number;
  readonly runs: number;
}

/** Of each run, in milliseconds. */
export interface OneTaskSample {
  readonly runMs: readonly number[];
}

/** After so long no further run begins. */
const RUNS_MS = 10_000;

/** Runs a graph of one task again and again. */
export async function oneTaskProbe({ contender, warmUp, runs }: OneTaskRequest): Promise<OneTaskSample> {
  const prepare: Contender = CONTENDERS[contender];
  const define = await prepare(SHAPES.independent(1));
  const { run, close } = await define();
  for (let count = 0; count < warmUp; count++) await run();
  const runMs: number[] = [];
  const end = performance.now() + RUNS_MS;
  while (runMs.length < runs && performance.now() < end) runMs.push((await timed(run)).ms);
  await close?.();
  return { runMs };
}
