import type { RunRecord, TaskRecord } from "../contracts/records.js";
import type { Storage } from "../contracts/storage.js";
import { describedPlan } from "../define/described-plan.js";
import type { PipelineDescription } from "../define/description.js";
import { restore } from "../run/restore.js";
import { CANCELLED, isFinal } from "../run/state.js";
import { decode, type Encoded } from "../values/codec.js";
import { everyRecord } from "./paging.js";
import { taskRecord } from "./task-records.js";

/** What storage has of a run of another version. */
export interface StoredTasks {
  /** Its definition's graph, encoded; `undefined`: storage does not have it. */
  readonly graph: Encoded | undefined;
  /** Of the current generations. */
  readonly records: readonly TaskRecord[];
}

export interface Cancellation {
  /** Epoch milliseconds. */
  readonly at: number;
  /** In words. */
  readonly reason: string;
}

/** @throws Whatever storage fails with. */
export async function storedTasks(storage: Storage, { id, definition }: RunRecord): Promise<StoredTasks> {
  const records: TaskRecord[] = [];
  for await (const record of everyRecord((page) => storage.loadTasks([id], page))) records.push(record);
  return { graph: (await storage.getDefinition(definition))?.graph, records };
}

/**
 * What a run that is cancelled without its pipeline leaves behind: a record for each task and item that had not ended,
 * teardown tasks included, as nobody has their code. Nothing when its definition is not there.
 *
 * @throws What is unreadable.
 */
export function cancelledTasks(
  runId: string,
  { graph, records }: StoredTasks,
  { at, reason }: Cancellation,
): readonly TaskRecord[] {
  if (graph === undefined) return [];
  const plan = describedPlan(decode(graph) as PipelineDescription);
  const state = restore(plan, records, (branch) => String(decode(branch.output!)));
  const cancelled: TaskRecord[] = [];
  state.forEach((instance) => {
    if (isFinal(state.status[instance]!) || !state.isCurrent(instance)) return;
    state.status[instance] = CANCELLED;
    state.retryAt.delete(instance);
    // A run that was started is kept, for a resume.
    if (state.waits.get(instance)?.kind !== "run") state.waits.delete(instance);
    cancelled.push(taskRecord(runId, state, instance, state.firstStartAt.get(instance), at, { reason }));
  });
  return cancelled;
}
