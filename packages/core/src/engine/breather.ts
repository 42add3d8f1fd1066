import type { Clock } from "../clock.js";

/** How long the engine may keep the event loop to itself, in milliseconds. */
const MAX_HOLD_MS = 10;
/** Reading the clock costs about as much as a small step of work, so it is not read for each as long as steps are small. */
const MAX_STEPS_PER_CHECK = 16;

/**
 * Lets the host breathe: thousands of short tasks finish in microtasks alone, and without a pause no timer, socket or
 * request of the host would be served until the last of them is done.
 */
export class Breather {
  readonly #clock: Clock;
  #heldSince: number;
  #steps = 0;
  #stepsPerCheck = 1;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#heldSince = clock.monotonicMs();
  }

  /** Counts one step of work. @returns Whether it is time for a pause. */
  isDue(): boolean {
    if (++this.#steps < this.#stepsPerCheck) return false;
    this.#steps = 0;
    const isDue = this.#clock.monotonicMs() - this.#heldSince > MAX_HOLD_MS;
    // Sixteen long steps would hold it for far too long.
    this.#stepsPerCheck = isDue ? 1 : Math.min(2 * this.#stepsPerCheck, MAX_STEPS_PER_CHECK);
    return isDue;
  }

  /** Calls `goOn` after the event loop had a turn. */
  pause(goOn: () => void): void {
    this.#clock.afterTurn(() => {
      this.#heldSince = this.#clock.monotonicMs();
      goOn();
    });
  }
}
