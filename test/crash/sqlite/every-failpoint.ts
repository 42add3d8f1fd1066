import { chance, type Random, spread } from "../chance.js";
import { addedUp } from "../judged.js";
import { Program } from "../processes.js";
import type { PartReport } from "../report.js";
import { newFolder, removeFolder } from "./copies.js";
import type { HostOptions } from "./host-options.js";
import { type KillOutcome, type KillPlan, killAndRecover } from "./one-kill.js";
import type { Sabotage } from "./sabotage.js";

export interface EveryFailpointOptions {
  readonly seed: number;
  /** How many failpoints, evenly spread; `undefined`: all. */
  readonly sample: number | undefined;
  /** How many processes at once. */
  readonly jobs: number;
  readonly sabotage: Sabotage | undefined;
  readonly onProgress: (done: number, of: number) => void;
}

/** So few pages that the log is written back some ten times in a run. */
const FEW_PAGES = 60;
/** So many places each process passes before it takes a run up. */
const FIRST_PLACES = 15;
/** Of the processes that go on after a kill, one in so many is killed as well. */
const SECOND_KILLS = 4;
/** In one of so many cases leases are kept by threads: these take some seconds each. */
const LEASE_THREADS = 20;
/** What has to be held against something, in some case. */
const REQUIRED = [1, 2, 3, 4, 5, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33];

/** Kills a process at each failpoint of a run, one by one, and lets others bring the run to its end. */
export async function everyFailpoint(options: EveryFailpointOptions): Promise<PartReport> {
  const points = await countPoints();
  const random = chance(options.seed);
  const chosen = spread(points, options.sample ?? points, random);
  const plans = chosen.map((at, place) => planFor(at, place, points, random, options.sabotage));
  const outcomes = await inParallel(plans, killAndRecover, options);
  return reportOf(points, plans, outcomes);
}

/** A run that nobody disturbs. */
async function countPoints(): Promise<number> {
  const folder = newFolder();
  try {
    const options: HostOptions = { folder, skewMs: 0, isFirst: true };
    const { code, output, complaints } = await new Program(new URL("./host.js", import.meta.url), options).ended;
    if (code !== 0) throw new Error(`The pipeline does not even run undisturbed: ${complaints}`);
    return (JSON.parse(output) as { readonly points: number }).points;
  } finally {
    removeFolder(folder);
  }
}

function planFor(at: number, place: number, points: number, random: Random, sabotage: Sabotage | undefined): KillPlan {
  // What is left to do is less, and beginning takes some places of its own.
  const again = 1 + Math.floor(random() * Math.max(FIRST_PLACES, points - at));
  return {
    kills: place % SECOND_KILLS === 0 ? [at, again] : [at],
    checkpointPages: place % 2 === 0 ? undefined : FEW_PAGES,
    // In the middle of the first ones, where a process is killed in the middle of its work.
    leaseThread: place % LEASE_THREADS === Math.min(LEASE_THREADS, 10) / 2,
    sabotage,
  };
}

async function inParallel<Item, Outcome>(
  items: readonly Item[],
  work: (item: Item) => Promise<Outcome>,
  { jobs, onProgress }: Pick<EveryFailpointOptions, "jobs" | "onProgress">,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  let next = 0;
  let done = 0;
  const worker = async () => {
    for (let place = next++; place < items.length; place = next++) {
      outcomes[place] = await work(items[place]!);
      onProgress(++done, items.length);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return outcomes;
}

function reportOf(points: number, plans: readonly KillPlan[], outcomes: readonly KillOutcome[]): PartReport {
  const total = (of: (outcome: KillOutcome) => number) => outcomes.reduce((sum, outcome) => sum + of(outcome), 0);
  const planned = plans.reduce((sum, { kills }) => sum + kills.length, 0);
  const kills = total(({ killedAt }) => killedAt.length);
  return {
    name: "SQLite, a kill at each failpoint",
    exercised: {
      failpoints: points,
      cases: outcomes.length,
      kills,
      "kinds of places": new Set(outcomes.flatMap(({ killedAt }) => killedAt)).size,
      "kills that came too late": planned - kills,
      stalls: total(({ stalls }) => stalls),
      takeovers: total(({ takeovers }) => takeovers),
      redeliveries: total(({ redeliveries }) => redeliveries),
      "tasks ended": total(({ ended }) => ended),
      "witness lines": total(({ witnessLines }) => witnessLines),
      "instants fired": total(({ fired }) => fired),
      "flushes compared with what was asked for": total(({ exercised }) => exercised.comparisons),
      "cases with lease threads": plans.filter(({ leaseThread }) => leaseThread).length,
      "blocks that a lease outlived": total(({ exercised }) => exercised.outlived),
    },
    required: [
      "failpoints",
      "kills",
      "takeovers",
      "redeliveries",
      "tasks ended",
      "witness lines",
      "instants fired",
      "flushes compared with what was asked for",
      ...(plans.some(({ leaseThread }) => leaseThread) ? ["blocks that a lease outlived"] : []),
    ],
    problems: outcomes.flatMap(({ problems }) => problems),
    invariants: { ...addedUp(outcomes.map(({ judged }) => judged)), required: REQUIRED },
  };
}
