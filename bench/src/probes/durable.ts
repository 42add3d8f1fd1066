import type { Opened } from "../durable/contender.js";
import { DURABLE_CONTENDERS, type DurableName } from "../durable/contenders.js";
import { tasksIn, tasksRun, type Workload } from "../durable/workloads.js";
import { openDoor } from "../services/round-trips.js";
import { timed } from "./clock.js";

export interface DurableRequest {
  readonly contender: DurableName;
  /** Where it keeps its data. */
  readonly place: string;
  readonly workload: Workload;
  /** Done before, again and again, so that compilers, connections and plans are warm. */
  readonly warmUp: Workload;
  /** How often the workload is done; fewer times when the time is up. */
  readonly rounds: number;
  /** How long the warm-up takes at the most, in milliseconds. */
  readonly warmUpMs: number;
  /** After so long no further round begins. */
  readonly roundsMs: number;
  /** Counts round trips to the server, which takes time: the times mean nothing then. */
  readonly isCounting?: boolean;
}

export interface DurableSample {
  /** Of each round, in milliseconds. */
  readonly roundMs: readonly number[];
  /** Of all rounds together. */
  readonly roundTrips: number;
}

const WARM_UP_TASKS = 30_000;

export async function durableProbe(request: DurableRequest): Promise<DurableSample> {
  const { contender, place, workload, warmUp, rounds, warmUpMs, roundsMs, isCounting } = request;
  const door = isCounting ? await openDoor(place) : undefined;
  const opened = await DURABLE_CONTENDERS[contender](door?.url ?? place, [warmUp, workload]);
  await repeat(opened, warmUp, Math.ceil(WARM_UP_TASKS / tasksIn(warmUp)), warmUpMs);
  const before = door?.count() ?? 0;
  const roundMs = await repeat(opened, workload, rounds, roundsMs);
  const roundTrips = (door?.count() ?? 0) - before;
  await opened.close();
  await door?.close();
  return { roundMs, roundTrips };
}

async function repeat(opened: Opened, workload: Workload, rounds: number, ms: number): Promise<number[]> {
  const roundMs: number[] = [];
  const end = performance.now() + ms;
  while (roundMs.length < rounds && (roundMs.length === 0 || performance.now() < end)) {
    roundMs.push((await timed(() => counted(opened, workload))).ms);
  }
  return roundMs;
}

/** Whoever leaves tasks out would look fast. */
async function counted(opened: Opened, workload: Workload): Promise<void> {
  const before = tasksRun();
  await opened.run(workload);
  const ran = tasksRun() - before;
  if (ran !== tasksIn(workload)) throw new Error(`${ran} of ${tasksIn(workload)} tasks ran`);
}
