import type { RunRecord, TaskRecord } from "../contracts/records.js";
import type { Storage } from "../contracts/storage.js";
import type { Pipeline } from "../define/pipeline.js";
import type { Plan } from "../define/plan.js";
import { restore } from "../run/restore.js";
import { decode, encodeList } from "../values/codec.js";
import type { ActiveRun } from "./active-run.js";
import { RunCancelledError, RunFailedError, type TaskFailure } from "./errors.js";
import { Outputs } from "./outputs.js";
import { everyRecord } from "./paging.js";
import type { RunEnd } from "./run-ends.js";

const MAX_FAILURES = 100;

/**
 * The result of a finished run: the outputs that the build function named, from memory where the run has just ended
 * there, else from its history.
 *
 * @throws {RunFailedError} for a failed or quarantined run, {@link RunCancelledError} for a cancelled one.
 */
export async function readResult(
  storage: Storage,
  { record: run, run: active }: RunEnd,
  pipeline: Pipeline,
): Promise<unknown> {
  if (run.status === "cancelled") throw new RunCancelledError(run);
  if (run.status !== "succeeded") throw new RunFailedError(run, await readFailures(storage, run.id, pipeline.plan));
  const { result } = pipeline.settings;
  if (result.size === 0) return undefined;
  if (active !== undefined) return resultInMemory(active, result);
  if (pipeline.plan.hasGroups) return readGroupedResult(storage, run, pipeline);
  const outputs = await Promise.all(
    [...result].map(
      async ([name, position]) => [name, await readOutput(storage, run.id, pipeline.plan.tasks[position]!.id)] as const,
    ),
  );
  return Object.fromEntries(outputs);
}

function resultInMemory(run: ActiveRun, result: Pipeline["settings"]["result"]): unknown {
  const entries = [...result].map(([name, position]) => {
    const output = run.outputOf(position);
    return [name, output === undefined ? undefined : decode(output)] as const;
  });
  return Object.fromEntries(entries);
}

/** Outputs of groups are put together from those of their tasks, as the engine does for tasks that read them. */
async function readGroupedResult(storage: Storage, run: RunRecord, { plan, settings }: Pipeline): Promise<unknown> {
  const records: TaskRecord[] = [];
  for await (const record of everyRecord((page) => storage.loadTasks([run.id], page))) records.push(record);
  const state = restore(plan, records, (branch) => String(decode(branch.output!)));
  const outputs = new Outputs(state);
  for (const { output, position, index, generation } of records) {
    const instance = output === undefined ? undefined : state.instanceAt(position, index);
    // Records of what a list held before it was expanded anew may still be there.
    if (instance !== undefined && generation === state.generationOf(instance)) outputs.set(instance, output);
  }
  const entries = [...settings.result].map(([name, position]) => {
    const output = outputs.read(position, 0);
    return [name, output === undefined ? undefined : decode(output)] as const;
  });
  return Object.fromEntries(entries);
}

/** What a task put out: its value, or the outputs of a map's succeeded items in order; `undefined` when there is none. */
async function readOutput(storage: Storage, runId: string, task: string): Promise<unknown> {
  const records: TaskRecord[] = [];
  const pages = everyRecord((page) => storage.list("tasks", { runId, task }, page));
  for await (const record of pages) records.push(record);
  const [own, ...items] = records;
  if (own?.items === undefined) return own?.output === undefined ? undefined : decode(own.output);
  return decode(encodeList(items.filter((item) => item.status === "succeeded").map((item) => item.output!)));
}

async function readFailures(storage: Storage, runId: string, plan: Plan): Promise<readonly TaskFailure[]> {
  const { items } = await storage.list("tasks", { runId, status: ["failed"] }, { limit: 1_000 });
  return items
    .filter((record) => !failedByAnother(record, items, plan))
    .slice(0, MAX_FAILURES)
    .map(({ task, index, attempts, error }) => ({
      task,
      index,
      attempts,
      error: error ?? { name: "Error", message: "unknown" },
    }));
}

/** A list fails because its items do, and a group because its tasks do: where those are listed it adds nothing. */
function failedByAnother({ position, index, error }: TaskRecord, all: readonly TaskRecord[], { tasks }: Plan): boolean {
  if (error?.code !== "TASK_FAILED") return false;
  const end = position + (tasks[position]!.extra.size ?? 0);
  const isInside = (other: TaskRecord) =>
    (other.position === position
      ? other.index.length > index.length
      : other.position > position && other.position <= end) &&
    index.every((place, level) => other.index[level] === place);
  return all.some(isInside);
}
