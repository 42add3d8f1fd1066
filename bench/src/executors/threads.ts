/** What it costs to run tasks in threads, beside a pool of threads alone. */
import { type Outcome, probe } from "../child.js";
import { progress } from "../progress.js";
import {
  decimals,
  type Effort,
  type Group,
  inMilliseconds,
  inPercent,
  judge,
  NOT_MEASURED,
  type Report,
  type Target,
  times,
} from "../report.js";
import { median } from "../statistics.js";
import type { ThreadsRequest, ThreadsSample } from "./threads-probe.js";

const THREADS = 2;
const ROUNDS = 7;
const QUICK_ROUNDS = 1;
const CASES: readonly Omit<ThreadsRequest, "rounds">[] = [
  { work: "no-op", items: 20_000, threads: THREADS },
  { work: "1 ms", items: 1_000, threads: THREADS },
  { work: "50 ms", items: 40, threads: THREADS },
  { work: "50 ms", items: 40, threads: 1 },
];
const QUICK_PART = 10;
const LEAST_SHARE = 0.9;
const LEAST_SPEEDUP = 1.8;
const MOST_DELAY_MS = 20;

interface Row {
  readonly request: ThreadsRequest;
  readonly outcome: Outcome<{ readonly weftline: number; readonly piscina: number; readonly delayMs: number }>;
}

export const threads: Group = {
  name: "threads",
  title: "Tasks in worker threads",
  async measure(effort) {
    const rows: Row[] = [];
    const rounds = effort.isQuick ? QUICK_ROUNDS : ROUNDS;
    for (const { items, ...rest } of CASES) {
      const request = { ...rest, items: effort.isQuick ? items / QUICK_PART : items, rounds };
      progress(`threads: ${request.work}, ${request.threads} threads`);
      rows.push({ request, outcome: await measured(request, effort) });
    }
    return reportOf(rows, effort);
  },
};

/** The medians of all rounds in some processes. */
async function measured(request: ThreadsRequest, { runs }: Effort): Promise<Row["outcome"]> {
  const samples: ThreadsSample[] = [];
  for (let turn = 0; turn < runs; turn++) {
    const outcome = await probe("threads", request);
    if (!outcome.ok) return outcome;
    samples.push(outcome.value);
  }
  const value = {
    weftline: median(samples.flatMap(({ weftline }) => weftline)),
    piscina: median(samples.flatMap(({ piscina }) => piscina)),
    delayMs: median(samples.map(({ delayMs }) => delayMs)),
  };
  return { ok: true, value };
}

function reportOf(rows: readonly Row[], effort: Effort): Report {
  return {
    tables: [
      {
        title: "A map over many items, beside piscina",
        columns: ["each task", "threads", "tasks", "Weftline", "piscina", "event-loop delay, p99"],
        textColumns: 1,
        rows: rows.map(cellsOf),
        note: "Tasks per second; median of all rounds, taken in turns. Weftline keeps the history of each task in memory.",
      },
    ],
    targets: targetsOf(rows, effort),
    samples: rows,
  };
}

function cellsOf({ request: { work, threads: count, items }, outcome }: Row): readonly string[] {
  const head = [work, String(count), items.toLocaleString("en")];
  if (!outcome.ok) return [...head, outcome.why, NOT_MEASURED, NOT_MEASURED];
  const rate = (ms: number) => decimals((items / ms) * 1_000);
  const { weftline, piscina, delayMs } = outcome.value;
  return [...head, rate(weftline), rate(piscina), inMilliseconds(delayMs)];
}

function targetsOf(rows: readonly Row[], effort: Effort): readonly Target[] {
  const share = (work: string) => figure(rows, work, THREADS, ({ weftline, piscina }) => piscina / weftline);
  const alone = figure(rows, "50 ms", 1, ({ weftline }) => weftline);
  const both = figure(rows, "50 ms", THREADS, ({ weftline }) => weftline);
  const speedup = typeof alone === "number" && typeof both === "number" ? alone / both : NOT_MEASURED;
  const delay = figure(rows, "50 ms", THREADS, ({ delayMs }) => delayMs);
  const ofPiscina = (work: string) =>
    ({
      what: `throughput of ${work} tasks, of piscina's`,
      bound: "at least",
      limit: LEAST_SHARE,
      show: inPercent,
    }) as const;
  return [
    judge(ofPiscina("no-op"), share("no-op"), effort),
    judge(ofPiscina("1 ms"), share("1 ms"), effort),
    judge(
      { what: "two threads against one, tasks of 50 ms", bound: "at least", limit: LEAST_SPEEDUP, show: times },
      speedup,
      effort,
    ),
    judge(
      { what: "event-loop delay of the host, p99", bound: "under", limit: MOST_DELAY_MS, show: inMilliseconds },
      delay,
      effort,
    ),
  ];
}

function figure(
  rows: readonly Row[],
  work: string,
  count: number,
  read: (value: { readonly weftline: number; readonly piscina: number; readonly delayMs: number }) => number,
): number | string {
  const row = rows.find(({ request }) => request.work === work && request.threads === count);
  if (row === undefined) return NOT_MEASURED;
  return row.outcome.ok ? read(row.outcome.value) : row.outcome.why;
}
