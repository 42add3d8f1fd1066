/** What it costs to run tasks in processes of their own, beside processes alone. */
import { type Outcome, probe } from "../child.js";
import { progress } from "../progress.js";
import {
  type Claim,
  decimals,
  type Effort,
  type Group,
  inMilliseconds,
  inPercent,
  judge,
  NOT_MEASURED,
  type Report,
  type Table,
  times,
} from "../report.js";
import { median } from "../statistics.js";
import type { ProcessesRequest, ProcessesSample } from "./processes-probe.js";

const PROCESSES = 2;
const REQUESTS = {
  dispatch: { kind: "dispatch", rounds: 60 },
  "cold start": { kind: "cold start", rounds: 15 },
  "1 ms": { kind: "throughput", work: "1 ms", items: 1_000, processes: PROCESSES, rounds: 7 },
  "no-op": { kind: "throughput", work: "no-op", items: 5_000, processes: PROCESSES, rounds: 7 },
} as const satisfies Record<string, ProcessesRequest>;
type Name = keyof typeof REQUESTS;
type Throughput = "1 ms" | "no-op";

const QUICK_PART = 5;
const MOST_DISPATCH_MS = 1;
const MOST_OF_FORK = 1.3;
const LEAST_SHARE = 0.9;

/** Medians of all rounds. */
interface Figures {
  /** In milliseconds. */
  readonly weftline: number;
  readonly bare: number;
  /** Weftline's time in times of the bare one's, each round by itself, as the machine may be faster in the next. */
  readonly ratio: number;
}

type Found = Readonly<Record<Name, Outcome<Figures>>>;

export const processes: Group = {
  name: "processes",
  title: "Tasks in child processes",
  async measure(effort) {
    const found: Partial<Record<Name, Outcome<Figures>>> = {};
    const samples: Partial<Record<Name, readonly ProcessesSample[]>> = {};
    for (const name of Object.keys(REQUESTS) as Name[]) {
      const outcome = await measured(name, effort);
      samples[name] = outcome.ok ? outcome.value : [];
      found[name] = outcome.ok ? { ok: true, value: figuresOf(outcome.value) } : outcome;
    }
    return { ...reportOf(found as Found, effort), samples };
  },
};

async function measured(name: Name, effort: Effort): Promise<Outcome<readonly ProcessesSample[]>> {
  const turns = effort.isQuick ? 1 : effort.runs;
  const samples: ProcessesSample[] = [];
  for (let turn = 0; turn < turns; turn++) {
    progress(`processes: ${name}, process ${turn + 1} of ${turns}`);
    const outcome = await probe("processes", requestOf(name, effort));
    if (!outcome.ok) return outcome;
    samples.push(outcome.value);
  }
  return { ok: true, value: samples };
}

function requestOf(name: Name, { isQuick }: Effort): ProcessesRequest {
  const request: ProcessesRequest = REQUESTS[name];
  if (!isQuick) return request;
  const rounds = Math.ceil(request.rounds / QUICK_PART);
  if (request.kind !== "throughput") return { ...request, rounds };
  return { ...request, rounds, items: itemsOf(name as Throughput, true) };
}

function itemsOf(name: Throughput, isQuick: boolean): number {
  return isQuick ? REQUESTS[name].items / QUICK_PART : REQUESTS[name].items;
}

function figuresOf(samples: readonly ProcessesSample[]): Figures {
  const weftline = samples.flatMap((sample) => sample.weftline);
  const bare = samples.flatMap((sample) => sample.bare);
  return {
    weftline: median(weftline),
    bare: median(bare),
    ratio: median(weftline.map((ms, round) => ms / bare[round]!)),
  };
}

function reportOf(found: Found, effort: Effort): Omit<Report, "samples"> {
  const of = (name: Name, figure: (figures: Figures) => number): number | string => {
    const outcome = found[name];
    return outcome.ok ? figure(outcome.value) : outcome.why;
  };
  const target = (claim: Claim, figure: number | string) => judge(claim, figure, effort);
  return {
    tables: [latencies(found), throughputs(found, effort)],
    targets: [
      target(
        {
          what: "a task that does nothing, in a process that waits for it",
          bound: "under",
          limit: MOST_DISPATCH_MS,
          show: inMilliseconds,
        },
        of("dispatch", ({ weftline }) => weftline),
      ),
      target(
        {
          what: "from no process to the first answer, in times of a bare fork",
          bound: "at most",
          limit: MOST_OF_FORK,
          show: times,
        },
        of("cold start", ({ ratio }) => ratio),
      ),
      target(
        {
          what: `throughput of 1 ms tasks in ${PROCESSES} processes, of a bare pool's`,
          bound: "at least",
          limit: LEAST_SHARE,
          show: inPercent,
        },
        of("1 ms", ({ ratio }) => 1 / ratio),
      ),
    ],
  };
}

function latencies(found: Found): Table {
  const titles = { dispatch: "a no-op in a process that waits for it", "cold start": "no process to the first answer" };
  return {
    title: "One task",
    columns: ["", "Weftline, ms", "bare fork, ms", "Weftline ÷ bare"],
    textColumns: 1,
    rows: (Object.keys(titles) as (keyof typeof titles)[]).map((name) => [
      titles[name],
      ...cellsOf(found[name], ({ weftline, bare, ratio }) => [weftline, bare, ratio]),
    ]),
    note: "Weftline: from the call of the executor's `execute()` to the attempt's outcome, and from the call of its `start()` to the first. Bare: `fork()` as it comes, of a module that loads the same pipelines and answers each message; from a message to its answer, and from the fork to the first.",
  };
}

function throughputs(found: Found, { isQuick }: Effort): Table {
  return {
    title: `A map over many items in ${PROCESSES} processes`,
    columns: ["each task", "tasks", "Weftline, tasks/s", "bare pool, tasks/s", "Weftline ÷ bare"],
    textColumns: 1,
    rows: (["1 ms", "no-op"] as const).map((name) => {
      const items = itemsOf(name, isQuick);
      const rate = (ms: number) => (items / ms) * 1_000;
      const cells = cellsOf(found[name], ({ weftline, bare, ratio }) => [rate(weftline), rate(bare), 1 / ratio]);
      return [name, items.toLocaleString("en"), ...cells];
    }),
    note: "The bare pool sends a process its next message when it has answered the last one. Weftline runs a pipeline, and keeps the history of each task in memory.",
  };
}

function cellsOf(outcome: Outcome<Figures>, figures: (value: Figures) => readonly number[]): readonly string[] {
  return outcome.ok ? figures(outcome.value).map(decimals) : [outcome.why, NOT_MEASURED, NOT_MEASURED];
}
