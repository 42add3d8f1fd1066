import type { Fault, WitnessLine } from "@weftline/testing";
import { identityOf } from "../stored-runs.js";

/** One time that the code of a task ran, as it told itself. */
export interface Execution {
  /** As {@link identityOf} names the record that it belongs to. */
  readonly identity: string;
  readonly runId: string;
  readonly attempt: number;
  readonly engine: string;
  readonly from: number;
  /** `undefined`: it was cut off. */
  readonly to: number | undefined;
  readonly hasReturned: boolean;
}

/** All that began, in that order. */
export function executionsOf(lines: readonly WitnessLine[]): readonly Execution[] {
  const ends = new Map(lines.flatMap((line) => (line.phase === "end" ? [[line.execution, line] as const] : [])));
  return lines
    .flatMap((line) => {
      if (line.phase !== "start") return [];
      const end = ends.get(line.execution);
      const identity = identityOf({ ...line, generation: generationOf(line) });
      const { runId, attempt, at: from, engine = "" } = line;
      return [
        { ...{ identity, runId, attempt, engine, from, to: end?.at }, hasReturned: !!end && end.outcome === undefined },
      ];
    })
    .sort((a, b) => a.from - b.from);
}

/** The end of the idempotency key, where it is not the first. */
function generationOf({ key }: WitnessLine): number {
  return Number(/@(\d+)$/.exec(key ?? "")?.[1] ?? 1);
}

export function byIdentity(executions: readonly Execution[]): ReadonlyMap<string, readonly Execution[]> {
  const found = new Map<string, Execution[]>();
  for (const execution of executions) {
    const own = found.get(execution.identity);
    if (own === undefined) found.set(execution.identity, [execution]);
    else own.push(execution);
  }
  return found;
}

/** How often work that was cut off was begun anew. */
export function redeliveriesIn(executions: ReadonlyMap<string, readonly Execution[]>): number {
  let count = 0;
  for (const own of executions.values()) count += own.slice(0, -1).filter(({ to }) => to === undefined).length;
  return count;
}

/** Faults during which an engine may lose its runs without knowing it at once. */
const ASLEEP: readonly Fault["kind"][] = ["pause", "block"];
/**
 * From looking at its lease until its task says that it runs an engine takes some steps more. One that stands still in
 * between makes them when it wakes, within so many milliseconds of a busy machine.
 */
const WAKING_MS = 1_000;

/** Whether the engine slept at some time from `since` on, and the moment is still part of that or of waking from it. */
export function hasJustSlept(faults: readonly Fault[], engine: string, since: number, at: number): boolean {
  return faults.some(
    ({ kind, engine: whose, from, to }) =>
      whose === engine && ASLEEP.includes(kind) && from <= at && (to ?? at) >= since && at <= (to ?? at) + WAKING_MS,
  );
}

/**
 * Pairs of executions of one attempt's work that ran at the same time. That may be only where the first one's engine
 * was asleep or killed meanwhile.
 */
export function overlaps(
  executions: ReadonlyMap<string, readonly Execution[]>,
  faults: readonly Fault[],
): { readonly allowed: number; readonly problems: readonly string[] } {
  const problems: string[] = [];
  let allowed = 0;
  for (const [identity, own] of executions) {
    for (const [place, second] of own.entries()) {
      for (const first of own.slice(0, place)) {
        const end = first.to ?? goneAt(faults, first);
        if (end <= second.from) continue;
        if (first.engine !== second.engine && hasJustSlept(faults, first.engine, first.from, second.from)) allowed++;
        else problems.push(`${identity} ran on ${second.engine} while it ran on ${first.engine}, which was awake`);
      }
    }
  }
  return { allowed, problems };
}

/** When an execution that never said that it ended was over with its process. */
function goneAt(faults: readonly Fault[], { engine, from }: Execution): number {
  const gone = faults.find((fault) => (fault.kind === "kill" || fault.kind === "stop") && fault.engine === engine);
  return gone?.to === undefined ? from : gone.to;
}
