import {
  type ArtifactRecord,
  type CacheEntry,
  type CallOptions,
  type ClaimRequest,
  type CommitOutcome,
  type CreateResult,
  type DefinitionRecord,
  type EpochMs,
  type FireRequest,
  type Flush,
  type HistoryKind,
  type HistoryKinds,
  type HoldLeaseRequest,
  type HostTransaction,
  isRunFinished,
  type KeyedSignal,
  type LeaseHolder,
  type LeaseRequest,
  type LeaseState,
  type Look,
  type LookRequest,
  type NewRun,
  type Page,
  type PageRequest,
  type RemapRequest,
  type RunMessage,
  type RunRecord,
  type ScheduleRecord,
  type SendResult,
  type StepRecord,
  type Storage,
  type StorageContext,
  type StorageHint,
  type Survey,
  type TaskRecord,
  WeftlineError,
} from "weftline";
import { whileWanted } from "./deadline.js";
import { type PostgresSettings, type PostgresStorageOptions, readOptions } from "./options.js";
import { PostgresSchema } from "./schema.js";
import { Session } from "./session.js";

/**
 * Keeps runs in Postgres 13 or newer, for any number of engines in any number of processes.
 *
 * @throws {WeftlineError} `STORAGE_INVALID`, `POOL_TOO_SMALL` or `DURATION_INVALID` for options that make no sense.
 */
export function postgresStorage(options: PostgresStorageOptions): Storage {
  return new PostgresStorage(readOptions(options));
}

class PostgresStorage implements Storage {
  readonly supports;
  readonly schema: PostgresSchema;
  /** There exactly when hints are heard. */
  readonly listen?: (onHint: (hint: StorageHint) => void) => Promise<() => Promise<void>>;
  readonly #settings: PostgresSettings;
  /** Engines that share this object open and close it each for itself. */
  #opened = 0;
  #opening: Promise<Session> | undefined;
  #session: Session | undefined;

  constructor(settings: PostgresSettings) {
    this.#settings = settings;
    this.schema = new PostgresSchema(settings);
    const notify = settings.listener !== undefined;
    this.supports = { manyProcesses: true, hostTransactions: true, notify, durable: true };
    if (notify) this.listen = async (onHint) => this.#open().listener!.add(onHint);
  }

  async open(context: StorageContext): Promise<void> {
    this.#opening ??= Session.open(this.#settings, this.schema, context.log);
    try {
      this.#session = await this.#opening;
      this.#opened++;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#opened = Math.max(0, this.#opened - 1);
    if (this.#opened > 0) return;
    const session = this.#session;
    this.#session = undefined;
    this.#opening = undefined;
    await session?.close();
  }

  // ---- Engines

  async renewLease(request: LeaseRequest, options?: CallOptions): Promise<LeaseState> {
    const { ownership } = this.#open();
    return whileWanted(options?.signal, () => ownership.renewLease(request));
  }

  async holdLease(request: HoldLeaseRequest): Promise<LeaseHolder> {
    return this.#open().leases.hold(request);
  }

  async releaseLease(engineId: string, options?: CallOptions): Promise<void> {
    const { ownership, flushes, notifier } = this.#open();
    await whileWanted(options?.signal, () => ownership.releaseLease(engineId));
    flushes.forget(engineId);
    notifier?.hint("runs", []);
  }

  // ---- Runs

  async createRuns(
    runs: readonly NewRun[],
    options?: CallOptions & { readonly tx?: HostTransaction | undefined },
  ): Promise<readonly CreateResult[]> {
    const { creation, flushes, notifier } = this.#open();
    const { tx, signal } = options ?? {};
    const hint = () => {
      const free = runs.filter(({ owner }) => owner === undefined).map(({ id }) => id);
      if (free.length > 0) notifier?.hint("runs", free);
    };
    const results = await whileWanted(signal, () => (tx ? creation.createIn(tx, runs) : creation.create(runs)));
    for (const result of results)
      if (result.kind === "created" && result.run.owner) flushes.written.follow(result.run.id);
    if (tx === undefined) hint();
    else tx.afterCommit?.(hint);
    return results;
  }

  async claimRuns(request: ClaimRequest, options?: CallOptions): Promise<readonly RunRecord[]> {
    const { ownership, flushes } = this.#open();
    const runs = await whileWanted(options?.signal, () => ownership.claimRuns(request));
    for (const { id, epoch } of runs) {
      if (epoch === 1) flushes.written.follow(id);
      else flushes.written.forget(id);
    }
    return runs;
  }

  async loadTasks(runIds: readonly string[], page: PageRequest, options?: CallOptions): Promise<Page<TaskRecord>> {
    const { history } = this.#open();
    return whileWanted(options?.signal, () => history.loadTasks(runIds, page));
  }

  async loadSteps(runIds: readonly string[], page: PageRequest, options?: CallOptions): Promise<Page<StepRecord>> {
    const { history } = this.#open();
    return whileWanted(options?.signal, () => history.loadSteps(runIds, page));
  }

  async commit(flush: Flush, options?: CallOptions): Promise<CommitOutcome> {
    const { flushes, notifier } = this.#open();
    const outcome = await whileWanted(options?.signal, () => flushes.commit(flush));
    if (outcome.kind === "ok") {
      const ended = flush.runs.filter(({ run }) => run !== undefined && isRunFinished(run.status));
      if (ended.length > 0)
        notifier?.hint(
          "finished",
          ended.map(({ runId }) => runId),
        );
    }
    return outcome;
  }

  async remapRun(request: RemapRequest, options?: CallOptions): Promise<"moved" | "fenced"> {
    const { ownership, flushes } = this.#open();
    flushes.written.forget(request.runId);
    return whileWanted(options?.signal, () => ownership.remapRun(request));
  }

  // ---- The inbox of a run

  async send(messages: readonly RunMessage[], options?: CallOptions): Promise<readonly SendResult[]> {
    const { inbox, notifier } = this.#open();
    const results = await whileWanted(options?.signal, () => inbox.send(messages));
    const sent = messages.filter((_, place) => results[place]!.kind === "sent");
    if (sent.length > 0)
      notifier?.hint(
        "inbox",
        sent.map(({ runId }) => runId),
      );
    return results;
  }

  async sendSignals(signals: readonly KeyedSignal[], options?: CallOptions): Promise<void> {
    const { inbox, notifier } = this.#open();
    await whileWanted(options?.signal, () => inbox.sendSignals(signals));
    notifier?.hint("inbox", []);
  }

  async receive(engineId: string, options?: CallOptions): Promise<readonly RunMessage[]> {
    const { inbox } = this.#open();
    return whileWanted(options?.signal, () => inbox.receive(engineId));
  }

  async look(request: LookRequest, options?: CallOptions): Promise<Look> {
    const { ownership } = this.#open();
    return whileWanted(options?.signal, () => ownership.look(request));
  }

  // ---- History

  async getRun(runId: string, options?: CallOptions): Promise<RunRecord | undefined> {
    const { history } = this.#open();
    return whileWanted(options?.signal, () => history.getRun(runId));
  }

  async endedAmong(runIds: readonly string[], options?: CallOptions): Promise<readonly string[]> {
    const { history } = this.#open();
    return whileWanted(options?.signal, () => history.endedAmong(runIds));
  }

  async survey({ now }: { readonly now: EpochMs }, options?: CallOptions): Promise<Survey> {
    const { ownership } = this.#open();
    return whileWanted(options?.signal, () => ownership.survey(now));
  }

  async list<Kind extends HistoryKind>(
    kind: Kind,
    query: HistoryKinds[Kind]["query"],
    page: PageRequest,
    options?: CallOptions,
  ): Promise<Page<HistoryKinds[Kind]["record"]>> {
    const { history } = this.#open();
    return whileWanted(options?.signal, () => history.list(kind, query, page));
  }

  async getArtifact(runId: string, name: string, options?: CallOptions): Promise<ArtifactRecord | undefined> {
    const { history } = this.#open();
    return whileWanted(options?.signal, () => history.getArtifact(runId, name));
  }

  // ---- What outlives runs

  async getCached(key: string, now: EpochMs, options?: CallOptions): Promise<CacheEntry | undefined> {
    const { outliving } = this.#open();
    return whileWanted(options?.signal, () => outliving.getCached(key, now));
  }

  async putDefinitions(definitions: readonly DefinitionRecord[], options?: CallOptions): Promise<void> {
    const { outliving } = this.#open();
    return whileWanted(options?.signal, () => outliving.putDefinitions(definitions));
  }

  async getDefinition(hash: string, options?: CallOptions): Promise<DefinitionRecord | undefined> {
    const { outliving } = this.#open();
    return whileWanted(options?.signal, () => outliving.getDefinition(hash));
  }

  // ---- Schedules

  async schedules(options?: CallOptions): Promise<readonly ScheduleRecord[]> {
    const { outliving } = this.#open();
    return whileWanted(options?.signal, () => outliving.schedules());
  }

  async putSchedules(schedules: readonly ScheduleRecord[], options?: CallOptions): Promise<void> {
    const { outliving, notifier } = this.#open();
    await whileWanted(options?.signal, () => outliving.putSchedules(schedules));
    notifier?.hint("schedules", []);
  }

  async fire(request: FireRequest, options?: CallOptions): Promise<"fired" | "lost"> {
    const { outliving, notifier } = this.#open();
    const outcome = await whileWanted(options?.signal, () => outliving.fire(request));
    const { run } = request;
    if (outcome === "fired" && run !== undefined && run.owner === undefined) notifier?.hint("runs", [run.id]);
    return outcome;
  }

  // ---- Deleting

  async deleteRun(runId: string, options?: CallOptions): Promise<"deleted" | "active" | "unknown"> {
    const { outliving } = this.#open();
    return whileWanted(options?.signal, () => outliving.deleteRun(runId));
  }

  async prune(request: { readonly before: EpochMs; readonly limit: number }, options?: CallOptions): Promise<number> {
    const { outliving } = this.#open();
    return whileWanted(options?.signal, () => outliving.prune(request));
  }

  #open(): Session {
    if (this.#session) return this.#session;
    throw new WeftlineError(
      "STORAGE_CLOSED",
      "Cannot use this storage before open() or after close(). Use it through a started engine.",
    );
  }
}
