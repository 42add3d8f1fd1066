import { type Clock, type Duration, durationMs, type EpochMs } from "weftline";
import { epochMs, type Moment } from "./moments.js";

/** Turns of the event loop without any activity after which nothing more is expected to happen by itself. */
const QUIET_TURNS = 4;
const MAX_TURNS = 100_000;
const DEFAULT_MAX_TIMERS = 10_000;
/** How long real work may hold time back; after that it is taken to wait for the clock itself. */
const MAX_HOLD_MS = 1_000;
/** The last moment a `Date` can name; a timer beyond it never fires. */
const END_OF_TIME: EpochMs = 8.64e15;

// Captured when the module loads, so that a test's fake timers do not stop this clock.
const { setImmediate: startImmediate, setTimeout: startTimeout, clearTimeout: stopTimeout } = globalThis;

interface Timer {
  readonly at: EpochMs;
  /** Tells timers of one moment apart: they fire in the order of their creation. */
  readonly order: number;
  readonly fire: () => void;
}

/**
 * A clock that stands still until it is told to go on, and then jumps from timer to timer. Between two timers it lets
 * everything happen that needs no time: promises settle and `afterTurn` callbacks run. The same calls give the same
 * order each time, as long as the code on this clock waits for nothing real; for code that does, see {@link hold}.
 *
 * A timer that is due when it is set fires by itself, at the event loop's next turn.
 */
export class VirtualClock implements Clock {
  #now: EpochMs;
  /** Latest first, so that the next one to fire is the last. */
  readonly #timers: Timer[] = [];
  readonly #held = new Set<Promise<void>>();
  #created = 0;
  #turnsAwaited = 0;
  /** Rises with everything that happens on this clock. */
  #activity = 0;
  /** One timer fires at a time, also when two callers move time at once. */
  #lastStep: Promise<unknown> = Promise.resolve();

  /** @param now - Where time begins. Default: 2026-01-01T00:00:00Z. */
  constructor(now: Moment = Date.UTC(2026, 0, 1)) {
    this.#now = epochMs(now);
  }

  /** How many timers have neither fired nor been taken back. */
  get pendingTimers(): number {
    return this.#timers.length;
  }

  // A property, as the engine hands `clock.now` on by itself.
  readonly now = (): EpochMs => this.#now;

  monotonicMs(): number {
    return this.#now;
  }

  timer(at: EpochMs, fire: () => void): () => void {
    const timer = { at: Math.max(at, this.#now), order: this.#created++, fire };
    this.#timers.splice(this.#placeOf(timer), 0, timer);
    this.#activity++;
    if (at <= this.#now) {
      this.afterTurn(() => {
        if (this.#remove(timer)) fire();
      });
    }
    return () => {
      this.#remove(timer);
    };
  }

  afterTurn(fire: () => void): void {
    this.#turnsAwaited++;
    startImmediate(() => {
      this.#turnsAwaited--;
      this.#activity++;
      fire();
    });
  }

  /** For code under test that takes its time: settles when that much has passed, or rejects when `signal` aborts. */
  sleep(duration: Duration, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const clear = this.timer(this.#now + durationMs(duration, "this duration"), () => {
        signal?.removeEventListener("abort", giveUp);
        resolve();
      });
      const giveUp = () => {
        clear();
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", giveUp, { once: true });
    });
  }

  /**
   * Keeps time from moving on while real work (a file, a socket) is under way: it takes no virtual time. Work that
   * lasts longer than a real second counts as waiting for this clock, and time moves on without it.
   *
   * @returns `work` itself.
   */
  hold<Value>(work: Promise<Value>): Promise<Value> {
    const held = new Promise<void>((letGo) => {
      const timeout = startTimeout(letGo, MAX_HOLD_MS);
      const end = () => {
        stopTimeout(timeout);
        letGo();
      };
      work.then(end, end);
    }).then(() => {
      this.#held.delete(held);
      this.#activity++;
    });
    this.#held.add(held);
    return work;
  }

  /** Goes on by `duration`, firing every timer on the way at its own moment. */
  advance(duration: Duration): Promise<void> {
    return this.advanceTo(this.#now + durationMs(duration, "this duration"));
  }

  /** Goes on until `moment`, firing every timer up to it, that moment included. @throws {RangeError} For the past. */
  async advanceTo(moment: Moment): Promise<void> {
    const until = epochMs(moment);
    if (until < this.#now)
      throw new RangeError(`Cannot go back in time to ${show(until)}: it is ${show(this.#now)} already`);
    while (await this.fireNext(until));
    this.#now = Math.max(this.#now, until);
  }

  /**
   * Jumps from timer to timer until there is none left.
   *
   * @param options.maxTimers - How many may fire. Default: 10,000.
   * @throws {Error} When there are more: something sets timers for ever.
   */
  async runUntilIdle({ maxTimers = DEFAULT_MAX_TIMERS }: { readonly maxTimers?: number } = {}): Promise<void> {
    for (let fired = 0; await this.fireNext(); fired++) {
      if (fired < maxTimers) continue;
      throw new Error(
        `Cannot run until idle as timers do not come to an end: ${maxTimers} fired, and it is ${show(this.#now)}. ` +
          "A schedule or a poll sets the next one each time: use advance(), or raise maxTimers",
      );
    }
  }

  /**
   * Lets everything happen that needs no time, then jumps to the next timer and fires it.
   *
   * @param until - No timer after this moment fires.
   * @returns False when there was none.
   */
  fireNext(until: EpochMs = END_OF_TIME): Promise<boolean> {
    const step = this.#lastStep.then(() => this.#fireNext(until));
    this.#lastStep = step.catch(() => undefined); // the caller of this step hears of it; the next one starts afresh
    return step;
  }

  /** Lets everything happen that needs no time to pass. */
  async settle(): Promise<void> {
    let turns = 0;
    for (let quiet = 0; quiet < QUIET_TURNS; quiet++) {
      const before = this.#activity;
      await new Promise<void>((resolve) => startImmediate(resolve));
      if (this.#held.size > 0) await Promise.race(this.#held);
      if (this.#activity !== before || this.#turnsAwaited > 0 || this.#held.size > 0) quiet = -1;
      if (++turns > MAX_TURNS)
        throw new Error(`Cannot settle as something goes on for ever without a timer: ${MAX_TURNS} turns passed`);
    }
  }

  async #fireNext(until: EpochMs): Promise<boolean> {
    await this.settle();
    const next = this.#timers.at(-1);
    if (next === undefined || next.at > until) return false;
    this.#remove(next);
    this.#now = next.at;
    next.fire();
    return true;
  }

  #remove(timer: Timer): boolean {
    const place = this.#placeOf(timer);
    if (this.#timers[place] !== timer) return false;
    this.#timers.splice(place, 1);
    this.#activity++;
    return true;
  }

  /** Where a timer stands, or would stand, among the others. */
  #placeOf({ at, order }: Timer): number {
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = this.#timers[middle]!;
      if (other.at > at || (other.at === at && other.order > order)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function show(moment: EpochMs): string {
  return new Date(moment).toISOString();
}
