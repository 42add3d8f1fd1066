import type { AttemptRecord, HistoryKind, HistoryKinds, Page, RunRecord, Storage, TaskRecord } from "weftline";
import type { FinalRun, FinalState, Flushed, FlushedRun, HistoryEvent, Shape } from "./history.js";
import { shapeOfDefinition } from "./shape-of.js";

type Reader = Pick<Storage, "getRun" | "list" | "getDefinition">;

/** What one run's records tell of its history. */
export interface StoredHistory {
  readonly history: readonly HistoryEvent[];
  readonly final: FinalRun;
  /** As the stored definition tells it; `undefined`: the definition is gone. */
  readonly shape: Shape | undefined;
}

const PAGE = 1_000;

/**
 * Tells a run's history from what is stored of it: each end in the order of its time. Flush ids, epochs, and whatever was
 * replaced since are not there any more. The storage has to be open.
 *
 * @returns `undefined` when there is no such run.
 */
export async function historyOf(storage: Reader, runId: string): Promise<StoredHistory | undefined> {
  const run = await storage.getRun(runId);
  if (run === undefined) return undefined;
  const final = await finalRun(storage, run);
  const definition = await storage.getDefinition(run.definition);
  const shape = definition && shapeOfDefinition(definition.graph);
  return { history: eventsOf(final), final, shape };
}

/** The histories of several runs as one, with their shapes; runs that are not there are left out. */
export async function historiesOf(
  storage: Reader,
  runIds: readonly string[],
): Promise<{
  readonly history: readonly HistoryEvent[];
  readonly runs: readonly FinalRun[];
  readonly shapes: Readonly<Record<string, Shape>>;
}> {
  const events: HistoryEvent[] = [];
  const runs: FinalRun[] = [];
  const shapes: Record<string, Shape> = {};
  for (const runId of runIds) {
    const stored = await historyOf(storage, runId);
    if (stored === undefined) continue;
    for (const event of stored.history) events.push(event);
    runs.push(stored.final);
    if (stored.shape) shapes[stored.shape.hash] = stored.shape;
  }
  events.sort((a, b) => a.at - b.at || a.seq - b.seq);
  return { history: events.map((event, place) => ({ ...event, seq: place + 1 })), runs, shapes };
}

/** Everything that is stored of all runs, or of some. @param at - The store's clock. */
export async function finalStateOf(storage: Reader, at: number, runIds?: readonly string[]): Promise<FinalState> {
  const runs: FinalRun[] = [];
  if (runIds === undefined) {
    for (const run of await everything(storage, "runs", {})) runs.push(await finalRun(storage, run));
  } else {
    for (const id of runIds) {
      const run = await storage.getRun(id);
      if (run) runs.push(await finalRun(storage, run));
    }
  }
  return { at, runs };
}

async function finalRun(storage: Reader, run: RunRecord): Promise<FinalRun> {
  const runId = run.id;
  const tasks = new Map<string, TaskRecord>();
  for (let generation = 1; generation <= run.generation; generation++) {
    for (const task of await everything(storage, "tasks", { runId, generation })) tasks.set(identityOf(task), task);
  }
  for (const task of await everything(storage, "tasks", { runId })) tasks.set(identityOf(task), task);
  const attempts = await everything(storage, "attempts", { runId });
  return { run, tasks: [...tasks.values()], attempts, allGenerations: true, logs: undefined };
}

function identityOf({ position, index, generation }: TaskRecord): string {
  return `${position}/${index.join(".")}@${generation}`;
}

async function everything<Kind extends HistoryKind>(
  storage: Reader,
  kind: Kind,
  query: HistoryKinds[Kind]["query"],
): Promise<HistoryKinds[Kind]["record"][]> {
  const records: HistoryKinds[Kind]["record"][] = [];
  let cursor: string | undefined;
  do {
    const page: Page<HistoryKinds[Kind]["record"]> = await storage.list(kind, query, {
      limit: PAGE,
      ...(cursor !== undefined && { cursor }),
    });
    for (const record of page.items) records.push(record);
    cursor = page.next;
  } while (cursor !== undefined);
  return records;
}

/** What ended at one moment is one flush: nobody can tell any more what came first. */
function eventsOf({ run, tasks, attempts }: FinalRun): HistoryEvent[] {
  const moments = new Map<number, { tasks: TaskRecord[]; attempts: AttemptRecord[] }>();
  const at = (moment: number) => {
    const found = moments.get(moment) ?? { tasks: [], attempts: [] };
    moments.set(moment, found);
    return found;
  };
  const last = run.finishedAt ?? Number.MAX_SAFE_INTEGER;
  for (const task of tasks) at(Math.min(task.finishedAt ?? last, last)).tasks.push(task);
  for (const attempt of attempts) at(Math.min(attempt.finishedAt ?? attempt.startedAt, last)).attempts.push(attempt);
  if (run.finishedAt !== undefined) at(run.finishedAt);
  const created = createdEvent(run);
  const flushes = [...moments].sort(([one], [other]) => one - other);
  const latest = flushes.findLast(([moment]) => moment < Number.MAX_SAFE_INTEGER)?.[0] ?? created.at;
  return [
    created,
    ...flushes.map(([moment, records], place): Flushed => {
      const isLast = place === flushes.length - 1;
      const part = partOf(run, records, isLast && moment === run.finishedAt);
      return flushedAt(place + 2, Math.min(moment, latest), part, records.attempts[0]?.engineId ?? "");
    }),
  ];
}

function createdEvent(run: RunRecord): HistoryEvent {
  const { id: runId, pipeline, definition, params, key, fingerprint, parent } = run;
  const { createdAt, availableAt, schedule, instant } = run;
  const facts = {
    runId,
    pipeline,
    definition,
    params,
    key,
    fingerprint,
    parent,
    createdAt,
    availableAt,
    schedule,
    instant,
  };
  return { type: "created", seq: 1, at: createdAt, ...facts, owner: undefined };
}

function flushedAt(seq: number, at: number, part: FlushedRun, engine: string): Flushed {
  return { type: "flushed", seq, at, flush: undefined, engine, outcome: "ok", runs: [part], rejected: [], sends: 1 };
}

function partOf(
  run: RunRecord,
  { tasks, attempts }: { readonly tasks: readonly TaskRecord[]; readonly attempts: readonly AttemptRecord[] },
  isLast: boolean,
): FlushedRun {
  return {
    runId: run.id,
    epoch: undefined,
    fenced: false,
    run: isLast ? run : undefined,
    tasks,
    attempts,
    steps: [],
    consumed: [],
    logs: 0,
  };
}
