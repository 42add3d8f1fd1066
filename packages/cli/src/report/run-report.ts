import type { ArtifactInfo, Engine, ErrorRecord, MetricRecord, RunInfo, TaskStatus } from "weftline";
import { type SavedArtifact, saveArtifacts } from "../artifacts.js";
import { allPages, listAll } from "../pages.js";
import type { LogLine } from "../progress/instance.js";
import type { ProgressModel, WarningReport } from "../progress/progress-model.js";
import { causes } from "./causes.js";

/** Everything there is to say about a run that has ended. */
export interface RunReport {
  readonly runId: string;
  readonly pipeline: string;
  readonly status: RunInfo["status"];
  readonly durationMs: number;
  /** Why the run as a whole ended as it did, beyond what its tasks say. */
  readonly error: ErrorRecord | undefined;
  readonly tasks: ReadonlyMap<TaskStatus, number>;
  readonly maps: readonly { readonly task: string; readonly items: ReadonlyMap<TaskStatus, number> }[];
  /** What was not as expected although it succeeded, by task. */
  readonly warnings: readonly WarningReport[];
  /** Tasks whose outputs were taken from earlier runs. */
  readonly cached: readonly string[];
  /** 1, and one more with each rerun and each retry of a group. */
  readonly generation: number;
  /** Tasks that could not run because of what failed before them. */
  readonly notRun: readonly string[];
  readonly failures: readonly FailureReport[];
  /** What the pipeline returned; `undefined` unless the run succeeded. */
  readonly result: unknown;
  readonly metrics: readonly MetricReport[];
  readonly artifacts: readonly ArtifactReport[];
}

export interface FailureReport {
  readonly task: string;
  readonly index: readonly number[];
  readonly attempts: number;
  readonly error: ErrorRecord;
  /** The run did not fail because of it. */
  readonly isAllowed: boolean;
  readonly lastLogs: readonly LogLine[];
}

/** The values one task recorded under one name; a map's items, and attempts, add theirs to the same. */
export interface MetricReport {
  readonly task: string;
  readonly name: string;
  readonly count: number;
  readonly last: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
}

export interface ArtifactReport {
  readonly task: string;
  readonly name: string;
  readonly contentType: string;
  /** In bytes. */
  readonly size: number;
  /** What became of it, if it was to be written. */
  readonly file: SavedArtifact | undefined;
}

const PAGE = 1_000;
const MAX_FAILURES = 100;
const LAST_LOGS = 5;

/** @param folder - Where to write the artifacts; `undefined`: nowhere. */
export async function reportRun(
  engine: Engine,
  runId: string,
  model: ProgressModel,
  result: unknown,
  folder: string | undefined,
): Promise<RunReport> {
  const run = await engine.runs.get(runId);
  // Of a run that was resumed, how long this took, not since when it has been there.
  const { startedAt = run.startedAt ?? run.createdAt } = model;
  const finishedAt = run.finishedAt ?? startedAt;
  return {
    runId,
    pipeline: run.pipeline,
    status: run.status,
    durationMs: Math.max(0, finishedAt - startedAt),
    generation: run.generation,
    error: run.error,
    tasks: model.countTasks(),
    maps: model.tasks.flatMap(({ task, items }) => (items ? [{ task: task.id, items: items.finished }] : [])),
    warnings: model.warnings,
    cached: model.cached,
    notRun: model
      .counted()
      .filter(({ status }) => status === "upstream-failed")
      .map(({ task }) => task.id),
    failures: await readFailures(engine, runId, model),
    result,
    metrics: await readMetrics(engine, runId),
    artifacts: await readArtifacts(engine, runId, folder),
  };
}

async function readFailures(engine: Engine, runId: string, model: ProgressModel): Promise<readonly FailureReport[]> {
  const failed = await listAll((page) => engine.runs.tasks(runId, { status: ["failed"] }, page), PAGE);
  const { plan } = model.pipeline;
  const definitionOf = (task: string) => plan.tasks[plan.positions.get(task) ?? -1];
  const groupOf = (task: string) => plan.tasks[plan.parent[plan.positions.get(task) ?? -1] ?? -1]?.id;
  const reports = causes(failed, groupOf)
    .slice(0, MAX_FAILURES)
    .map(async ({ task, index, attempts, error = { name: "Error", message: "unknown" } }) => {
      const isAllowed = definitionOf(task)?.policy.allowFailure ?? false;
      const heard = model.find(task, index)?.logs ?? [];
      const lastLogs = heard.length > 0 ? heard : await readLastLogs(engine, runId, task, index);
      return { task, index, attempts, error, isAllowed, lastLogs };
    });
  return Promise.all(reports);
}

async function readLastLogs(
  { runs }: Engine,
  runId: string,
  task: string,
  index: readonly number[],
): Promise<readonly LogLine[]> {
  const { items } = await runs.logs(runId, { task, index }, { limit: PAGE });
  return items.slice(-LAST_LOGS).map(({ level, message }) => ({ level, message }));
}

/** @param generation - Only those of one. */
export async function readMetrics(
  engine: Engine,
  runId: string,
  generation?: number,
): Promise<readonly MetricReport[]> {
  const byName = new Map<string, MetricReport>();
  for await (const metric of allPages((page) => engine.runs.metrics(runId, {}, page))) {
    if (generation !== undefined && metric.generation !== generation) continue;
    const key = JSON.stringify([metric.task, metric.name]);
    byName.set(key, addMetric(byName.get(key), metric));
  }
  return [...byName.values()];
}

function addMetric(report: MetricReport | undefined, { task, name, value }: MetricRecord): MetricReport {
  if (report === undefined) return { task, name, count: 1, last: value, min: value, max: value, mean: value };
  const count = report.count + 1;
  return {
    task,
    name,
    count,
    last: value,
    min: Math.min(report.min, value),
    max: Math.max(report.max, value),
    mean: report.mean + (value - report.mean) / count,
  };
}

/** The newest of each name, which is what storage gives for it. */
async function readArtifacts(
  engine: Engine,
  runId: string,
  folder: string | undefined,
): Promise<readonly ArtifactReport[]> {
  const byName = new Map<string, ArtifactInfo>();
  for await (const artifact of allPages((page) => engine.runs.artifacts(runId, {}, page))) {
    byName.set(artifact.name, artifact);
  }
  const artifacts = [...byName.values()];
  const read = (name: string) => engine.runs.artifact(runId, name);
  const files = folder === undefined ? undefined : await saveArtifacts(artifacts, folder, read);
  return artifacts.map(({ task, name, contentType, size }) => ({
    task,
    name,
    contentType,
    size,
    file: files?.get(name),
  }));
}
