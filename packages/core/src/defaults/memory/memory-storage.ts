import type { EpochMs } from "../../clock.js";
import {
  type ArtifactRecord,
  type CacheEntry,
  type DefinitionRecord,
  type HistoryKind,
  type HistoryKinds,
  isRunFinished,
  type KeyedSignal,
  type NewRun,
  type Page,
  type PageRequest,
  type RunMessage,
  type RunQuery,
  type RunRecord,
  type RunStatus,
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
import { type ErrorCode, WeftlineError } from "../../errors.js";
import { Inboxes } from "./inboxes.js";
import { listOfRun } from "./listing.js";
import { Ownership } from "./ownership.js";
import { RunIndex } from "./run-index.js";
import type { RunStore } from "./run-store.js";

/**
 * Keeps everything in this process's memory: the default, and what tests use. Nothing survives the process, but the
 * data outlives `close()`: a second engine on the same object finds what the first one left.
 */
export function memoryStorage(): Storage {
  return new MemoryStorage();
}

class MemoryStorage implements Storage {
  readonly supports = { manyProcesses: false, hostTransactions: false, notify: true, durable: false };
  readonly #runs = new RunIndex();
  readonly #ownership = new Ownership();
  readonly #inboxes = new Inboxes();
  readonly #cache = new Map<string, CacheEntry>();
  readonly #definitions = new Map<string, DefinitionRecord>();
  readonly #schedules = new Map<string, ScheduleRecord>();
  readonly #listeners = new Set<(hint: StorageHint) => void>();
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

  // ---- Engines

  async renewLease(engineId: string, leaseMs: number): Promise<LeaseState> {
    return this.#ownership.renew(engineId, leaseMs, this.#now());
  }

  async releaseLease(engineId: string): Promise<void> {
    this.#now();
    if (this.#ownership.release(engineId)) this.#hint("runs", []);
  }

  // ---- Runs

  async createRuns(runs: readonly NewRun[]): Promise<readonly CreateResult[]> {
    this.#now();
    return this.#createAll(runs);
  }

  async claimRuns(request: ClaimRequest): Promise<readonly RunRecord[]> {
    return this.#ownership.claim(request, this.#now());
  }

  async loadRun(runId: string, page: PageRequest): Promise<Page<TaskRecord>> {
    return this.list("tasks", { runId }, page);
  }

  async commit(flush: Flush): Promise<CommitOutcome> {
    this.#now();
    const engine = this.#ownership.get(flush.engineId);
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

  // ---- The inbox of a run

  async send(messages: readonly RunMessage[]): Promise<readonly SendResult[]> {
    this.#now();
    const results = messages.map((message) => this.#accept(message));
    const ids = messages.map((message) => message.runId);
    this.#hint("inbox", ids);
    return results;
  }

  async sendSignals(signals: readonly KeyedSignal[]): Promise<void> {
    this.#now();
    for (const signal of signals) this.#inboxes.keep(signal);
    this.#hint("inbox", []);
  }

  async receive(engineId: string): Promise<readonly RunMessage[]> {
    this.#now();
    return this.#inboxes.receive(engineId);
  }

  async nextWake(now: EpochMs): Promise<EpochMs | undefined> {
    this.#now();
    return this.#ownership.nextWake(now);
  }

  async listen(onHint: (hint: StorageHint) => void): Promise<() => Promise<void>> {
    this.#now();
    this.#listeners.add(onHint);
    return async () => {
      this.#listeners.delete(onHint);
    };
  }

  // ---- History

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
    if (!("runId" in query)) return this.#runs.list(query as RunQuery, page);
    const run = this.#runs.get(query.runId);
    return run ? listOfRun(kind, run, query, page) : { items: [], next: undefined };
  }

  async getArtifact(runId: string, name: string): Promise<ArtifactRecord | undefined> {
    this.#now();
    return this.#runs
      .get(runId)
      ?.lines("artifacts")
      .findLast((artifact) => artifact.name === name);
  }

  // ---- What outlives runs

  async getCached(key: string, now: EpochMs): Promise<CacheEntry | undefined> {
    this.#now();
    const entry = this.#cache.get(key);
    return entry && entry.expiresAt > now ? entry : undefined;
  }

  async putDefinitions(definitions: readonly DefinitionRecord[]): Promise<void> {
    this.#now();
    for (const definition of definitions) {
      // Kept as it is: the graph of a large pipeline is made only when somebody reads it.
      if (!this.#definitions.has(definition.hash)) this.#definitions.set(definition.hash, definition);
    }
  }

  async getDefinition(hash: string): Promise<DefinitionRecord | undefined> {
    this.#now();
    return this.#definitions.get(hash);
  }

  // ---- Schedules

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

  async fire({ schedule: id, expected, next, run }: FireRequest): Promise<"fired" | "lost"> {
    this.#now();
    const schedule = this.#schedules.get(id);
    if (schedule?.nextAt !== expected) return "lost";
    if (run !== undefined) this.#createAll([run]);
    this.#schedules.set(id, { ...schedule, lastAt: expected, nextAt: next });
    return "fired";
  }

  // ---- Deleting

  async deleteRun(runId: string): Promise<"deleted" | "active" | "unknown"> {
    this.#now();
    const run = this.#runs.get(runId);
    if (run === undefined) return "unknown";
    if (!isRunFinished(run.record.status)) return "active";
    this.#runs.delete(run);
    this.#inboxes.forget(run);
    return "deleted";
  }

  async prune({ before, limit }: { readonly before: EpochMs; readonly limit: number }): Promise<number> {
    const now = this.#now();
    const deleted = this.#runs.deleteWhere((record) => hasEndedBefore(record, before), limit);
    for (const run of deleted) this.#inboxes.forget(run);
    for (const { key, expiresAt } of this.#cache.values()) {
      if (expiresAt <= now && expiresAt < before) this.#cache.delete(key);
    }
    return deleted.length;
  }

  #now(): EpochMs {
    if (this.#context) return this.#context.now();
    throw new WeftlineError(
      "STORAGE_CLOSED",
      "Cannot use this storage before open() or after close(). Use it through a started engine.",
    );
  }

  #createAll(runs: readonly NewRun[]): readonly CreateResult[] {
    for (const { owner } of runs) if (owner !== undefined) this.#ownership.engine(owner); // all or nothing
    const results = runs.map((run) => this.#runs.existing(run) ?? this.#create(run));
    const ids = runs.map((run) => run.id);
    if (runs.some((run) => run.owner === undefined)) this.#hint("runs", ids);
    return results;
  }

  #create(run: NewRun): CreateResult {
    const record = recordOf(run);
    this.#ownership.add(this.#runs.add(record));
    return { kind: "created", run: record };
  }

  /** @returns False when the run belongs to somebody else by now. */
  #write(engineId: string, changes: RunChanges): boolean {
    const run = this.#runs.get(changes.runId);
    if (run?.record.owner !== engineId || run.record.epoch !== changes.epoch) return false;
    run.write(changes);
    for (const entry of changes.cached) this.#cache.set(entry.key, entry);
    this.#inboxes.consume(run, changes.consumed);
    if (this.#inboxes.follow(run, changes.tasks)) this.#hint("inbox", [run.record.id]);
    if (changes.run) this.#setState(run, { ...run.record, ...changes.run });
    return true;
  }

  #setState(run: RunStore, record: RunRecord): void {
    const makesRoom = this.#ownership.setState(run, record);
    if (!isRunFinished(record.status)) return;
    this.#inboxes.empty(run);
    this.#hint("finished", [record.id]);
    if (makesRoom) this.#hint("runs", []);
  }

  #accept(message: RunMessage): SendResult {
    const run = this.#runs.get(message.runId);
    if (run === undefined) return { kind: "refused", code: "RUN_UNKNOWN" };
    const refusal = refusalOf(message, run.record.status);
    if (refusal !== undefined) return { kind: "refused", code: refusal };
    if (message.kind === "resume" || message.kind === "rerun") this.#openAgain(run);
    if (isWholeCancel(message) && message.sentAt < run.record.availableAt) this.#makeDue(run, message.sentAt);
    this.#inboxes.put(run, message);
    return { kind: "sent" };
  }

  #openAgain(run: RunStore): void {
    run.record = { ...run.record, status: "queued", finishedAt: undefined, error: undefined };
    this.#ownership.add(run);
  }

  #makeDue(run: RunStore, availableAt: EpochMs): void {
    run.record = { ...run.record, availableAt };
    if (run.record.owner === undefined) this.#ownership.add(run);
  }

  #hint(topic: StorageHint["topic"], ids: readonly string[]): void {
    // After the call that caused it, as a database would: whoever hears it can already see the change.
    for (const listener of this.#listeners) void Promise.resolve().then(() => listener({ topic, ids }));
  }
}

/** Named one by one: an object that is spread into one of more properties becomes a slow table of 800 bytes. */
function recordOf(run: NewRun): RunRecord {
  return {
    id: run.id,
    pipeline: run.pipeline,
    definition: run.definition,
    params: run.params,
    key: run.key,
    fingerprint: run.fingerprint,
    tags: run.tags,
    priority: run.priority,
    parent: run.parent,
    createdAt: run.createdAt,
    availableAt: run.availableAt,
    schedule: run.schedule,
    instant: run.instant,
    owner: run.owner,
    status: "queued",
    generation: 1,
    epoch: run.owner === undefined ? 0 : 1,
    startedAt: undefined,
    finishedAt: undefined,
    deadlineAt: undefined,
    error: undefined,
  };
}

/** Why a run in this status cannot be told that. */
function refusalOf({ kind }: RunMessage, status: RunStatus): ErrorCode | undefined {
  const isFinished = isRunFinished(status);
  if (kind === "rerun") return isFinished ? undefined : "RUN_ACTIVE";
  if (kind !== "resume") return isFinished ? "RUN_FINISHED" : undefined;
  if (!isFinished) return "RUN_ACTIVE";
  return status === "succeeded" ? "RUN_FINISHED" : undefined;
}

function isWholeCancel(message: RunMessage): boolean {
  return message.kind === "cancel" && message.task === undefined;
}

function hasEndedBefore({ status, finishedAt }: RunRecord, before: EpochMs): boolean {
  return isRunFinished(status) && finishedAt !== undefined && finishedAt < before;
}
