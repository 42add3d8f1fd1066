import { type CacheEntry, decode, type Encoded, type TaskRecord } from "weftline";
import { hashOf } from "../history-checker/hash-of.js";
import type { Evidence, FlushedRun, RunCreated } from "../history-checker/history.js";
import { cacheKey } from "./task-code.js";
import type { World } from "./world.js";

/** Something that should not have been kept for others, or not have been taken. */
export interface CacheFinding {
  readonly runId: string;
  readonly why: string;
}

interface Kept {
  readonly entry: CacheEntry;
  readonly seq: number;
}

/**
 * What is kept for others was returned by the attempt that succeeded with it, in the same flush; what is taken was kept
 * before, under the key that the one who takes it has, and had not expired by the clock of the engine that took it.
 */
export function findCacheFaults({
  world,
  evidence,
}: {
  readonly world: World;
  readonly evidence: Evidence;
}): CacheFinding[] {
  const found: CacheFinding[] = [];
  const kept = new Map<string, Kept[]>();
  const runs = new Map(evidence.history.flatMap((event) => (event.type === "created" ? [[event.runId, event]] : [])));
  const returned = new Set(evidence.witness.filter(isReturn).map(({ outputHash }) => outputHash));
  for (const event of evidence.history) {
    if (event.type !== "flushed" || event.outcome !== "ok") continue;
    for (const part of event.runs) {
      if (part.fenced) continue;
      for (const entry of part.cached ?? []) {
        kept.set(entry.output, [...(kept.get(entry.output) ?? []), { entry, seq: event.seq }]);
        const why = wrongEntry(part, entry, returned);
        if (why !== undefined) found.push({ runId: part.runId, why });
      }
      for (const record of part.tasks) {
        if (record.cachedFrom === undefined) continue;
        const why =
          wrongHit(part, record, kept.get(record.output ?? "") ?? [], toleranceOf(world)) ??
          wrongKey(record, runs.get(part.runId));
        if (why !== undefined) found.push({ runId: part.runId, why });
      }
    }
  }
  return found;
}

function isReturn({ phase, outcome }: Evidence["witness"][number]): boolean {
  return phase === "end" && outcome === "returned";
}

/** A wall clock that is set back finds what had expired before. */
function toleranceOf({ mishaps }: World): number {
  return mishaps.reduce((sum, { kind, byMs }) => (kind === "clock-step" ? sum + Math.abs(byMs) : sum), 0);
}

function wrongEntry(
  { tasks }: FlushedRun,
  entry: CacheEntry,
  returned: ReadonlySet<string | undefined>,
): string | undefined {
  const maker = tasks.find(({ output, status }) => output === entry.output && status === "succeeded");
  if (maker === undefined) return `"${entry.key}" was kept for others, and no task succeeded with it`;
  if (maker.cachedFrom !== undefined) return `"${entry.key}" was kept for longer by ${maker.task}, which had taken it`;
  return returned.has(hashOf(entry.output)) ? undefined : `"${entry.key}" was kept for others, and nothing returned it`;
}

function wrongHit(
  { attempts }: FlushedRun,
  { task, index, output = "", cachedFrom, attempts: last }: TaskRecord,
  kept: readonly Kept[],
  toleranceMs: number,
): string | undefined {
  const name = `${task}[${index}]`;
  const entry = kept.findLast(({ entry: { runId } }) => runId === cachedFrom)?.entry;
  if (entry === undefined) return `${name} took what run ${cachedFrom} had not kept: ${output}`;
  const attempt = attempts.find(
    (other) => other.task === task && String(other.index) === String(index) && other.attempt === last,
  );
  if (attempt === undefined || attempt.startedAt < entry.expiresAt + toleranceMs) return undefined;
  return `${name} took at ${attempt.startedAt} what had expired at ${entry.expiresAt}`;
}

/** The key is part of the output, and says how it was made. */
function wrongKey({ task, index, output }: TaskRecord, run: RunCreated | undefined): string | undefined {
  const { cached } = decode(output as Encoded) as { readonly cached: string };
  const [, keys = 1, doings = 1] = /of (\d+), \d+ of (\d+)$/.exec(cached)?.map(Number) ?? [];
  if (run === undefined) return undefined;
  const { token } = decode(run.params as Encoded) as { readonly token: string };
  const expected = cacheKey({ pipeline: run.pipeline, task, token, index }, { keys, doings });
  return cached === expected ? undefined : `${task}[${index}] took "${cached}", and its key was "${expected}"`;
}
