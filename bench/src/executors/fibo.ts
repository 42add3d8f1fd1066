/** Runs of tasks that compute Fibonacci numbers, on each executor with each storage, beside a loop without an engine. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Outcome, probe } from "../child.js";
import { progress } from "../progress.js";
import {
  decimals,
  type Effort,
  type Group,
  inSeconds,
  judge,
  NOT_MEASURED,
  type Report,
  type Table,
  type Target,
} from "../report.js";
import { describeDisk } from "../services/disk.js";
import { openPostgres, type Postgres } from "../services/postgres.js";
import { median } from "../statistics.js";
import type { FiboContender, FiboRequest, FiboSample } from "./fibo-probe.js";
import { EXECUTORS, WORKLOADS, type WorkloadName } from "./fibo-workloads.js";

const STORAGES = ["memory", "SQLite", "Postgres"] as const satisfies readonly FiboRequest["storage"][];
type StorageName = (typeof STORAGES)[number];
const CONTENDERS: readonly FiboContender[] = ["bare loop", ...EXECUTORS];

const ROUNDS: FiboRequest["rounds"] = { short: 20, long: 3 };
const QUICK_ROUNDS: FiboRequest["rounds"] = { short: 3, quick: 3 };

/** The best published times of JavaScript tasks in the benchmark these workloads are of, in seconds. */
const PUBLISHED: Partial<Readonly<Record<WorkloadName, number>>> = { short: 2.1, long: 0.94 };
/** What an engine may add to tasks that compute something. */

/** The samples of one storage, one for each process, or why there are none. */
interface Found {
  readonly storage: StorageName;
  readonly outcome: Outcome<readonly FiboSample[]>;
}

interface Row {
  readonly workload: WorkloadName;
  readonly storage: StorageName;
  readonly contender: FiboContender;
  readonly cost: Cost | undefined;
  /** Why there is no cost. */
  readonly why: string;
}

interface Cost {
  /** Of the whole run. */
  readonly ms: number;
  /** Of each task, over the bare loop. */
  readonly overheadMs: number;
  readonly ofLoop: number;
}

export const fibo: Group = {
  name: "fibo",
  title: "Fibonacci numbers in sequence",
  async measure(effort) {
    const postgres = await openPostgres();
    try {
      const found: Found[] = [];
      for (const storage of STORAGES) found.push({ storage, outcome: await measured(storage, postgres, effort) });
      return await reportOf(found, postgres, effort);
    } finally {
      if (postgres.ok) await postgres.value.stop();
    }
  },
};

async function measured(storage: StorageName, postgres: Outcome<Postgres>, effort: Effort): Promise<Found["outcome"]> {
  const turns = effort.isQuick ? 1 : effort.runs;
  const rounds = effort.isQuick ? QUICK_ROUNDS : ROUNDS;
  const samples: FiboSample[] = [];
  for (let turn = 0; turn < turns; turn++) {
    progress(`fibo: ${storage}, process ${turn + 1} of ${turns}`);
    const outcome = await inPlace(storage, postgres, (place) => probe("fibo", { storage, place, rounds }));
    if (!outcome.ok) return outcome;
    samples.push(outcome.value);
  }
  return { ok: true, value: samples };
}

async function inPlace<T>(
  storage: StorageName,
  postgres: Outcome<Postgres>,
  use: (place: string) => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
  if (storage === "memory") return use("");
  if (storage === "Postgres") return postgres.ok ? postgres.value.withDatabase(use) : postgres;
  const folder = await mkdtemp(join(tmpdir(), "weftline-bench-fibo-"));
  try {
    return await use(join(folder, "runs.sqlite"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function reportOf(found: readonly Found[], postgres: Outcome<Postgres>, effort: Effort): Promise<Report> {
  const workloads = Object.keys(effort.isQuick ? QUICK_ROUNDS : ROUNDS) as WorkloadName[];
  const rows = workloads.flatMap((workload) => found.flatMap((one) => rowsOf(workload, one)));
  const server = postgres.ok ? postgres.value.description : postgres.why;
  const places = `The file of SQLite is in the folder for temporary files${await describeDisk()}; ${server}.`;
  return {
    tables: [tableOf(rows, places)],
    targets: workloads.flatMap((workload) => targetsOf(workload, rows, effort)),
    samples: found,
  };
}

function rowsOf(workload: WorkloadName, { storage, outcome }: Found): readonly Row[] {
  const why = outcome.ok ? "" : outcome.why;
  const samples = outcome.ok ? outcome.value : [];
  const timesOf = (contender: FiboContender) => samples.flatMap((sample) => sample[workload]?.[contender] ?? []);
  return CONTENDERS.map((contender) => {
    const cost = outcome.ok ? costOf(timesOf(contender), timesOf("bare loop"), WORKLOADS[workload].tasks) : undefined;
    return { workload, storage, contender, cost, why };
  });
}

/** Each round is held against the loop of the same round, as the machine may be faster in the next. */
function costOf(ms: readonly number[], bareMs: readonly number[], tasks: number): Cost {
  return {
    ms: median(ms),
    overheadMs: median(ms.map((time, round) => (time - bareMs[round]!) / tasks)),
    ofLoop: median(ms.map((time, round) => time / bareMs[round]!)),
  };
}

function titleOf(workload: WorkloadName): string {
  const { tasks, n } = WORKLOADS[workload];
  return `${tasks} × fibonacci(${n})`;
}

function tableOf(rows: readonly Row[], places: string): Table {
  return {
    title: "One run of tasks, each after the one before",
    columns: ["workload", "storage", "executor", "ms", "ms/task over the loop", "÷ bare loop"],
    textColumns: 3,
    rows: rows.map(({ workload, storage, contender, cost, why }) => [
      titleOf(workload),
      storage,
      contender,
      ...(cost === undefined
        ? [why, NOT_MEASURED, NOT_MEASURED]
        : [decimals(cost.ms), decimals(cost.overheadMs), workload === "short" ? NOT_MEASURED : decimals(cost.ofLoop)]),
    ]),
    note: `From trigger to result, one engine with all three executors as they come; every round is held against the loop of the same round, which awaits the same function as often and keeps nothing. The workloads are those of a public benchmark of orchestrators (https://www.windmill.dev/docs/misc/benchmarks/competitors), which was measured on another machine with two cores. ${places}`,
  };
}

function targetsOf(workload: WorkloadName, rows: readonly Row[], effort: Effort): readonly Target[] {
  const what = `${titleOf(workload)}, the slowest of all executors and storages`;
  const slowest = (figure: (cost: Cost) => number) => worst(workload, rows, figure);
  const targets: Target[] = [];
  const published = PUBLISHED[workload];
  if (published !== undefined) {
    const claim = { what, bound: "under", limit: published, show: inSeconds } as const;
    targets.push(
      judge(
        claim,
        slowest(({ ms }) => ms / 1_000),
        effort,
      ),
    );
  }
  return targets;
}

/** Of the executors with all storages, or why one of them has no figure. */
function worst(workload: WorkloadName, rows: readonly Row[], figure: (cost: Cost) => number): number | string {
  const cells = rows.filter((row) => row.workload === workload && row.contender !== "bare loop");
  const failed = cells.find(({ cost }) => cost === undefined);
  return failed?.why ?? Math.max(...cells.map(({ cost }) => figure(cost!)));
}
