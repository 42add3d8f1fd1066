import { type Clock, type EpochMs, systemClock } from "../clock.js";
import { callsInFlight } from "./calls-in-flight.js";

/** How many turns of the event loop an engine in memory needs at most to come to rest. */
const TURNS_TO_REST = 8;

/** How often engines of tests see to their leases and look into storage: less often than a test moves its clock on. */
export const HOUSEKEEPING_MS = 10 * 365 * 86_400_000;

interface Timer {
  readonly at: EpochMs;
  readonly fire: () => void;
}

/** Lets everything that waits for nothing but the event loop, and for answers of storage, happen. */
export async function settled(turns = TURNS_TO_REST): Promise<void> {
  for (let turn = 0; turn < turns; turn++) {
    await turnsOfLoop(1);
    const answers = callsInFlight();
    if (answers === undefined) continue;
    await answers;
    turn = 0; // what comes of an answer needs turns of its own
  }
}

/** Lets so many turns of the event loop pass, whatever is under way. */
export async function turnsOfLoop(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** A clock that stands still until it is told to go on. Timers that are due already fire in the next turn. */
export class ManualClock implements Clock {
  #now: EpochMs;
  /** How far the wall clock was set, which no other clock notices. */
  #setBy = 0;
  readonly #timers = new Set<Timer>();

  /** @param now - Default: 2026-01-01T00:00:00Z. */
  constructor(now: EpochMs = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Those for what is to be done, without what an engine of a test does by the clock in a storage that it shares. */
  get workTimers(): number {
    return [...this.#timers].filter(({ at }) => at < this.#now + HOUSEKEEPING_MS / 10).length;
  }

  now = (): EpochMs => this.#now;

  monotonicMs(): number {
    return this.#now - this.#setBy;
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
      // In whole milliseconds, as the machine's clock.
      this.#now = Math.max(this.#now, Math.ceil(next.at));
      this.#fire(next);
      await settled();
    }
    this.#now = until;
    await settled();
  }

  /** Lets time pass without firing what lies between, as for a process that stands still. */
  jump(ms: number): void {
    this.#now += ms;
  }

  /** Sets the wall clock, as an administrator would. Timers are not moved. */
  jumpWall(ms: number): void {
    this.#now += ms;
    this.#setBy += ms;
    const timers = [...this.#timers];
    this.#timers.clear();
    for (const { at, fire } of timers) this.#timers.add({ at: at + ms, fire });
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
