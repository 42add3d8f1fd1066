import { isRunFinished, type RunMessage, type RunRecord } from "../contracts/records.js";
import type { ClaimRequest, Look, Storage, StorageHint } from "../contracts/storage.js";
import { ActiveRun } from "./active-run.js";
import { CLAIM_LIMIT, claimRequest } from "./claim-request.js";
import { Doubt } from "./doubt.js";
import type { EngineCore } from "./engine-core.js";
import { everyRecord } from "./paging.js";
import { ParkedRuns } from "./parked-runs.js";
import { Probation } from "./probation.js";
import type { RegisteredPipeline } from "./registry.js";
import { freshRun, type LoadedRun, loadRun, loadRuns } from "./run-loader.js";
import { isLeaseLost } from "./storage-errors.js";
import { WakeUp } from "./wake-up.js";

/** After storage failed to answer, it is asked again this much later. */
const RETRY_MS = 1_000;
/** Engines that look at the same storage drift apart: each waits up to this part of its poll longer, by chance. */
const POLL_JITTER = 0.2;

/** A run taken up once more, with the messages that still wait for it. */
export interface RunAgain {
  readonly run: ActiveRun;
  readonly messages: readonly RunMessage[];
}

export interface OwnershipOptions {
  readonly core: EngineCore;
  readonly storage: Storage;
  /** By definition hash. */
  readonly entries: ReadonlyMap<string, RegisteredPipeline>;
  /** How often a storage that others use too is looked into, in milliseconds. */
  readonly pollMs: number;
  /** The store's clock showed the first moment when the engine's showed the second. */
  readonly onStoreClock: (storeNow: number, at: number) => void;
  /** Runs of ours that are not in memory have ended, or are somebody else's by now. */
  readonly onGone: (runIds: readonly string[]) => void;
}

interface Claimed {
  readonly record: RunRecord;
  readonly entry: RegisteredPipeline;
  readonly pipeline: RegisteredPipeline["pipeline"];
}

/** Which runs this engine owns: takes new ones up, delivers their messages, and lets finished ones go. */
export class Ownership {
  readonly active = new Map<string, ActiveRun>();
  readonly parked: ParkedRuns;
  readonly #options: OwnershipOptions;
  readonly #core: EngineCore;
  readonly #storage: Storage;
  readonly #entries: ReadonlyMap<string, RegisteredPipeline>;
  readonly #probation: Probation;
  /** Claimed and not yet taken up, by id. */
  readonly #claimed = new Map<string, RunRecord>();
  /** Parked before, and on their way back into memory. */
  readonly #unparking = new Set<string>();
  /** Timers of {@link later}. */
  readonly #retries = new Set<() => void>();
  /** Rises when the lease is lost: what was asked for before concerns runs that are not ours any more. */
  #term = 0;
  readonly #doubt = new Doubt();
  readonly #wakeUp: WakeUp;
  /** How many runs were taken up so far, and which one each was. */
  #activated = 0;
  readonly #activations = new WeakMap<ActiveRun, number>();
  /** While runs of ours are looked for: those that were let go of meanwhile. */
  #released: Set<string> | undefined;
  #claiming: Promise<void> | undefined;
  #claimAgain = false;
  #isClosed = false;

  constructor(options: OwnershipOptions) {
    this.#options = options;
    this.#core = options.core;
    this.#storage = options.storage;
    this.#entries = options.entries;
    const { clock, quarantineAfter } = options.core;
    this.parked = new ParkedRuns(clock, (ids) => this.#inBackground(this.#unpark(ids)));
    this.#wakeUp = new WakeUp(clock, () => this.#inBackground(this.#lookAgain()));
    this.#probation = new Probation(clock, quarantineAfter, () => this.#inBackground(this.claim()));
  }

  /** Whether a run is this engine's, in memory or not. */
  has(runId: string): boolean {
    return this.active.has(runId) || this.parked.has(runId) || this.#unparking.has(runId) || this.#claimed.has(runId);
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

  /** The first claim of an engine. A lease that was lost right away is found out by its renewal, as at any other time. */
  async claimFirst(): Promise<void> {
    try {
      await this.claim();
    } catch (error) {
      if (!isLeaseLost(error)) throw error;
      this.mayOwnMore();
    }
  }

  /**
   * Claims one run, whatever is due and whatever its definition, for somebody who goes on with it: it is not taken up.
   *
   * @returns Nothing when somebody else owns it, or it has ended.
   */
  async claimOne(runId: string): Promise<RunRecord | undefined> {
    const [claimed] = await this.#storage.claimRuns({ ...this.#request, runId, limit: 1, suspects: 1 });
    if (claimed !== undefined) return claimed;
    // An earlier claim may have been done although its answer was lost.
    const record = await this.#storage.getRun(runId);
    const isOurs = record?.owner === this.#core.engineId && !isRunFinished(record.status);
    return isOurs && !this.has(runId) ? record : undefined;
  }

  /** Which tenure this is: one more with each loss of the lease. */
  get term(): number {
    return this.#term;
  }

  /**
   * Takes up a run that was created as ours.
   *
   * @param term - When that was asked for: the run is not ours any more when the lease was lost since.
   */
  own(record: RunRecord, term: number): void {
    if (this.has(record.id) || this.#isClosed) return;
    if (!this.#isSure(term)) return this.mayOwnMore();
    const entry = this.#entries.get(record.definition)!;
    this.#activate(entry, record, freshRun(entry.pipeline)).begin([]);
  }

  /** Takes up a run that was claimed as ours by other means. @param term - When it was: see {@link own}. */
  adopt(record: RunRecord, term: number): void {
    if (!this.#isSure(term)) return this.mayOwnMore();
    this.#claimed.set(record.id, record);
    this.#inBackground(this.claim());
  }

  /** Runs may be ours without our knowing, as an answer was lost: storage is asked which. */
  mayOwnMore(): void {
    this.#doubt.raise(this.#core.clock.now());
    this.#wakeUp.in(RETRY_MS);
  }

  /** The lease had run out: nothing is ours any more. What nobody else has taken is taken up again. */
  lose(): void {
    this.#term++;
    this.#doubt.raise(this.#core.clock.now()); // what was taken under the new lease before it was known as such
    this.#probation.close();
    const elsewhere = [...this.parked.leaveAll(), ...this.#unparking, ...this.#claimed.keys()];
    this.#claimed.clear();
    this.#unparking.clear();
    for (const run of [...this.active.values()]) run.fenced();
    this.#options.onGone(elsewhere);
    if (!this.#isClosed) this.#inBackground(this.claim());
  }

  /** A run that only waits need not stay in memory. */
  park(run: ActiveRun, wakeAt: number | undefined): void {
    if (this.#isClosed || !this.parked.isWorthIt(wakeAt) || this.active.get(run.id) !== run) return;
    run.close();
    this.active.delete(run.id);
    this.parked.park(run.id, wakeAt, run.applied);
    this.#probation.over(run.id);
  }

  onHint({ topic, ids }: StorageHint): void {
    if (topic === "runs") this.#inBackground(this.claim());
    if (topic === "inbox" && (ids.length === 0 || ids.some((id) => this.has(id)))) this.#inBackground(this.deliver());
    // A message may have made a finished run due again.
    if (topic === "inbox" && ids.some((id) => !this.has(id))) this.#inBackground(this.claim());
  }

  /**
   * Hands the messages of the inbox to the runs they are for. One that was taken up since storage was asked has asked
   * again itself, and the answer may hold what it has long consumed.
   */
  async deliver(): Promise<void> {
    const activated = this.#activated;
    const messages = await this.#storage.receive(this.#core.engineId);
    for (const message of messages) {
      const run = this.active.get(message.runId);
      if (run !== undefined && this.#activations.get(run)! <= activated) run.receive(message);
    }
    const woken = messages.filter(({ runId, id }) => this.parked.isNews(runId, id)).map(({ runId }) => runId);
    if (woken.length > 0) await this.#unpark([...new Set(woken)]);
  }

  /** Runs that only waited have something to do: they are read from storage again, some at a time. */
  async #unpark(ids: readonly string[]): Promise<void> {
    const parked = [...new Set(ids)].filter((id) => this.parked.has(id));
    for (const id of parked) this.#unparking.add(id);
    for (const id of parked) this.parked.leave(id);
    for (let first = 0; first < parked.length && !this.#isClosed; first += CLAIM_LIMIT) {
      await this.#takeUpParked(parked.slice(first, first + CLAIM_LIMIT));
    }
  }

  async #takeUpParked(ids: readonly string[]): Promise<void> {
    const term = this.#term;
    const runs: ActiveRun[] = [];
    try {
      for await (const { item, loaded, error } of loadRuns(this.#storage, await this.#stillOurs(ids))) {
        if (loaded === undefined) throw error;
        if (this.#term === term) runs.push(this.#activate(item.entry, item.record, loaded));
      }
      // After loading, as with claimed runs: what is said from now on finds them in memory.
      const inbox = byRun(await this.#storage.receive(this.#core.engineId));
      for (const run of runs) {
        if (this.#isClosed || this.#term !== term) this.#drop(run);
        else run.begin(inbox.get(run.id) ?? []);
      }
    } catch (error) {
      this.#core.log.warn({ runs: ids, error }, "runs that waited could not be read again; trying once more");
      for (const run of runs) this.#drop(run);
      const left = this.#isClosed ? [] : ids.filter((id) => this.#unparking.has(id) && !this.active.has(id));
      for (const id of left) this.parked.park(id, this.#core.clock.now() + RETRY_MS);
    }
    for (const id of ids) this.#unparking.delete(id);
  }

  /** Of runs that were parked, those that are still to be gone on with here. */
  async #stillOurs(ids: readonly string[]): Promise<readonly Claimed[]> {
    const ours: Claimed[] = [];
    for (const id of ids) {
      const record = await this.#storage.getRun(id);
      if (record?.owner !== this.#core.engineId || isRunFinished(record.status)) this.#gone(id);
      else if (!this.active.has(id)) ours.push(this.#loadable(record));
    }
    return ours;
  }

  #gone(runId: string): void {
    this.#unparking.delete(runId);
    this.#options.onGone([runId]);
  }

  /** Lets go of a run that has not begun. */
  #drop(run: ActiveRun): void {
    run.close();
    this.release(run);
  }

  release(run: ActiveRun): void {
    this.#released?.add(run.id);
    if (this.active.get(run.id) === run) this.active.delete(run.id);
    this.#probation.over(run.id);
  }

  /** A run under which engines had died makes progress. */
  trusted(run: ActiveRun): void {
    this.#probation.over(run.id);
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
    this.#probation.close();
    this.#wakeUp.close();
    await this.#claiming?.catch(() => undefined);
    this.#probation.close();
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

  // ---- Claiming

  async #claimAll(): Promise<void> {
    while (this.#claimAgain && !this.#isClosed) {
      this.#claimAgain = false;
      if (this.#doubt.isDue(this.#core.clock.now())) await this.#findOwned();
      await this.#takeUpClaimed(); // those that an earlier failure left behind
      // While storage confirms nothing, whoever can go on with them may have them.
      const claimed = this.#core.journal.isFailing ? 0 : await this.#claimSome();
      if (claimed === CLAIM_LIMIT) this.#claimAgain = true;
      if (!this.#claimAgain) await this.#look(); // somebody may ask again meanwhile
    }
  }

  async #claimSome(): Promise<number> {
    const term = this.#term;
    try {
      const claimed = await this.#storage.claimRuns(this.#request);
      if (!this.#isSure(term)) {
        this.#doubt.raise(this.#core.clock.now());
        return claimed.length;
      }
      for (const record of claimed) {
        this.#claimed.set(record.id, record);
        this.#probation.claimed(record);
      }
      await this.#takeUpClaimed();
      return claimed.length;
    } catch (error) {
      this.#doubt.raise(this.#core.clock.now());
      throw error;
    }
  }

  get #request(): ClaimRequest {
    return claimRequest(this.#core, this.#entries, this.#probation);
  }

  /** A lost answer must not leave a run with an owner that does not know of it. */
  async #findOwned(): Promise<void> {
    const term = this.#term;
    const released = new Set<string>();
    this.#released = released;
    try {
      const owned = everyRecord((page) => this.#storage.list("runs", { owner: this.#core.engineId }, page));
      for await (const record of owned) {
        // Of another version: somebody has claimed that one alone, to end it or to carry it over.
        if (!this.#entries.has(record.definition) || this.#isTakenUp(record)) continue;
        if (this.#isSure(term) && !released.has(record.id)) this.#claimed.set(record.id, record);
      }
      if (this.#isSure(term)) this.#doubt.asked(this.#core.clock.now());
    } finally {
      this.#released = undefined;
    }
  }

  /**
   * Whether what storage gives us now is ours to begin. It may be given under a new lease before we hear that the former
   * was lost, and all that has begun by then is dropped.
   */
  #isSure(term: number): boolean {
    return this.#term === term && this.#core.dispatcher.mayStart();
  }

  /** One that is in memory under a former epoch was created before the lease was lost, and will be fenced. */
  #isTakenUp({ id, epoch }: RunRecord): boolean {
    const run = this.active.get(id);
    return run === undefined ? this.has(id) : run.record.epoch >= epoch;
  }

  /**
   * Claimed runs are ours whatever happens next: one that could not be loaded stays on the list until it can, and does
   * not hold up the others.
   */
  async #takeUpClaimed(): Promise<void> {
    if (this.#claimed.size === 0) return;
    const runs = new Map<string, ActiveRun>();
    try {
      const items = [...this.#claimed.values()].map((record) => this.#loadable(record));
      for await (const { item, loaded, error } of loadRuns(this.#storage, items)) {
        const { record, entry } = item;
        if (loaded === undefined)
          this.#core.log.error({ runId: record.id, error }, "a run could not be loaded; trying again");
        else if (this.#claimed.has(record.id)) runs.set(record.id, this.#activate(entry, record, loaded));
      }
      if (runs.size === 0) return;
      // After loading and before beginning: a resume decides what there is to begin.
      const inbox = byRun(await this.#storage.receive(this.#core.engineId));
      for (const { record } of items) {
        const run = runs.get(record.id);
        if (run !== undefined && this.#claimed.delete(record.id)) run.begin(inbox.get(record.id) ?? []);
      }
    } catch (error) {
      for (const run of runs.values()) if (this.#claimed.has(run.id)) this.#drop(run);
      throw error;
    }
  }

  #loadable(record: RunRecord): Claimed {
    const entry = this.#entries.get(record.definition)!;
    return { record, entry, pipeline: entry.pipeline };
  }

  async #takeUp(record: RunRecord): Promise<ActiveRun> {
    const entry = this.#entries.get(record.definition)!;
    return this.#activate(entry, record, await this.load(record, entry));
  }

  /** Where the tasks of a run stand, as storage has it. @param isOurs - False: another engine goes on with what runs. */
  load(record: RunRecord, { pipeline }: Pick<RegisteredPipeline, "pipeline">, isOurs = true): Promise<LoadedRun> {
    return loadRun(this.#storage, { record, pipeline }, isOurs);
  }

  #activate(entry: RegisteredPipeline, record: RunRecord, loaded: LoadedRun): ActiveRun {
    const run = new ActiveRun(this.#core, entry, record, loaded);
    const former = this.active.get(record.id);
    if (former !== undefined && former.record.epoch < record.epoch) former.fenced();
    this.active.set(record.id, run);
    this.#activations.set(run, ++this.#activated);
    this.parked.leave(record.id);
    return run;
  }

  // ---- Looking

  /** Asks storage what there is to do, and when to ask again. What was said to runs of ours is handed on. */
  async #look(): Promise<Look | undefined> {
    if (this.#isClosed) return undefined;
    const { engineId, clock } = this.#core;
    const look = await this.#storage.look({ engineId, definitions: [...this.#entries.keys()], now: clock.now() });
    this.#options.onStoreClock(look.storeNow, clock.now());
    this.#armWake(clock.now(), look.nextWake);
    if (look.messages) await this.deliver();
    return look;
  }

  /** It is time to look again, by the clock. */
  async #lookAgain(): Promise<void> {
    if (this.#claiming !== undefined) return this.claim();
    const look = await this.#look();
    const isInDoubt = this.#doubt.isDue(this.#core.clock.now());
    if (look?.claimable || this.#claimed.size > 0 || isInDoubt) await this.claim();
  }

  #armWake(now: number, nextWake: number | undefined): void {
    // What could not be read, and what was left alone while storage confirmed nothing.
    const isBehind = this.#claimed.size > 0 || this.#core.journal.isFailing;
    const retryAt = isBehind ? now + RETRY_MS : undefined;
    const { nextAt } = this.#doubt;
    // One that is due and could not be cleared up now, as the lease is not sure, has to wait a little.
    const doubtAt = nextAt === undefined ? undefined : Math.max(nextAt, now + RETRY_MS);
    this.#wakeUp.at(nextWake, retryAt, doubtAt, this.#nextPoll(now));
  }

  /** Where others may change what is stored, hints are not enough. */
  #nextPoll(now: number): number | undefined {
    if (!this.#storage.supports.manyProcesses) return undefined;
    return now + this.#options.pollMs * (1 + POLL_JITTER * this.#core.random());
  }

  /** Storage may fail at any time: what was asked for in the background is asked for again. */
  #inBackground(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (this.#isClosed) return;
      this.#core.log.warn({ error }, "storage did not answer; asking again");
      this.#wakeUp.in(RETRY_MS);
    });
  }
}

function byRun(messages: readonly RunMessage[]): ReadonlyMap<string, readonly RunMessage[]> {
  const runs = new Map<string, RunMessage[]>();
  for (const message of messages) {
    const own = runs.get(message.runId);
    if (own === undefined) runs.set(message.runId, [message]);
    else own.push(message);
  }
  return runs;
}
