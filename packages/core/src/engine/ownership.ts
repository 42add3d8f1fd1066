import type { RunMessage, RunRecord, TaskRecord } from "../contracts/records.js";
import type { Storage, StorageHint } from "../contracts/storage.js";
import { restore } from "../run/restore.js";
import { RunState } from "../run/state.js";
import { decode } from "../values/codec.js";
import { ActiveRun } from "./active-run.js";
import type { EngineCore } from "./engine-core.js";
import { Outputs } from "./outputs.js";
import { everyRecord } from "./paging.js";
import type { RegisteredPipeline } from "./registry.js";

const CLAIM_LIMIT = 100;
/** After storage failed to answer, it is asked again this much later. */
const RETRY_MS = 1_000;

/** A run taken up once more, with the messages that still wait for it. */
export interface RunAgain {
  readonly run: ActiveRun;
  readonly messages: readonly RunMessage[];
}

/** Which runs this engine owns: takes new ones up, delivers their messages, and lets finished ones go. */
export class Ownership {
  readonly active = new Map<string, ActiveRun>();
  readonly #core: EngineCore;
  readonly #storage: Storage;
  /** By definition hash. */
  readonly #entries: ReadonlyMap<string, RegisteredPipeline>;
  /** Claimed and not yet taken up. */
  #claimed: RunRecord[] = [];
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
  }

  /** Looks for runs that are due and takes them up; settles when there are no more. Asking again meanwhile looks once more. */
  claim(): Promise<void> {
    this.#claimAgain = true;
    this.#claiming ??= this.#claimAll().finally(() => {
      this.#claiming = undefined;
    });
    return this.#claiming;
  }

  /** Takes up a run that was created as ours. */
  own(record: RunRecord): void {
    const entry = this.#entries.get(record.definition)!;
    const state = new RunState(entry.pipeline.plan);
    this.#activate(entry, record, state, new Outputs(state)).begin([]);
  }

  onHint({ topic, ids }: StorageHint): void {
    if (topic === "runs") this.#inBackground(this.claim());
    if (topic === "inbox" && ids.some((id) => this.active.has(id))) this.#inBackground(this.deliver());
    // A message may have made a finished run due again.
    if (topic === "inbox" && ids.some((id) => !this.active.has(id))) this.#inBackground(this.claim());
  }

  /** Hands the messages of the inbox to the runs they are for. */
  async deliver(): Promise<void> {
    const messages = await this.#storage.receive(this.#core.engineId);
    for (const message of messages) this.active.get(message.runId)?.receive(message);
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
    this.#clearWake?.();
    await this.#claiming?.catch(() => undefined);
    this.#clearWake?.();
  }

  /** Reads a run of ours from storage again, as after a takeover. @returns `undefined` when it is not ours any more. */
  async takeUpAgain(former: ActiveRun): Promise<RunAgain | undefined> {
    const record = await this.#storage.getRun(former.id);
    if (record?.owner !== this.#core.engineId || record.epoch !== former.record.epoch) {
      this.#core.runLost(former);
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
      const claimed = await this.#storage.claimRuns({ engineId, definitions, limit: CLAIM_LIMIT, now: clock.now() });
      this.#claimed.push(...claimed);
      await this.#takeUpClaimed();
      if (claimed.length === CLAIM_LIMIT) this.#claimAgain = true;
    }
    if (this.#isClosed) return;
    const now = this.#core.clock.now();
    const wake = await this.#storage.nextWake(now);
    const retry = this.#claimed.length > 0 ? now + RETRY_MS : undefined;
    this.#wakeAt(retry === undefined ? wake : Math.min(retry, wake ?? retry));
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
    const { state, outputs } = await this.#load(record, entry);
    return this.#activate(entry, record, state, outputs);
  }

  async #load(record: RunRecord, entry: RegisteredPipeline): Promise<{ state: RunState; outputs: Outputs }> {
    const records: TaskRecord[] = [];
    const pages = everyRecord((page) => this.#storage.loadRun(record.id, page));
    for await (const task of pages) records.push(task);
    const state = restore(entry.pipeline.plan, records, (branch) => String(decode(branch.output!)));
    const outputs = new Outputs(state);
    for (const { output, position, index } of records) {
      if (output !== undefined) outputs.set(state.instanceAt(position, index), output);
    }
    return { state, outputs };
  }

  #activate(entry: RegisteredPipeline, record: RunRecord, state: RunState, outputs: Outputs): ActiveRun {
    const run = new ActiveRun(this.#core, entry, record, state, outputs);
    this.active.set(record.id, run);
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
