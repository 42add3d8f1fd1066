/** How long runs stand still whose engine was killed. */
import { probe } from "./child.js";
import type { RecoverySample } from "./probes/recovery.js";
import { progress } from "./progress.js";
import { decimals, type Effort, type Group, inSeconds, judge, nothingMeasured, type Report } from "./report.js";
import { openPostgres, type Postgres } from "./services/postgres.js";
import { median } from "./statistics.js";

/** The default lease. */
const SIZE = { runs: 10_000, leaseMs: 10_000 };
const QUICK_SIZE = { runs: 200, leaseMs: 1_000 };
/** How much longer than the lease it may take, in seconds. */
const MOST_MORE = 5;

export const recovery: Group = {
  name: "recovery",
  title: "Recovery after a kill",
  async measure(effort) {
    const server = await openPostgres();
    if (!server.ok) return nothingMeasured("recovery", server.why);
    try {
      return await measured(server.value, effort);
    } finally {
      await server.value.stop();
    }
  },
};

async function measured(server: Postgres, effort: Effort): Promise<Report> {
  const { runs, leaseMs } = effort.isQuick ? QUICK_SIZE : SIZE;
  const turns = effort.isQuick ? 1 : effort.runs;
  const samples: RecoverySample[] = [];
  for (let turn = 0; turn < turns; turn++) {
    progress(`recovery: ${runs.toLocaleString("en")} runs, process ${turn + 1} of ${turns}`);
    const outcome = await server.withDatabase((place) => probe("recovery", { place, runs, leaseMs }));
    if (!outcome.ok) return nothingMeasured("recovery", outcome.why);
    samples.push(outcome.value);
  }
  return reportOf(samples, server, effort);
}

function reportOf(samples: readonly RecoverySample[], { description }: Postgres, effort: Effort): Report {
  const { runs, leaseMs } = effort.isQuick ? QUICK_SIZE : SIZE;
  const count = runs.toLocaleString("en");
  const first = median(samples.map(({ firstMs }) => firstMs)) / 1_000;
  const last = median(samples.map(({ lastMs }) => lastMs)) / 1_000;
  const most = Math.max(...samples.map(({ lastMs }) => lastMs)) / 1_000;
  return {
    tables: [
      {
        title: `${count} runs in flight when their engine is killed`,
        columns: ["from the kill until", "s"],
        textColumns: 1,
        rows: [
          ["another engine has taken up the first of them", decimals(first)],
          ["it has taken up the last of them", decimals(last)],
          ["the same, the slowest time", decimals(most)],
        ],
        note: `${description}. A process with one engine is ended by SIGKILL while each of its runs is in a task that waits. The other engine was up before, with the same lease of ${leaseMs / 1_000} s, and a run is taken up when its task has begun again; all runs then ended, each once.`,
      },
    ],
    targets: [
      judge(
        {
          what: `${count} runs of a killed engine are taken up, lease of ${leaseMs / 1_000} s`,
          bound: "at most",
          limit: leaseMs / 1_000 + MOST_MORE,
          show: inSeconds,
        },
        last,
        effort,
      ),
    ],
    samples,
  };
}
