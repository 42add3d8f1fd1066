import type { Clock, EpochMs } from "../clock.js";

/** So many unwanted sleepers are not worth looking for. */
const MIN_UNWANTED = 1_000;

/**
 * Moments at which something is to be woken, for very many sleepers: one timer of the clock in all, and two numbers for
 * each. A binary heap.
 */
export class WakeQueue {
  readonly #clock: Clock;
  readonly #onWake: (ids: readonly string[]) => void;
  readonly #at: EpochMs[] = [];
  readonly #ids: string[] = [];
  /** How many there were when all of them were last wanted. */
  #leastSize = 0;
  #armedFor: EpochMs | undefined;
  #clearTimer: (() => void) | undefined;
  #isClosed = false;

  constructor(clock: Clock, onWake: (ids: readonly string[]) => void) {
    this.#clock = clock;
    this.#onWake = onWake;
  }

  /** An id may be added more than once; who is woken looks whether it is still time. */
  add(id: string, at: EpochMs): void {
    if (this.#isClosed) return;
    this.#at.push(at);
    this.#ids.push(id);
    this.#rise(this.#at.length - 1);
    this.#arm();
  }

  /** Lets go of sleepers that nobody wants to be woken any more: the first ones at once, the others when they are many. */
  prune(isWanted: (id: string) => boolean): void {
    if (this.#at.length > 2 * this.#leastSize + MIN_UNWANTED) this.#rebuild(isWanted);
    while (this.#at.length > 0 && !isWanted(this.#ids[0]!)) this.#takeFirst();
    this.#arm();
  }

  close(): void {
    this.#isClosed = true;
    this.#clearTimer?.();
    this.#at.length = 0;
    this.#ids.length = 0;
  }

  #arm(): void {
    const first = this.#at[0];
    if (first === this.#armedFor) return;
    this.#clearTimer?.();
    this.#armedFor = first;
    this.#clearTimer = first === undefined ? undefined : this.#clock.timer(first, () => this.#wake());
  }

  #rebuild(isWanted: (id: string) => boolean): void {
    const sleepers = this.#ids.map((id, place) => ({ id, at: this.#at[place]! })).filter(({ id }) => isWanted(id));
    sleepers.sort((a, b) => a.at - b.at); // a sorted list is a heap
    this.#at.length = 0;
    this.#ids.length = 0;
    for (const { id, at } of sleepers) {
      this.#at.push(at);
      this.#ids.push(id);
    }
    this.#leastSize = sleepers.length;
  }

  #wake(): void {
    this.#armedFor = undefined;
    const now = this.#clock.now();
    const due: string[] = [];
    while (this.#at.length > 0 && this.#at[0]! <= now) due.push(this.#takeFirst());
    this.#arm();
    if (due.length > 0) this.#onWake(due);
  }

  #takeFirst(): string {
    const id = this.#ids[0]!;
    const [lastAt, lastId] = [this.#at.pop()!, this.#ids.pop()!];
    if (this.#at.length > 0) {
      this.#at[0] = lastAt;
      this.#ids[0] = lastId;
      this.#sink(0);
    }
    return id;
  }

  #rise(place: number): void {
    for (let at = place; at > 0; ) {
      const above = (at - 1) >> 1;
      if (this.#at[above]! <= this.#at[at]!) return;
      this.#swap(at, above);
      at = above;
    }
  }

  #sink(place: number): void {
    for (let at = place; ; ) {
      let least = at;
      for (const below of [2 * at + 1, 2 * at + 2]) {
        if (below < this.#at.length && this.#at[below]! < this.#at[least]!) least = below;
      }
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(a: number, b: number): void {
    [this.#at[a], this.#at[b]] = [this.#at[b]!, this.#at[a]!];
    [this.#ids[a], this.#ids[b]] = [this.#ids[b]!, this.#ids[a]!];
  }
}
