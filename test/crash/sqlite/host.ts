// Runs the pipeline to its end on one file, unless it is killed before: one process of many that do so one by one.
import "./time-skew.js";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sqliteStorage } from "@weftline/storage-sqlite";
import {
  createEngine,
  type Engine,
  isRunFinished,
  type Pipeline,
  type RunHandle,
  type Storage,
  WeftlineError,
} from "weftline";
import { toldStorage } from "../audit/host-log.js";
import { type Block, blockEventLoop } from "../blocks.js";
import { Failpoints } from "../failpoints.js";
import { crashPipelines, NO_SURROUNDINGS } from "../pipeline.js";
import { type Stall, watchForStalls } from "../stalls.js";
import type { Ticks } from "../ticks.js";
import { LineFile, readLines } from "../witness.js";
import { installAudit } from "./audit.js";
import { failpointDriver } from "./failpoint-driver.js";
import { failpointStorage } from "./failpoint-storage.js";
import {
  BLOCK_MS,
  BLOCKS,
  CLIENTS,
  type ClientLine,
  CONFIRMED,
  type ConfirmedLine,
  DATABASE,
  type HostOptions,
  KILLED_AT,
  LEASE_MS,
  POLL_MS,
  STALLS,
  TICK_MS,
  TICKS,
  TICKS_MS,
  TOLD,
  WITNESS,
} from "./host-options.js";
import { Recorder } from "./recorder.js";
import { REUSED_EPOCH, sabotaged } from "./sabotage.js";

const options = JSON.parse(process.argv[2]!) as HostOptions;
const { folder, killAt, checkpointPages, record, sabotage, leaseThread = false, skewMs, isFirst, isPlain } = options;
const name = `host-${process.pid}`;
const file = join(folder, DATABASE);
const witness = new LineFile(join(folder, WITNESS));
const confirmed = new LineFile(join(folder, CONFIRMED));
const clients = new LineFile(join(folder, CLIENTS));
const stalls = new LineFile(join(folder, STALLS));
const recorder = record && new Recorder(folder, record.every);
const points = new Failpoints({
  killAt,
  note: join(folder, KILLED_AT),
  onPass: (point, n) => recorder?.passed(point, n),
});

/** Not on the disk at once: a process that is killed loses nothing that it has given to the system. */
function append(log: string, line: object): void {
  appendFileSync(join(folder, log), `${JSON.stringify(line)}\n`);
}

function makeStorage(): Storage {
  const { pass } = points;
  const rewrite = (sql: string) => (sabotage === "reuses-epochs" ? sql.replace(...REUSED_EPOCH) : sql);
  const driver = failpointDriver({ pass, checkpointPages, onCommit: () => recorder?.committed(), rewrite });
  const inner = sqliteStorage(leaseThread ? { file, driver: "@photostructure/sqlite" } : { file, driver });
  const storage = failpointStorage(sabotaged(inner, sabotage), pass, (call) => {
    recorder?.called(call);
    if (call.method === "open" && !isPlain) installAudit(file, { name, skewMs });
  });
  return toldStorage(storage, (line) => append(TOLD, line));
}

/** The instants are those of the first process. */
function readTicks(): Ticks {
  const path = join(folder, TICKS);
  if (!existsSync(path)) writeFileSync(path, JSON.stringify(Date.now()));
  const from = Number(readFileSync(path, "utf8"));
  return { everyMs: TICK_MS, from, until: from + TICKS_MS };
}

function makeEngine(pipelines: readonly Pipeline[], storage: Storage): Engine {
  const engine = createEngine({
    pipelines,
    storage,
    lease: LEASE_MS,
    poll: POLL_MS,
    quarantineAfter: 20, // a busy machine must not end what a kill or two do not
    name,
    log: { debug() {}, info() {}, warn() {}, error: (details, message) => console.error(message, details) },
  });
  engine.on("task:finished", ({ runId, task, index, status }) => {
    confirmed.append({ runId, task, index, status } satisfies ConfirmedLine);
  });
  return engine;
}

/** Makes a call, and tells of it in Jepsen's form: what never returned has a line without an outcome. */
async function call<Answer extends string | undefined>(
  operation: ClientLine["operation"],
  made: () => Promise<Answer>,
): Promise<Answer | undefined> {
  const invokedAt = Date.now();
  clients.append({ operation, invokedAt } satisfies ClientLine);
  try {
    const runId = await made();
    clients.append({ operation, invokedAt, returnedAt: Date.now(), outcome: "ok", runId } satisfies ClientLine);
    return runId;
  } catch (error) {
    if (!(error instanceof WeftlineError) || error.retryable) throw error;
    const { code } = error;
    clients.append({ operation, invokedAt, returnedAt: Date.now(), outcome: "fail", code } satisfies ClientLine);
    return undefined;
  }
}

/** The first process waits until the task waits, others send at once, unless one before them was told that it is kept. */
async function approve(engine: Engine, run: RunHandle, isFirst: boolean): Promise<void> {
  const lines = readLines<ClientLine>(join(folder, CLIENTS));
  if (lines.some(({ operation, outcome }) => operation === "signal" && outcome === "ok")) return;
  if (isFirst) await waiting(engine);
  await call("signal", async () => {
    await run.signal("approval", { by: "Ada" });
    return run.id;
  });
}

function waiting(engine: Engine): Promise<void> {
  return new Promise((resolve) => {
    engine.on("task:waiting", ({ task }) => {
      if (task === "approval") setImmediate(resolve);
    });
  });
}

/** Settles when the lease has been renewed, which only a thread does once the engine has started. */
async function threadRenewed(storage: Storage): Promise<void> {
  const leaseUntil = async () => (await storage.survey({ now: Date.now() })).engines[0]?.leaseUntil;
  const before = await leaseUntil();
  while ((await leaseUntil()) === before) await pause(20);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Settles when no instant is left, and all their runs have ended. */
async function ticksEnded(engine: Engine): Promise<void> {
  for (;;) {
    const schedules = await engine.schedules.list();
    const { items } = await engine.runs.list({ pipeline: "crash-tick" });
    const isOver = schedules.every(({ nextAt }) => nextAt === undefined);
    if (isOver && items.every(({ status }) => isRunFinished(status))) return;
    await pause(20);
  }
}

const { crash, tick } = crashPipelines({
  ...NO_SURROUNDINGS,
  folder,
  engine: name,
  witness: (line) => witness.append(line),
  pass: points.pass,
  ticks: isPlain ? undefined : readTicks(),
});
const unwatch = watchForStalls((stall) => stalls.append({ engine: name, ...stall } satisfies Stall));
const storage = makeStorage();
const engine = makeEngine([crash, tick], storage);
await engine.start();
let run: RunHandle | undefined;
await call("trigger", async () => {
  run = await engine.trigger(crash, {}, { key: "only" });
  return run.id;
});
if (leaseThread) {
  await threadRenewed(storage);
  append(BLOCKS, { engine: name, ...blockEventLoop(BLOCK_MS) } satisfies Block);
}
const [result] = await Promise.all([run!.result(), approve(engine, run!, isFirst && !leaseThread), ticksEnded(engine)]);
await engine.stop();
unwatch();
for (const lines of [witness, confirmed, clients, stalls]) lines.close();
console.log(JSON.stringify({ points: points.passed, result }));
