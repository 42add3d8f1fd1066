import type { Breather } from "./breather.js";
import { type Admitted, type Gate, Limit } from "./limits.js";
import { PriorityQueue } from "./priority-queue.js";
import { Queue } from "./queue.js";

/** What the dispatcher starts attempts for: a run. */
export interface Dispatchable {
  /** What an instance has to pass beside the dispatcher's own limit, the narrowest first; nothing when it cannot start. */
  gatesOf(instance: number): readonly Gate[];
  /** Starts an attempt. @returns False when the instance is not ready any more; nothing started then. */
  startAttempt(instance: number, release: () => void): boolean;
}

/** The ready instances of one run that have the same priority. */
export class Lane {
  /** Before all others: they had been chosen once and did not fit. */
  readonly returned = new Queue<Admitted>();
  readonly ready = new Queue<number>();
  isQueued = false;

  constructor(
    readonly run: Dispatchable,
    readonly priority: number,
  ) {}

  get isEmpty(): boolean {
    return this.returned.size === 0 && this.ready.size === 0;
  }
}

/**
 * Decides what starts next. Those of the highest priority first; among equals runs take turns, one instance each, so
 * that a large run does not starve a small one. An instance that does not fit some gate waits with that gate, out of the
 * way of those that do fit.
 */
export class Dispatcher {
  readonly #total: Limit;
  readonly #breather: Breather;
  /** Whether anything may start: the engine's lease surely holds. */
  readonly mayStart: () => boolean;
  readonly #lanes = new PriorityQueue<Lane>();
  /** Of {@link whenMayStart}. */
  readonly #waiting: (() => void)[] = [];
  #abandoned = 0;
  #isPumping = false;
  #isPausing = false;
  #isClosed = false;
  #onIdle: (() => void) | undefined;

  /** @param mayStart - Asked before each start; after it said no, {@link goOn} is called when it says yes again. */
  constructor(concurrency: number, breather: Breather, mayStart: () => boolean = () => true) {
    this.#total = new Limit(concurrency, "the engine's concurrency");
    this.#breather = breather;
    this.mayStart = mayStart;
  }

  /** Attempts that hold a slot. */
  get active(): number {
    return this.#total.active;
  }

  /** The engine's own limit. */
  get total(): Gate {
    return this.#total;
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

  /** A gate has room again although no attempt ended. */
  roomIn(gate: Gate): void {
    this.#readmit(gate);
    this.#pump();
  }

  /** What kept everything from starting is over. */
  goOn(): void {
    for (const goOn of this.#waiting.splice(0)) goOn();
    this.#pump();
  }

  /** Settles when something may start; at once, as a rule. */
  whenMayStart(): Promise<void> {
    return this.mayStart() ? Promise.resolve() : new Promise((goOn) => void this.#waiting.push(goOn));
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
    this.#lanes.push(lane, lane.priority);
  }

  #pump(): void {
    if (this.#isPumping || this.#isPausing) return; // an attempt that ends at once comes back here through release()
    this.#isPumping = true;
    while (!this.#isClosed && !this.#total.isFull && this.mayStart()) {
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
    const returned = lane.returned.shift();
    const instance = returned === undefined ? lane.ready.shift() : returned.instance;
    if (instance === undefined) return;
    returned?.gate.lookedAt();
    const gates = lane.run.gatesOf(instance);
    const full = gates.find((gate) => gate.isFull);
    if (full !== undefined) {
      full.hold({ lane, instance });
      return this.#passOn(returned);
    }
    this.#total.active++;
    for (const gate of gates) gate.take();
    const release = gates.length === 0 ? this.#releaseUngated : () => this.#release(gates);
    if (lane.run.startAttempt(instance, release)) return;
    release();
    this.#passOn(returned);
  }

  /** The place that was kept for this work is free for whoever else waits there; nobody else would tell them. */
  #passOn(returned: Admitted | undefined): void {
    if (returned !== undefined) this.#readmit(returned.gate);
  }

  readonly #releaseUngated = (): void => {
    this.#total.active--;
    if (this.#isIdle) this.#onIdle?.();
    this.#pump();
  };

  #release(gates: readonly Gate[]): void {
    for (const gate of gates) {
      gate.giveBack();
      this.#readmit(gate);
    }
    this.#releaseUngated();
  }

  /** Gives the work that has waited longest with a gate, and may fit now, another try. */
  #readmit(gate: Gate): void {
    for (const admitted of gate.readmit()) {
      admitted.lane.returned.push(admitted);
      this.#queue(admitted.lane);
    }
  }
}
