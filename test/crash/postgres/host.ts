// One of several engines on one Postgres: runs what clients trigger, until it is stopped or killed.
import { appendFileSync } from "node:fs";
import { createEngine } from "weftline";
import { type HostLine, toldStorage } from "../audit/host-log.js";
import { type Block, blockEventLoop } from "../blocks.js";
import { crashPipelines, NO_SURROUNDINGS } from "../pipeline.js";
import { sabotaged } from "../sqlite/sabotage.js";
import { type Stall, watchForStalls } from "../stalls.js";
import { LineFile } from "../witness.js";
import { sabotageOfStorage } from "./sabotage.js";
import {
  BLOCK_MS,
  BLOCK_SIGNAL,
  BLOCKS,
  CONFIRMED,
  type ConfirmedLine,
  LEASE_MS,
  logOf,
  POLL_MS,
  PROBE_SIGNAL,
  PROBED,
  type ProcessOptions,
  STALLS,
  STARTED,
  storageOf,
  TOLD,
  WITNESS,
  WORK_MS,
} from "./world.js";

const options = JSON.parse(process.argv[2]!) as ProcessOptions;
const { folder, name, sabotage } = options;
const witness = new LineFile(logOf(options, WITNESS));
const stalls = new LineFile(logOf(options, STALLS));

/** Not on the disk at once: a process that is killed loses nothing that it has given to the system. */
function append(log: string, line: object): void {
  appendFileSync(logOf(options, log), `${JSON.stringify(line)}\n`);
}

const { crash, child, tick } = crashPipelines({
  ...NO_SURROUNDINGS,
  folder,
  engine: name,
  witness: (line) => witness.append(line),
  workMs: WORK_MS,
  ticks: options.ticks,
});
const engine = createEngine({
  pipelines: [crash, tick],
  storage: toldStorage(sabotaged(storageOf(options), sabotageOfStorage(sabotage)), (line: HostLine) =>
    append(TOLD, line),
  ),
  name,
  lease: LEASE_MS,
  poll: POLL_MS,
  quarantineAfter: 1_000, // a run may meet more kills here than any other ever does
  log: { debug() {}, info() {}, warn() {}, error: (details, message) => console.error(message, details) },
});

engine.on("task:finished", ({ runId, task, index, attempt, status }) => {
  append(CONFIRMED, { engine: name, runId, task, index, attempt, status } satisfies ConfirmedLine);
});

/** A run that this engine owns from the start: it shows that it still works. */
async function probe(): Promise<void> {
  const run = await engine.trigger(child, {}, { key: `probe-${name}` });
  const { second } = await run.result();
  console.log(second === 7 ? PROBED : `the probe came to ${second}`);
}

let isStopping = false;
async function stop(): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  await engine.stop();
  unwatch();
  witness.close();
  stalls.close();
  // Not process.exit(): a process that does not end by itself has left something open.
  process.off("SIGTERM", onStop).off(PROBE_SIGNAL, onProbe).off(BLOCK_SIGNAL, onBlock);
}
const onStop = () => void stop();
const onProbe = () => void probe();
const onBlock = () => append(BLOCKS, { engine: name, ...blockEventLoop(BLOCK_MS) } satisfies Block);

const unwatch = watchForStalls((stall) => stalls.append({ engine: name, ...stall } satisfies Stall));
await engine.start();
process.on("SIGTERM", onStop).on(PROBE_SIGNAL, onProbe).on(BLOCK_SIGNAL, onBlock);
console.log(STARTED);
