import { type Engine, isRunFinished, type RunInfo, type RunStatus, type TaskInfo } from "weftline";
import type { Day } from "./calendar.js";
import { demandForecast } from "./pipeline.js";

/** What a start of the program has to do for its night. */
export interface Plan {
  /** Of the run: the same key gives the same run, whichever process asks. */
  readonly key: string;
  /** The run to go on with from the point of failure. */
  readonly resume?: string;
  /** The run to end first. */
  readonly cancel?: string;
  /** What there is to say about it. */
  readonly notes: readonly string[];
}

const OPEN: readonly RunStatus[] = ["queued", "running", "waiting", "paused"];
const MAX_RECORDS = 1_000;

/**
 * The runs of one night have the keys `2014-12-31 #1`, `2014-12-31 #2` …: each start goes on with the newest until that
 * has succeeded, and only then begins another.
 *
 * @param isFresh - Begins another at any rate.
 */
export async function planTonight({ runs }: Engine, day: Day, isFresh: boolean): Promise<Plan> {
  const { items } = await runs.list({ pipeline: demandForecast.id, tag: day }, { limit: 1 });
  const newest = items[0];
  const next = `${day} #${Number(newest?.key?.split("#")[1] ?? 0) + 1}`;
  const notes = await notesOnOthers(runs, newest?.id);
  if (newest === undefined || newest.status === "succeeded") return { key: next, notes };
  const { id, status, definition } = newest;
  const isOpen = !isRunFinished(status);
  if (isFresh) return { key: next, notes, ...(isOpen && { cancel: id }) };
  if (definition !== demandForecast.hash) {
    return {
      key: next,
      notes: [...notes, `Run ${id} was made with another version of the pipeline: it is left alone.`],
    };
  }
  const done = describeDone((await runs.tasks(id, {}, { limit: MAX_RECORDS })).items);
  if (isOpen) return { key: newest.key!, notes: [...notes, `Going on with run ${id}: ${done}.`] };
  const note = `Run ${id} ${failure(newest)}. Going on from there: ${done}. To begin anew: npm start -- --new`;
  return { key: newest.key!, resume: id, notes: [...notes, note] };
}

/** Runs of other nights that were cut off: the engine takes up whatever has not ended. */
async function notesOnOthers(runs: Engine["runs"], id: string | undefined): Promise<readonly string[]> {
  const { items } = await runs.list({ pipeline: demandForecast.id, status: OPEN, definition: demandForecast.hash });
  return items
    .filter((run) => run.id !== id)
    .map((run) => `Run ${run.id} of ${run.tags[0]} was cut off before its end: it is finished first.`);
}

function failure({ status }: RunInfo): string {
  return status === "failed" ? "failed" : `was ${status}`;
}

/** How far a run had come. */
function describeDone(records: readonly TaskInfo[]): string {
  const done = records.filter(({ status }) => status === "succeeded" || status === "skipped");
  const tasks = done.filter(({ index }) => index.length === 0).length;
  const folds = records.find(({ task, index }) => task === "train" && index.length === 0)?.items;
  const all = `${tasks} of ${demandForecast.taskIds.length} tasks`;
  return folds === undefined
    ? `${all} were done before`
    : `${all}, and ${done.length - tasks} of ${folds} folds, were done before`;
}
