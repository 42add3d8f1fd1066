/** The ways in which a run begins here: a new one, one that ended and goes on, and parts of one once more. */

import { isRunFinished, type Pipeline, type RunInfo, type TaskInfo } from "weftline";
import { withSubPipelines } from "weftline/remote";
import { UsageError } from "./errors.js";
import { isAlive, waitForOwner } from "./owner.js";
import { listAll } from "./pages.js";
import type { StoredTask } from "./progress/progress-model.js";
import type { BeginHost, BegunRun } from "./run-here.js";
import { moment } from "./text.js";

export interface NewRunRequest {
  readonly pipeline: Pipeline;
  readonly params: unknown;
  readonly key: string | undefined;
  readonly tags: readonly string[];
}

/** Starts a run, or finds the one that has its key. */
export async function beginNew(host: BeginHost, request: NewRunRequest): Promise<BegunRun> {
  const { pipeline, params, key, tags } = request;
  const before = Date.now();
  const options = { tags, ...(key !== undefined && { key }) };
  const handle = await host.engine.trigger(pipeline as Pipeline<unknown>, params, options);
  host.own.want(handle.id);
  const run = await host.engine.runs.get(handle.id);
  if (key === undefined || run.createdAt >= before) {
    // Where the number of active runs is limited, it has to be claimed like any other.
    await claim(host);
    return { handle, pipeline };
  }
  const note = `Key "${key}" was used before, for this run: ${run.id}. Its status was ${run.status}.`;
  if (!isRunFinished(run.status)) return { ...(await goOn(host, run, pipeline)), note };
  return { handle, pipeline, note, records: await recordsOf(host, run) };
}

/** Goes on with a run from the point of failure, or where its engine left it. */
export async function beginAgain(host: BeginHost, run: RunInfo, pipelines: readonly Pipeline[]): Promise<BegunRun> {
  const pipeline = pipelineOf(run, pipelines);
  if (!isRunFinished(run.status)) return goOn(host, run, pipeline);
  host.own.want(run.id);
  const records = (await recordsOf(host, run)).map((record) => (isReopened(record) ? pending(record) : record));
  const handle = await host.engine.runs.resume(run.id);
  return { handle, pipeline, records };
}

export interface RerunRequest {
  readonly from: readonly string[];
  readonly only: boolean;
  readonly params: unknown;
}

/** Runs tasks of a finished run again, with what depends on them unless `only` these. */
export async function beginRerun(
  host: BeginHost,
  run: RunInfo,
  pipelines: readonly Pipeline[],
  { from, only, params }: RerunRequest,
): Promise<BegunRun> {
  const pipeline = pipelineOf(run, pipelines);
  host.own.want(run.id);
  const before = await recordsOf(host, run);
  const handle = await host.engine.runs.rerun(run.id, { from, only, ...(params !== undefined && { params }) });
  const again = opened(pipeline.plan, from, only);
  return { handle, pipeline, records: before.flatMap((record) => openedAgain(record, again)) };
}

/** What becomes of tasks that the version of now does not have: their new ids, or `null` to forget what they did. */
export type TaskMoves = Readonly<Record<string, string | null>>;

/** Carries a run over to the version of its pipeline that the file has, and goes on with it. */
export async function beginRemap(
  host: BeginHost,
  run: RunInfo,
  pipelines: readonly Pipeline[],
  tasks: TaskMoves,
): Promise<BegunRun> {
  const pipeline = withSubPipelines(pipelines).find(({ id }) => id === run.pipeline);
  if (pipeline === undefined) throw pipelineUnknown(run);
  if (!isRunFinished(run.status)) await waitForOwner(host.storage, run.id, host.note);
  host.own.want(run.id);
  const before = await recordsOf(host, run);
  const since = Date.now();
  const handle = await host.engine.runs.remap(run.id, { tasks }).catch((error: Error & { code?: unknown }) => {
    if (error.code !== "DAG_CHANGED") throw error;
    throw new UsageError(`${error.message}\nHere: --task old=new, --drop gone`, { cause: error });
  });
  const records = before.flatMap((record) => moved(record, pipeline, tasks));
  if (!isRunFinished(run.status)) return { handle, pipeline, records, goesOn: { status: run.status, since } };
  return { handle, pipeline, records: records.map((record) => (isReopened(record) ? pending(record) : record)) };
}

function moved(record: StoredTask, { plan }: Pipeline, tasks: TaskMoves): StoredTask[] {
  const task = Object.hasOwn(tasks, record.task) ? tasks[record.task]! : record.task;
  const position = plan.positions.get(task);
  return position === undefined ? [] : [{ ...record, task, position }];
}

async function goOn(host: BeginHost, run: RunInfo, pipeline: Pipeline): Promise<BegunRun> {
  const { engine, own, storage } = host;
  await waitForOwner(storage, run.id, host.note);
  const records = await recordsOf(host, run);
  own.goOnWith(run.id);
  const since = Date.now();
  const handle = await engine.runs.resume(run.id);
  const owner = (await storage.getRun(run.id))?.owner;
  if (owner !== undefined && owner !== engine.id) throw isAlive(run.id, owner);
  const isLater = owner === undefined && run.availableAt > Date.now();
  const note = isLater ? `The run is to start at ${moment(run.availableAt)}.` : undefined;
  return { handle, pipeline, records, goesOn: { status: run.status, since }, ...(note !== undefined && { note }) };
}

/** Asking to resume a run that nothing has to be said to only looks for it. */
async function claim({ engine, own, storage }: BeginHost): Promise<void> {
  for (const runId of own.wanted) {
    const run = await storage.getRun(runId);
    if (run === undefined || run.owner !== undefined || isRunFinished(run.status)) continue;
    own.goOnWith(runId);
    await engine.runs.resume(runId);
  }
}

function recordsOf({ engine }: BeginHost, { id }: RunInfo): Promise<TaskInfo[]> {
  return listAll((page) => engine.runs.tasks(id, {}, page));
}

/** @throws {UsageError} when the file has no pipeline under which the run can go on. */
function pipelineOf(run: RunInfo, pipelines: readonly Pipeline[]): Pipeline {
  const all = withSubPipelines(pipelines);
  const pipeline = all.find(({ hash }) => hash === run.definition);
  if (pipeline !== undefined) return pipeline;
  if (!all.some(({ id }) => id === run.pipeline)) throw pipelineUnknown(run);
  throw new UsageError(
    `DAG_CHANGED: Cannot go on with run ${run.id}, as pipeline "${run.pipeline}" has changed since it was made. Go back to the version it ran with, carry it over to this one (weftline remap <file> ${run.id}), or start a new run. What changed: weftline diff <file> --run ${run.id}`,
  );
}

function pipelineUnknown({ id, pipeline }: RunInfo): UsageError {
  return new UsageError(
    `PIPELINE_UNKNOWN: Cannot go on with run ${id}, as the file does not export its pipeline "${pipeline}".`,
  );
}

function isReopened({ status }: StoredTask): boolean {
  return status === "failed" || status === "cancelled" || status === "upstream-failed";
}

function pending(record: StoredTask): StoredTask {
  const nothing = {
    startedAt: undefined,
    finishedAt: undefined,
    retryAt: undefined,
    error: undefined,
    reason: undefined,
  };
  return { ...record, ...nothing, status: "pending", wait: undefined, warning: undefined, cachedFrom: undefined };
}

/** The items of what runs again as a whole are gone. */
function openedAgain(record: StoredTask, again: ReadonlySet<number>): StoredTask[] {
  if (!again.has(record.position)) return [record];
  return record.index.length > 0 ? [] : [{ ...pending(record), attempts: 0, items: undefined }];
}

/** The positions of the tasks that a rerun opens, with what is inside them, and the groups around them. */
function opened(plan: Pipeline["plan"], from: readonly string[], only: boolean): ReadonlySet<number> {
  const positions = new Set(from.flatMap((id) => plan.positions.get(id) ?? []));
  for (const position of positions) {
    const { size = 0 } = plan.tasks[position]!.extra;
    for (let inside = 1; inside <= size; inside++) positions.add(position + inside);
    if (only) continue;
    for (let around = position; around >= 0; around = plan.parent[around]!) {
      for (const next of successorsOf(plan, around)) positions.add(next);
    }
  }
  return positions;
}

function successorsOf({ successorStart, successors }: Pipeline["plan"], position: number): readonly number[] {
  return [...successors.subarray(successorStart[position]!, successorStart[position + 1]!)];
}
