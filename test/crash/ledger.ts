import type { WitnessLine } from "@weftline/testing";
import { type TaskStatus, taskName } from "weftline";
import { identityOf, type StoredRun } from "./stored-runs.js";

/** What was there at one moment between two processes. */
export interface Moment {
  readonly runs: readonly StoredRun[];
  readonly witness: readonly WitnessLine[];
}

const FINAL: readonly TaskStatus[] = ["succeeded", "failed", "skipped", "upstream-failed", "cancelled"];

/**
 * What must not have changed from one moment to a later one: a task or item that had ended ends no other way, its
 * record stays as it is, and its code never begins again.
 *
 * @returns What did, for people.
 */
export function changedSince(before: Moment, after: Moment): readonly string[] {
  const now = new Map(after.runs.flatMap(({ tasks }) => tasks.map((task) => [identityOf(task), task])));
  const begunBefore = starts(before.witness);
  const begunAfter = starts(after.witness);
  const problems: string[] = [];
  for (const task of before.runs.flatMap(({ tasks }) => tasks)) {
    if (!FINAL.includes(task.status)) continue;
    const identity = identityOf(task);
    const later = now.get(identity);
    if (JSON.stringify(later) !== JSON.stringify(task)) {
      problems.push(`${identity} had ended ${JSON.stringify(task)}, and is now ${JSON.stringify(later)}`);
    }
    const key = keyOf(task);
    if (begunAfter.get(key) !== begunBefore.get(key)) {
      problems.push(`${identity} had ended ${task.status}, and began again afterwards`);
    }
  }
  return problems;
}

/** How often the code of each task and item began, by its idempotency key. */
function starts(lines: readonly WitnessLine[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { phase, key } of lines) {
    if (phase === "start" && key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** As the engine makes it. */
function keyOf({
  runId,
  task,
  index,
  generation,
}: {
  runId: string;
  task: string;
  index: readonly number[];
  generation: number;
}): string {
  const key = [runId, task, ...index].join("/");
  return generation === 1 ? key : `${key}@${generation}`;
}

/** Of witness lines: executions that began, and those that did after another of the same key and attempt. */
export function redeliveries(lines: readonly WitnessLine[]): number {
  return [...starts(lines).values()].reduce((sum, times) => sum + Math.max(0, times - 1), 0);
}

/**
 * Effects of one idempotency key, or of one step, that were made more often than its run had owners: each of these may
 * have made it once, without its end being recorded.
 */
export function repeatedEffects({ witness, runs }: Moment): readonly string[] {
  const owners = new Map(runs.map(({ run }) => [run.id, run.epoch]));
  const counts = new Map<string, number>();
  return witness.flatMap(({ phase, key, runId, task, index }) => {
    if (phase !== "effect") return [];
    const effect = key ?? `${runId}/${taskName(task, index)}`;
    const times = (counts.get(effect) ?? 0) + 1;
    counts.set(effect, times);
    const most = owners.get(runId) ?? 0;
    return times === most + 1 ? [`the effect ${effect} was made more often than its run had owners, ${most}`] : [];
  });
}

/** Child runs without their parent, that have not ended, or of which a task of the parent started several. */
export function orphans(runs: readonly StoredRun[]): readonly string[] {
  const known = new Set(runs.map(({ run }) => run.id));
  const children = new Set<string>();
  return runs.flatMap(({ run: { id, parent, status, finishedAt } }) => {
    if (parent === undefined) return [];
    const place = `${parent.runId} ${taskName(parent.task, parent.index)}`;
    if (children.has(place)) return [`run ${id} is the second that ${place} started`];
    children.add(place);
    if (!known.has(parent.runId)) return [`run ${id} has a parent that is not there: ${parent.runId}`];
    return finishedAt === undefined ? [`run ${id}, which ${place} started, has not ended: it is ${status}`] : [];
  });
}
