import type { Fault, WitnessLine } from "./history.js";
import { keyOf, type RunModel, type Tenure } from "./run-model.js";
import type { World } from "./world.js";

/** One time that a task function ran, by its own words. */
export interface Execution {
  readonly runId: string;
  readonly task: string;
  readonly index: readonly number[];
  readonly key: string;
  readonly attempt: number;
  readonly generation: number | undefined;
  readonly start: WitnessLine;
  readonly end: WitnessLine | undefined;
  /** When it was over at the latest that can be told: it ended, or its engine was killed. `undefined`: it may run still. */
  readonly over: number | undefined;
  readonly engine: string | undefined;
}

/** Pairs the lines of the witness log: the n-th end of an attempt on an engine belongs to its n-th start there. */
export function executionsOf(world: World): ReadonlyMap<string, readonly Execution[]> {
  const kills = killsByEngine(world.evidence.faults);
  const all = new Map<string, Execution[]>();
  for (const [runId, lines] of world.witness) all.set(runId, pair(lines, kills));
  return all;
}

function pair(lines: readonly WitnessLine[], kills: ReadonlyMap<string, readonly Fault[]>): Execution[] {
  const open = new Map<string, WitnessLine[]>();
  const ended = new Map<WitnessLine, WitnessLine>();
  for (const line of lines) {
    const place = placeOf(line);
    if (line.phase === "start") open.set(place, [...(open.get(place) ?? []), line]);
    const start = line.phase === "end" ? open.get(place)?.shift() : undefined;
    if (start) ended.set(start, line);
  }
  const executions: Execution[] = [];
  for (const start of lines) {
    if (start.phase !== "start") continue;
    const { runId, task, index, attempt, engine } = start;
    const end = ended.get(start);
    const kill = end ? undefined : kills.get(engine ?? "")?.find(({ from }) => from >= start.at);
    executions.push({
      ...{ runId, task, index, attempt, engine, start, end },
      key: keyOf(task, index),
      generation: generationOf(start),
      over: end?.at ?? kill?.from,
    });
  }
  return executions;
}

function placeOf({ task, index, attempt, engine, execution, generation, key }: WitnessLine): string {
  return `${task}/${index.join(".")}/${attempt}/${engine}/${execution}/${generation ?? key ?? ""}`;
}

/** An idempotency key ends in `@` and the generation, from the second on. */
export function generationOf({ generation, key, task, index, runId }: WitnessLine): number | undefined {
  if (generation !== undefined || key === undefined) return generation;
  const plain = [runId, task, ...index].join("/");
  if (key === plain) return 1;
  return key.startsWith(`${plain}@`) ? Number(key.slice(plain.length + 1)) : undefined;
}

function killsByEngine(faults: readonly Fault[]): ReadonlyMap<string, readonly Fault[]> {
  const kills = new Map<string, Fault[]>();
  for (const fault of faults) {
    if (fault.kind !== "kill" || fault.engine === undefined) continue;
    kills.set(fault.engine, [...(kills.get(fault.engine) ?? []), fault]);
  }
  return kills;
}

/** Under which tenure an execution began; `undefined`: that cannot be told. */
export function tenureOf(world: World, run: RunModel, { engine, start }: Execution): Tenure | undefined {
  if (start.epoch !== undefined) return run.tenures.find(({ epoch }) => epoch === start.epoch);
  if (engine === undefined) return undefined;
  return run.tenures.findLast(
    (tenure) => world.nameOf(tenure.engine) === engine && world.isBefore(tenure.event, start),
  );
}

/** Whether one began while the other ran. */
export function overlap(one: Execution, other: Execution): boolean {
  const [first, second] = isEarlier(one.start, other.start) ? [one, other] : [other, one];
  if (first.end === undefined) return first.over === undefined || first.over > second.start.at;
  return isEarlier(second.start, first.end) && second.start !== first.end;
}

function isEarlier(one: WitnessLine, other: WitnessLine): boolean {
  return one.seq !== undefined && other.seq !== undefined ? one.seq < other.seq : one.at < other.at;
}
