import type { Verdict } from "../history-checker/check-history.js";
import type { ClientCall, Evidence, Fault } from "../history-checker/history.js";
import type { Played } from "./simulation.js";

/** What a world, or many of them, really put the engines through. */
export interface Exercised {
  readonly virtualHours: number;
  readonly engines: number;
  readonly runs: number;
  readonly tasks: number;
  readonly attempts: number;
  readonly kills: number;
  readonly pauses: number;
  readonly partitions: number;
  readonly clockSteps: number;
  readonly stops: number;
  readonly deploys: number;
  readonly slowCalls: number;
  readonly failedCalls: number;
  readonly lostReplies: number;
  readonly lateCalls: number;
  readonly lateCommits: number;
  readonly rejectedValues: number;
  readonly takeovers: number;
  readonly crashTakeovers: number;
  readonly leasesLost: number;
  readonly fencedWrites: number;
  readonly ambiguousCommits: number;
  readonly redeliveries: number;
  readonly zombies: number;
  readonly retries: number;
  readonly sleeps: number;
  readonly joins: number;
  readonly signals: number;
  readonly schedulesFired: number;
  readonly cancels: number;
  readonly resumes: number;
  readonly reruns: number;
  readonly quarantines: number;
  readonly remaps: number;
  readonly deletes: number;
  readonly prunedRuns: number;
  /** Times that somebody waited for the result of a run that was deleted. */
  readonly deletedResults: number;
  readonly cacheHits: number;
  /** Instants that were passed over, as later ones were due by then. */
  readonly missedInstants: number;
  readonly unknownCalls: number;
  readonly probes: number;
}

export function exercisedBy({ evidence, virtualMs, processes }: Played, { coverage }: Verdict): Exercised {
  const count = (kind: Fault["kind"]) => evidence.faults.filter((fault) => fault.kind === kind).length;
  const { runs, tasks, attempts, kills, pauses, partitions, takeovers, crashTakeovers, leasesLost } = coverage;
  const { fencedWrites, ambiguousCommits, redeliveries, zombies, retries, sleeps, joins, signals } = coverage;
  const { schedulesFired, cancels, resumes, reruns, quarantines, unknownCalls } = coverage;
  const { remaps, deletes, prunedRuns, cacheHits } = coverage;
  return {
    virtualHours: virtualMs / 3_600_000,
    engines: processes,
    ...{ runs, tasks, attempts, kills, pauses, partitions },
    clockSteps: count("clock-step"),
    stops: count("stop"),
    deploys: count("deploy"),
    slowCalls: count("storage-slow"),
    failedCalls: count("storage-error"),
    lostReplies: count("lost-reply"),
    lateCalls: count("late-call"),
    lateCommits: evidence.faults.filter(({ kind, call }) => kind === "late-call" && call === "commit").length,
    rejectedValues: count("rejected-value"),
    ...{ takeovers, crashTakeovers, leasesLost, fencedWrites, ambiguousCommits, redeliveries, zombies },
    ...{ retries, sleeps, joins, signals, schedulesFired, cancels, resumes, reruns, quarantines, unknownCalls },
    ...{ remaps, deletes, prunedRuns, cacheHits },
    deletedResults: evidence.clients.filter(isDeletedResult).length,
    missedInstants: missedInstants(evidence),
    probes: evidence.facts?.probes?.length ?? 0,
  };
}

function isDeletedResult({ operation, code }: ClientCall): boolean {
  return operation === "result" && code === "RUN_UNKNOWN";
}

function missedInstants({ history, facts }: Evidence): number {
  let missed = 0;
  for (const event of history) {
    if (event.type !== "fired" || event.instant === undefined) continue;
    const instants = facts?.instants?.[event.schedule] ?? [];
    for (const instant of instants) if (instant >= event.expected && instant < event.instant) missed++;
  }
  return missed;
}

/** Both together. @param sum - `undefined`: nothing so far. */
export function addExercised(sum: Exercised | undefined, more: Exercised): Exercised {
  if (sum === undefined) return more;
  const names = Object.keys(more) as (keyof Exercised)[];
  return Object.fromEntries(names.map((name) => [name, sum[name] + more[name]])) as unknown as Exercised;
}

/** What never happened: a run of the simulator that says so proved nothing of it. */
export function neverExercised(sum: Exercised): readonly (keyof Exercised)[] {
  return (Object.keys(sum) as (keyof Exercised)[]).filter((name) => sum[name] === 0);
}
