/** What a run costs that has almost nothing to do: from trigger to result. */
import { probe } from "./child.js";
import type { ContenderName } from "./contenders.js";
import { progress } from "./progress.js";
import { decimals, type Effort, type Group, inMicroseconds, judge, NOT_MEASURED, type Table } from "./report.js";
import { median } from "./statistics.js";

interface Row {
  readonly contender: ContenderName;
  /** For each process, in microseconds. */
  readonly medians: number[];
  why?: string;
}

const CONTENDERS: readonly ContenderName[] = [
  "weftline",
  "weftline, async",
  "p-graph",
  "flowcraft",
  "async.auto",
  "p-queue",
  "bare loop",
];
const COUNTS = { warmUp: 3_000, runs: 5_000 };
const QUICK_COUNTS = { warmUp: 300, runs: 500 };
const MOST_MICROSECONDS = 60;

export const oneTask: Group = {
  name: "one-task",
  title: "A run of one task",
  async measure(effort) {
    const counts = effort.isQuick ? QUICK_COUNTS : COUNTS;
    const rows = CONTENDERS.map((contender): Row => ({ contender, medians: [] }));
    for (let turn = 0; turn < effort.runs; turn++) {
      for (const row of rows) if (row.why === undefined) await takeTurn(row, turn, counts, effort);
    }
    const own = rows[0]!;
    const claim = {
      what: "a run of one task",
      bound: "under",
      limit: MOST_MICROSECONDS,
      show: inMicroseconds,
    } as const;
    return {
      tables: [tableOf(rows, counts)],
      targets: [judge(claim, own.why ?? median(own.medians), effort)],
      samples: rows,
    };
  },
};

async function takeTurn(row: Row, turn: number, counts: typeof COUNTS, { runs }: Effort): Promise<void> {
  progress(`one-task: ${row.contender}, process ${turn + 1} of ${runs}`);
  const outcome = await probe("one-task", { contender: row.contender, ...counts });
  if (outcome.ok) row.medians.push(median(outcome.value.runMs) * 1_000);
  else row.why = outcome.why;
}

function tableOf(rows: readonly Row[], { warmUp, runs }: typeof COUNTS): Table {
  const own = rows[0]!;
  return {
    title: "One task, from trigger to result",
    columns: ["contender", "µs", "÷ Weftline's"],
    textColumns: 1,
    rows: rows.map(({ contender, medians, why }) => {
      if (why !== undefined) return [contender, why, NOT_MEASURED];
      const compared = own.why === undefined ? decimals(median(medians) / median(own.medians)) : NOT_MEASURED;
      return [contender, decimals(median(medians)), compared];
    }),
    note: `The median of ${runs.toLocaleString("en")} runs in a row, after ${warmUp.toLocaleString("en")} that are not counted. All are defined once; Weftline writes each run to its history.`,
  };
}
