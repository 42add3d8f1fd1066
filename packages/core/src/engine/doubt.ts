/** First, and last before it is over; each is twice the one before, in milliseconds. */
const FIRST_PAUSE_MS = 1_000;
const LAST_PAUSE_MS = 64_000;

/**
 * A call that may have given the engine runs was not answered, so that it may own some that it does not know of. One look
 * is not enough: storage may do long after a call has failed what it was asked for.
 */
export class Doubt {
  #nextAt: number | undefined;
  #pauseMs = FIRST_PAUSE_MS;

  /** When storage is to be asked again which runs are ours, epoch milliseconds; `undefined`: there is no doubt. */
  get nextAt(): number | undefined {
    return this.#nextAt;
  }

  isDue(now: number): boolean {
    return this.#nextAt !== undefined && this.#nextAt <= now;
  }

  /** A call was not answered. */
  raise(now: number): void {
    this.#nextAt = now;
    this.#pauseMs = FIRST_PAUSE_MS;
  }

  /** Storage said which runs are ours. */
  asked(now: number): void {
    this.#nextAt = this.#pauseMs > LAST_PAUSE_MS ? undefined : now + this.#pauseMs;
    this.#pauseMs *= 2;
  }
}
