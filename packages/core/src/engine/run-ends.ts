import type { Clock } from "../clock.js";
import { isRunFinished, type RunRecord } from "../contracts/records.js";
import type { Storage } from "../contracts/storage.js";
import type { WeftlineError } from "../errors.js";
import { runUnknown } from "./errors.js";

/** How often the end of a run that another engine owns is looked for, in milliseconds; hints only make it sooner. */
const POLL_MS = 1_000;

interface Waiter {
  readonly look: () => void;
  readonly reject: (error: WeftlineError) => void;
}

/** Lets callers wait for the end of runs, whoever owns them. */
export class RunEnds {
  readonly #storage: Pick<Storage, "getRun">;
  readonly #clock: Clock;
  readonly #isOurs: (runId: string) => boolean;
  readonly #waiters = new Map<string, Set<Waiter>>();
  #closed: WeftlineError | undefined;

  constructor(storage: Pick<Storage, "getRun">, clock: Clock, isOurs: (runId: string) => boolean) {
    this.#storage = storage;
    this.#clock = clock;
    this.#isOurs = isOurs;
  }

  /** The run as it ended. @throws {WeftlineError} `RUN_UNKNOWN`, `ENGINE_STOPPED`. */
  async of(runId: string): Promise<RunRecord> {
    for (;;) {
      // Subscribed before looking: an end between the two would otherwise go unnoticed.
      const changed = this.#nextLook(runId);
      changed.promise.catch(() => undefined);
      try {
        const run = await this.#storage.getRun(runId);
        if (run === undefined) throw runUnknown(runId);
        if (isRunFinished(run.status)) return run;
        if (!this.#isOurs(runId)) changed.pollAt(this.#clock.now() + POLL_MS);
        await changed.promise;
      } finally {
        changed.cancel();
      }
    }
  }

  /** These runs may have ended. */
  look(runIds: readonly string[]): void {
    for (const id of runIds) for (const waiter of this.#waiters.get(id) ?? []) waiter.look();
  }

  /** Nobody waits any longer. */
  close(reason: WeftlineError): void {
    this.#closed = reason;
    for (const waiters of this.#waiters.values()) for (const waiter of waiters) waiter.reject(reason);
  }

  #nextLook(runId: string): { promise: Promise<void>; pollAt(at: number): void; cancel(): void } {
    let waiter: Waiter | undefined;
    let clear = () => {};
    const promise = new Promise<void>((look, reject) => {
      waiter = { look, reject };
    });
    if (this.#closed) waiter!.reject(this.#closed);
    const waiters = this.#waiters.get(runId) ?? new Set();
    this.#waiters.set(runId, waiters.add(waiter!));
    return {
      promise,
      pollAt: (at) => {
        clear = this.#clock.timer(at, waiter!.look);
      },
      cancel: () => {
        clear();
        waiters.delete(waiter!);
        if (waiters.size === 0) this.#waiters.delete(runId);
      },
    };
  }
}
