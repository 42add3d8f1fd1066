import { setTimeout } from "node:timers/promises";
import { inspect } from "node:util";
import {
  createEngine,
  EVENT_NAMES,
  type Logger,
  type NamedEvent,
  type Pipeline,
  type Resources,
  type RunHandle,
  type Scheduler,
} from "weftline";
import { EXIT_CODES } from "./errors.js";
import { type Interrupts, watchInterrupts } from "./interrupts.js";
import type { CliIo } from "./io.js";
import { jsonView } from "./progress/json-view.js";
import { liveView } from "./progress/live-view.js";
import { plainView } from "./progress/plain-view.js";
import { ProgressModel } from "./progress/progress-model.js";
import { type RunView, silentView } from "./progress/run-view.js";
import { jsonReport } from "./report/json-report.js";
import { type RunReport, reportRun } from "./report/run-report.js";
import { failureReport, textReport } from "./report/text-report.js";
import { colorsFor, plainLine, truncate } from "./text.js";

type Engine = ReturnType<typeof createEngine>;

export interface RunRequest {
  readonly pipeline: Pipeline;
  /** All that the file exports. */
  readonly pipelines: readonly Pipeline[];
  readonly params: unknown;
  readonly resources: object;
  /** Where to write the artifacts; `undefined`: nowhere. */
  readonly folder: string | undefined;
}

/** The options of the command that matter here, as commander names them. */
export interface RunOptions {
  readonly concurrency?: number;
  readonly key?: string;
  readonly tag?: readonly string[];
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

/** After a run, in milliseconds: code that ignored its signal has had its time, and nothing in memory has to be saved. */
const STOP_PATIENCE_MS = 1_000;

/** Runs a pipeline on an engine of its own, shows it, and reports how it went. */
export async function runPipeline(request: RunRequest, options: RunOptions, io: CliIo): Promise<RunEnd> {
  const model = new ProgressModel(request.pipeline);
  let view = silentView(io.stderr);
  const note = (text: string) => view.note(text);
  const engine = makeEngine(request, options, note);
  const handle = await trigger(engine, request, options);
  const interrupts = watchInterrupts(handle, io, note);
  view = makeView(model, options, io);
  // Only after this the engine starts, so that no event is missed.
  listen(engine, handle.id, (event) => {
    model.apply(event);
    view.show(event);
  });
  const result = await watch(engine, handle, interrupts).finally(() => view.close());
  if (interrupts.isExit) return { exitCode: EXIT_CODES.interrupted, isAbandoned: true };
  const report = await reportRun(engine, handle.id, model, result, request.folder);
  const exitCode = exitCodeOf(report, interrupts.wasCtrlC);
  print(report, exitCode, options, io);
  await Promise.race([engine.stop({ grace: 0 }), setTimeout(STOP_PATIENCE_MS, undefined, { ref: false })]);
  return { exitCode, isAbandoned: false };
}

/** @returns The result of the run, if it comes to one. */
async function watch(engine: Engine, handle: RunHandle, interrupts: Interrupts): Promise<unknown> {
  try {
    await engine.start();
    return await Promise.race([resultOf(handle), interrupts.exit]);
  } finally {
    interrupts.stop();
  }
}

/** Schedules do not fire while somebody runs a pipeline by hand. */
const NO_SCHEDULER: Scheduler = { start: async () => {}, changed() {}, stop: async () => {} };

function makeEngine(request: RunRequest, { concurrency }: RunOptions, note: (text: string) => void): Engine {
  return createEngine({
    pipelines: request.pipelines,
    // What the pipelines of this file expect; no other program knows.
    resources: request.resources as Resources,
    scheduler: NO_SCHEDULER,
    log: noteLogger(note),
    name: "cli",
    ...(concurrency !== undefined && { concurrency }),
  });
}

const MAX_DETAILS_LENGTH = 500;

function noteLogger(note: (text: string) => void): Logger {
  const write = (level: string) => (details: object, message: string) => {
    const shown = plainLine(
      inspect(details, { depth: 2, breakLength: Number.POSITIVE_INFINITY, customInspect: false }),
    );
    note(`${level}: ${plainLine(message)} ${truncate(shown, MAX_DETAILS_LENGTH)}`);
  };
  return { debug() {}, info() {}, warn: write("warning"), error: write("error") };
}

function trigger(engine: Engine, { pipeline, params }: RunRequest, { key, tag = [] }: RunOptions): Promise<RunHandle> {
  const options = { tags: tag, ...(key !== undefined && { key }) };
  return engine.trigger(pipeline as Pipeline<unknown>, params, options);
}

function makeView(model: ProgressModel, { json, quiet, stack }: RunOptions, io: CliIo): RunView {
  if (quiet) return silentView(io.stderr);
  if (json) return jsonView(io.stdout, io.stderr, stack === true);
  // A dumb terminal cannot move its cursor.
  const isLive = io.isTTY && io.env.TERM !== "dumb";
  return isLive ? liveView(model, io, colorsFor(io)) : plainView(model, io.stdout);
}

/** Hears every event of one run. Not `handle.events()`: that drops some when a reader is slow. */
function listen(engine: Engine, runId: string, hear: (event: NamedEvent) => void): void {
  for (const name of EVENT_NAMES) {
    engine.on(name, (event) => {
      if (event.runId === runId) hear({ name, ...event } as NamedEvent);
    });
  }
}

/** The result of a run that succeeded; what became of another, its report tells. */
async function resultOf(handle: RunHandle): Promise<unknown> {
  try {
    return await handle.result();
  } catch (thrown) {
    const { code } = thrown as { code?: unknown };
    if (code === "RUN_FAILED" || code === "RUN_CANCELLED") return undefined;
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
