// Runs the pipeline to its end on one file, unless it is killed before: one process of many that do so one by one.
import "./time-skew.js";
import { join } from "node:path";
import { sqliteStorage } from "@weftline/storage-sqlite";
import { createEngine, type Engine, type RunHandle, type Storage, WeftlineError } from "weftline";
import { Failpoints } from "../failpoints.js";
import { type CrashPipeline, crashPipelines, NO_SURROUNDINGS } from "../pipeline.js";
import { type Stall, watchForStalls } from "../stalls.js";
import { LineFile, readLines } from "../witness.js";
import { failpointDriver } from "./failpoint-driver.js";
import { failpointStorage } from "./failpoint-storage.js";
import {
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
  WITNESS,
} from "./host-options.js";
import { Recorder } from "./recorder.js";
import { sabotaged } from "./sabotage.js";

const options = JSON.parse(process.argv[2]!) as HostOptions;
const { folder, killAt, checkpointPages, record, sabotage } = options;
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

function makeStorage(): Storage {
  const { pass } = points;
  const driver = failpointDriver({ pass, checkpointPages, onCommit: () => recorder?.committed() });
  const storage = sabotaged(sqliteStorage({ file, driver }), sabotage);
  return failpointStorage(storage, pass, (call) => recorder?.called(call));
}

function makeEngine(crash: CrashPipeline): Engine {
  const engine = createEngine({
    pipelines: [crash],
    storage: makeStorage(),
    lease: LEASE_MS,
    poll: POLL_MS,
    quarantineAfter: 20, // a busy machine must not end what a kill or two do not
    name: `host-${process.pid}`,
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

const { crash } = crashPipelines({
  ...NO_SURROUNDINGS,
  folder,
  engine: `host-${process.pid}`,
  witness: (line) => witness.append(line),
  pass: points.pass,
});
const unwatch = watchForStalls((stall) => stalls.append({ engine: `host-${process.pid}`, ...stall } satisfies Stall));
const engine = makeEngine(crash);
const isFirst = options.skewMs === 0;
await engine.start();
let run: RunHandle | undefined;
await call("trigger", async () => {
  run = await engine.trigger(crash, {}, { key: "only" });
  return run.id;
});
const [result] = await Promise.all([run!.result(), approve(engine, run!, isFirst)]);
await engine.stop();
unwatch();
for (const lines of [witness, confirmed, clients, stalls]) lines.close();
console.log(JSON.stringify({ points: points.passed, result }));
