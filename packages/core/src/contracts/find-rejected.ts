import type { Flush, RejectedValue, RunChanges } from "./storage.js";

/** What one task, or one item, adds to a flush. */
interface Part {
  readonly runId: string;
  readonly task: string;
  readonly index: readonly number[];
  readonly changes: RunChanges;
}

/**
 * For adapters whose database refuses a whole batch for one value in it: finds whose values those are, by trying parts of
 * the flush, in halves. Some `2 × log2(n)` tries for each bad one among `n`.
 *
 * @param refusalOf - Tries the flush without keeping anything of it, as in a transaction that is rolled back.
 * Resolves to why the database refuses it; `undefined`: it does not.
 * @returns Empty when no task alone is to blame.
 */
export async function findRejected(
  flush: Flush,
  refusalOf: (part: Flush) => Promise<string | undefined>,
): Promise<readonly RejectedValue[]> {
  const found: RejectedValue[] = [];
  const search = async (parts: readonly Part[]): Promise<void> => {
    const message = parts.length === 0 ? undefined : await refusalOf(flushOf(flush, parts));
    if (message === undefined) return;
    if (parts.length === 1) {
      const { runId, task, index } = parts[0]!;
      return void found.push({ runId, task, index, message });
    }
    const middle = parts.length >> 1;
    await search(parts.slice(0, middle));
    await search(parts.slice(middle));
  };
  await search(flush.runs.flatMap(partsOf));
  return found;
}

function partsOf(changes: RunChanges): Part[] {
  const parts = new Map<string, { task: string; index: readonly number[]; lines: Lines }>();
  for (const kind of KINDS) {
    for (const line of changes[kind]) {
      const name = `${line.task}\n${line.index}`;
      const part = parts.get(name) ?? { task: line.task, index: line.index, lines: noLines() };
      parts.set(name, part);
      (part.lines[kind] as unknown[]).push(line);
    }
  }
  const { runId, epoch } = changes;
  return [...parts.values()].map(({ task, index, lines }) => {
    return { runId, task, index, changes: { runId, epoch, run: undefined, ...lines, cached: [], consumed: [] } };
  });
}

const KINDS = ["tasks", "attempts", "logs", "metrics", "artifacts", "steps", "assets"] as const;
type Lines = Pick<RunChanges, (typeof KINDS)[number]>;

function noLines(): Lines {
  return { tasks: [], attempts: [], logs: [], metrics: [], artifacts: [], steps: [], assets: [] };
}

/** A flush of these parts alone; those of one run go together. */
function flushOf({ id, number, engineId }: Flush, parts: readonly Part[]): Flush {
  const runs = new Map<string, RunChanges>();
  for (const { runId, changes } of parts) {
    const run = runs.get(runId) ?? { ...changes, ...noLines() };
    runs.set(runId, run);
    for (const kind of KINDS) for (const line of changes[kind]) (run[kind] as unknown[]).push(line);
  }
  return { id: `${id}/try`, number, engineId, runs: [...runs.values()] };
}
