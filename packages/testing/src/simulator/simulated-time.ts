import type { Clock, EpochMs, Random } from "weftline";

/** Something that happens at a moment; what is due at the same moment happens in an order drawn by chance. */
interface Happening {
  readonly at: EpochMs;
  readonly order: number;
  /** Taken when it has happened, or will not. */
  fire: (() => void) | undefined;
}

// Captured when the module loads, so that a test's fake timers do not stop this clock.
const { setImmediate: startImmediate } = globalThis;

/**
 * The one time of a simulated world, which jumps from happening to happening. Between two of them everything happens
 * that needs no time. A seeded scheduler: equal chance gives equal histories.
 */
export class SimulatedTime {
  #now: EpochMs;
  readonly #random: Random;
  readonly #heap: Happening[] = [];
  #inFlight = 0;
  #wake: (() => void) | undefined;
  /** How many things have happened. */
  happened = 0;

  constructor(now: EpochMs, random: Random) {
    this.#now = now;
    this.#random = random;
  }

  readonly now = (): EpochMs => this.#now;

  /** @returns A function that takes it back; harmless after it happened. */
  in(ms: number, fire: () => void): () => void {
    const happening: Happening = { at: this.#now + Math.max(0, Math.ceil(ms)), order: this.#random(), fire };
    this.#push(happening);
    return () => {
      happening.fire = undefined;
    };
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.in(ms, resolve));
  }

  /** Time stands still while this is under way, as it may be real work. */
  hold<Value>(work: Promise<Value>): Promise<Value> {
    this.#inFlight++;
    const end = () => {
      this.#inFlight--;
      this.#wake?.();
    };
    work.then(end, end);
    return work;
  }

  /** This time as the clock of somebody who is never paused. */
  get clock(): Clock {
    return {
      now: this.now,
      monotonicMs: this.now,
      timer: (at, fire) => this.in(at - this.#now, fire),
      afterTurn: (fire) => void this.in(0, fire),
    };
  }

  /**
   * Lets time go on.
   *
   * @param isDone - Asked after everything that happens.
   * @returns False when `maxMs` have passed, or nothing is left to happen, before it was done.
   */
  async goOn(maxMs: number, isDone: () => boolean): Promise<boolean> {
    const until = this.#now + maxMs;
    await this.#settle();
    while (!isDone()) {
      const next = this.#heap[0];
      if (next === undefined || next.at > until) {
        this.#now = Math.max(this.#now, until);
        return false;
      }
      this.#pop();
      const { fire } = next;
      if (fire === undefined) continue;
      next.fire = undefined;
      this.#now = next.at;
      this.happened++;
      fire();
      await this.#settle();
    }
    return true;
  }

  /** Lets everything happen that needs no time. */
  async #settle(): Promise<void> {
    // All promises that can settle do so before the event loop turns.
    await new Promise<void>((resolve) => startImmediate(resolve));
    while (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
      await new Promise<void>((resolve) => startImmediate(resolve));
    }
  }

  #push(happening: Happening): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(happening);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(happening, heap[above]!)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = happening;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let least = 2 * at + 1;
      if (least >= heap.length) break;
      if (least + 1 < heap.length && isBefore(heap[least + 1]!, heap[least]!)) least++;
      if (!isBefore(heap[least]!, last)) break;
      heap[at] = heap[least]!;
      at = least;
    }
    heap[at] = last;
  }
}

function isBefore(a: Happening, b: Happening): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
