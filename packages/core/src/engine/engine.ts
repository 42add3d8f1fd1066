import type { EpochMs } from "../clock.js";
import type { Executor } from "../contracts/executor.js";
import type { DefinitionRecord, NewRun, RunRecord } from "../contracts/records.js";
import type { RejectedValue, Storage, StorageHint, Survey } from "../contracts/storage.js";
import type { TaskDefinition } from "../define/definition.js";
import { describePipeline } from "../define/description.js";
import { type Duration, durationMs } from "../define/duration.js";
import { validateParams } from "../define/params.js";
import type { Pipeline } from "../define/pipeline.js";
import { WeftlineError } from "../errors.js";
import { checkListener, type EngineEventName, type EngineListener, EventHub } from "../events.js";
import { LentResources } from "../execute/resources.js";
import { guardLogger, type Logger } from "../logger.js";
import { type Encoded, encode } from "../values/codec.js";
import { fingerprint } from "../values/fingerprint.js";
import { NO_VALUE_LIMITS } from "../values/limits.js";
import * as abortReasons from "./abort-reasons.js";
import type { ActiveRun } from "./active-run.js";
import { Breather } from "./breather.js";
import { checkedOptions } from "./check-query.js";
import { ChildRuns } from "./child-runs.js";
import { Dispatcher } from "./dispatcher.js";
import type { EngineCore } from "./engine-core.js";
import { EngineLease } from "./engine-lease.js";
import { type EngineOptions, type EngineSettings, engineSettings } from "./engine-options.js";
import { engineStoppedFor } from "./errors.js";
import { type Health, healthOf } from "./health.js";
import { Journal } from "./journal.js";
import { type Gate, Limit, Pool } from "./limits.js";
import { Ownership } from "./ownership.js";
import { RegisteredPipeline } from "./registry.js";
import { reloadRejected } from "./reload.js";
import { readResult } from "./results.js";
import { Retention } from "./retention.js";
import { RunCreator } from "./run-creator.js";
import { type RunEnd, RunEnds } from "./run-ends.js";
import { runEvents } from "./run-events.js";
import type { NamedEvent, RunHandle } from "./run-handle.js";
import { type CancelOptions, Runs } from "./runs.js";
import { Schedules } from "./schedules.js";
import { StrayRuns } from "./stray-runs.js";
import { type TriggerOptions, triggerFacts } from "./trigger-options.js";

const DEFAULT_STOP_GRACE_MS = 30_000;
/** The ends of other engines' runs are looked for at least as often, in milliseconds. */
const MAX_END_POLL_MS = 1_000;
/** How long a stopping engine waits for storage to confirm the last changes. */
const LAST_FLUSH_MS = 5_000;

export interface StopOptions {
  /** How long running attempts may go on before they are aborted. Default: `"30s"`. */
  readonly grace?: Duration;
}

/**
 * Creates an engine. It does nothing until `start()`; runs triggered before that wait in storage.
 *
 * @throws {WeftlineError} `ENGINE_INVALID`, `EXECUTOR_UNKNOWN`, `DURATION_INVALID`.
 */
export function createEngine(options: EngineOptions): Engine {
  return new Engine(engineSettings(options));
}

/** The object that owns runs: one per process as a rule, many per database. */
export class Engine {
  readonly runs: Runs;
  readonly schedules: Schedules;
  readonly #settings: EngineSettings;
  readonly #resources: LentResources;
  readonly #storage: Storage;
  readonly #log: Logger;
  readonly #events: EventHub;
  readonly #byId = new Map<string, RegisteredPipeline>();
  readonly #byDefinition = new Map<string, RegisteredPipeline>();
  readonly #core: EngineCore;
  readonly #ownership: Ownership;
  readonly #creator: RunCreator;
  readonly #ends: RunEnds;
  readonly #lease: EngineLease;
  readonly #retention: Retention;
  #opening: Promise<void> | undefined;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  readonly #startedExecutors = new Set<Executor>();
  #isRunning = false;
  #unlisten: (() => Promise<void>) | undefined;

  /** @internal Use {@link createEngine}. */
  constructor(settings: EngineSettings) {
    this.#settings = settings;
    this.#resources = new LentResources(settings.resources);
    this.#storage = settings.storage;
    this.#log = guardLogger(settings.log);
    this.#events = new EventHub((event, error) =>
      this.#log.error({ event, error }, "a listener threw; the run goes on"),
    );
    this.#lease = this.#makeLease();
    this.#core = this.#makeCore();
    this.#register();
    this.#ownership = new Ownership({
      core: this.#core,
      storage: this.#storage,
      entries: this.#byDefinition,
      pollMs: settings.pollMs,
      onStoreClock: (storeNow, at) => this.#lease.sawStoreClock(storeNow, at),
      onGone: (ids) => this.#ends.look(ids),
    });
    this.#creator = new RunCreator(this.#storage, settings.clock, this.#ownership);
    this.#ends = new RunEnds({
      storage: this.#storage,
      clock: settings.clock,
      pollMs: Math.min(settings.pollMs, MAX_END_POLL_MS),
      isOurs: (id) => this.#ownership.has(id),
    });
    this.#retention = new Retention({ ...settings, log: this.#log });
    const pipelineOf = (definition: string) => this.#byDefinition.get(definition)?.pipeline;
    const pipelineOfId = (id: string) => this.#byId.get(id)?.pipeline;
    this.runs = new Runs({
      storage: this.#storage,
      ownership: this.#ownership,
      newId: settings.newId,
      now: () => settings.clock.now(),
      ready: () => this.#open("use it"),
      claim: async () => (this.#isRunning ? this.#ownership.claim() : undefined),
      pipelineOf,
      pipelineOfId,
      strays: new StrayRuns({
        core: this.#core,
        storage: this.#storage,
        ownership: this.#ownership,
        isRunning: () => this.#isRunning,
        pipelineOf,
        pipelineOfId,
      }),
      limits: settings.limits,
      engineId: settings.engineId,
      total: this.#core.dispatcher.total,
      handle: (runId, pipeline) => this.#handle(runId, pipeline),
    });
    this.schedules = new Schedules({
      storage: this.#storage,
      clock: settings.clock,
      log: this.#log,
      pipelines: settings.pipelines,
      newRun: (pipeline, params, instant) => this.#newRun(pipeline, params, {}, instant),
    });
  }

  /** Which engine this is in history: its name and a random part. */
  get id(): string {
    return this.#settings.engineId;
  }

  /**
   * Opens storage, starts the executors and begins to run what is due. A second call does nothing; after a failure
   * it can be called again.
   *
   * @throws {WeftlineError} `ENGINE_STOPPED`, and whatever storage or an executor fails with.
   */
  start(): Promise<void> {
    if (this.#stopping) return Promise.reject(engineStoppedFor("start it"));
    this.#starting ??= this.#start().catch((error: unknown) => {
      this.#starting = undefined;
      throw error;
    });
    return this.#starting;
  }

  /**
   * Starts nothing more, lets running attempts end, writes what is left to write and gives unfinished runs back to
   * storage for the next engine. Calling it twice, before `start()` or inside a task is fine.
   */
  stop({ grace }: StopOptions = {}): Promise<void> {
    const graceMs = grace === undefined ? DEFAULT_STOP_GRACE_MS : durationMs(grace, "grace of stop()");
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  /**
   * Creates a run. It is durable, as far as storage is, when this resolves.
   *
   * @throws {WeftlineError} `PARAMS_INVALID` before anything is written; `PIPELINE_UNKNOWN`; `IDEMPOTENCY_CONFLICT`
   * when the key was used with other params; `ENGINE_STOPPED`.
   */
  async trigger<Params, Result>(
    pipeline: Pipeline<Params, Result>,
    ...[params, options = {}]: TriggerArguments<NoInfer<Params>>
  ): Promise<RunHandle<Result>> {
    const own = this.#known(pipeline as unknown as Pipeline);
    const { tx } = checkedOptions(options);
    if (tx !== undefined && !this.#storage.supports.hostTransactions) throw noHostTransactions();
    await this.#open("start runs with it");
    const run = await this.#newRun(own, params, options, undefined);
    const { term } = this.#ownership;
    const result = tx === undefined ? await this.#creator.create(run) : await this.#creator.createIn(tx, run);
    if (result.kind === "conflict") {
      throw new WeftlineError(
        "IDEMPOTENCY_CONFLICT",
        `key "${options.key}" was used with other params (run ${result.runId}). Use another key for other work, or the same params for the same work.`,
      );
    }
    // One that exists under the id we made is ours too: a first answer was lost.
    if (tx === undefined && (result.kind === "created" || result.run.id === run.id)) this.#created(result.run, term);
    return this.#handle(result.run.id, own) as RunHandle<Result>;
  }

  /** `trigger` and wait for the result; starts the engine if that has not been done. */
  async run<Params, Result>(
    pipeline: Pipeline<Params, Result>,
    ...args: TriggerArguments<NoInfer<Params>>
  ): Promise<Result> {
    await this.start();
    const handle = await this.trigger(pipeline, ...args);
    return handle.result();
  }

  /** How the engine is, for probes and people: it asks storage, and never throws. */
  async health(): Promise<Health> {
    const { clock } = this.#settings;
    let survey: Survey | undefined;
    let surveyError: unknown;
    try {
      await this.#open("ask how it is");
      survey = await this.#storage.survey({ now: clock.now() });
    } catch (error) {
      surveyError = error;
    }
    return healthOf({
      engineId: this.id,
      isRunning: this.#isRunning && this.#stopping === undefined,
      now: clock.now(),
      journal: this.#core.journal.facts,
      lease: this.#lease.facts,
      clockSkewMs: this.#lease.skewMs,
      runs: this.#ownership.active.size + this.#ownership.parked.size,
      attempts: this.#core.dispatcher.active,
      survey,
      surveyError,
    });
  }

  /**
   * Deletes runs that ended longer ago, with all their history: never one that has not ended, nor one whose parent or
   * child has not. See also the option `retention`.
   *
   * @returns How many.
   * @throws {WeftlineError} `DURATION_INVALID`, and whatever storage fails with.
   */
  async prune({ olderThan }: { readonly olderThan: Duration }): Promise<number> {
    const keepMs = durationMs(olderThan, "olderThan of prune()");
    await this.#open("prune with it");
    return this.#retention.prune(keepMs);
  }

  /** Listens to an event. @returns A function that ends it. */
  on<Name extends EngineEventName>(name: Name, listener: EngineListener<Name>): () => void {
    checkListener(name, listener, "on");
    return this.#events.on(name, listener);
  }

  off<Name extends EngineEventName>(name: Name, listener: EngineListener<Name>): void {
    checkListener(name, listener, "off");
    this.#events.off(name, listener);
  }

  #created(run: RunRecord, term: number): void {
    // Whoever asked twice finds a run that others may have claimed meanwhile.
    if (run.owner === this.id && run.epoch === 1) this.#ownership.own(run, term);
    // Storage may be one that gives no hints.
    else if (run.owner === undefined && this.#isRunning) this.#ownership.onHint({ topic: "runs", ids: [run.id] });
  }

  #makeLease(): EngineLease {
    const { storage, engineId, registered, leaseMs, maxBlockedMs, clock } = this.#settings;
    const definitions = registered.map(({ hash }) => hash);
    return new EngineLease({
      ...{ storage, engineId, definitions, leaseMs, maxBlockedMs, clock },
      log: this.#log,
      onLost: () => this.#ownership.lose(),
      onHeldAgain: () => this.#core.dispatcher.goOn(),
    });
  }

  #makeCore(): EngineCore {
    const { engineId, clock, random, newId, limits, graceMs, concurrency, quarantineAfter } = this.#settings;
    const breather = new Breather(clock);
    const log = this.#log;
    return {
      engineId,
      clock,
      random,
      newId,
      log,
      events: this.#events,
      limits,
      resources: this.#resources,
      graceMs,
      storage: this.#storage,
      children: this.#makeChildren(),
      journal: new Journal({ storage: this.#storage, engineId, clock, log, breather }),
      dispatcher: new Dispatcher(concurrency, breather, this.#lease.isHeld),
      quarantineAfter,
      lookForSignals: () => this.#ownership.onHint({ topic: "inbox", ids: [] }),
      runWaits: (run, wakeAt) => this.#ownership.park(run, wakeAt),
      runTrusted: (run) => this.#ownership.trusted(run),
      runFinished: (run) => this.#finished(run),
      runLost: (run) => this.#letGo(run),
      runRejected: (run, values) => this.#runRejected(run, values),
    };
  }

  #makeChildren(): ChildRuns {
    const { newId, clock, limits } = this.#settings;
    return new ChildRuns({
      storage: this.#storage,
      log: this.#log,
      newId,
      now: () => clock.now(),
      newRun: (pipeline, params, options) => this.#newRun(pipeline, params, options, undefined),
      create: async (run) => {
        const { term } = this.#ownership;
        const result = await this.#creator.create(run);
        if (result.kind === "created" || (result.kind === "existing" && result.run.id === run.id))
          this.#created(result.run, term);
      },
      adopt: (run) => {
        if (!this.#ownership.has(run.id)) this.#created(run, this.#ownership.term);
      },
      endOf: (id) => this.#endOf(id),
      resultOf: async (end, pipeline) => encode(await readResult(this.#storage, end, pipeline), "output", limits),
      claim: () => this.#ownership.claim(),
      said: (runId) => this.#ownership.onHint({ topic: "inbox", ids: [runId] }),
      later: (again) => this.#ownership.later(again),
    });
  }

  #register(): void {
    const slots = new Map<Executor, Limit>();
    for (const executor of this.#settings.executors.values()) {
      if (Number.isFinite(executor.slots)) slots.set(executor, new Limit(executor.slots, "the executor's slots"));
    }
    const fallback = this.#settings.executors.get("default")!;
    const options = {
      clock: this.#settings.clock,
      executorOf: (task: TaskDefinition) => this.#settings.executors.get(task.executor) ?? fallback,
      slots,
      pools: new Map([...this.#settings.pools].map(([name, size]) => [name, new Pool(name, size)])),
      onRoom: (gate: Gate) => this.#core.dispatcher.roomIn(gate),
    };
    for (const pipeline of this.#settings.registered) {
      const entry = new RegisteredPipeline(pipeline, options);
      this.#byId.set(pipeline.id, entry);
      this.#byDefinition.set(pipeline.hash, entry);
    }
  }

  #known(pipeline: Pipeline): Pipeline {
    const known = this.#byId.get(pipeline?.id)?.pipeline;
    if (known?.hash === pipeline?.hash && known !== undefined) return known;
    throw new WeftlineError(
      "PIPELINE_UNKNOWN",
      `Cannot start pipeline "${pipeline?.id}" as this engine ${known ? "has another version of it" : "does not have it"}. Give it to createEngine({ pipelines }).`,
    );
  }

  #open(what: string): Promise<void> {
    if (this.#stopping) return Promise.reject(engineStoppedFor(what));
    this.#opening ??= this.#openStorage().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #openStorage(): Promise<void> {
    await this.#storage.open({ log: this.#log, now: this.#settings.clock.now });
    // Before any run is made: each keeps the graph it ran with.
    await this.#storage.putDefinitions(this.#settings.registered.map((pipeline) => new Definition(pipeline)));
  }

  async #start(): Promise<void> {
    await this.#open("start it");
    try {
      await this.#startExecutors();
      await this.#lease.take();
      await this.schedules.register();
      this.#unlisten = await this.#storage.listen?.((hint) => this.#onHint(hint));
      this.#isRunning = true;
      await this.#ownership.claimFirst();
      this.#startRetention();
      await this.#settings.scheduler.start({
        clock: this.#settings.clock,
        log: this.#log,
        nextDue: () => this.schedules.nextDue(),
        due: () => this.schedules.fireDue(),
      });
    } catch (error) {
      this.#isRunning = false;
      await this.#unlisten?.();
      await this.#lease.stop();
      throw error;
    }
  }

  #startRetention(): void {
    const { retentionMs } = this.#settings;
    if (retentionMs !== undefined) this.#retention.start(retentionMs);
    else if (this.#storage.supports.durable) {
      this.#log.warn({}, "finished runs are kept for ever, as retention is off; delete them with engine.prune()");
    }
  }

  async #startExecutors(): Promise<void> {
    const { clock, executors, limits } = this.#settings;
    const resources = await this.#resources.open();
    for (const executor of executors.values()) {
      if (this.#startedExecutors.has(executor)) continue; // also when start() is called again after a failure
      const entries = [...this.#byId].filter(([, entry]) => entry.executors.includes(executor));
      const pipelines = new Map(entries.map(([id, { pipeline }]) => [id, pipeline]));
      await executor.start({ log: this.#log, clock, pipelines, resources, limits });
      this.#startedExecutors.add(executor);
    }
  }

  async #stopExecutors(): Promise<void> {
    for (const executor of this.#startedExecutors) {
      this.#startedExecutors.delete(executor);
      await this.#attempt("stop an executor", () => executor.stop({ graceMs: this.#settings.graceMs }));
    }
    await this.#attempt("end the resources", () => this.#resources.close());
  }

  #onHint(hint: StorageHint): void {
    // Of our own runs the journal says when they have ended, after their last events.
    if (hint.topic === "finished") this.#ends.look(hint.ids.filter((id) => !this.#ownership.has(id)));
    else if (hint.topic === "schedules") this.#settings.scheduler.changed();
    else if (this.#isRunning) this.#ownership.onHint(hint);
  }

  async #stop(graceMs: number): Promise<void> {
    await this.#starting?.catch(() => undefined);
    if (this.#isRunning) await this.#drain(graceMs);
    this.#isRunning = false;
    await this.#stopExecutors();
    this.#ends.close(engineStoppedFor("wait for a run"));
    const opened = this.#opening;
    if (opened) await this.#attempt("close storage", () => opened.then(() => this.#storage.close()));
    this.#events.clear();
  }

  async #drain(graceMs: number): Promise<void> {
    const { scheduler } = this.#settings;
    const { dispatcher, journal } = this.#core;
    await this.#attempt("stop the scheduler", () => scheduler.stop());
    await this.#retention.stop();
    await this.#ownership.close();
    const idle = dispatcher.close();
    if (!(await this.#settlesWithin(idle, graceMs))) {
      for (const run of this.#ownership.active.values()) run.interrupt(abortReasons.engineStopped());
      // A little longer than the executors' own patience, so that they get to say what became of their attempts.
      await this.#settlesWithin(idle, this.#settings.graceMs + 100);
    }
    for (const run of this.#ownership.active.values()) run.interrupt(abortReasons.engineStopped());
    if (!(await this.#settlesWithin(journal.idle(), LAST_FLUSH_MS))) {
      journal.halt();
      this.#log.error({}, "the store did not confirm the last changes; the next engine does again what they hold");
    }
    for (const run of this.#ownership.active.values()) run.close();
    for (const entry of this.#byId.values()) entry.close();
    await this.#stopExecutors(); // before others may start what these still run
    await this.#attempt("end the subscription to storage", async () => this.#unlisten?.());
    await this.#attempt("release the lease", () => this.#lease.release());
  }

  /** A step of stopping that fails must not keep the next ones from being made. */
  async #attempt(what: string, step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.#log.error({ error }, `could not ${what} while stopping`);
    }
  }

  async #settlesWithin(work: Promise<void>, ms: number): Promise<boolean> {
    const { clock } = this.#settings;
    let clear = () => {};
    const timeout = new Promise<false>((resolve) => {
      clear = clock.timer(clock.now() + ms, () => resolve(false));
    });
    const settled = await Promise.race([work.then(() => true), timeout]);
    clear();
    return settled;
  }

  async #newRun(
    pipeline: Pipeline,
    params: unknown,
    options: TriggerOptions,
    instant: EpochMs | undefined,
  ): Promise<NewRun> {
    const facts = triggerFacts(options);
    const valid = await validateParams(pipeline, params);
    const now = this.#settings.clock.now();
    const availableAt = options.at === undefined ? now : Number(options.at);
    const isOurs = this.#isRunning && !this.#stopping && instant === undefined && availableAt <= now;
    // Where runs are limited in number, whoever claims them counts them.
    const isLimited = pipeline.settings.maxActiveRuns !== undefined;
    return {
      id: this.#settings.newId(),
      pipeline: pipeline.id,
      definition: pipeline.hash,
      params: encode(valid, "params", this.#settings.limits),
      key: facts.key,
      fingerprint: facts.key === undefined ? "" : fingerprint(valid),
      tags: facts.tags,
      priority: facts.priority,
      parent: undefined,
      createdAt: now,
      availableAt,
      schedule: instant === undefined ? undefined : pipeline.id,
      instant,
      owner: isOurs && !isLimited ? this.#settings.engineId : undefined,
    };
  }

  #handle(id: string, pipeline: Pipeline): RunHandle {
    return {
      id,
      result: async () => readResult(this.#storage, await this.#endOf(id), pipeline),
      status: async () => (await this.runs.get(id)).status,
      cancel: (options?: CancelOptions) => this.runs.cancel(id, options),
      signal: (task, payload) => this.runs.signal(id, task, payload),
      events: (): AsyncIterableIterator<NamedEvent> => runEvents(this.#events, id, this.#endOf(id)),
    };
  }

  async #endOf(id: string): Promise<RunEnd> {
    await this.#open("wait for a run");
    return this.#ends.of(id);
  }

  #finished(run: ActiveRun): void {
    this.#ends.ended({ record: run.lastRecord, run });
    this.#letGo(run);
  }

  /** Whoever waits for the run's end looks now: it is there, or has to be asked of its new owner. */
  #letGo(run: ActiveRun): void {
    this.#ownership.release(run);
    this.#ends.look([run.id]);
    // Another run of the pipeline may take its place.
    if (run.entry.pipeline.settings.maxActiveRuns !== undefined) this.#ownership.onHint({ topic: "runs", ids: [] });
  }

  #runRejected(run: ActiveRun, values: readonly RejectedValue[]): void {
    reloadRejected(run, values, this.#ownership, this.#core);
  }
}

function noHostTransactions(): WeftlineError {
  return new WeftlineError(
    "TRANSACTION_INVALID",
    "this storage cannot join a transaction of the host. Leave out tx, or use a storage in the same database, such as postgresStorage().",
  );
}

/** Made when it is read: a store that knows the definition does not read the graph of a pipeline of any size. */
class Definition implements DefinitionRecord {
  readonly #pipeline: Pipeline;

  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline;
  }

  get hash(): string {
    return this.#pipeline.hash;
  }

  get pipeline(): string {
    return this.#pipeline.id;
  }

  get graph(): Encoded {
    return encode(describePipeline(this.#pipeline), "output", NO_VALUE_LIMITS);
  }
}

/** Params may be left out where none are required. */
export type TriggerArguments<Params> =
  Record<never, never> extends Params
    ? [params?: Params, options?: TriggerOptions]
    : [params: Params, options?: TriggerOptions];
