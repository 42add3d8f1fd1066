import type { AttemptRecord, TaskRecord } from "weftline";
import type {
  ClientCall,
  Evidence,
  Fault,
  FinalRun,
  Flushed,
  FlushedRun,
  FlushedState,
  HistoryEvent,
  LeaseChanged,
  MessageSent,
  RetryShape,
  Shape,
  TaskShape,
  WitnessLine,
} from "../history.js";

export const START = 1_000_000;
export const LEASE_MS = 10_000;

type Draft<Event> = Event extends HistoryEvent ? Omit<Event, "seq" | "at"> & { readonly at?: number } : never;

/** Makes up a history by hand. Places in its order are ten apart, so that witnesses fit in between. */
export class Story {
  readonly history: HistoryEvent[] = [];
  readonly witness: WitnessLine[] = [];
  readonly clients: ClientCall[] = [];
  readonly faults: Fault[] = [];
  readonly shapes: Record<string, Shape> = {};
  now = START;
  #seq = 0;
  #flushes = 0;

  add(event: Draft<HistoryEvent>): HistoryEvent {
    this.#seq += 10;
    const added = { at: this.now, ...event, seq: this.#seq } as HistoryEvent;
    this.history.push(added);
    return added;
  }

  pass(ms: number): this {
    this.now += ms;
    return this;
  }

  lease(engine: string, change: LeaseChanged["change"] = "registered", until = this.now + LEASE_MS): void {
    this.add({ type: "lease", engine, change, until: change === "released" ? undefined : until });
  }

  created(runId: string, facts: Partial<Draft<Extract<HistoryEvent, { type: "created" }>>> = {}): void {
    this.add({
      ...{ type: "created", runId, pipeline: "p", definition: "h", params: "j1:{}", key: undefined, fingerprint: "" },
      ...{ parent: undefined, createdAt: this.now, availableAt: this.now, schedule: undefined, instant: undefined },
      owner: "e1",
      ...facts,
    });
  }

  claimed(runId: string, engine: string, epoch: number, crashes = 0): void {
    this.add({ type: "claimed", runId, engine, epoch, crashes, status: "running" });
  }

  flush(part: Partial<FlushedRun> & { readonly runId: string }, facts: Partial<Flushed> = {}): Flushed {
    const { engine = "e1" } = facts;
    const whole: FlushedRun = {
      ...{ epoch: 1, fenced: false, run: undefined, tasks: [], attempts: [], steps: [], consumed: [], logs: 0 },
      ...part,
    };
    const id = `${engine}/${++this.#flushes}`;
    const event = { type: "flushed", flush: id, engine, outcome: "ok", runs: [whole], rejected: [], sends: 1 } as const;
    return this.add({ ...event, ...facts }) as Flushed;
  }

  sent(runId: string, message: MessageSent["message"], id = `${message}-${runId}`): void {
    this.add({ type: "sent", id, runId, message, task: undefined });
  }

  saw(phase: WitnessLine["phase"], task: string, facts: Partial<WitnessLine> = {}): void {
    this.#seq++;
    const line = { runId: "r1", task, index: [], attempt: 1, phase, at: this.now, seq: this.#seq, engine: "e1" };
    this.witness.push({ ...line, ...facts } as WitnessLine);
  }

  evidence(facts: Partial<Evidence> = {}): Evidence {
    const { history, witness, clients, faults, shapes } = this;
    return { source: "recorded", history, witness, clients, faults, shapes, final: undefined, ...facts };
  }
}

export const NO_RETRY: RetryShape = {
  ...{ attempts: 1, delayMs: 1_000, backoff: "fixed", maxDelayMs: 60_000, jitter: "none", whileAbandoned: false },
};

export function taskShape(id: string, upstream: readonly string[] = [], facts: Partial<TaskShape> = {}): TaskShape {
  return {
    id,
    kind: "task",
    mapped: false,
    upstream: upstream.map((task) => ({ task, choices: undefined })),
    needs: upstream.map((task) => ({ name: task, task })),
    over: undefined,
    rule: "all-success",
    group: undefined,
    ...{ teardown: false, failRun: false, allowFailure: false, conditional: false, cached: false },
    retry: NO_RETRY,
    ...{ timeoutMs: undefined, totalTimeoutMs: undefined, concurrency: undefined, pool: undefined, slots: 1 },
    ...facts,
  };
}

export function shape(tasks: readonly TaskShape[], facts: Partial<Shape> = {}): Shape {
  return { pipeline: "p", hash: "h", failWhen: "any", failFast: false, timeoutMs: undefined, tasks, ...facts };
}

export function task(
  id: string,
  position: number,
  status: TaskRecord["status"],
  facts: Partial<TaskRecord> = {},
): TaskRecord {
  return {
    ...{ runId: "r1", task: id, position, index: [], generation: 1, status, attempts: 1, attemptsBefore: 0 },
    ...{
      startedAt: START,
      finishedAt: undefined,
      retryAt: undefined,
      wait: undefined,
      output: undefined,
      error: undefined,
    },
    ...{ reason: undefined, warning: undefined, cachedFrom: undefined, items: undefined, list: undefined },
    ...facts,
  };
}

export function attempt(
  id: string,
  position: number,
  status: AttemptRecord["status"],
  facts: Partial<AttemptRecord> = {},
): AttemptRecord {
  return {
    ...{ runId: "r1", task: id, position, index: [], generation: 1, attempt: 1, status, executor: "default" },
    ...{ engineId: "e1", startedAt: START, finishedAt: START, error: undefined },
    ...facts,
  };
}

export function state(status: FlushedState["status"], facts: Partial<FlushedState> = {}): FlushedState {
  return {
    ...{ status, startedAt: START, finishedAt: undefined, deadlineAt: undefined, error: undefined },
    ...{ generation: 1, params: "j1:{}", crashes: 0 },
    ...facts,
  };
}

/** What is stored of a run when all flushes of a story are in. */
export function finalRun(
  status: FlushedState["status"],
  tasks: readonly TaskRecord[],
  attempts: readonly AttemptRecord[],
  facts: Partial<FinalRun["run"]> = {},
): FinalRun {
  const run = {
    ...{ id: "r1", pipeline: "p", definition: "h", key: undefined, fingerprint: "", tags: [], priority: 0 },
    ...{ parent: undefined, createdAt: START, availableAt: START, schedule: undefined, instant: undefined },
    ...{ owner: undefined, epoch: 1, ...state(status), ...facts },
  } as FinalRun["run"];
  return { run, tasks, attempts, allGenerations: true, logs: undefined };
}
