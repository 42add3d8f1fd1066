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
  type ScheduleRecord,
  type StepRecord,
  type TaskRecord,
} from "../../contracts/records.js";
import type {
  ClaimRequest,
  CommitOutcome,
  CreateResult,
  FireRequest,
  Flush,
  LeaseRequest,
  LeaseState,
  Look,
  LookRequest,
  RemapRequest,
  SendResult,
  Storage,
  StorageContext,
  StorageHint,
  Survey,
} from "../../contracts/storage.js";
import { WeftlineError } from "../../errors.js";
import { Inboxes } from "./inboxes.js";
import { listOfRun, listOfRuns } from "./listing.js";
import { Ownership } from "./ownership.js";
import { RunIndex } from "./run-index.js";
import type { RunStore } from "./run-store.js";
import { RunWriter } from "./run-writer.js";
import { surveyOf } from "./survey.js";

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
  readonly #writer = new RunWriter({
    runs: this.#runs,
    ownership: this.#ownership,
    inboxes: this.#inboxes,
    cache: (entry) => void this.#cache.set(entry.key, entry),
    hint: (topic, ids) => this.#hint(topic, ids),
  });
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

  async renewLease(request: LeaseRequest): Promise<LeaseState> {
    const now = this.#now();
    const hadRuns = this.#ownership.owns(request.engineId);
    const state = this.#ownership.renew(request, now);
    if (state.lost && hadRuns) this.#hint("runs", []);
    return state;
  }

  async releaseLease(engineId: string): Promise<void> {
    this.#now();
    const hadRuns = this.#ownership.owns(engineId);
    this.#ownership.release(engineId);
    if (hadRuns) this.#hint("runs", []);
  }

  // ---- Runs

  async createRuns(runs: readonly NewRun[]): Promise<readonly CreateResult[]> {
    this.#now();
    return this.#writer.create(runs);
  }

  async claimRuns(request: ClaimRequest): Promise<readonly RunRecord[]> {
    this.#ownership.buryDead(this.#now());
    if (request.runId === undefined) return this.#ownership.claim(request);
    return this.#ownership.claimOne(this.#runs.get(request.runId), request);
  }

  async loadTasks(runIds: readonly string[], page: PageRequest): Promise<Page<TaskRecord>> {
    this.#now();
    return listOfRuns("tasks", this.#runsOf(runIds), page, "loadTasks");
  }

  async loadSteps(runIds: readonly string[], page: PageRequest): Promise<Page<StepRecord>> {
    this.#now();
    return listOfRuns("steps", this.#runsOf(runIds), page, "loadSteps");
  }

  async commit(flush: Flush): Promise<CommitOutcome> {
    this.#now();
    const engine = this.#ownership.get(flush.engineId);
    if (engine?.lastFlush?.id === flush.id) return engine.lastFlush.outcome;
    if (engine === undefined || flush.number < (engine.lastFlush?.number ?? 0)) {
      return { kind: "ok", fenced: flush.runs.map((run) => run.runId) };
    }
    const fenced: string[] = [];
    for (const changes of flush.runs) {
      if (this.#writer.write(flush.engineId, changes) === "fenced") fenced.push(changes.runId);
    }
    const outcome: CommitOutcome = { kind: "ok", fenced };
    engine.lastFlush = { id: flush.id, number: flush.number, outcome };
    return outcome;
  }

  async remapRun(request: RemapRequest): Promise<"moved" | "fenced"> {
    this.#now();
    return this.#writer.move(request);
  }

  // ---- The inbox of a run

  async send(messages: readonly RunMessage[]): Promise<readonly SendResult[]> {
    this.#now();
    const results = messages.map((message) => this.#writer.accept(message));
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

  async look(request: LookRequest): Promise<Look> {
    const storeNow = this.#now();
    return {
      storeNow,
      claimable: this.#ownership.isAnyClaimable(request, storeNow),
      messages: this.#inboxes.hasNews(request.engineId),
      nextWake: this.#ownership.nextWake(request),
    };
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

  async endedAmong(runIds: readonly string[]): Promise<readonly string[]> {
    this.#now();
    return runIds.filter((id) => {
      const run = this.#runs.get(id);
      return run === undefined || isRunFinished(run.record.status);
    });
  }

  async survey({ now }: { readonly now: EpochMs }): Promise<Survey> {
    const storeNow = this.#now();
    return surveyOf(this.#ownership.engines, this.#runs, now, storeNow);
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
    if (run !== undefined) this.#writer.create([run]);
    this.#schedules.set(id, { ...schedule, lastAt: expected, nextAt: next });
    return "fired";
  }

  // ---- Deleting

  async deleteRun(runId: string): Promise<"deleted" | "active" | "unknown"> {
    this.#now();
    return this.#writer.delete(runId);
  }

  async prune({ before, limit }: { readonly before: EpochMs; readonly limit: number }): Promise<number> {
    const now = this.#now();
    for (const { key, expiresAt } of this.#cache.values()) {
      if (expiresAt <= now && expiresAt < before) this.#cache.delete(key);
    }
    this.#inboxes.dropSignals(before);
    return this.#writer.deleteEnded(before, limit);
  }

  #now(): EpochMs {
    if (this.#context) return this.#context.now();
    throw new WeftlineError(
      "STORAGE_CLOSED",
      "Cannot use this storage before open() or after close(). Use it through a started engine.",
    );
  }

  #runsOf(ids: readonly string[]): readonly (RunStore | undefined)[] {
    return ids.map((id) => this.#runs.get(id));
  }

  #hint(topic: StorageHint["topic"], ids: readonly string[]): void {
    // After the call that caused it, as a database would: whoever hears it can already see the change.
    for (const listener of this.#listeners) void Promise.resolve().then(() => listener({ topic, ids }));
  }
}
