import type { Execution } from "./executions.js";
import type { Fault } from "./history.js";
import { groupBy, type World } from "./world.js";

/** How often what can go wrong really did. */
export interface Coverage {
  readonly runs: number;
  readonly tasks: number;
  readonly attempts: number;
  /** Times that a run got another owner than its first. */
  readonly takeovers: number;
  /** Of those, from an owner that had died. */
  readonly crashTakeovers: number;
  readonly fencedWrites: number;
  /** Flushes that were sent more than once, as their answer had been lost. */
  readonly ambiguousCommits: number;
  readonly rejectedFlushes: number;
  /** Executions of an attempt, or of a task that had begun under another owner, beyond the first. */
  readonly redeliveries: number;
  /** Executions that went on beside another of the same task. */
  readonly zombies: number;
  readonly retries: number;
  readonly leasesLost: number;
  readonly cancels: number;
  readonly resumes: number;
  readonly reruns: number;
  readonly signals: number;
  readonly sleeps: number;
  readonly joins: number;
  readonly remaps: number;
  /** Runs that somebody asked to be deleted. */
  readonly deletes: number;
  /** Runs that were deleted with old ones. */
  readonly prunedRuns: number;
  /** Outputs that were taken instead of being made. */
  readonly cacheHits: number;
  readonly schedulesFired: number;
  readonly quarantines: number;
  readonly unknownCalls: number;
  readonly witnessLines: number;
  readonly kills: number;
  readonly pauses: number;
  readonly partitions: number;
  readonly storageFaults: number;
}

export function coverageOf(world: World, executions: ReadonlyMap<string, readonly Execution[]>): Coverage {
  const counts = countEvents(world);
  const { faults, witness, clients } = world.evidence;
  const ofKinds = (...kinds: readonly Fault["kind"][]) => faults.filter(({ kind }) => kinds.includes(kind)).length;
  const takeovers = [...world.runs.values()].flatMap(({ tenures }) => tenures.slice(1));
  return {
    runs: world.runs.size,
    ...counts,
    takeovers: takeovers.length,
    crashTakeovers: takeovers.filter(({ event }) => event.type === "claimed" && event.crashes > 0).length,
    ...countExecutions(executions),
    unknownCalls: clients.filter(({ outcome }) => outcome === "unknown").length,
    witnessLines: witness.length,
    kills: ofKinds("kill"),
    pauses: ofKinds("pause", "block"),
    partitions: ofKinds("partition"),
    storageFaults: ofKinds("storage-error", "lost-reply", "storage-slow", "late-call", "store-down", "rejected-value"),
  };
}

function countEvents(world: World) {
  const counts = {
    ...{ tasks: 0, attempts: 0, fencedWrites: 0, ambiguousCommits: 0, rejectedFlushes: 0, retries: 0, leasesLost: 0 },
    ...{
      cancels: 0,
      resumes: 0,
      reruns: 0,
      signals: 0,
      sleeps: 0,
      joins: 0,
      remaps: 0,
      deletes: 0,
      prunedRuns: 0,
      cacheHits: 0,
      schedulesFired: 0,
      quarantines: 0,
    },
  };
  for (const event of world.evidence.history) {
    if (event.type === "lease" && (event.change === "lost" || event.change === "died")) counts.leasesLost++;
    if (event.type === "remapped") counts.remaps++;
    if (event.type === "deleted") counts[event.isPruned ? "prunedRuns" : "deletes"]++;
    if (event.type === "fired") counts.schedulesFired++;
    if (event.type === "sent") {
      if (event.message === "cancel") counts.cancels++;
      if (event.message === "resume") counts.resumes++;
      if (event.message === "rerun") counts.reruns++;
      if (event.message === "signal") counts.signals++;
    }
    if (event.type !== "flushed") continue;
    if (event.sends > 1 || event.outcome === "unknown") counts.ambiguousCommits++;
    if (event.outcome === "rejected") counts.rejectedFlushes++;
    for (const part of event.runs) {
      if (part.fenced) counts.fencedWrites++;
      if (part.run?.status === "quarantined") counts.quarantines++;
    }
  }
  for (const run of world.runs.values()) {
    for (const { attempts, record } of run.instances()) {
      counts.tasks++;
      if (record?.cachedFrom !== undefined) counts.cacheHits++;
      counts.attempts += attempts.size;
      counts.retries += Math.max(0, attempts.size - 1);
      const task = run.shape?.tasks[record?.position ?? -1];
      if (task?.kind === "sleep") counts.sleeps++;
      if (record?.items !== undefined || task?.kind === "group") counts.joins++;
    }
  }
  return counts;
}

function countExecutions(executions: ReadonlyMap<string, readonly Execution[]>) {
  let redeliveries = 0;
  let zombies = 0;
  for (const own of executions.values()) {
    for (const same of groupBy(own, ({ key, generation }) => `${key}@${generation ?? ""}`).values()) {
      for (const [place, one] of same.entries()) {
        const before = same.slice(0, place);
        if (before.some(({ attempt, engine }) => attempt === one.attempt || engine !== one.engine)) redeliveries++;
        if (before.some(({ over, engine }) => engine !== one.engine && (over === undefined || over > one.start.at)))
          zombies++;
      }
    }
  }
  return { redeliveries, zombies };
}
