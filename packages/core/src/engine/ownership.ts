import type { EpochMs } from "../clock.js";
import { isRunFinished, type RunMessage, type RunRecord, type TaskRecord } from "../contracts/records.js";
import type { Storage, StorageHint } from "../contracts/storage.js";
import { restore } from "../run/restore.js";
import { RunState } from "../run/state.js";
import { decode } from "../values/codec.js";
import { ActiveRun } from "./active-run.js";
import type { EngineCore } from "./engine-core.js";
import { Outputs } from "./outputs.js";
import { everyRecord } from "./paging.js";
import { ParkedRuns } from "./parked-runs.js";
import type { RegisteredPipeline } from "./registry.js";
import type { RunParts } from "./run-parts.js";
import { RunSteps } from "./run-steps.js";

const CLAIM_LIMIT = 100;
/** After storage failed to answer, it is asked again this much later. */
const RETRY_MS = 1_000;

/** What is known of a run's tasks. */
type LoadedRun = Pick<RunParts, "state" | "outputs" | "steps">;

/** A run taken up once more, with the messages that still wait for it. */
export interface RunAgain {
  readonly run: ActiveRun;
  readonly messages: readonly RunMessage[];
}

/** Which runs this engine owns: takes new ones up, delivers their messages, and lets finished ones go. */
export class Ownership {
  readonly active = new Map<string, ActiveRun>();
  readonly parked: ParkedRuns;
  readonly #core: EngineCore;
  readonly #storage: Storage;
  /** By definition hash. */
  readonly #entries: ReadonlyMap<string, RegisteredPipeline>;
  /** Claimed and not yet taken up. */
  #claimed: RunRecord[] = [];
  /** Parked before, and on their way back into memory. */
  readonly #unparking = new Set<string>();
  /** Timers of {@link later}. */
  readonly #retries = new Set<() => void>();
  #claiming: Promise<void> | undefined;
  #claimAgain = false;
  #clearWake: (() => void) | undefined;
  #isClosed = false;

  constructor(core: EngineCore, storage: Storage, entries: ReadonlyMap<string, RegisteredPipeline>) {
    this.#core = core;
    this.#storage = storage;
    this.#entries = entries;
    this.parked = new ParkedRuns(core.clock, (ids) => this.#inBackground(this.#unpark(ids)));
  }

  /** Whether a run is this engine's, in memory or not. */
  has(runId: string): boolean {
    return this.active.has(runId) || this.parked.has(runId) || this.#unparking.has(runId);
  }

  /** Looks for runs that are due and takes them up; settles when there are no more. Asking again meanwhile looks once more. */
  claim(): Promise<void> {
    this.#claimAgain = true;
    this.#claiming ??= this.#claimAll()
      .finally(() => {
        this.#claiming = undefined;
      })
      .then(() => (this.#claimAgain && !this.#isClosed ? this.claim() : undefined));
    return this.#claiming;
  }

  /** Takes up a run that was created as ours. */
  own(record: RunRecord): void {
    const entry = this.#entries.get(record.definition)!;
    const state = new RunState(entry.pipeline.plan);
    this.#activate(entry, record, { state, outputs: new Outputs(state), steps: new RunSteps(state) }).begin([]);
  }

  /** A run that only waits need not stay in memory. */
  park(run: ActiveRun, wakeAt: EpochMs | undefined): void {
    if (this.#isClosed || !this.parked.isWorthIt(wakeAt) || this.active.get(run.id) !== run) return;
    run.close();
    this.active.delete(run.id);
    this.parked.park(run.id, wakeAt, run.applied);
  }

  onHint({ topic, ids }: StorageHint): void {
    if (topic === "runs") this.#inBackground(this.claim());
    if (topic === "inbox" && (ids.length === 0 || ids.some((id) => this.has(id)))) this.#inBackground(this.deliver());
    // A message may have made a finished run due again.
    if (topic === "inbox" && ids.some((id) => !this.has(id))) this.#inBackground(this.claim());
  }

  /** Hands the messages of the inbox to the runs they are for. */
  async deliver(): Promise<void> {
    const messages = await this.#storage.receive(this.#core.engineId);
    for (const message of messages) this.active.get(message.runId)?.receive(message);
    const woken = messages.filter(({ runId, id }) => this.parked.isNews(runId, id)).map(({ runId }) => runId);
    if (woken.length > 0) await this.#unpark([...new Set(woken)]);
  }

  /** Runs that only waited have something to do: they are read from storage again, some at a time. */
  async #unpark(ids: readonly string[]): Promise<void> {
    const parked = ids.filter((id) => this.parked.has(id));
    for (const id of parked) this.#unparking.add(id);
    for (const id of parked) this.parked.leave(id);
    for (let first = 0; first < parked.length && !this.#isClosed; first += CLAIM_LIMIT) {
      await this.#takeUpParked(parked.slice(first, first + CLAIM_LIMIT));
    }
  }

  async #takeUpParked(ids: readonly string[]): Promise<void> {
    const runs = new Map<string, ActiveRun>();
    try {
      for (const id of ids) {
        const record = await this.#storage.getRun(id);
        if (record?.owner !== this.#core.engineId || isRunFinished(record.status)) this.#unparking.delete(id);
        else if (!this.active.has(id)) runs.set(id, await this.#takeUp(record));
      }
      // After loading, as with claimed runs: what is said from now on finds them in memory.
      const inbox = await this.#storage.receive(this.#core.engineId);
      for (const run of runs.values()) {
        if (this.#isClosed) this.#drop(run);
        else run.begin(inbox.filter((message) => message.runId === run.id));
      }
    } catch (error) {
      this.#core.log.warn({ runs: ids, error }, "runs that waited could not be read again; trying once more");
      for (const run of runs.values()) this.#drop(run);
      const left = this.#isClosed ? [] : ids.filter((id) => this.#unparking.has(id) && !this.active.has(id));
      for (const id of left) this.parked.park(id, this.#core.clock.now() + RETRY_MS);
    }
    for (const id of ids) this.#unparking.delete(id);
  }

  /** Lets go of a run that has not begun. */
  #drop(run: ActiveRun): void {
    run.close();
    this.release(run);
  }

  release(run: ActiveRun): void {
    if (this.active.get(run.id) === run) this.active.delete(run.id);
  }

  /** Calls `again` after a while, unless the engine stops before. */
  later(again: () => void): void {
    const { clock } = this.#core;
    const clear = clock.timer(clock.now() + RETRY_MS, () => {
      this.#retries.delete(clear);
      again();
    });
    this.#retries.add(clear);
  }

  /** Takes nothing up any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const clear of this.#retries) clear();
    this.parked.close();
    this.#clearWake?.();
    await this.#claiming?.catch(() => undefined);
    this.#clearWake?.();
  }

  /** Reads a run of ours from storage again, as after a takeover. @returns `undefined` when it is not ours any more. */
  async takeUpAgain(former: ActiveRun): Promise<RunAgain | undefined> {
    const record = await this.#storage.getRun(former.id);
    if (record?.owner !== this.#core.engineId || record.epoch !== former.record.epoch) {
      former.fenced();
      return undefined;
    }
    const run = await this.#takeUp(record);
    const inbox = await this.#storage.receive(this.#core.engineId);
    return { run, messages: inbox.filter((message) => message.runId === run.id) };
  }

  async #claimAll(): Promise<void> {
    while (this.#claimAgain && !this.#isClosed) {
      this.#claimAgain = false;
      await this.#takeUpClaimed(); // those that an earlier failure left behind
      const definitions = [...this.#entries.keys()];
      const { engineId, clock } = this.#core;
      const request = { engineId, definitions, maxActiveRuns: this.#maxActiveRuns(), limit: CLAIM_LIMIT };
      const claimed = await this.#storage.claimRuns({ ...request, now: clock.now() });
      this.#claimed.push(...claimed);
      await this.#takeUpClaimed();
      if (claimed.length === CLAIM_LIMIT) this.#claimAgain = true;
      if (!this.#claimAgain) await this.#armWake(); // somebody may ask again meanwhile
    }
  }

  async #armWake(): Promise<void> {
    if (this.#isClosed) return;
    const now = this.#core.clock.now();
    const wake = await this.#storage.nextWake(now);
    const retry = this.#claimed.length > 0 ? now + RETRY_MS : undefined;
    this.#wakeAt(retry === undefined ? wake : Math.min(retry, wake ?? retry));
  }

  #maxActiveRuns(): Readonly<Record<string, number>> {
    const limits: [string, number][] = [];
    for (const { pipeline } of this.#entries.values()) {
      const { maxActiveRuns } = pipeline.settings;
      if (maxActiveRuns !== undefined) limits.push([pipeline.id, maxActiveRuns]);
    }
    return Object.fromEntries(limits);
  }

  /**
   * Claimed runs are ours whatever happens next: one that could not be loaded stays on the list until it can, and does
   * not hold up the others.
   */
  async #takeUpClaimed(): Promise<void> {
    const runs: ActiveRun[] = [];
    const left: RunRecord[] = [];
    for (const record of this.#claimed) {
      try {
        runs.push(await this.#takeUp(record));
      } catch (error) {
        this.#core.log.error({ runId: record.id, error }, "a run could not be loaded; trying again");
        left.push(record);
      }
    }
    if (runs.length === 0) return;
    // After loading and before beginning: a resume decides what there is to begin.
    const inbox = await this.#storage.receive(this.#core.engineId);
    this.#claimed = left;
    for (const run of runs) run.begin(inbox.filter((message) => message.runId === run.id));
  }

  async #takeUp(record: RunRecord): Promise<ActiveRun> {
    const entry = this.#entries.get(record.definition)!;
    return this.#activate(entry, record, await this.load(record, entry));
  }

  /** Where the tasks of a run stand, as storage has it. @param isOurs - False: another engine goes on with what runs. */
  async load(record: RunRecord, entry: Pick<RegisteredPipeline, "pipeline">, isOurs = true): Promise<LoadedRun> {
    const records: TaskRecord[] = [];
    const pages = everyRecord((page) => this.#storage.loadRun(record.id, page));
    for await (const task of pages) records.push(task);
    const state = restore(entry.pipeline.plan, records, (branch) => String(decode(branch.output!)), isOurs);
    const outputs = new Outputs(state);
    for (const { output, position, index, generation } of records) {
      const instance = output === undefined ? undefined : state.instanceAt(position, index);
      // Records of what a list held before it was expanded anew may still be there.
      if (instance !== undefined && generation === state.generationOf(instance)) outputs.set(instance, output);
    }
    const steps = new RunSteps(state);
    for await (const step of everyRecord((page) => this.#storage.list("steps", { runId: record.id }, page))) {
      steps.restore(step);
    }
    return { state, outputs, steps };
  }

  #activate(entry: RegisteredPipeline, record: RunRecord, loaded: LoadedRun): ActiveRun {
    const run = new ActiveRun(this.#core, entry, record, loaded);
    this.active.set(record.id, run);
    this.parked.leave(record.id);
    return run;
  }

  #wakeAt(at: number | undefined): void {
    this.#clearWake?.();
    if (at === undefined || this.#isClosed) return;
    this.#clearWake = this.#core.clock.timer(at, () => this.#inBackground(this.claim()));
  }

  /** Storage may fail at any time: what was asked for in the background is asked for again. */
  #inBackground(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (this.#isClosed) return;
      this.#core.log.warn({ error }, "storage did not answer; asking again");
      this.#wakeAt(this.#core.clock.now() + RETRY_MS);
    });
  }
}
