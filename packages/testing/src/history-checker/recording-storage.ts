import type {
  ClaimRequest,
  CommitOutcome,
  CreateResult,
  FireRequest,
  Flush,
  HoldLeaseRequest,
  LeaseRequest,
  NewRun,
  Page,
  RunChanges,
  RunMessage,
  RunRecord,
  Storage,
  TaskRecord,
} from "weftline";
import type { Flushed, FlushedRun, HistoryEvent } from "./history.js";

export interface RecordingOptions {
  /** The store's clock. Default: the clock that the storage was last opened with, or the system's before that. */
  readonly now?: () => number;
  /**
   * Numbers that rise, one for each event. Give one that witnesses draw from as well, and their lines have an exact place
   * in the history. Default: a count of its own.
   */
  readonly sequence?: () => number;
}

/** A storage that keeps a history of what it took. */
export interface Recording {
  /** What engines get. Faults belong around it, so that what they hide from an engine is recorded all the same. */
  readonly storage: Storage;
  /** Grows with each change. */
  readonly history: readonly HistoryEvent[];
  /**
   * Looks for what was taken although the inner storage itself failed to answer. Call it once, when all is over; the
   * storage has to be open. A commit without an answer stays `unknown`.
   */
  settle(): Promise<void>;
}

/**
 * Records what a storage really takes, in the order of its answers: one record for each change, however often it was
 * asked for and whatever became of the answer on its way to the engine.
 */
export function recordingStorage(inner: Storage, options: RecordingOptions = {}): Recording {
  const recorder = new Recorder(inner, options);
  return { storage: recorder.storage, history: recorder.history, settle: () => recorder.settle() };
}

/** An event without what the recorder adds to each. */
type NewEvent<Event = HistoryEvent> = Event extends HistoryEvent ? Omit<Event, "seq" | "since" | "at"> : never;

interface Known {
  definition: string;
  epoch: number;
  finishedAt: number | undefined;
}

/** A call of the inner storage that failed, whatever it did. */
type Doubt = () => Promise<void>;

class Recorder {
  readonly history: HistoryEvent[] = [];
  readonly storage: Storage;
  readonly #inner: Storage;
  readonly #sequence: () => number;
  #now: () => number;
  /** The number drawn last. */
  #last = 0;
  readonly #runs = new Map<string, Known>();
  /** By flush id. */
  readonly #flushes = new Map<string, Flushed>();
  readonly #schedules = new Map<string, string>();
  /** Pages of task records on their way to an owner, by the cursor of the page that follows. */
  readonly #loading = new Map<string, { readonly since: number; readonly tasks: TaskRecord[] }>();
  #doubts: Doubt[] = [];

  constructor(inner: Storage, options: RecordingOptions) {
    this.#inner = inner;
    this.#now = options.now ?? Date.now;
    let count = 0;
    this.#sequence = options.sequence ?? (() => ++count);
    this.storage = this.#wrapped(options.now !== undefined);
  }

  async settle(): Promise<void> {
    const doubts = this.#doubts;
    this.#doubts = [];
    for (const resolve of doubts) await resolve();
  }

  #wrapped(hasClock: boolean): Storage {
    const inner = this.#inner;
    const own: Partial<Storage> = {
      open: (context) => {
        if (!hasClock) this.#now = context.now;
        return inner.open(context);
      },
      renewLease: (request, options) => this.#renewLease(request, options),
      releaseLease: (engineId, options) => this.#releaseLease(engineId, options),
      createRuns: (runs, options) => this.#createRuns(runs, options),
      claimRuns: (request, options) => this.#claimRuns(request, options),
      loadTasks: (runIds, page, options) => this.#loadTasks(runIds, page, options),
      commit: (flush, options) => this.#commit(flush, options),
      remapRun: (request, options) => this.#remapRun(request, options),
      send: (messages, options) => this.#send(messages, options),
      sendSignals: (signals, options) => this.#sendSignals(signals, options),
      putSchedules: (schedules, options) => this.#putSchedules(schedules, options),
      fire: (request, options) => this.#fire(request, options),
      deleteRun: (runId, options) => this.#deleteRun(runId, options),
      prune: (request, options) => this.#prune(request, options),
    };
    if (inner.holdLease) own.holdLease = (request) => this.#holdLease(request);
    const members = own as Record<string | symbol, unknown>;
    return new Proxy(inner, {
      get(target, name) {
        if (Object.hasOwn(members, name)) return members[name];
        const member: unknown = Reflect.get(target, name);
        return typeof member === "function" ? member.bind(target) : member;
      },
    });
  }

  // ---- Engines

  async #renewLease(request: LeaseRequest, options?: object) {
    const since = this.#last;
    const state = await this.#inner.renewLease(request, options);
    const until = state.now + request.leaseMs;
    const change = state.lost ? "lost" : request.isNew ? "registered" : "renewed";
    const { engineId: engine, definitions } = request;
    this.#add({ type: "lease", engine, change, until, definitions }, since, state.now);
    return state;
  }

  async #holdLease(request: HoldLeaseRequest) {
    const since = this.#last;
    return this.#inner.holdLease!({
      ...request,
      onRenewal: (renewal) => {
        if (renewal.kind !== "failed") {
          const until = renewal.storeNow + request.leaseMs;
          const change = renewal.kind === "doubtful" ? "renewed" : renewal.kind;
          const event = { type: "lease", engine: request.engineId, change, until } as const;
          this.#add(event, since, renewal.storeNow);
        }
        request.onRenewal(renewal);
      },
    });
  }

  async #releaseLease(engineId: string, options?: object): Promise<void> {
    const since = this.#last;
    await this.#inner.releaseLease(engineId, options);
    this.#add({ type: "lease", engine: engineId, change: "released", until: undefined }, since);
  }

  // ---- Runs

  async #createRuns(runs: readonly NewRun[], options?: object): Promise<readonly CreateResult[]> {
    const since = this.#last;
    const results = await this.#inner.createRuns(runs, options).catch((error: unknown) => {
      for (const run of runs) this.#doubts.push(() => this.#lookFor(run, since));
      throw error;
    });
    for (const [place, result] of results.entries()) {
      // One that exists under the very id that was asked for was created by a call whose answer was lost.
      if (result.kind === "conflict" || result.run.id !== runs[place]!.id) continue;
      this.#created(result.kind === "created" ? runs[place]! : result.run, since);
    }
    return results;
  }

  async #lookFor(run: NewRun, since: number): Promise<void> {
    if (await this.#inner.getRun(run.id)) this.#created(run, since);
  }

  #created(run: NewRun, since: number): void {
    if (this.#runs.has(run.id)) return;
    const { id: runId, pipeline, definition, params, key, fingerprint, parent, owner } = run;
    const { createdAt, availableAt, schedule, instant } = run;
    this.#runs.set(runId, { definition, epoch: owner === undefined ? 0 : 1, finishedAt: undefined });
    this.#add(
      {
        ...{ type: "created", runId, pipeline, definition, params, key, fingerprint, parent },
        ...{ createdAt, availableAt, schedule, instant, owner },
      },
      since,
    );
  }

  async #claimRuns(request: ClaimRequest, options?: object): Promise<readonly RunRecord[]> {
    const since = this.#last;
    const runs = await this.#inner.claimRuns(request, options).catch((error: unknown) => {
      this.#doubts.push(() => this.#lookForClaims(request.engineId, since));
      throw error;
    });
    for (const run of runs) this.#claimed(run, request.engineId, since, request.runId !== undefined);
    return runs;
  }

  async #lookForClaims(owner: string, since: number): Promise<void> {
    let cursor: string | undefined;
    do {
      const page: Page<RunRecord> = await this.#inner.list(
        "runs",
        { owner },
        { limit: 1_000, ...(cursor !== undefined && { cursor }) },
      );
      for (const run of page.items) this.#claimed(run, owner, since);
      cursor = page.next;
    } while (cursor !== undefined);
  }

  /** A run that was there before the recording began is taken note of here. */
  #claimed(run: RunRecord, engine: string, since: number, isAlone = false): void {
    if (!this.#runs.has(run.id)) this.#created({ ...run, owner: undefined }, since);
    const known = this.#runs.get(run.id)!;
    known.epoch = run.epoch;
    known.finishedAt = undefined;
    const { id: runId, epoch, crashes, status } = run;
    this.#add({ type: "claimed", runId, engine, epoch, crashes, status, ...(isAlone && { isAlone }) }, since);
  }

  async #loadTasks(...[runIds, page, options]: Parameters<Storage["loadTasks"]>): Promise<Page<TaskRecord>> {
    const ids = runIds.join();
    const begun = page.cursor === undefined ? undefined : this.#loading.get(`${ids} ${page.cursor}`);
    const since = begun?.since ?? this.#last;
    const answer = await this.#inner.loadTasks(runIds, page, options);
    const tasks = begun === undefined ? [...answer.items] : begun.tasks.concat(answer.items);
    if (page.cursor !== undefined) this.#loading.delete(`${ids} ${page.cursor}`);
    if (answer.next !== undefined) this.#loading.set(`${ids} ${answer.next}`, { since, tasks });
    else this.#loaded(runIds, tasks, since);
    return answer;
  }

  #loaded(runIds: readonly string[], tasks: readonly TaskRecord[], since: number): void {
    const byRun = new Map<string, TaskRecord[]>(runIds.map((id) => [id, []]));
    for (const task of tasks) byRun.get(task.runId)?.push(task);
    for (const [runId, own] of byRun) this.#add({ type: "loaded", runId, tasks: own }, since);
  }

  // ---- Flushes

  async #commit(flush: Flush, options?: object): Promise<CommitOutcome> {
    const since = this.#last;
    const outcome = await this.#inner.commit(flush, options).catch((cause: unknown) => {
      this.#flushed(flush, { kind: "unknown", cause }, since);
      throw cause;
    });
    this.#flushed(flush, outcome, since);
    return outcome;
  }

  #flushed(flush: Flush, outcome: CommitOutcome, since: number): void {
    const before = this.#flushes.get(flush.id);
    const sends = (before?.sends ?? 0) + 1;
    if (before === undefined || (before.outcome !== "ok" && outcome.kind !== "unknown")) {
      // Taken at any time since it was first sent: its place is where that became known.
      if (before) this.history.splice(this.history.lastIndexOf(before), 1);
      const event = { ...flushedEvent(flush, outcome), sends };
      const added = this.#add(event, before?.since ?? since) as Flushed;
      this.#flushes.set(flush.id, added);
      this.#noteEnds(added);
      return;
    }
    const resent = { ...before, sends };
    this.history[this.history.lastIndexOf(before)] = resent;
    this.#flushes.set(flush.id, resent);
  }

  #noteEnds({ outcome, runs }: Flushed): void {
    if (outcome !== "ok") return;
    for (const { runId, fenced, run } of runs) {
      const known = this.#runs.get(runId);
      if (known && !fenced && run?.finishedAt !== undefined) known.finishedAt = run.finishedAt;
    }
  }

  async #remapRun(...[request, options]: Parameters<Storage["remapRun"]>): Promise<"moved" | "fenced"> {
    const since = this.#last;
    const outcome = await this.#inner.remapRun(request, options);
    const { runId, engineId: engine, epoch, definition, tasks } = request;
    const known = this.#runs.get(runId);
    // One that is of this definition already was left as it is.
    if (outcome !== "moved" || known?.definition === definition) return outcome;
    if (known !== undefined) known.definition = definition;
    this.#add({ type: "remapped", runId, engine, epoch, definition, tasks }, since);
    return outcome;
  }

  // ---- Messages

  async #send(...[messages, options]: Parameters<Storage["send"]>) {
    const since = this.#last;
    const results = await this.#inner.send(messages, options);
    for (const [place, result] of results.entries()) {
      if (result.kind === "sent") this.#add(sentEvent(messages[place]!), since);
    }
    return results;
  }

  async #sendSignals(...[signals, options]: Parameters<Storage["sendSignals"]>): Promise<void> {
    const since = this.#last;
    await this.#inner.sendSignals(signals, options);
    for (const { id, key } of signals) {
      this.#add({ type: "sent", id, runId: undefined, message: "signal", task: undefined, key }, since);
    }
  }

  // ---- Schedules

  async #putSchedules(...[schedules, options]: Parameters<Storage["putSchedules"]>): Promise<void> {
    const since = this.#last;
    await this.#inner.putSchedules(schedules, options);
    const changed = schedules.filter(({ id, spec }) => this.#schedules.get(id) !== spec);
    if (changed.length === 0) return;
    const stored = await this.#inner.schedules();
    for (const { id, spec } of changed) {
      const schedule = stored.find((record) => record.id === id);
      if (schedule === undefined || this.#schedules.get(id) === spec) continue;
      this.#schedules.set(id, spec);
      this.#add({ type: "scheduled", schedule }, since);
    }
  }

  async #fire(request: FireRequest, options?: object): Promise<"fired" | "lost"> {
    const since = this.#last;
    const outcome = await this.#inner.fire(request, options).catch((error: unknown) => {
      const { run } = request;
      if (run) this.#doubts.push(async () => void ((await this.#inner.getRun(run.id)) && this.#fired(request, since)));
      throw error;
    });
    if (outcome === "fired") this.#fired(request, since);
    return outcome;
  }

  #fired({ schedule, expected, next, run }: FireRequest, since: number): void {
    if (run && this.#runs.has(run.id)) return;
    this.#add({ type: "fired", schedule, expected, next, runId: run?.id, instant: run?.instant }, since);
    if (run) this.#created(run, since);
  }

  // ---- Deleting

  async #deleteRun(...[runId, options]: Parameters<Storage["deleteRun"]>) {
    const since = this.#last;
    const outcome = await this.#inner.deleteRun(runId, options);
    if (outcome === "deleted") this.#deleted(runId, since);
    return outcome;
  }

  async #prune(...[request, options]: Parameters<Storage["prune"]>): Promise<number> {
    const since = this.#last;
    const count = await this.#inner.prune(request, options);
    if (count === 0) return 0;
    const old = [...this.#runs].filter(([, { finishedAt }]) => finishedAt !== undefined && finishedAt < request.before);
    for (const [runId] of old) if (!(await this.#inner.getRun(runId))) this.#deleted(runId, since, true);
    return count;
  }

  #deleted(runId: string, since: number, isPruned = false): void {
    this.#runs.delete(runId);
    this.#add({ type: "deleted", runId, ...(isPruned && { isPruned }) }, since);
  }

  #add(event: NewEvent, since: number, at = this.#now()): HistoryEvent {
    this.#last = this.#sequence();
    const added = { ...event, seq: this.#last, since, at } as HistoryEvent;
    this.history.push(added);
    return added;
  }
}

function flushedEvent({ id, engineId, runs }: Flush, outcome: CommitOutcome): NewEvent<Flushed> {
  const fenced = outcome.kind === "ok" ? outcome.fenced : [];
  return {
    type: "flushed",
    flush: id,
    engine: engineId,
    outcome: outcome.kind,
    runs: runs.map((changes) => flushedRun(changes, fenced.length > 0 && fenced.includes(changes.runId))),
    rejected: outcome.kind === "rejected" ? outcome.values : [],
    sends: 1,
  };
}

function flushedRun(changes: RunChanges, fenced: boolean): FlushedRun {
  const { runId, epoch, run, tasks, attempts, steps, consumed, logs, cached } = changes;
  return { runId, epoch, fenced, run, tasks, attempts, steps, consumed, logs: logs.length, cached };
}

function sentEvent(message: RunMessage): NewEvent {
  const { id, runId, kind } = message;
  const event = { type: "sent", id, runId, message: kind, task: undefined } as const;
  switch (message.kind) {
    case "cancel":
      return { ...event, task: message.task };
    case "rerun":
      return { ...event, tasks: message.tasks };
    case "signal":
      return "task" in message.to ? { ...event, task: message.to.task } : { ...event, key: message.to.key };
    default:
      return event;
  }
}
