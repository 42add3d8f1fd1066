import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createEngine, type Engine, inProcess, RunFailedError, type TaskInfo } from "weftline";
import type { Day } from "./calendar.js";
import { usBirths } from "./data.js";
import { broken, type Fault, flaky, withFaults } from "./faults.js";
import { modelFolder } from "./model-store.js";
import { demandForecast } from "./pipeline.js";
import { printProgress } from "./progress.js";
import { describeAttempts, describeResult, findRepeated } from "./summary.js";

export interface DemoOptions {
  readonly day: Day;
  /** The first two attempts at `fetch` fail. */
  readonly flaky: boolean;
  /** The task that fails for good; the fault is then removed and the run resumed. */
  readonly failAt: string | undefined;
  /** Where the model, its metrics and the report are kept. */
  readonly folder: string;
}

type Print = (line: string) => void;

/** Runs the pipeline once. @returns The exit code: 0 when the run succeeded, be it after a resume. */
export async function runDemo(options: DemoOptions, print: Print): Promise<number> {
  const faults = new Set<Fault>();
  if (options.flaky) faults.add(flaky("fetch"));
  if (options.failAt !== undefined) faults.add(broken(options.failAt));

  const engine = createEngine({
    pipelines: [demandForecast],
    resources: { demandSource: usBirths, modelStore: modelFolder(options.folder) },
    executors: { default: withFaults(inProcess(), faults) },
    concurrency: 4,
  });
  printProgress(engine, print);
  await engine.start();
  try {
    const run = await engine.trigger(demandForecast, { day: options.day });
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
    return 0;
  } catch (error) {
    if (!(error instanceof RunFailedError)) throw error;
    print(error.message);
    return 1;
  } finally {
    await engine.stop();
  }
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
