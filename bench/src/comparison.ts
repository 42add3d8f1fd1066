import { type Outcome, probe } from "./child.js";
import type { ContenderName } from "./contenders.js";
import type { Shape } from "./graphs.js";
import type { GraphSample } from "./probes/graph.js";
import { progress } from "./progress.js";
import { decimals, type Effort, NOT_MEASURED, type Table } from "./report.js";
import { median } from "./statistics.js";

/** One contender on one graph. */
export interface Case {
  readonly contender: ContenderName;
  readonly shape: Shape;
  readonly size: number;
  /** Tried once, without warming up, as it is expected to take too long for a figure. */
  readonly isTry?: true;
}

/** What a case cost: medians of all rounds in all processes. */
export interface Row extends Case {
  /** In microseconds for each task; missing when it could not be measured. */
  readonly cost?: Cost;
  /** Why there is no cost. */
  readonly why?: string;
  readonly samples: readonly GraphSample[];
}

export interface Cost {
  readonly define: number;
  readonly run: number;
}

const TRY_LIMIT_MS = 30_000;
/** Of graphs this large a few processes have to do. */
const LARGE = 1_000_000;
const LARGE_RUNS = 3;
/** Small graphs are run more often in each process, up to so many tasks and rounds. */
const ROUND_TASKS = 300_000;
const MAX_ROUNDS = 15;
const ONCE = { rounds: 1, warmUp: 0 };
const QUICK = { rounds: 3, warmUp: 3_000 };
const WARM_UP = 30_000;

/** What a task costs in each case, everything warmed up. */
export function compare(group: string, cases: readonly Case[], effort: Effort): Promise<Row[]> {
  return inTurns(cases, effort, (case_, turn) => {
    progress(`${group}: ${nameOf(case_)}, ${turn}`);
    if (case_.isTry) return probe("graph", { ...case_, ...ONCE }, TRY_LIMIT_MS);
    return probe("graph", { ...case_, ...repetitions(case_, effort) });
  });
}

/** The memory of processes that do nothing but one case, once. */
export function compareMemory(group: string, cases: readonly Case[], effort: Effort): Promise<Row[]> {
  return inTurns(cases, { ...effort, runs: Math.min(effort.runs, LARGE_RUNS) }, (case_, turn) => {
    progress(`${group}: memory of ${nameOf(case_)}, ${turn}`);
    return probe("graph", { ...case_, ...ONCE });
  });
}

/**
 * Measures all cases in turns, each time in a process of its own, so that a slow moment of the machine meets all of
 * them. A case that failed is not tried again.
 */
async function inTurns(
  cases: readonly Case[],
  effort: Effort,
  measure: (case_: Case, turn: string) => Promise<Outcome<GraphSample>>,
): Promise<Row[]> {
  const outcomes = cases.map((): Outcome<GraphSample>[] => []);
  for (let turn = 0; turn < effort.runs; turn++) {
    for (const [index, case_] of cases.entries()) {
      const taken = outcomes[index]!;
      const turns = turnsOf(case_, effort);
      if (turn >= turns || taken.some(({ ok }) => !ok)) continue;
      taken.push(await measure(case_, `process ${turn + 1} of ${turns}`));
    }
  }
  return cases.map((case_, index) => rowOf(case_, outcomes[index]!));
}

function repetitions({ size }: Case, { isQuick }: Effort): { rounds: number; warmUp: number } {
  if (isQuick) return QUICK;
  return { rounds: Math.max(1, Math.min(MAX_ROUNDS, Math.floor(ROUND_TASKS / size))), warmUp: WARM_UP };
}

function turnsOf({ size, isTry }: Case, { runs }: Effort): number {
  if (isTry) return 1;
  return size >= LARGE ? Math.min(runs, LARGE_RUNS) : runs;
}

function nameOf({ contender, shape, size }: Case): string {
  return `${contender}, ${shape}, ${size.toLocaleString("en")} tasks`;
}

function rowOf(case_: Case, outcomes: readonly Outcome<GraphSample>[]): Row {
  const samples = outcomes.flatMap((outcome) => (outcome.ok ? [outcome.value] : []));
  const failure = outcomes.find((outcome) => !outcome.ok);
  if (failure !== undefined) return { ...case_, samples, why: failure.why };
  const perTask = (ms: readonly number[]) => (median(ms) * 1_000) / case_.size;
  const define = perTask(samples.flatMap(({ defineMs }) => defineMs));
  return { ...case_, samples, cost: { define, run: perTask(samples.flatMap(({ runMs }) => runMs)) } };
}

/** The row of a case, whatever else was measured. */
export function find(rows: readonly Row[], contender: ContenderName, shape: Shape, size: number): Row | undefined {
  return rows.find((row) => row.contender === contender && row.shape === shape && row.size === size);
}

/** How many times a figure of one row another's is, or why that is not known. */
export function ratio(over: Row | undefined, under: Row | undefined, figure: (cost: Cost) => number): number | string {
  if (over?.cost === undefined || under?.cost === undefined) return over?.why ?? under?.why ?? "not measured";
  return figure(over.cost) / figure(under.cost);
}

/** @param own - The contender whose runs are 1× for all others of the same shape and size. */
export function costTable(title: string, rows: readonly Row[], own: ContenderName, note?: string): Table {
  return {
    title,
    columns: ["graph", "contender", "tasks", "define, µs/task", "run, µs/task", "both, µs/task", "run ÷ Weftline's"],
    textColumns: 2,
    rows: rows.map((row) => costCells(row, find(rows, own, row.shape, row.size))),
    ...(note !== undefined && { note }),
  };
}

function costCells(row: Row, own: Row | undefined): string[] {
  const facts = [row.shape, row.contender, row.size.toLocaleString("en")];
  if (row.cost === undefined) return [...facts, NOT_MEASURED, row.why ?? NOT_MEASURED, NOT_MEASURED, NOT_MEASURED];
  const { define, run } = row.cost;
  const toOwn = ratio(row, own, (cost) => cost.run);
  const compared = typeof toOwn === "number" ? decimals(toOwn) : NOT_MEASURED;
  return [...facts, decimals(define), decimals(run), decimals(define + run), compared];
}
