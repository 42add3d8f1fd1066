import type { EpochMs } from "../../clock.js";
import {
  type ArtifactRecord,
  type HistoryKind,
  type HistoryKinds,
  isRunFinished,
  type NewRun,
  type Page,
  type PageRequest,
  type RunMessage,
  type RunQuery,
  type RunRecord,
  type ScheduleRecord,
  type TaskRecord,
} from "../../contracts/records.js";
import type {
  ClaimRequest,
  CommitOutcome,
  CreateResult,
  FireRequest,
  Flush,
  LeaseState,
  RunChanges,
  SendResult,
  Storage,
  StorageContext,
  StorageHint,
} from "../../contracts/storage.js";
import { WeftlineError } from "../../errors.js";
import { listOfRun, listRuns } from "./listing.js";
import { RunStore } from "./run-store.js";

/**
 * Keeps everything in this process's memory: the default, and what tests use. Nothing survives the process, but the
 * data outlives `close()`: a second engine on the same object finds what the first one left.
 */
export function memoryStorage(): Storage {
  return new MemoryStorage();
}

interface EngineEntry {
  leaseUntil: EpochMs;
  readonly owned: Set<RunStore>;
  /** The last commit and its answer, for one that is sent again. */
  lastFlush: { readonly id: string; readonly outcome: CommitOutcome } | undefined;
}

class MemoryStorage implements Storage {
  readonly supports = { manyProcesses: false, hostTransactions: false, notify: true, durable: false };
  readonly #runs = new Map<string, RunStore>();
  /** Pipeline and key → run. */
  readonly #keys = new Map<string, RunStore>();
  readonly #engines = new Map<string, EngineEntry>();
  /** Unfinished runs without an owner, oldest first. */
  readonly #free = new Set<RunStore>();
  readonly #withMessages = new Set<RunStore>();
  readonly #schedules = new Map<string, ScheduleRecord>();
  readonly #listeners = new Set<(hint: StorageHint) => void>();
  /** Runs that were given back, or opened again, stand behind younger ones. */
  #isFreeUnsorted = false;
  /** When each waiting message arrived, among all. */
  readonly #arrivals = new WeakMap<RunMessage, number>();
  #arrived = 0;
  #sequence = 0;
  #opened = 0;
  #context: StorageContext | undefined;

  async open(context: StorageContext): Promise<void> {
    this.#context = context;
    this.#opened++;
  }

  /** Engines that share this object open and close it each for itself. */
  async close(): Promise<void> {
    this.#opened = Math.max(0, this.#opened - 1);
    if (this.#opened === 0) this.#context = undefined;
  }

  async renewLease(engineId: string, leaseMs: number): Promise<LeaseState> {
    const now = this.#now();
    const engine = this.#engines.get(engineId);
    const lost = engine !== undefined && engine.leaseUntil <= now;
    if (engine) engine.leaseUntil = now + leaseMs;
    else this.#engines.set(engineId, { leaseUntil: now + leaseMs, owned: new Set(), lastFlush: undefined });
    return { now, lost };
  }

  async releaseLease(engineId: string): Promise<void> {
    this.#now();
    const engine = this.#engines.get(engineId);
    this.#engines.delete(engineId);
    for (const run of engine?.owned ?? []) this.#setFree(run);
    if (engine && engine.owned.size > 0) this.#hint("runs", []);
  }

  async createRuns(runs: readonly NewRun[]): Promise<readonly CreateResult[]> {
    this.#now();
    for (const { owner } of runs) if (owner !== undefined) this.#engine(owner); // all or nothing
    const results = runs.map((run) => this.#existing(run) ?? this.#create(run));
    if (runs.some((run) => run.owner === undefined))
      this.#hint(
        "runs",
        runs.map((run) => run.id),
      );
    return results;
  }

  async claimRuns(request: ClaimRequest): Promise<readonly RunRecord[]> {
    this.#freeOrphans();
    const engine = this.#engine(request.engineId);
    const claimed: RunRecord[] = [];
    for (const run of this.#freeOldestFirst()) {
      if (claimed.length === request.limit) break;
      if (run.record.availableAt > request.now || !request.definitions.includes(run.record.definition)) continue;
      run.record = { ...run.record, owner: request.engineId, epoch: run.record.epoch + 1 };
      this.#free.delete(run);
      engine.owned.add(run);
      claimed.push(run.record);
    }
    return claimed;
  }

  async loadRun(runId: string, page: PageRequest): Promise<Page<TaskRecord>> {
    return this.list("tasks", { runId }, page);
  }

  async commit(flush: Flush): Promise<CommitOutcome> {
    this.#now();
    const engine = this.#engines.get(flush.engineId);
    if (engine === undefined) return { kind: "ok", fenced: flush.runs.map((run) => run.runId) };
    if (engine.lastFlush?.id === flush.id) return engine.lastFlush.outcome;
    const fenced: string[] = [];
    for (const changes of flush.runs) {
      if (!this.#write(flush.engineId, changes)) fenced.push(changes.runId);
    }
    const outcome: CommitOutcome = { kind: "ok", fenced };
    engine.lastFlush = { id: flush.id, outcome };
    return outcome;
  }

  async send(messages: readonly RunMessage[]): Promise<readonly SendResult[]> {
    this.#now();
    const results = messages.map((message) => this.#accept(message));
    this.#hint(
      "inbox",
      messages.map((message) => message.runId),
    );
    return results;
  }

  async receive(engineId: string): Promise<readonly RunMessage[]> {
    this.#now();
    const messages: RunMessage[] = [];
    for (const run of this.#withMessages) if (run.record.owner === engineId) messages.push(...run.inbox);
    return messages.sort((a, b) => this.#arrivals.get(a)! - this.#arrivals.get(b)!);
  }

  async nextWake(now: EpochMs): Promise<EpochMs | undefined> {
    this.#now();
    let earliest = Number.POSITIVE_INFINITY;
    const consider = (moment: EpochMs) => {
      if (moment > now && moment < earliest) earliest = moment;
    };
    for (const run of this.#free) consider(run.record.availableAt);
    for (const engine of this.#engines.values()) if (engine.owned.size > 0) consider(engine.leaseUntil);
    return Number.isFinite(earliest) ? earliest : undefined;
  }

  async listen(onHint: (hint: StorageHint) => void): Promise<() => Promise<void>> {
    this.#now();
    this.#listeners.add(onHint);
    return async () => {
      this.#listeners.delete(onHint);
    };
  }

  async getRun(runId: string): Promise<RunRecord | undefined> {
    this.#now();
    return this.#runs.get(runId)?.record;
  }

  async list<Kind extends HistoryKind>(
    kind: Kind,
    query: HistoryKinds[Kind]["query"],
    page: PageRequest,
  ): Promise<Page<HistoryKinds[Kind]["record"]>> {
    this.#now();
    if (!("runId" in query)) return listRuns([...this.#runs.values()], query as RunQuery, page);
    const run = this.#runs.get(query.runId);
    return run ? listOfRun(kind, run, query, page) : { items: [], next: undefined };
  }

  async getArtifact(runId: string, name: string): Promise<ArtifactRecord | undefined> {
    this.#now();
    return this.#runs.get(runId)?.artifacts.findLast((artifact) => artifact.name === name);
  }

  async schedules(): Promise<readonly ScheduleRecord[]> {
    this.#now();
    return [...this.#schedules.values()];
  }

  async putSchedules(schedules: readonly ScheduleRecord[]): Promise<void> {
    this.#now();
    for (const schedule of schedules) {
      if (this.#schedules.get(schedule.id)?.spec !== schedule.spec) this.#schedules.set(schedule.id, schedule);
    }
    this.#hint("schedules", []);
  }

  async fire(request: FireRequest): Promise<"fired" | "lost"> {
    this.#now();
    const schedule = this.#schedules.get(request.schedule);
    if (schedule?.nextAt !== request.expected) return "lost";
    this.#schedules.set(schedule.id, { ...schedule, lastAt: request.expected, nextAt: request.next });
    if (request.run && !this.#existing(request.run)) {
      this.#create(request.run);
      this.#hint("runs", [request.run.id]);
    }
    return "fired";
  }

  async prune(request: { readonly before: EpochMs; readonly limit: number }): Promise<number> {
    this.#now();
    let deleted = 0;
    for (const [id, { record }] of this.#runs) {
      if (deleted === request.limit) break;
      if (!isRunFinished(record.status) || record.finishedAt === undefined || record.finishedAt >= request.before)
        continue;
      this.#runs.delete(id);
      if (record.key !== undefined) this.#keys.delete(keyOf(record.pipeline, record.key));
      deleted++;
    }
    return deleted;
  }

  #now(): EpochMs {
    if (this.#context) return this.#context.now();
    throw new WeftlineError(
      "STORAGE_CLOSED",
      "Cannot use this storage before open() or after close(). Use it through a started engine.",
    );
  }

  #engine(engineId: string): EngineEntry {
    const engine = this.#engines.get(engineId);
    if (engine) return engine;
    throw new WeftlineError(
      "LEASE_LOST",
      `Cannot write for engine "${engineId}", which holds no lease. Call renewLease() first.`,
    );
  }

  #existing(run: NewRun): CreateResult | undefined {
    const known = run.key === undefined ? undefined : this.#keys.get(keyOf(run.pipeline, run.key))?.record;
    if (known === undefined) return undefined;
    if (known.fingerprint === run.fingerprint) return { kind: "existing", run: known };
    return { kind: "conflict", runId: known.id };
  }

  #create(run: NewRun): CreateResult {
    const record: RunRecord = {
      ...run,
      status: "queued",
      epoch: run.owner === undefined ? 0 : 1,
      startedAt: undefined,
      finishedAt: undefined,
      deadlineAt: undefined,
      error: undefined,
    };
    const store = new RunStore(record, ++this.#sequence);
    this.#runs.set(run.id, store);
    if (run.key !== undefined) this.#keys.set(keyOf(run.pipeline, run.key), store);
    if (run.owner === undefined) this.#free.add(store);
    else this.#engine(run.owner).owned.add(store);
    return { kind: "created", run: record };
  }

  /** @returns False when the run belongs to somebody else by now. */
  #write(engineId: string, changes: RunChanges): boolean {
    const run = this.#runs.get(changes.runId);
    if (run?.record.owner !== engineId || run.record.epoch !== changes.epoch) return false;
    run.apply(changes);
    if (run.inbox.length === 0) this.#withMessages.delete(run);
    if (changes.run) this.#setState(run, { ...run.record, ...changes.run });
    return true;
  }

  #setState(run: RunStore, record: RunRecord): void {
    run.record = record;
    if (!isRunFinished(record.status)) return;
    this.#engines.get(record.owner!)?.owned.delete(run);
    run.record = { ...record, owner: undefined };
    run.inbox.length = 0;
    this.#withMessages.delete(run);
    this.#hint("finished", [record.id]);
  }

  #accept(message: RunMessage): SendResult {
    const run = this.#runs.get(message.runId);
    if (run === undefined) return { kind: "refused", code: "RUN_UNKNOWN" };
    const finished = isRunFinished(run.record.status);
    if (message.kind === "resume") {
      if (!finished) return { kind: "refused", code: "RUN_ACTIVE" };
      if (run.record.status === "succeeded") return { kind: "refused", code: "RUN_FINISHED" };
      run.record = { ...run.record, status: "queued", finishedAt: undefined, error: undefined };
      this.#free.add(run);
      this.#isFreeUnsorted = true;
    } else if (finished) {
      return { kind: "refused", code: "RUN_FINISHED" };
    } else if (message.task === undefined && message.sentAt < run.record.availableAt) {
      run.record = { ...run.record, availableAt: message.sentAt };
    }
    run.inbox.push(message);
    this.#arrivals.set(message, ++this.#arrived);
    this.#withMessages.add(run);
    return { kind: "sent" };
  }

  #freeOrphans(): void {
    const now = this.#now();
    for (const engine of this.#engines.values()) {
      if (engine.leaseUntil > now) continue;
      for (const run of engine.owned) this.#setFree(run);
      engine.owned.clear();
    }
  }

  #freeOldestFirst(): Iterable<RunStore> {
    if (this.#isFreeUnsorted) {
      const runs = [...this.#free].sort((a, b) => a.sequence - b.sequence);
      this.#free.clear();
      for (const run of runs) this.#free.add(run);
      this.#isFreeUnsorted = false;
    }
    return this.#free;
  }

  #setFree(run: RunStore): void {
    this.#isFreeUnsorted = true;
    run.record = { ...run.record, owner: undefined };
    this.#free.add(run);
  }

  #hint(topic: StorageHint["topic"], ids: readonly string[]): void {
    // After the call that caused it, as a database would: whoever hears it can already see the change.
    for (const listener of this.#listeners) void Promise.resolve().then(() => listener({ topic, ids }));
  }
}

/** Ids contain no line breaks, so two different pairs never make the same text. */
function keyOf(pipeline: string, key: string): string {
  return `${pipeline}\n${key}`;
}
