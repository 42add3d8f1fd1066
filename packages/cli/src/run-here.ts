import { setTimeout } from "node:timers/promises";
import {
  createEngine,
  type Engine,
  EVENT_NAMES,
  memoryStorage,
  type NamedEvent,
  type Pipeline,
  type Resources,
  type RunHandle,
  type RunInfo,
  type Storage,
} from "weftline";
import { EXIT_CODES } from "./errors.js";
import { NO_SCHEDULER, noteLogger } from "./history.js";
import { type Interrupts, watchInterrupts } from "./interrupts.js";
import type { CliIo } from "./io.js";
import type { FileEngineOptions } from "./load-engine.js";
import { OwnRuns } from "./own-runs.js";
import { listAll } from "./pages.js";
import { jsonView } from "./progress/json-view.js";
import { liveView } from "./progress/live-view.js";
import { plainView } from "./progress/plain-view.js";
import { ProgressModel, type StoredTask } from "./progress/progress-model.js";
import { type RunView, silentView } from "./progress/run-view.js";
import { jsonReport } from "./report/json-report.js";
import { type RunReport, reportRun } from "./report/run-report.js";
import { failureReport, textReport } from "./report/text-report.js";
import { colorsFor } from "./text.js";

export interface RunRequest {
  /** All that the file exports. */
  readonly pipelines: readonly Pipeline[];
  readonly engineOptions: FileEngineOptions;
  readonly resources: object;
  /** Where to write the artifacts; `undefined`: nowhere. */
  readonly folder: string | undefined;
  /** Makes the run, or goes on with it, on the engine, which has started. */
  begin(host: BeginHost): Promise<BegunRun>;
}

export interface BeginHost {
  readonly engine: Engine;
  readonly storage: Storage;
  readonly own: OwnRuns;
  /** Says something before the run is shown. */
  note(text: string): void;
}

export interface BegunRun {
  readonly handle: RunHandle;
  readonly pipeline: Pipeline;
  /** Of a run that was there before: where its tasks stood. */
  readonly records?: readonly StoredTask[];
  /** Of a run that had not ended: its status, and since when it goes on here. */
  readonly goesOn?: { readonly status: RunInfo["status"]; readonly since: number };
  /** What to say before anything else. */
  readonly note?: string;
}

/** The options of the commands that matter here, as commander names them. */
export interface RunOptions {
  readonly concurrency?: number;
  readonly json?: true;
  readonly quiet?: true;
  readonly stack?: true;
}

/** How a run left this process. */
export interface RunEnd {
  readonly exitCode: number;
  /** Nobody wanted to wait for its tasks: they may still be running. */
  readonly isAbandoned: boolean;
}

/** After a run, in milliseconds: code that ignored its signal has had its time. What lives on is closed in order. */
const STOP_PATIENCE_MS = { inMemory: 1_000, durable: 10_000 };
const KEEP_ALIVE_MS = 60_000;

/** Runs something on an engine of its own, shows it, and reports how it went. */
export async function runHere(request: RunRequest, options: RunOptions, io: CliIo): Promise<RunEnd> {
  let view = silentView(io.stderr);
  const note = (text: string) => view.note(text);
  const storage = request.engineOptions.storage ?? memoryStorage();
  const own = new OwnRuns(storage);
  const engine = makeEngine(request, own.storage, options, note);
  const events = listen(engine);
  let isAbandoned = false;
  try {
    await engine.start();
    const begun = await request.begin({ engine, storage, own, note });
    const model = new ProgressModel(begun.pipeline);
    model.restore(begun.records ?? []);
    if (begun.goesOn !== undefined) model.goOn(begun.goesOn.status, begun.goesOn.since);
    const interrupts = watchInterrupts(begun.handle, io, note);
    view = makeView(model, options, io);
    if (begun.note !== undefined && !options.json) note(begun.note);
    events.hear(begun.handle.id, (event) => {
      model.apply(event);
      view.show(event);
    });
    const result = await watch(engine, begun, model, interrupts).finally(() => view.close());
    isAbandoned = interrupts.isExit;
    if (isAbandoned) return { exitCode: EXIT_CODES.interrupted, isAbandoned };
    const report = await reportRun(engine, begun.handle.id, model, result, request.folder);
    const exitCode = exitCodeOf(report, interrupts.wasCtrlC);
    print(report, exitCode, options, io);
    return { exitCode, isAbandoned };
  } finally {
    if (!isAbandoned) {
      const patience = storage.supports.durable ? STOP_PATIENCE_MS.durable : STOP_PATIENCE_MS.inMemory;
      await Promise.race([engine.stop({ grace: 0 }), setTimeout(patience, undefined, { ref: false })]);
    }
  }
}

/** @returns The result of the run, if it comes to one. */
async function watch(
  engine: Engine,
  { handle, records }: BegunRun,
  model: ProgressModel,
  interrupts: Interrupts,
): Promise<unknown> {
  // A run that waits for a signal has nothing open that would keep the process.
  const keepAlive = setInterval(() => {}, KEEP_ALIVE_MS);
  try {
    const result = await Promise.race([resultOf(handle), interrupts.exit]);
    // What was opened again, and what was not, storage knows best.
    if (records && !interrupts.isExit) {
      model.refresh(await listAll((page) => engine.runs.tasks(handle.id, {}, page)));
    }
    return result;
  } finally {
    clearInterval(keepAlive);
    interrupts.stop();
  }
}

function makeEngine(
  { pipelines, engineOptions, resources }: RunRequest,
  storage: Storage,
  { concurrency }: RunOptions,
  note: (text: string) => void,
): Engine {
  return createEngine({
    ...engineOptions,
    pipelines,
    storage,
    // What the pipelines of this file expect; no other program knows.
    resources: resources as Resources,
    scheduler: NO_SCHEDULER,
    log: noteLogger(note),
    name: "cli",
    ...(concurrency !== undefined && { concurrency }),
  });
}

function makeView(model: ProgressModel, { json, quiet, stack }: RunOptions, io: CliIo): RunView {
  if (quiet) return silentView(io.stderr);
  if (json) return jsonView(io.stdout, io.stderr, stack === true);
  // A dumb terminal cannot move its cursor.
  const isLive = io.isTTY && io.env.TERM !== "dumb";
  return isLive ? liveView(model, io, colorsFor(io)) : plainView(model, io.stdout);
}

/** Hears every event from now on. Not `handle.events()`: that begins too late, and drops some when a reader is slow. */
function listen(engine: Engine): { hear(runId: string, listener: (event: NamedEvent) => void): void } {
  const early: NamedEvent[] = [];
  let heard: ((event: NamedEvent) => void) | undefined;
  for (const name of EVENT_NAMES) {
    engine.on(name, (event) => {
      const named = { name, ...event } as NamedEvent;
      if (heard) heard(named);
      else early.push(named);
    });
  }
  return {
    hear(runId, listener) {
      heard = (event) => {
        if (event.runId === runId) listener(event);
      };
      early.splice(0).forEach(heard);
    },
  };
}

/** The result of a run that succeeded; what became of another, its report tells. */
async function resultOf(handle: RunHandle): Promise<unknown> {
  try {
    return await handle.result();
  } catch (thrown) {
    const { code } = thrown as { code?: unknown };
    if (code === "RUN_FAILED" || code === "RUN_CANCELLED" || code === "RUN_QUARANTINED") return undefined;
    throw thrown;
  }
}

function exitCodeOf({ status, artifacts }: RunReport, wasCtrlC: boolean): number {
  if (status === "cancelled") return wasCtrlC ? EXIT_CODES.interrupted : EXIT_CODES.cancelled;
  const isComplete = artifacts.every(({ file }) => file?.problem === undefined);
  return status === "succeeded" && isComplete ? EXIT_CODES.succeeded : EXIT_CODES.failed;
}

function print(report: RunReport, exitCode: number, { json, quiet, stack }: RunOptions, io: CliIo): void {
  const showStack = stack === true;
  const style = { colors: colorsFor(io), columns: io.columns, cwd: io.cwd, showStack };
  if (json) io.stdout.write(jsonReport(report, exitCode, showStack));
  else if (!quiet) io.stdout.write(textReport(report, style));
  else if (exitCode !== EXIT_CODES.succeeded) io.stderr.write(failureReport(report, style));
}
