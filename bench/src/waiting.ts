/** What a run costs that does nothing but wait. */
import { type Outcome, probe } from "./child.js";
import type { WaitingSample } from "./probes/waiting.js";
import { progress } from "./progress.js";
import { type Effort, type Group, inKilobytes, judge, NOT_MEASURED, type Report } from "./report.js";
import { median } from "./statistics.js";

const RUNS = 100_000;
const QUICK_RUNS = 2_000;
const PROCESSES = 3;
const MOST_BYTES = 1_500;

export const waiting: Group = {
  name: "waiting",
  title: "Waiting runs",
  async measure(effort) {
    const runs = effort.isQuick ? QUICK_RUNS : RUNS;
    const processes = Math.min(effort.runs, PROCESSES);
    const samples: WaitingSample[] = [];
    for (let turn = 0; turn < processes; turn++) {
      progress(`waiting: ${runs.toLocaleString("en")} runs, process ${turn + 1} of ${processes}`);
      const outcome = await probe("waiting", { runs });
      if (!outcome.ok || outcome.value === undefined) return unmeasured(outcome, runs, effort);
      samples.push(outcome.value);
    }
    return reportOf(samples, runs, effort);
  },
};

function unmeasured(outcome: Outcome<WaitingSample | undefined>, runs: number, effort: Effort): Report {
  const why = outcome.ok ? "skipped: tasks cannot sleep in this version" : outcome.why;
  return { tables: [], targets: [judge(claimOf(runs), why, effort)], samples: outcome };
}

function reportOf(samples: readonly WaitingSample[], runs: number, effort: Effort): Report {
  const heap = median(samples.map((sample) => sample.heap));
  const rss = median(samples.map((sample) => sample.rss));
  return {
    tables: [
      {
        title: `${runs.toLocaleString("en")} runs of one task that sleeps`,
        columns: ["", "measured"],
        textColumns: 1,
        rows: [
          ["heap, for each run", inKilobytes(heap)],
          ["resident memory, for each run", inKilobytes(rss)],
          ["active timers, for all runs", String(samples[0]?.timers ?? NOT_MEASURED)],
        ],
        note: "After a garbage collection; the heap with what it holds outside.",
      },
    ],
    targets: [judge(claimOf(runs), heap, effort)],
    samples,
  };
}

function claimOf(runs: number) {
  const what = `memory of each of ${runs.toLocaleString("en")} waiting runs`;
  return { what, bound: "under", limit: MOST_BYTES, show: inKilobytes } as const;
}
