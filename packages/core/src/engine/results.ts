import type { RunRecord, TaskRecord } from "../contracts/records.js";
import type { Storage } from "../contracts/storage.js";
import type { Pipeline } from "../define/pipeline.js";
import { decode, encodeList } from "../values/codec.js";
import { RunCancelledError, RunFailedError, type TaskFailure } from "./errors.js";
import { everyRecord } from "./paging.js";

const MAX_FAILURES = 100;

/**
 * The result of a finished run, read from its history: the outputs that the build function named.
 *
 * @throws {RunFailedError} for a failed or quarantined run, {@link RunCancelledError} for a cancelled one.
 */
export async function readResult(storage: Storage, run: RunRecord, pipeline: Pipeline): Promise<unknown> {
  if (run.status === "cancelled") throw new RunCancelledError(run);
  if (run.status !== "succeeded") throw new RunFailedError(run, await readFailures(storage, run.id));
  const { result } = pipeline.settings;
  if (result.size === 0) return undefined;
  const outputs = await Promise.all(
    [...result].map(
      async ([name, position]) => [name, await readOutput(storage, run.id, pipeline.plan.tasks[position]!.id)] as const,
    ),
  );
  return Object.fromEntries(outputs);
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

async function readFailures(storage: Storage, runId: string): Promise<readonly TaskFailure[]> {
  const { items } = await storage.list("tasks", { runId, status: ["failed"] }, { limit: 1_000 });
  // A map fails because its items do: where they are listed it adds nothing.
  const withFailedItems = new Set(items.filter((record) => record.index.length > 0).map((record) => record.task));
  return items
    .filter((record) => record.index.length > 0 || !withFailedItems.has(record.task))
    .slice(0, MAX_FAILURES)
    .map(({ task, index, attempts, error }) => ({
      task,
      index,
      attempts,
      error: error ?? { name: "Error", message: "unknown" },
    }));
}
