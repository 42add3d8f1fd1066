import { type Outcome, probe } from "../child.js";
import { progress } from "../progress.js";
import { decimals, type Effort, NOT_MEASURED, type Table } from "../report.js";
import { median } from "../statistics.js";
import type { Assignment } from "./assignments.js";
import type { DurableName } from "./contenders.js";
import { tasksIn } from "./workloads.js";

/** One contender and what it is given to do. */
export interface DurableCase extends Assignment {
  readonly contender: DurableName;
  /** Whether its round trips to the server are counted as well, in a process of their own. */
  readonly isCounted: boolean;
  /** Lends it an empty place to keep its data in, or says why there is none. */
  readonly lend: Lend;
}

export type Lend = <T>(use: (place: string) => Promise<Outcome<T>>) => Promise<Outcome<T>>;

export interface DurableRow extends Omit<DurableCase, "lend"> {
  /** Of each round in each process. */
  readonly roundMs: number[];
  /** For each task. */
  roundTrips?: number;
  /** Why there is no time. */
  why?: string;
}

/** For how long a process goes on with warming up, and then with further rounds. */
const PATIENCE = { warmUpMs: 2_000, roundsMs: 5_000 };
const QUICK_PATIENCE = { warmUpMs: 100, roundsMs: 200 };

/** Measures all cases in turns, each time in a process and a place of its own. A case that failed is not tried again. */
export async function compareDurable(
  group: string,
  cases: readonly DurableCase[],
  effort: Effort,
): Promise<DurableRow[]> {
  const rows = cases.map(({ lend, ...facts }) => ({ row: { ...facts, roundMs: [] } as DurableRow, lend }));
  const turns = effort.isQuick ? 1 : effort.runs;
  for (let turn = 0; turn < turns; turn++) {
    for (const { row, lend } of rows) {
      if (row.why !== undefined) continue;
      progress(`${group}: ${row.contender}, ${row.title}, process ${turn + 1} of ${turns}`);
      await takeTurn(row, lend, effort);
    }
  }
  for (const { row, lend } of rows) {
    if (row.why !== undefined || !row.isCounted) continue;
    progress(`${group}: ${row.contender}, ${row.title}, counting round trips`);
    await count(row, lend, effort);
  }
  return rows.map(({ row }) => row);
}

async function takeTurn(row: DurableRow, lend: Lend, effort: Effort): Promise<void> {
  const outcome = await lend((place) => probe("durable", { ...requestOf(row, effort), place }));
  if (outcome.ok) row.roundMs.push(...outcome.value.roundMs);
  else row.why = outcome.why;
}

async function count(row: DurableRow, lend: Lend, effort: Effort): Promise<void> {
  const request = { ...requestOf(row, effort), rounds: 1, isCounting: true };
  const outcome = await lend((place) => probe("durable", { ...request, place }));
  if (outcome.ok) row.roundTrips = outcome.value.roundTrips / tasksIn(row.workload);
}

function requestOf({ contender, workload, warmUp, rounds }: DurableRow, { isQuick }: Effort) {
  return { contender, workload, warmUp, rounds, ...(isQuick ? QUICK_PATIENCE : PATIENCE) };
}

export function find(rows: readonly DurableRow[], contender: DurableName, title: string): DurableRow | undefined {
  return rows.find((row) => row.contender === contender && row.title === title);
}

/** The median of all rounds, in milliseconds. */
export function timeOf(row: DurableRow | undefined): number | string {
  if (row === undefined) return "not measured";
  return row.why ?? median(row.roundMs);
}

/** Tasks a second. */
export function rateOf(row: DurableRow | undefined): number | string {
  const ms = timeOf(row);
  return typeof ms === "string" ? ms : (tasksIn(row!.workload) / ms) * 1_000;
}

/** One figure as so many times another, or why that is not known. */
export function quotient(over: number | string, under: number | string): number | string {
  if (typeof over === "string") return over;
  return typeof under === "string" ? under : over / under;
}

/** @param ownOf - Weftline's row beside which a row stands. */
export function durableTable(
  title: string,
  rows: readonly DurableRow[],
  ownOf: (row: DurableRow) => DurableRow | undefined,
  note: string,
): Table {
  const isCounted = rows.some((row) => row.isCounted);
  const columns = ["workload", "contender", "tasks", "ms", "tasks/s", "Weftline's rate ÷ this"];
  return {
    title,
    columns: isCounted ? [...columns, "round trips/task"] : columns,
    textColumns: 2,
    rows: rows.map((row) => {
      const cells = cellsOf(row, ownOf(row));
      return isCounted ? [...cells, row.roundTrips === undefined ? NOT_MEASURED : decimals(row.roundTrips)] : cells;
    }),
    note,
  };
}

function cellsOf(row: DurableRow, own: DurableRow | undefined): string[] {
  const facts = [row.title, row.contender, tasksIn(row.workload).toLocaleString("en")];
  if (row.why !== undefined) return [...facts, row.why, NOT_MEASURED, NOT_MEASURED];
  const compared = quotient(rateOf(own), rateOf(row));
  return [
    ...facts,
    decimals(median(row.roundMs)),
    decimals(rateOf(row) as number),
    typeof compared === "number" ? decimals(compared) : NOT_MEASURED,
  ];
}
