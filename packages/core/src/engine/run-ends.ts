import type { Clock } from "../clock.js";
import { isRunFinished, type RunRecord } from "../contracts/records.js";
import type { Storage } from "../contracts/storage.js";
import type { WeftlineError } from "../errors.js";
import type { ActiveRun } from "./active-run.js";
import { runUnknown } from "./errors.js";

/** How a run ended. */
export interface RunEnd {
  readonly record: RunRecord;
  /** The run as this engine had it in memory, where it ran here; its outputs need not be read from storage then. */
  readonly run: ActiveRun | undefined;
}

export interface RunEndsOptions {
  readonly storage: Pick<Storage, "getRun" | "endedAmong">;
  readonly clock: Clock;
  /** How often the ends of other engines' runs are looked for, in milliseconds; hints only make it sooner. */
  readonly pollMs: number;
  /** Runs that this engine has: it hears of their ends by itself. */
  readonly isOurs: (runId: string) => boolean;
}

interface Waiter {
  readonly settle: (end: RunEnd | undefined) => void;
  readonly reject: (error: WeftlineError) => void;
}

/** As many ids as are asked for at once. */
const MAX_ASKED = 1_000;

/** Lets callers wait for the end of runs, whoever owns them. */
export class RunEnds {
  readonly #options: RunEndsOptions;
  readonly #waiters = new Map<string, Set<Waiter>>();
  #clearPoll: (() => void) | undefined;
  #closed: WeftlineError | undefined;

  constructor(options: RunEndsOptions) {
    this.#options = options;
  }

  /** How the run ended. @throws {WeftlineError} `RUN_UNKNOWN`, `ENGINE_STOPPED`. */
  async of(runId: string): Promise<RunEnd> {
    for (;;) {
      // Subscribed before looking: an end between the two would otherwise go unnoticed.
      const next = this.#nextNews(runId);
      next.news.catch(() => undefined);
      try {
        // Of runs of ours, storage has no news: not even a look is needed.
        const stored = this.#options.isOurs(runId) ? undefined : await this.#storedEnd(runId);
        if (stored !== undefined) return stored;
        if (!this.#options.isOurs(runId)) this.#armPoll();
        const end = await next.news;
        if (end !== undefined) return end;
      } finally {
        next.cancel();
      }
    }
  }

  /** A run of ours has ended. */
  ended(end: RunEnd): void {
    for (const waiter of this.#waiters.get(end.record.id) ?? []) waiter.settle(end);
  }

  /** These runs may have ended, or are not ours any more. */
  look(runIds: readonly string[]): void {
    for (const id of runIds) for (const waiter of this.#waiters.get(id) ?? []) waiter.settle(undefined);
  }

  /** Nobody waits any longer. */
  close(reason: WeftlineError): void {
    this.#closed = reason;
    this.#clearPoll?.();
    for (const waiters of this.#waiters.values()) for (const waiter of waiters) waiter.reject(reason);
  }

  async #storedEnd(runId: string): Promise<RunEnd | undefined> {
    const record = await this.#options.storage.getRun(runId);
    if (record === undefined) throw runUnknown(runId);
    return isRunFinished(record.status) ? { record, run: undefined } : undefined;
  }

  #nextNews(runId: string): { news: Promise<RunEnd | undefined>; cancel(): void } {
    let waiter: Waiter | undefined;
    const news = new Promise<RunEnd | undefined>((settle, reject) => {
      waiter = { settle, reject };
    });
    if (this.#closed) waiter!.reject(this.#closed);
    const waiters = this.#waiters.get(runId) ?? new Set();
    this.#waiters.set(runId, waiters.add(waiter!));
    return {
      news,
      cancel: () => {
        waiters.delete(waiter!);
        if (waiters.size === 0) this.#waiters.delete(runId);
        if (this.#waiters.size === 0) this.#stopPolling();
      },
    };
  }

  #armPoll(): void {
    if (this.#clearPoll !== undefined || this.#closed !== undefined) return;
    const { clock, pollMs } = this.#options;
    this.#clearPoll = clock.timer(clock.now() + pollMs, () => {
      this.#clearPoll = undefined;
      // Whatever storage answers, or does not: it is asked again as long as somebody waits.
      void this.#poll()
        .catch(() => undefined)
        .then(() => this.#pollAgain());
    });
  }

  async #poll(): Promise<void> {
    const ids = this.#elsewhere();
    for (let first = 0; first < ids.length; first += MAX_ASKED) {
      this.look(await this.#options.storage.endedAmong(ids.slice(first, first + MAX_ASKED)));
    }
  }

  #pollAgain(): void {
    if (this.#elsewhere().length > 0) this.#armPoll();
  }

  #elsewhere(): readonly string[] {
    return [...this.#waiters.keys()].filter((id) => !this.#options.isOurs(id));
  }

  #stopPolling(): void {
    this.#clearPoll?.();
    this.#clearPoll = undefined;
  }
}
