import type { Clock } from "../clock.js";
import type { NewRun } from "../contracts/records.js";
import type { CreateResult, HostTransaction, Storage } from "../contracts/storage.js";
import { isDefinite, isLeaseLost } from "./storage-errors.js";

interface Waiting {
  readonly run: NewRun;
  readonly resolve: (result: CreateResult) => void;
  readonly reject: (error: unknown) => void;
}

/** What it has to know of which runs are the engine's. */
export interface RunCreatorHost {
  /** One more with each loss of the lease. */
  readonly term: number;
  /** Runs may have been created, as ours, without anybody hearing of it. */
  mayOwnMore(): void;
}

/** Pauses before a request whose answer was lost is made again, in milliseconds. */
const RETRY_PAUSES_MS = [50, 250, 1_000];

/**
 * Creates runs in storage; those asked for in the same step go in one call. A call whose answer was lost is made again,
 * which creates nothing twice as a run's id is its own.
 */
export class RunCreator {
  readonly #storage: Pick<Storage, "createRuns">;
  readonly #clock: Clock;
  readonly #host: RunCreatorHost;
  #waiting: Waiting[] = [];

  constructor(storage: Pick<Storage, "createRuns">, clock: Clock, host: RunCreatorHost) {
    this.#storage = storage;
    this.#clock = clock;
    this.#host = host;
  }

  create(run: NewRun): Promise<CreateResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ run, resolve, reject });
      if (this.#waiting.length === 1) void this.#createAll();
    });
  }

  /** Creates a run in a transaction of the host: nobody's until that is committed, and never asked for twice. */
  async createIn(tx: HostTransaction, run: NewRun): Promise<CreateResult> {
    const [result] = await this.#storage.createRuns([{ ...run, owner: undefined }], { tx });
    return result!;
  }

  async #createAll(): Promise<void> {
    await Promise.resolve(); // not queueMicrotask(), which fake timers stop
    const waiting = this.#waiting;
    this.#waiting = [];
    try {
      const results = await this.#ask(waiting.map(({ run }) => run));
      for (let place = 0; place < waiting.length; place++) waiting[place]!.resolve(results[place]!);
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
  }

  async #ask(runs: readonly NewRun[]): Promise<readonly CreateResult[]> {
    const { term } = this.#host;
    for (let tries = 0; ; tries++) {
      try {
        return await this.#storage.createRuns(runs);
      } catch (error) {
        // Nobody has heard of them yet.
        if (isLeaseLost(error) && tries === 0) {
          return this.#storage.createRuns(runs.map((run) => ({ ...run, owner: undefined })));
        }
        if (isDefinite(error) && !isLeaseLost(error)) throw error;
        if (tries < RETRY_PAUSES_MS.length) await this.#pause(RETRY_PAUSES_MS[tries]!);
        // Of those that an earlier try has made, others may have ended some by now, and deleted them.
        if (tries === RETRY_PAUSES_MS.length || this.#host.term !== term) {
          this.#host.mayOwnMore();
          throw error;
        }
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((goOn) => void this.#clock.timer(this.#clock.now() + ms, goOn));
  }
}
