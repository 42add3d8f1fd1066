import { type Clock, type EpochMs, systemClock } from "../clock.js";

/** How many turns of the event loop an engine in memory needs at most to come to rest. */
const TURNS_TO_REST = 8;

interface Timer {
  readonly at: EpochMs;
  readonly fire: () => void;
}

/** Lets everything that waits for nothing but the event loop happen. */
export async function settled(turns = TURNS_TO_REST): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** A clock that stands still until it is told to go on. Timers that are due already fire in the next turn. */
export class ManualClock implements Clock {
  #now: EpochMs;
  readonly #timers = new Set<Timer>();

  /** @param now - Default: 2026-01-01T00:00:00Z. */
  constructor(now: EpochMs = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  now = (): EpochMs => this.#now;

  monotonicMs(): number {
    return this.#now;
  }

  timer(at: EpochMs, fire: () => void): () => void {
    const timer = { at, fire };
    this.#timers.add(timer);
    if (at <= this.#now) setImmediate(() => this.#fire(timer));
    return () => this.#timers.delete(timer);
  }

  afterTurn(fire: () => void): void {
    setImmediate(fire);
  }

  /** Goes on by `ms`, stopping at every timer on the way and letting its consequences happen there. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settled();
    for (let next = this.#next(until); next !== undefined; next = this.#next(until)) {
      this.#now = Math.max(this.#now, next.at);
      this.#fire(next);
      await settled();
    }
    this.#now = until;
    await settled();
  }

  /** Sets the wall clock without firing what lies between, as an administrator would. */
  jump(ms: number): void {
    this.#now += ms;
  }

  #next(until: EpochMs): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (timer.at <= until && (next === undefined || timer.at < next.at)) next = timer;
    return next;
  }

  #fire(timer: Timer): void {
    if (this.#timers.delete(timer)) timer.fire();
  }
}

/** The machine's clock, with a count of the timers that have not fired. */
export class WatchedClock implements Clock {
  pendingTimers = 0;

  now = (): EpochMs => systemClock.now();

  monotonicMs(): number {
    return systemClock.monotonicMs();
  }

  timer(at: EpochMs, fire: () => void): () => void {
    let isPending = true;
    const end = () => {
      if (isPending) this.pendingTimers--;
      isPending = false;
    };
    this.pendingTimers++;
    const clear = systemClock.timer(at, () => {
      end();
      fire();
    });
    return () => {
      end();
      clear();
    };
  }

  afterTurn(fire: () => void): void {
    systemClock.afterTurn(fire);
  }
}
