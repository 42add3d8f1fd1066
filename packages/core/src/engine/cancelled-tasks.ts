import type { RunRecord, TaskRecord } from "../contracts/records.js";
import type { Storage } from "../contracts/storage.js";
import { describedPlan } from "../define/described-plan.js";
import type { PipelineDescription } from "../define/description.js";
import { restore } from "../run/restore.js";
import { CANCELLED, isFinal } from "../run/state.js";
import { decode } from "../values/codec.js";
import { everyRecord } from "./paging.js";
import { taskRecord } from "./task-records.js";

/**
 * What a run that is cancelled without its pipeline leaves behind: a record for each task and item that had not ended,
 * teardown tasks included, as nobody has their code.
 *
 * @param at - When it is cancelled, epoch milliseconds.
 * @returns Nothing when storage does not have the run's definition.
 */
export async function cancelledTasks(
  storage: Storage,
  { id, definition }: RunRecord,
  { at, reason }: { readonly at: number; readonly reason: string },
): Promise<readonly TaskRecord[]> {
  const stored = await storage.getDefinition(definition);
  if (stored === undefined) return [];
  const records: TaskRecord[] = [];
  for await (const record of everyRecord((page) => storage.loadTasks([id], page))) records.push(record);
  const plan = describedPlan(decode(stored.graph) as PipelineDescription);
  const state = restore(plan, records, (branch) => String(decode(branch.output!)));
  const cancelled: TaskRecord[] = [];
  state.forEach((instance) => {
    if (isFinal(state.status[instance]!) || !state.isCurrent(instance)) return;
    state.status[instance] = CANCELLED;
    state.retryAt.delete(instance);
    // A run that was started is kept, for a resume.
    if (state.waits.get(instance)?.kind !== "run") state.waits.delete(instance);
    cancelled.push(taskRecord(id, state, instance, state.firstStartAt.get(instance), at, { reason }));
  });
  return cancelled;
}
