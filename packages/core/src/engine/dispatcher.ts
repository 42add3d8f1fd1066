import type { Breather } from "./breather.js";
import { Queue } from "./queue.js";

/** A bound on how much runs at once. */
export class Limit {
  active = 0;
  /** Work that this limit holds back; looked at again when a place becomes free. */
  readonly held = new Queue<Held>();

  constructor(readonly max: number) {}

  get isFull(): boolean {
    return this.active >= this.max;
  }
}

interface Held {
  readonly lane: Lane;
  readonly instance: number;
}

/** What the dispatcher starts attempts for: a run. */
export interface Dispatchable {
  /** The limits an instance has to fit into beside the dispatcher's own, the narrowest first. */
  limitsOf(instance: number): readonly Limit[];
  /** Starts an attempt. @returns False when the instance is not ready any more; nothing started then. */
  startAttempt(instance: number, release: () => void): boolean;
}

/** The ready instances of one run. */
export class Lane {
  /** Before all others: they had been chosen once and did not fit. */
  readonly returned = new Queue<number>();
  readonly ready = new Queue<number>();
  isQueued = false;

  constructor(readonly run: Dispatchable) {}

  next(): number | undefined {
    return this.returned.shift() ?? this.ready.shift();
  }

  get isEmpty(): boolean {
    return this.returned.size === 0 && this.ready.size === 0;
  }
}

/**
 * Decides what starts next. Runs take turns, one instance each, so that a large run does not starve a small one.
 * An instance that does not fit some limit waits with that limit, out of the way of those that do fit.
 */
export class Dispatcher {
  readonly #total: Limit;
  readonly #breather: Breather;
  readonly #lanes = new Queue<Lane>();
  #abandoned = 0;
  #isPumping = false;
  #isPausing = false;
  #isClosed = false;
  #onIdle: (() => void) | undefined;

  constructor(concurrency: number, breather: Breather) {
    this.#total = new Limit(concurrency);
    this.#breather = breather;
  }

  /** Attempts that hold a slot. */
  get active(): number {
    return this.#total.active;
  }

  get #isIdle(): boolean {
    return this.#total.active === this.#abandoned;
  }

  /** An attempt was given up and keeps its slot. @returns To be called right before the slot is released after all. */
  abandon(): () => void {
    this.#abandoned++;
    if (this.#isIdle) this.#onIdle?.();
    return () => {
      this.#abandoned--;
    };
  }

  enqueue(lane: Lane, instances: readonly number[]): void {
    for (const instance of instances) lane.ready.push(instance);
    this.#queue(lane);
    this.#pump();
  }

  /** Starts nothing any more. @returns When no attempt holds a slot, but for those that were abandoned. */
  close(): Promise<void> {
    this.#isClosed = true;
    if (this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  #queue(lane: Lane): void {
    if (lane.isQueued || lane.isEmpty) return;
    lane.isQueued = true;
    this.#lanes.push(lane);
  }

  #pump(): void {
    if (this.#isPumping || this.#isPausing) return; // an attempt that ends at once comes back here through release()
    this.#isPumping = true;
    while (!this.#isClosed && !this.#total.isFull) {
      const lane = this.#lanes.shift();
      if (lane === undefined) break;
      lane.isQueued = false;
      this.#startNext(lane);
      this.#queue(lane);
      if (this.#breather.isDue()) {
        this.#isPausing = true;
        this.#breather.pause(() => {
          this.#isPausing = false;
          this.#pump();
        });
        break;
      }
    }
    this.#isPumping = false;
  }

  #startNext(lane: Lane): void {
    const instance = lane.next();
    if (instance === undefined) return;
    const limits = lane.run.limitsOf(instance);
    const full = limits.find((limit) => limit.isFull);
    if (full !== undefined) {
      full.held.push({ lane, instance });
      // Its place in the other limits is free for whoever waits there; nobody else would tell them.
      for (const limit of limits) if (!limit.isFull) this.#readmit(limit);
      return;
    }
    this.#total.active++;
    for (const limit of limits) limit.active++;
    const release = () => this.#release(limits);
    if (!lane.run.startAttempt(instance, release)) release();
  }

  #release(limits: readonly Limit[]): void {
    this.#total.active--;
    for (const limit of limits) {
      limit.active--;
      this.#readmit(limit);
    }
    if (this.#isIdle) this.#onIdle?.();
    this.#pump();
  }

  /** Gives the work that has waited longest with a limit another try. */
  #readmit(limit: Limit): void {
    const held = limit.held.shift();
    if (held === undefined) return;
    held.lane.returned.push(held.instance);
    this.#queue(held.lane);
  }
}
