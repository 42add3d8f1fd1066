import type { Clock, EpochMs } from "../clock.js";
import type { CommitOutcome, Flush, RejectedValue, RunChanges, Storage } from "../contracts/storage.js";
import type { Logger } from "../logger.js";
import type { Breather } from "./breather.js";

/** A run as the journal sees it. */
export interface Journaled {
  readonly id: string;
  /** The event loop had a turn since `markLater`: what is still going on by now is worth recording. */
  turnPassed(): void;
  /** Hands over what has changed since the last call; `undefined`: nothing. */
  collect(): RunChanges | undefined;
  /** What was collected is durable: what had to wait for that may happen. */
  confirmed(): void;
  /** The run belongs to another engine by now; nothing was written. */
  fenced(): void;
  /** The store refuses these values; nothing of the run was written. */
  rejected(values: readonly RejectedValue[]): void;
}

export interface JournalOptions {
  readonly storage: Pick<Storage, "commit" | "supports">;
  readonly engineId: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly breather: Breather;
}

/** What `health()` says of the way to storage. */
export interface JournalFacts {
  /** When storage last confirmed a flush; `undefined`: there was none so far. */
  readonly lastWriteAt: EpochMs | undefined;
  /** Since when it has not confirmed the one in the air although that was sent again; `undefined`: all is well. */
  readonly failingSince: EpochMs | undefined;
  readonly failure: unknown;
}

const FIRST_RESEND_MS = 50;
const MAX_RESEND_MS = 5_000;
/** A flush is closed when it holds so much: a store has its limits, and others wait for the same reply. */
const MAX_FLUSH_RECORDS = 20_000;
const MAX_FLUSH_LENGTH = 32 * 2 ** 20;

/**
 * The one way to storage for everything that happens in runs: a group commit. While a flush is in the air, the changes
 * of all runs collect for the next, so that a store that needs a millisecond for one change needs it for a thousand.
 */
export class Journal {
  readonly #options: JournalOptions;
  #dirty = new Set<Journaled>();
  /** Settles when everything marked so far is durable. */
  #draining: Promise<void> | undefined;
  /** Runs to flush after the event loop's next turn. */
  readonly #later = new Set<Journaled>();
  #halted = false;
  #flushes = 0;
  #lastWriteAt: EpochMs | undefined;
  #failingSince: EpochMs | undefined;
  #failure: unknown;
  #stopWaiting: () => void = () => {};

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  get facts(): JournalFacts {
    return { lastWriteAt: this.#lastWriteAt, failingSince: this.#failingSince, failure: this.#failure };
  }

  /** Storage does not confirm what it is sent: this is no time to take on more. */
  get isFailing(): boolean {
    return this.#failingSince !== undefined;
  }

  /** The run has changes that others wait for: flush as soon as possible. */
  mark(run: Journaled): void {
    this.#dirty.add(run);
    this.#draining ??= this.#drain();
  }

  /**
   * The run has changes that only readers of history wait for: flush them with the next important ones, or after the
   * event loop's next turn. A task that starts and ends within one turn is so written once.
   */
  markLater(run: Journaled): void {
    this.#later.add(run);
    if (this.#later.size > 1) return;
    this.#options.clock.afterTurn(() => {
      for (const later of this.#later) {
        later.turnPassed();
        this.mark(later);
      }
      this.#later.clear();
    });
  }

  /** Drops what a run has not handed over, because the run is no longer ours. */
  forget(run: Journaled): void {
    this.#dirty.delete(run);
    this.#later.delete(run);
  }

  /** Settles when everything marked is durable. */
  async idle(): Promise<void> {
    while (this.#draining !== undefined || this.#dirty.size > 0) {
      this.#draining ??= this.#drain();
      await this.#draining;
    }
  }

  /** Gives up on a store that does not answer: nothing is sent after this. */
  halt(): void {
    this.#halted = true;
    this.#stopWaiting();
  }

  async #drain(): Promise<void> {
    await this.#gather();
    while (this.#dirty.size > 0 && !this.#halted) {
      const runs = this.#dirty;
      this.#dirty = new Set();
      await this.#flush(runs);
      if (this.#options.breather.isDue()) await new Promise<void>((goOn) => this.#options.breather.pause(goOn));
      else if (this.#options.storage.supports.durable) await this.#gather();
    }
    if (this.#halted) this.#dirty.clear();
    this.#draining = undefined;
  }

  /**
   * Everything that happens in the same synchronous step goes into one flush. Where a flush costs a round trip or a
   * write to the disk, so does whatever this turn of the event loop still brings, such as the ends of short tasks.
   */
  #gather(): Promise<void> {
    const { storage, clock } = this.#options;
    return storage.supports.durable ? new Promise((goOn) => clock.afterTurn(goOn)) : Promise.resolve();
  }

  /** What is flushed now; runs that find no room any more wait for the next flush. */
  #collect(runs: Iterable<Journaled>): Map<Journaled, RunChanges> {
    const open = new Map<Journaled, RunChanges>();
    let records = 0;
    let length = 0;
    for (const run of runs) {
      if (records > MAX_FLUSH_RECORDS || length > MAX_FLUSH_LENGTH) {
        this.#dirty.add(run);
        continue;
      }
      const changes = run.collect();
      if (changes === undefined) {
        run.confirmed();
        continue;
      }
      open.set(run, changes);
      records += 1 + changes.tasks.length + changes.attempts.length + changes.logs.length + changes.metrics.length;
      length += lengthOf(changes);
    }
    return open;
  }

  async #flush(runs: Iterable<Journaled>): Promise<void> {
    const { engineId } = this.#options;
    let open = this.#collect(runs);
    while (open.size > 0 && !this.#halted) {
      const number = ++this.#flushes;
      const flush: Flush = { id: `${engineId}/${number}`, number, engineId, runs: [...open.values()] };
      const outcome = await this.#send(flush);
      if (outcome === undefined) return;
      if (outcome.kind === "ok") return settle(open, outcome.fenced);
      open = withoutRejected(open, outcome.values);
    }
  }

  /**
   * Sends a flush until its fate is known. An unknown outcome is resolved by sending the same flush, with the same id,
   * again: the store applies it once. @returns `undefined` when the journal was halted meanwhile.
   */
  async #send(flush: Flush): Promise<Exclude<CommitOutcome, { kind: "unknown" }> | undefined> {
    const { storage, log } = this.#options;
    for (let delay = FIRST_RESEND_MS; !this.#halted; delay = Math.min(delay * 2, MAX_RESEND_MS)) {
      const outcome = await storage
        .commit(flush)
        .catch((cause: unknown): CommitOutcome => ({ kind: "unknown", cause }));
      if (outcome.kind === "ok" || (outcome.kind === "rejected" && namesAny(flush, outcome.values))) {
        this.#answered(outcome);
        return outcome;
      }
      // Once for each outage: `health()` tells for as long as it lasts.
      if (this.#failingSince === undefined) {
        log.warn(
          { flush: flush.id, runs: flush.runs.length, outcome },
          "the store did not confirm a flush; sending it again until it does",
        );
      }
      this.#failed(outcome);
      await this.#wait(delay);
    }
    return undefined;
  }

  /** Refused values are an answer as well. */
  #answered({ kind }: CommitOutcome): void {
    if (this.#failingSince !== undefined) this.#options.log.info({}, "the store answers again");
    if (kind === "ok") this.#lastWriteAt = this.#options.clock.now();
    this.#failingSince = undefined;
    this.#failure = undefined;
  }

  #failed(outcome: Exclude<CommitOutcome, { kind: "ok" }>): void {
    this.#failingSince ??= this.#options.clock.now();
    this.#failure = outcome.kind === "unknown" ? outcome.cause : outcome;
  }

  #wait(ms: number): Promise<void> {
    const { clock } = this.#options;
    return new Promise((goOn) => {
      const clear = clock.timer(clock.now() + ms, goOn);
      this.#stopWaiting = () => {
        clear();
        goOn();
      };
    });
  }
}

/** Roughly how many characters it is to be sent: those parts that may be large. */
function lengthOf({ tasks, artifacts, steps, logs }: RunChanges): number {
  let length = 0;
  for (const { output, list } of tasks) length += (output?.length ?? 0) + (list?.length ?? 0);
  for (const { data } of artifacts) length += data.length;
  for (const { output } of steps) length += output.length;
  for (const { message, data } of logs) length += message.length + (data?.length ?? 0);
  return length;
}

/** A rejection that names no run of the flush says nothing that could be acted on. */
function namesAny(flush: Flush, values: readonly RejectedValue[]): boolean {
  return values.some((value) => flush.runs.some((changes) => changes.runId === value.runId));
}

function settle(flushed: ReadonlyMap<Journaled, RunChanges>, fenced: readonly string[]): void {
  for (const run of flushed.keys()) {
    if (fenced.length > 0 && fenced.includes(run.id)) run.fenced();
    else run.confirmed();
  }
}

/** One bad value costs its own run this flush; the others are sent again without it. */
function withoutRejected(
  open: ReadonlyMap<Journaled, RunChanges>,
  values: readonly RejectedValue[],
): Map<Journaled, RunChanges> {
  const rest = new Map(open);
  for (const run of open.keys()) {
    const own = values.filter((value) => value.runId === run.id);
    if (own.length === 0) continue;
    rest.delete(run);
    run.rejected(own);
  }
  return rest;
}
