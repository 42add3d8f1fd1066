import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { kilobytes } from "./contact-sheet.js";
import { EXECUTORS, type ExecutorName, executorName } from "./executors.js";
import { type Batch, runBatch } from "./run-batch.js";

const OUT_FOLDER = fileURLToPath(new URL("../out", import.meta.url));
const CALLER_FOLDER = process.env.INIT_CWD ?? process.cwd();

const HELP = `Makes web images out of photographs: the same pipeline in-process, on threads or on processes.

Usage: npm start -w image-batch -- [options]

  --out <folder>  where the images go (default: the example's out folder)
  --compare       runs it on all three, each in a fresh process, and shows the times side by side
  --json          prints what a program wants to know
  --help          shows this text

WEFTLINE_EXECUTOR says where the photographs are worked on: ${Object.keys(EXECUTORS).join(", ")}`;

interface Summary {
  readonly executor: ExecutorName;
  readonly seconds: number;
  readonly delay: Batch["delay"];
  /** Of all files that were made. */
  readonly sha256: string;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      out: { type: "string", default: OUT_FOLDER },
      compare: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const folder = resolve(CALLER_FOLDER, values.out);
  if (values.help) console.log(HELP);
  else if (values.compare) return compare(folder);
  else await runOne(executorName(process.env.WEFTLINE_EXECUTOR ?? "in-process"), folder, values.json);
  return 0;
}

async function runOne(executor: ExecutorName, folder: string, isJson: boolean): Promise<void> {
  const batch = await runBatch({
    executor,
    folder,
    module: new URL("./pipeline.js", import.meta.url),
    ...(!isJson && { onPhotograph: (done) => console.log(`  ${done} done`) }),
  });
  if (isJson) console.log(JSON.stringify(summaryOf(executor, batch)));
  else printBatch(executor, batch, folder);
}

function summaryOf(executor: ExecutorName, { photographs, seconds, delay }: Batch): Summary {
  const files = photographs.flatMap(({ images }) => images.map(({ file, sha256 }) => `${file} ${sha256}\n`));
  return { executor, seconds, delay, sha256: createHash("sha256").update(files.join("")).digest("hex") };
}

function printBatch(executor: ExecutorName, { photographs, seconds, delay }: Batch, folder: string): void {
  for (const { name, bytes, images, colours } of photographs) {
    const made = images.map((image) => `${image.width} px ${kilobytes(image.bytes)}`).join(", ");
    console.log(`${name.padEnd(24)} ${kilobytes(bytes).padStart(7)} → ${made}  ${colours[0]}`);
  }
  console.log(
    `\n${photographs.length} photographs on ${executor}: ${seconds.toFixed(1)} s. ` +
      `The event loop of the engine was held up for ${Math.round(delay.max)} ms at most.`,
  );
  console.log(`Contact sheet: ${relative(CALLER_FOLDER, resolve(folder, "index.html"))}`);
}

async function compare(folder: string): Promise<number> {
  const summaries: Summary[] = [];
  for (const executor of Object.keys(EXECUTORS) as ExecutorName[]) {
    console.log(`${executor} …`);
    summaries.push(await inFreshProcess(executor, resolve(folder, executor)));
  }
  const first = summaries[0]!.seconds;
  console.log("\nexecutor      seconds   times   event loop held up (median, most)");
  for (const { executor, seconds, delay } of summaries) {
    const times = `${(first / seconds).toFixed(2)} ×`;
    const held = `${Math.round(delay.p50)} ms, ${Math.round(delay.max)} ms`;
    console.log(`${executor.padEnd(12)} ${seconds.toFixed(1).padStart(8)} ${times.padStart(8)}   ${held}`);
  }
  const isSame = summaries.every(({ sha256 }) => sha256 === summaries[0]!.sha256);
  console.log(isSame ? "\nAll three made the same files, byte for byte." : "\nThe files are NOT the same.");
  return isSame ? 0 : 1;
}

async function inFreshProcess(executor: ExecutorName, folder: string): Promise<Summary> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [fileURLToPath(import.meta.url), "--json", "--out", folder],
    { env: { ...process.env, WEFTLINE_EXECUTOR: executor } },
  );
  return JSON.parse(stdout) as Summary;
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(error instanceof TypeError ? `${error.message}\n\n${HELP}` : error);
  return error instanceof TypeError ? 2 : 1;
});
