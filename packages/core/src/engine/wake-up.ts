import type { Clock } from "../clock.js";

/** The one next moment at which there is something to do: a new one replaces it. */
export class WakeUp {
  readonly #clock: Clock;
  readonly #onWake: () => void;
  #clear: (() => void) | undefined;
  #isClosed = false;

  constructor(clock: Clock, onWake: () => void) {
    this.#clock = clock;
    this.#onWake = onWake;
  }

  /** @param moments - The earliest counts, epoch milliseconds; of none but `undefined` nothing comes. */
  at(...moments: readonly (number | undefined)[]): void {
    this.#clear?.();
    this.#clear = undefined;
    const at = Math.min(...moments.map((moment) => moment ?? Number.POSITIVE_INFINITY));
    if (Number.isFinite(at) && !this.#isClosed) this.#clear = this.#clock.timer(at, this.#onWake);
  }

  in(ms: number): void {
    this.at(this.#clock.now() + ms);
  }

  close(): void {
    this.#isClosed = true;
    this.#clear?.();
  }
}
