import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { sqliteStorage } from "@weftline/storage-sqlite";
import { createEngine, type Engine, inProcess, RunFailedError, type TaskInfo } from "weftline";
import type { Day } from "./calendar.js";
import { usBirths } from "./data.js";
import { broken, type Fault, flaky, withFaults } from "./faults.js";
import { modelFolder } from "./model-store.js";
import { demandForecast } from "./pipeline.js";
import { printProgress } from "./progress.js";
import { stopOnSignals } from "./stop-signals.js";
import { describeAttempts, describeResult, findRepeated } from "./summary.js";
import { planTonight } from "./tonight.js";
import { withTrace } from "./trace.js";

export interface DemoOptions {
  readonly day: Day;
  /** The first two attempts at `fetch` fail. */
  readonly flaky: boolean;
  /** The task that fails for good; the fault is then removed and the run resumed. */
  readonly failAt: string | undefined;
  /** Where the model, its metrics and the report are kept. */
  readonly folder: string;
  /** The database that keeps the runs. */
  readonly store: string;
  /** Begins a new run even when the last one of the night has not succeeded. */
  readonly isFresh: boolean;
  /** Where it is written down what code ran; `undefined`: nowhere. */
  readonly trace: string | undefined;
}

type Print = (line: string) => void;

/**
 * How long the next start has to wait, at the most, until it is sure that this process is dead. It could be longer where
 * other machines might take the runs over for nothing; this one works alone, and on a disk of its own.
 */
const LEASE = "2s";
const POLL = "200ms";
/** A job of a second never gets round to the option `retention`, which works by the hour. */
const KEEP = "30d";

/** Runs the pipeline once, or goes on where a former process left off. @returns The exit code: 0 when the run succeeded, be it after a resume. */
export async function runDemo(options: DemoOptions, print: Print): Promise<number> {
  const faults = new Set<Fault>();
  if (options.flaky) faults.add(flaky("fetch"));
  if (options.failAt !== undefined) faults.add(broken(options.failAt));

  await mkdir(dirname(options.store), { recursive: true });
  const executor = options.trace === undefined ? inProcess() : withTrace(inProcess(), options.trace);
  const engine = createEngine({
    pipelines: [demandForecast],
    storage: sqliteStorage({ file: options.store }),
    lease: LEASE,
    poll: POLL,
    resources: { demandSource: usBirths, modelStore: modelFolder(options.folder) },
    executors: { default: withFaults(executor, faults) },
    concurrency: 4,
  });
  printProgress(engine, print);
  const signals = stopOnSignals(engine, print);
  try {
    const run = await begin(engine, options, print);
    const failure = await run.result().then(
      () => undefined,
      (error: unknown) => error,
    );
    if (failure instanceof RunFailedError && options.failAt !== undefined) {
      print(`${failure.message}\n`);
      faults.clear();
      await resume(engine, run.id, print);
    } else if (options.failAt !== undefined) {
      print(`Nothing failed, as this run did not get to what "--fail-at ${options.failAt}" breaks.\n`);
    }
    const { evaluation, foldScores } = await run.result();
    print(describeResult(evaluation, foldScores));
    await saveReport(engine, run.id, options.folder);
    await engine.prune({ olderThan: KEEP });
    return 0;
  } catch (error) {
    if (signals.exitCode !== undefined) return signals.exitCode;
    if (!(error instanceof RunFailedError)) throw error;
    print(`${error.message}\nHere: npm start goes on from there, npm start -- --new begins anew.`);
    return 1;
  } finally {
    await engine.stop();
    signals.release();
  }
}

/** Starts the engine, and the run of the night, or finds the one there is. */
async function begin(engine: Engine, { day, isFresh }: DemoOptions, print: Print) {
  const { key, cancel, resume, notes } = await planTonight(engine, day, isFresh);
  for (const note of notes) print(`${note}\n`);
  // Before the engine takes it up.
  if (cancel !== undefined) await engine.runs.cancel(cancel, { reason: "Another run was begun for this night" });
  await engine.start();
  if (resume !== undefined) await engine.runs.resume(resume);
  return engine.trigger(demandForecast, { day }, { key, tags: [day] });
}

/** Goes on from the point of failure, and shows that nothing which had succeeded ran again. */
async function resume(engine: Engine, runId: string, print: Print): Promise<void> {
  print(`The fault is removed, and run ${runId} resumed.\n`);
  const before = await tasksOf(engine, runId);
  const run = await engine.runs.resume(runId);
  await run.result();
  const after = await tasksOf(engine, runId);

  print(`${describeAttempts(before, after)}\n`);
  const repeated = findRepeated(before, after);
  if (repeated.length > 0) throw new Error(`Ran again although they had succeeded: ${repeated.join(", ")}`);
  print("Nothing that had succeeded before the failure ran again.\n");
}

/** All of them: one page holds more than this run has. */
async function tasksOf(engine: Engine, runId: string): Promise<readonly TaskInfo[]> {
  const { items } = await engine.runs.tasks(runId, {}, { limit: 1000 });
  return items;
}

async function saveReport(engine: Engine, runId: string, folder: string): Promise<void> {
  const report = await engine.runs.artifact(runId, "report.html");
  if (report === undefined) throw new Error(`Run ${runId} made no report`);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, report.name), report.data);
}
