import type { ArtifactInfo, createEngine, ErrorRecord, MetricRecord, Page, RunInfo, TaskStatus } from "weftline";
import { type SavedArtifact, saveArtifacts } from "../artifacts.js";
import type { LogLine, ProgressModel } from "../progress/progress-model.js";

type Engine = ReturnType<typeof createEngine>;

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

/** @param folder - Where to write the artifacts; `undefined`: nowhere. */
export async function reportRun(
  engine: Engine,
  runId: string,
  model: ProgressModel,
  result: unknown,
  folder: string | undefined,
): Promise<RunReport> {
  const run = await engine.runs.get(runId);
  const { startedAt = run.createdAt, finishedAt = startedAt } = run;
  return {
    runId,
    pipeline: run.pipeline,
    status: run.status,
    durationMs: finishedAt - startedAt,
    error: run.error,
    tasks: model.countTasks(),
    maps: model.tasks.flatMap(({ task, items }) => (items ? [{ task: task.id, items: items.finished }] : [])),
    notRun: model.tasks.filter(({ status }) => status === "upstream-failed").map(({ task }) => task.id),
    failures: await readFailures(engine, runId, model),
    result,
    metrics: await readMetrics(engine, runId),
    artifacts: await readArtifacts(engine, runId, folder),
  };
}

async function readFailures(engine: Engine, runId: string, model: ProgressModel): Promise<readonly FailureReport[]> {
  const { items } = await engine.runs.tasks(runId, { status: ["failed"] }, { limit: PAGE });
  // A map fails because its items do: where they are listed it adds nothing.
  const withItems = new Set(items.filter(({ index }) => index.length > 0).map(({ task }) => task));
  return items
    .filter(({ task, index }) => index.length > 0 || !withItems.has(task))
    .slice(0, MAX_FAILURES)
    .map(({ task, index, attempts, error = { name: "Error", message: "unknown" } }) => {
      const isAllowed = model.task(task)?.task.allowFailure ?? false;
      return { task, index, attempts, error, isAllowed, lastLogs: model.find(task, index)?.logs ?? [] };
    });
}

async function readMetrics(engine: Engine, runId: string): Promise<readonly MetricReport[]> {
  const byName = new Map<string, MetricReport>();
  for await (const metric of allPages((page) => engine.runs.metrics(runId, {}, page))) {
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

async function* allPages<Item>(
  fetchPage: (page: { readonly limit: number; readonly cursor?: string }) => Promise<Page<Item>>,
): AsyncGenerator<Item> {
  for (let cursor: string | undefined; ; ) {
    const page = await fetchPage(cursor === undefined ? { limit: PAGE } : { limit: PAGE, cursor });
    yield* page.items;
    if (page.next === undefined) return;
    cursor = page.next;
  }
}
