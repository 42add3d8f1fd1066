/** What a task costs in the core: every shape, beside peers, in one run. Prints a table and writes results/core.json. */
import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { cpus, release } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { ContenderName } from "./contenders.js";
import type { Shape } from "./graphs.js";

interface Measurement {
  readonly shape: Shape;
  readonly size: number;
  readonly contenders: readonly ContenderName[];
}

interface Sample {
  readonly microsecondsPerTask: readonly number[];
  readonly maxRssMb: number;
}

interface Result extends Omit<Measurement, "contenders"> {
  readonly contender: ContenderName;
  /** Of all rounds in all processes. */
  readonly medianMicrosecondsPerTask: number;
  readonly maxRssMb: number;
}

/** Processes for each figure, taken in turns so that a slow moment of the machine meets every contender. */
const PROCESSES = 3;
const ROUNDS = 3;
const TIMEOUT_MS = 120_000;

const GRAPHS: readonly ContenderName[] = ["weftline", "p-graph", "flowcraft", "async.auto", "bare loop"];
const LARGE: readonly ContenderName[] = ["weftline", "p-graph", "bare loop"];
const ALONE: readonly ContenderName[] = ["weftline"];

const MEASUREMENTS: readonly Measurement[] = [
  { shape: "layered", size: 10_000, contenders: GRAPHS },
  { shape: "layered", size: 100_000, contenders: LARGE },
  { shape: "layered", size: 1_000_000, contenders: ALONE },
  { shape: "chain", size: 10_000, contenders: LARGE },
  { shape: "chain", size: 100_000, contenders: ALONE },
  { shape: "fan-out-join", size: 100_000, contenders: ALONE },
  { shape: "independent", size: 100_000, contenders: ["weftline-map", "p-queue"] },
  { shape: "independent", size: 10_000, contenders: [...LARGE, "p-queue"] },
  { shape: "fan-out", size: 10_000, contenders: LARGE },
  { shape: "fan-in", size: 10_000, contenders: LARGE },
  { shape: "20-layers", size: 10_000, contenders: LARGE },
];

const results: Result[] = [];
for (const measurement of MEASUREMENTS) results.push(...(await measureAll(measurement)));
await save(results);
console.log(table(results));

async function measureAll({ shape, size, contenders }: Measurement): Promise<Result[]> {
  const samples = new Map<ContenderName, Sample[]>(contenders.map((contender) => [contender, []]));
  for (let process = 0; process < PROCESSES; process++) {
    for (const contender of contenders) {
      const sample = await measure(contender, shape, size);
      if (sample) samples.get(contender)!.push(sample);
      globalThis.process.stderr.write(".");
    }
  }
  return [...samples].flatMap(([contender, taken]) => {
    if (taken.length === 0) return [];
    const figures = taken.flatMap((sample) => sample.microsecondsPerTask);
    const maxRssMb = median(taken.map((sample) => sample.maxRssMb));
    return [{ shape, size, contender, medianMicrosecondsPerTask: median(figures), maxRssMb }];
  });
}

/** @returns `undefined` when it did not finish in time. */
async function measure(contender: ContenderName, shape: Shape, size: number): Promise<Sample | undefined> {
  const script = fileURLToPath(new URL("measure.js", import.meta.url));
  const args = ["--expose-gc", "--max-old-space-size=8192", script, contender, shape, String(size), String(ROUNDS)];
  try {
    const { stdout } = await promisify(execFile)(globalThis.process.execPath, args, { timeout: TIMEOUT_MS });
    return JSON.parse(stdout) as Sample;
  } catch {
    return undefined;
  }
}

function median(figures: readonly number[]): number {
  const sorted = [...figures].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

function table(rows: readonly Result[]): string {
  const lines = ["shape           tasks      contender     µs/task  × weftline  MB"];
  for (const row of rows) {
    const own = rows.find(
      (other) => other.shape === row.shape && other.size === row.size && other.contender.startsWith("weftline"),
    );
    const ratio = own ? row.medianMicrosecondsPerTask / own.medianMicrosecondsPerTask : Number.NaN;
    lines.push(
      [
        row.shape.padEnd(14),
        row.size.toLocaleString("en").padStart(9),
        ` ${row.contender.padEnd(12)}`,
        row.medianMicrosecondsPerTask.toFixed(2).padStart(8),
        ratio.toFixed(2).padStart(10),
        String(row.maxRssMb).padStart(5),
      ].join(" "),
    );
  }
  return lines.join("\n");
}

async function save(rows: readonly Result[]): Promise<void> {
  const machine = {
    node: process.version,
    platform: `${process.platform} ${release()}`,
    cpus: cpus().length,
    model: cpus()[0]?.model,
  };
  const folder = new URL("../results/", import.meta.url);
  await mkdir(folder, { recursive: true });
  await writeFile(
    new URL("core.json", folder),
    `${JSON.stringify({ at: new Date().toISOString(), machine, rows }, null, 2)}\n`,
  );
}
