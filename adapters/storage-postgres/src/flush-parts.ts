import type { Flush, RejectedValue, RunChanges } from "weftline";
import { pathOf } from "./paths.js";

const NUL = "\0";
/** UTF-16 units of text, and bytes, in one statement; in UTF-8 they may be three times as many bytes. */
const MAX_LENGTH = 64 * 2 ** 20;

const KINDS = ["tasks", "attempts", "logs", "metrics", "artifacts", "steps", "assets"] as const;
type Kind = (typeof KINDS)[number];
type Line = RunChanges[Kind][number];

export function isLarge(flush: Flush): boolean {
  let length = 0;
  for (const changes of flush.runs) {
    // Only these can be large; to look at them is little work beside writing them.
    for (const kind of ["tasks", "logs", "artifacts", "steps"] as const) {
      for (const line of changes[kind]) length += lengthOf(line);
    }
  }
  return length > MAX_LENGTH;
}

function lengthOf(line: Line): number {
  if ("status" in line && "output" in line) return (line.output?.length ?? 0) + (line.list?.length ?? 0);
  if ("output" in line) return line.output.length;
  if ("message" in line) return line.message.length + (line.data?.length ?? 0);
  if ("size" in line) return line.data.length;
  return 0;
}

/**
 * The same flush in parts that are not large, as far as their records allow. What ends a run comes last: until then it
 * is owned.
 */
export function partsOf(flush: Flush): readonly Flush[] {
  const parts: Flush[] = [];
  let runs: RunChanges[] = [];
  let length = 0;
  const close = () => {
    parts.push({ ...flush, runs });
    runs = [];
    length = 0;
  };
  for (const changes of flush.runs) {
    let part = emptied(changes);
    for (const kind of KINDS) {
      for (const line of changes[kind]) {
        (part[kind] as Line[]).push(line);
        length += lengthOf(line);
        if (length <= MAX_LENGTH / 2) continue;
        runs.push(part);
        close();
        part = emptied(changes);
      }
    }
    runs.push(part);
  }
  close();
  const rest = flush.runs.map(({ run, cached, consumed, ...changes }) => ({
    ...emptied(changes),
    run,
    cached,
    consumed,
  }));
  return [...parts, { ...flush, runs: rest }];
}

function emptied({ runId, epoch }: Pick<RunChanges, "runId" | "epoch">) {
  const none = { tasks: [], attempts: [], logs: [], metrics: [], artifacts: [], steps: [], assets: [] };
  return { runId, epoch, run: undefined, ...none, cached: [], consumed: [] } satisfies RunChanges;
}

/** The same flush with the last record alone of those that have one identity. */
export function withoutRepeats(flush: Flush): Flush {
  const keys = new Map(flush.runs.flatMap(({ cached }) => cached.map((entry) => [entry.key, entry])));
  return {
    ...flush,
    runs: flush.runs.map((changes) => ({
      ...changes,
      tasks: lastOf(changes.tasks, ({ position, index, generation }) => `${position} ${generation} ${index}`),
      attempts: lastOf(changes.attempts, (record) => {
        return `${record.position} ${record.generation} ${record.attempt} ${record.index}`;
      }),
      steps: lastOf(
        changes.steps,
        ({ task, index, generation, step }) => `${task} ${pathOf(index)} ${generation} ${step}`,
      ),
      cached: changes.cached.filter((entry) => keys.get(entry.key) === entry),
    })),
  };
}

function lastOf<Record>(records: readonly Record[], nameOf: (record: Record) => string): readonly Record[] {
  return [...new Map(records.map((record) => [nameOf(record), record])).values()];
}

/** The tasks with a text that no Postgres keeps: one with NUL in it. */
export function refusedTexts(flush: Flush): readonly RejectedValue[] {
  const found = new Map<string, RejectedValue>();
  for (const changes of flush.runs) {
    for (const kind of KINDS) {
      for (const line of changes[kind]) {
        if (!hasNul(line)) continue;
        const { runId } = changes;
        const { task, index } = line;
        found.set(`${runId} ${task} ${index}`, { runId, task, index, message: MESSAGE });
      }
    }
  }
  return [...found.values()];
}

const MESSAGE = "Postgres keeps no text with the character NUL (U+0000) in it";

function hasNul(line: Line): boolean {
  if ("wait" in line && line.wait?.kind === "signal" && line.wait.key?.includes(NUL)) return true;
  return Object.values(line).some((value) => typeof value === "string" && value.includes(NUL));
}
