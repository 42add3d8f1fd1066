/** Durable runs in an SQLite file, beside a peer and beside the least that the same rows cost. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Assignment, chains, parallel, singles } from "./durable/assignments.js";
import {
  compareDurable,
  type DurableCase,
  type DurableRow,
  durableTable,
  find,
  type Lend,
  quotient,
  rateOf,
} from "./durable/comparison.js";
import { type Effort, type Group, inPercent, judge, type Target, times } from "./report.js";

import { describeDisk } from "./services/disk.js";

/** What a commit survives: `full` the loss of power, `normal` the death of the process. */
const DURABILITIES = ["full", "normal"] as const;
type Durability = (typeof DURABILITIES)[number];

/** It ends runs that have more steps. */
const OPENWORKFLOW_PARALLEL = 1_000;

export const sqlite: Group = {
  name: "sqlite",
  title: "Durable runs in an SQLite file",
  async measure(effort) {
    const rows = await compareDurable(
      "sqlite",
      DURABILITIES.flatMap((durability) => casesAt(durability, effort)),
      effort,
    );
    const disk = await describeDisk();
    return {
      tables: DURABILITIES.map((durability) =>
        durableTable(
          `Synchronous ${durability}`,
          rows.filter(({ contender }) => contender.endsWith(durability)),
          ({ title }) => find(rows, `weftline, ${durability}`, title),
          `${NOTE} The files are in the folder for temporary files${disk}.`,
        ),
      ),
      targets: DURABILITIES.flatMap((durability) => targetsAt(durability, rows, effort)),
      samples: rows,
    };
  },
};

const NOTE =
  "All with the same driver (@photostructure/sqlite) in WAL mode. The bare loop has no engine: prepared statements, and one transaction for whatever is ready, which inserts the tasks, and the runs where they begin and end. OpenWorkflow runs 100 workflows at once and is timed until its backend confirmed the last; its runs may have 1,000 steps.";

function casesAt(durability: Durability, effort: Effort): DurableCase[] {
  const everybody = (assignment: Assignment, peers = assignment): DurableCase[] => [
    { ...assignment, contender: `weftline, ${durability}`, isCounted: false, lend: lendFile },
    { ...peers, contender: `OpenWorkflow, ${durability}`, isCounted: false, lend: lendFile },
    { ...assignment, contender: `bare loop, ${durability}`, isCounted: false, lend: lendFile },
  ];
  return [
    ...everybody(chains(effort)),
    ...everybody(parallel(effort), parallel(effort, OPENWORKFLOW_PARALLEL)),
    ...everybody(singles(effort)),
  ];
}

const lendFile: Lend = async (use) => {
  const folder = await mkdtemp(join(tmpdir(), "weftline-bench-sqlite-"));
  try {
    return await use(join(folder, "runs.sqlite"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

function targetsAt(durability: Durability, rows: readonly DurableRow[], effort: Effort): Target[] {
  const compared = (title: string, peer: "OpenWorkflow" | "bare loop") =>
    quotient(rateOf(find(rows, `weftline, ${durability}`, title)), rateOf(find(rows, `${peer}, ${durability}`, title)));
  return [chains(effort), parallel(effort), singles(effort)].flatMap(({ title }) => [
    judge(
      { what: `of bare inserts in SQLite (${durability}), ${title}`, bound: "at least", limit: 0.5, show: inPercent },
      compared(title, "bare loop"),
      effort,
    ),
    judge(
      {
        what: `faster than OpenWorkflow in SQLite (${durability}), ${title}`,
        bound: "at least",
        limit: 10,
        show: times,
      },
      compared(title, "OpenWorkflow"),
      effort,
    ),
  ]);
}
