import { existsSync } from "node:fs";
import type {
  ArtifactRecord,
  CacheEntry,
  CallOptions,
  ClaimRequest,
  CommitOutcome,
  CreateResult,
  DefinitionRecord,
  EpochMs,
  FireRequest,
  Flush,
  HistoryKind,
  HistoryKinds,
  HoldLeaseRequest,
  KeyedSignal,
  LeaseHolder,
  LeaseRequest,
  LeaseState,
  Look,
  LookRequest,
  NewRun,
  Page,
  PageRequest,
  RemapRequest,
  RunMessage,
  RunQuery,
  RunRecord,
  ScheduleRecord,
  SendResult,
  StepRecord,
  Storage,
  StorageContext,
  StorageSchema,
  Survey,
  TaskRecord,
} from "weftline";
import { getCached } from "./cache.js";
import { claimRuns } from "./claims.js";
import { type Connection, closed } from "./connection.js";
import { createRuns, fire, getDefinition, listSchedules, putDefinitions, putSchedules } from "./creation.js";
import { deleteRun, pruneRest, pruneRuns, purge } from "./deletion.js";
import { commitFlush } from "./flush.js";
import { endedAmong, getArtifact, getRun, listRuns } from "./history.js";
import { receiveMessages, sendMessages } from "./inbox.js";
import { canHoldLeases, LeaseHolders } from "./lease-holder.js";
import { look, survey } from "./look.js";
import { SqliteSchema } from "./migrations.js";
import { openDatabase } from "./open.js";
import { readOptions, type Settings, type SqliteStorageOptions } from "./options.js";
import { releaseLease, renewLease } from "./ownership.js";
import { remapRun } from "./remap.js";
import { listOfRun, loadSteps, loadTasks } from "./run-history.js";
import { keepSignals } from "./signals.js";
import { storeClock } from "./store-clock.js";
import { Workers } from "./workers.js";

/**
 * Keeps everything in one SQLite file: durable, without a service, for one process or several on one machine.
 *
 * @throws {WeftlineError} `STORAGE_INVALID`, `DURATION_INVALID` for options that cannot be.
 */
export function sqliteStorage(options: SqliteStorageOptions): Storage {
  return new SqliteStorage(readOptions(options));
}

interface Opened {
  readonly connection: Connection;
  readonly workers: Workers;
  readonly holders: LeaseHolders;
  readonly now: () => EpochMs;
}

class SqliteStorage implements Storage {
  readonly supports = { manyProcesses: true, hostTransactions: false, notify: false, durable: true };
  readonly schema: StorageSchema;
  /** Missing where no thread can renew leases. */
  readonly holdLease?: (request: HoldLeaseRequest) => Promise<LeaseHolder>;
  readonly #settings: Settings;
  #opened: Promise<Opened> | undefined;
  /** Engines that share this object open and close it each for itself. */
  #openings = 0;
  #wasThere = false;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.schema = new SqliteSchema(settings);
    if (canHoldLeases(settings)) this.holdLease = (request) => this.#holdLease(request);
  }

  async open(context: StorageContext): Promise<void> {
    this.#opened ??= this.#open(context);
    try {
      await this.#opened;
      this.#openings++;
    } catch (error) {
      this.#opened = undefined;
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#openings = Math.max(0, this.#openings - 1);
    if (this.#openings > 0) return;
    const opened = this.#opened;
    this.#opened = undefined;
    await this.schema.close();
    if (opened === undefined) return;
    const { holders, connection } = await opened;
    await holders.stop();
    connection.close();
  }

  // ---- Engines

  renewLease(request: LeaseRequest, options?: CallOptions): Promise<LeaseState> {
    return this.#write(({ connection }) => renewLease(connection, request, storeClock()), options);
  }

  releaseLease(engineId: string, options?: CallOptions): Promise<void> {
    return this.#write(({ connection }) => releaseLease(connection, engineId), options);
  }

  // ---- Runs

  createRuns(runs: readonly NewRun[], options?: CallOptions): Promise<readonly CreateResult[]> {
    return this.#write(({ connection }) => createRuns(connection, runs), options);
  }

  claimRuns(request: ClaimRequest, options?: CallOptions): Promise<readonly RunRecord[]> {
    return this.#write(({ connection }) => claimRuns(connection, request, storeClock()), options);
  }

  loadTasks(runIds: readonly string[], page: PageRequest, options?: CallOptions): Promise<Page<TaskRecord>> {
    return this.#read(({ connection }) => loadTasks(connection, runIds, page), options);
  }

  loadSteps(runIds: readonly string[], page: PageRequest, options?: CallOptions): Promise<Page<StepRecord>> {
    return this.#read(({ connection }) => loadSteps(connection, runIds, page), options);
  }

  async commit(flush: Flush, options?: CallOptions): Promise<CommitOutcome> {
    const { connection, workers } = await this.#use();
    return commitFlush(connection, workers, flush, options);
  }

  remapRun(request: RemapRequest, options?: CallOptions): Promise<"moved" | "fenced"> {
    return this.#write(({ connection }) => remapRun(connection, request), options);
  }

  // ---- The inbox of a run

  send(messages: readonly RunMessage[], options?: CallOptions): Promise<readonly SendResult[]> {
    return this.#write(({ connection }) => sendMessages(connection, messages), options);
  }

  sendSignals(signals: readonly KeyedSignal[], options?: CallOptions): Promise<void> {
    return this.#write(({ connection }) => keepSignals(connection, signals), options);
  }

  async receive(engineId: string, options?: CallOptions): Promise<readonly RunMessage[]> {
    const { connection } = await this.#use();
    return receiveMessages(connection, engineId, options);
  }

  look(request: LookRequest, options?: CallOptions): Promise<Look> {
    return this.#read(({ connection }) => {
      connection.checkFile();
      return look(connection, request, storeClock());
    }, options);
  }

  // ---- History

  getRun(runId: string, options?: CallOptions): Promise<RunRecord | undefined> {
    return this.#read(({ connection }) => getRun(connection, runId), options);
  }

  endedAmong(runIds: readonly string[], options?: CallOptions): Promise<readonly string[]> {
    return this.#read(({ connection }) => endedAmong(connection, runIds), options);
  }

  survey({ now }: { readonly now: EpochMs }, options?: CallOptions): Promise<Survey> {
    return this.#read(({ connection }) => survey(connection, now, storeClock()), options);
  }

  list<Kind extends HistoryKind>(
    kind: Kind,
    query: HistoryKinds[Kind]["query"],
    page: PageRequest,
    options?: CallOptions,
  ): Promise<Page<HistoryKinds[Kind]["record"]>> {
    return this.#read(({ connection, workers }) => {
      if (kind === "runs") return listRuns(connection, query as RunQuery, page);
      return listOfRun(connection, workers, kind, query as never, page);
    }, options) as Promise<Page<HistoryKinds[Kind]["record"]>>;
  }

  getArtifact(runId: string, name: string, options?: CallOptions): Promise<ArtifactRecord | undefined> {
    return this.#read(({ connection }) => getArtifact(connection, runId, name), options);
  }

  // ---- What outlives runs

  getCached(key: string, now: EpochMs, options?: CallOptions): Promise<CacheEntry | undefined> {
    return this.#read(({ connection }) => getCached(connection, key, now), options);
  }

  putDefinitions(definitions: readonly DefinitionRecord[], options?: CallOptions): Promise<void> {
    return this.#write(({ connection }) => putDefinitions(connection, definitions), options);
  }

  getDefinition(hash: string, options?: CallOptions): Promise<DefinitionRecord | undefined> {
    return this.#read(({ connection }) => getDefinition(connection, hash), options);
  }

  // ---- Schedules

  schedules(options?: CallOptions): Promise<readonly ScheduleRecord[]> {
    return this.#read(({ connection }) => listSchedules(connection), options);
  }

  putSchedules(schedules: readonly ScheduleRecord[], options?: CallOptions): Promise<void> {
    return this.#write(({ connection }) => putSchedules(connection, schedules), options);
  }

  fire(request: FireRequest, options?: CallOptions): Promise<"fired" | "lost"> {
    return this.#write(({ connection }) => fire(connection, request), options);
  }

  // ---- Deleting

  async deleteRun(runId: string, options?: CallOptions): Promise<"deleted" | "active" | "unknown"> {
    const answer = await this.#write(({ connection }) => deleteRun(connection, runId), options);
    if (answer === "deleted") await this.#purge(options);
    return answer;
  }

  async prune(
    { before, limit }: { readonly before: EpochMs; readonly limit: number },
    options?: CallOptions,
  ): Promise<number> {
    while (await this.#write(({ connection, now }) => pruneRest(connection, before, now()), options));
    let deleted = 0;
    for (let more = PRUNED_AT_ONCE; more === PRUNED_AT_ONCE && deleted < limit; deleted += more) {
      const size = Math.min(PRUNED_AT_ONCE, limit - deleted);
      more = await this.#write(({ connection }) => pruneRuns(connection, before, size), options);
    }
    await this.#purge(options);
    return deleted;
  }

  async #holdLease(request: HoldLeaseRequest): Promise<LeaseHolder> {
    const { holders } = await this.#use();
    return holders.hold(request, () => this.renewLease({ ...request, isNew: false }));
  }

  async #purge(options?: CallOptions): Promise<void> {
    while (await this.#write(({ connection }) => purge(connection), options));
  }

  async #read<Value>(work: (opened: Opened) => Value, options?: CallOptions): Promise<Value> {
    const opened = await this.#use();
    return opened.connection.read(() => work(opened), options);
  }

  async #write<Value>(work: (opened: Opened) => Value, options?: CallOptions): Promise<Value> {
    const opened = await this.#use();
    return opened.connection.write(() => work(opened), options);
  }

  #use(): Promise<Opened> {
    return this.#opened ?? Promise.reject(closed());
  }

  async #open({ log, now }: StorageContext): Promise<Opened> {
    const connection = await openDatabase(this.#settings, { log, mayCreate: !this.#wasThere });
    this.#wasThere = existsSync(this.#settings.file);
    return { connection, workers: new Workers(connection), holders: new LeaseHolders(this.#settings), now };
  }
}

/** How many runs one transaction deletes; their records follow in others. */
const PRUNED_AT_ONCE = 200;
