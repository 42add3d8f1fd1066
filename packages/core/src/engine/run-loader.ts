import type { RunRecord, StepRecord, TaskRecord } from "../contracts/records.js";
import type { Storage } from "../contracts/storage.js";
import type { Pipeline } from "../define/pipeline.js";
import { restore } from "../run/restore.js";
import { RunState } from "../run/state.js";
import { decode } from "../values/codec.js";
import { Outputs } from "./outputs.js";
import { everyRecord } from "./paging.js";
import type { RunParts } from "./run-parts.js";
import { RunSteps } from "./run-steps.js";

/** What is known of a run's tasks. */
export type LoadedRun = Pick<RunParts, "state" | "outputs" | "steps">;

/** A run to load, with the pipeline it is a run of. */
export interface Loadable {
  readonly record: RunRecord;
  readonly pipeline: Pipeline;
}

/** What came of loading one run: a record that cannot be read spoils no other run. */
export type LoadResult<Item extends Loadable> = { readonly item: Item } & (
  | { readonly loaded: LoadedRun; readonly error?: undefined }
  | { readonly loaded?: undefined; readonly error: unknown }
);

/** A run that nothing has happened to. */
export function freshRun({ plan }: Pipeline): LoadedRun {
  const state = new RunState(plan);
  return { state, outputs: new Outputs(state), steps: new RunSteps(state) };
}

/**
 * Where the tasks of runs stand, as storage has it, one run after the other: some runs share a question, and no more
 * than one run's records and a page are in memory at a time.
 *
 * @param isOurs - False: another engine goes on with what runs.
 */
export async function* loadRuns<Item extends Loadable>(
  storage: Pick<Storage, "loadTasks" | "loadSteps">,
  items: readonly Item[],
  isOurs = true,
): AsyncGenerator<LoadResult<Item>, void, undefined> {
  const begun = items.filter(({ record }) => !isFresh(record));
  for (const item of items) if (isFresh(item.record)) yield { item, loaded: freshRun(item.pipeline) };
  if (begun.length === 0) return;
  const ids = begun.map(({ record }) => record.id);
  const steps = await stepsByRun(storage, ids);
  const records = everyRecord((page) => storage.loadTasks(ids, page));
  let next = await records.next();
  for (const item of begun) {
    const own: TaskRecord[] = [];
    for (; !next.done && next.value.runId === item.record.id; next = await records.next()) own.push(next.value);
    yield restored(item, own, steps.get(item.record.id) ?? [], isOurs);
  }
}

/** Its first owner has it, and has not begun it. */
function isFresh({ epoch, startedAt }: RunRecord): boolean {
  return epoch <= 1 && startedAt === undefined;
}

/** One run. @throws Whatever storage fails with, and what is unreadable of the run. */
export async function loadRun(
  storage: Pick<Storage, "loadTasks" | "loadSteps">,
  item: Loadable,
  isOurs = true,
): Promise<LoadedRun> {
  for await (const { loaded, error } of loadRuns(storage, [item], isOurs)) {
    if (loaded === undefined) throw error;
    return loaded;
  }
  return freshRun(item.pipeline);
}

async function stepsByRun(
  storage: Pick<Storage, "loadSteps">,
  ids: readonly string[],
): Promise<ReadonlyMap<string, readonly StepRecord[]>> {
  const steps = new Map<string, StepRecord[]>();
  for await (const step of everyRecord((page) => storage.loadSteps(ids, page))) {
    const own = steps.get(step.runId);
    if (own === undefined) steps.set(step.runId, [step]);
    else own.push(step);
  }
  return steps;
}

function restored<Item extends Loadable>(
  item: Item,
  records: readonly TaskRecord[],
  done: readonly StepRecord[],
  isOurs: boolean,
): LoadResult<Item> {
  try {
    const state = restore(item.pipeline.plan, records, (branch) => String(decode(branch.output!)), isOurs);
    const outputs = new Outputs(state);
    for (const { output, position, index, generation } of records) {
      const instance = output === undefined ? undefined : state.instanceAt(position, index);
      // Records of what a list held before it was expanded anew may still be there.
      if (instance !== undefined && generation === state.generationOf(instance)) outputs.set(instance, output);
    }
    const steps = new RunSteps(state);
    for (const step of done) steps.restore(step);
    return { item, loaded: { state, outputs, steps } };
  } catch (error) {
    return { item, error };
  }
}
