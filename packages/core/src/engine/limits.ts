import type { Clock } from "../clock.js";
import { type Held, HeldWork } from "./held-work.js";

/** Work that a gate let go of, to be looked at again. */
export interface Admitted extends Held {
  readonly gate: Gate;
}

const NOTHING: readonly Admitted[] = Object.freeze([]);

/** What an attempt has to pass before it starts, and leaves when it has ended. */
export interface Gate {
  readonly kind: "concurrency" | "pool" | "rate";
  /** In words, for people who ask why something does not start. */
  readonly label: string;
  readonly isFull: boolean;
  take(): void;
  giveBack(): void;
  hold(work: Held): void;
  /** Lets go of as much work as there is room for, which is to be looked at again. */
  readmit(): readonly Admitted[];
  /** Work that was let go has been looked at: from now on it counts only when it takes its place. */
  lookedAt(): void;
}

/** A bound on how much runs at once. */
export class Limit implements Gate {
  readonly kind = "concurrency";
  active = 0;
  readonly #held = new HeldWork();
  #admitted = 0;

  constructor(
    readonly max: number,
    private readonly name: string,
  ) {}

  get label(): string {
    return `${this.name}: ${this.active} of ${this.max} at once`;
  }

  get isFull(): boolean {
    return this.active >= this.max;
  }

  get isUnused(): boolean {
    return this.active === 0 && this.#held.size === 0;
  }

  take(): void {
    this.active++;
  }

  giveBack(): void {
    this.active--;
  }

  hold(work: Held): void {
    this.#held.push(work);
  }

  readmit(): readonly Admitted[] {
    if (this.active + this.#admitted >= this.max) return NOTHING;
    const held = this.#held.shift();
    if (held === undefined) return NOTHING;
    this.#admitted++;
    return [{ ...held, gate: this }];
  }

  lookedAt(): void {
    this.#admitted--;
  }
}

/** Slots that tasks of all pipelines share; one attempt may take several. */
export class Pool {
  taken = 0;
  /** Slots of work that was let go and has not been looked at. */
  admitted = 0;
  readonly #shares = new Map<number, PoolShare>();
  #arrivals = 0;

  constructor(
    readonly name: string,
    readonly slots: number,
  ) {}

  /** The gate for attempts that take so many slots. */
  share(slots: number): PoolShare {
    const share = this.#shares.get(slots) ?? new PoolShare(this, slots);
    this.#shares.set(slots, share);
    return share;
  }

  /** Rises with everything that has to wait. */
  nextArrival(): number {
    return ++this.#arrivals;
  }

  /** What comes first among what fits, and so on: what does not fit never stops a smaller one. */
  readmit(): readonly Admitted[] {
    const admitted: Admitted[] = [];
    for (let share = this.#next(); share !== undefined; share = this.#next()) {
      admitted.push({ ...share.next()!, gate: share });
      this.admitted += share.slots;
    }
    return admitted;
  }

  #next(): PoolShare | undefined {
    const free = this.slots - this.taken - this.admitted;
    let next: PoolShare | undefined;
    for (const share of this.#shares.values()) {
      if (share.slots <= free && !share.isEmpty && (next === undefined || share.isBefore(next))) {
        next = share;
      }
    }
    return next;
  }
}

export class PoolShare implements Gate {
  readonly kind = "pool";
  readonly #held: HeldWork;

  constructor(
    readonly pool: Pool,
    readonly slots: number,
  ) {
    this.#held = new HeldWork(() => pool.nextArrival());
  }

  get label(): string {
    const { name, taken, slots } = this.pool;
    return `pool "${name}": ${slots - taken} of ${slots} slots are free and it needs ${this.slots}`;
  }

  get isFull(): boolean {
    return this.pool.taken + this.slots > this.pool.slots;
  }

  get isEmpty(): boolean {
    return this.#held.size === 0;
  }

  /** Whether what waits here comes before what waits for another number of slots. */
  isBefore(other: PoolShare): boolean {
    const [own, others] = [this.#held.first!, other.#held.first!];
    if (own.lane.priority !== others.lane.priority) return own.lane.priority > others.lane.priority;
    return own.arrival < others.arrival;
  }

  take(): void {
    this.pool.taken += this.slots;
  }

  giveBack(): void {
    this.pool.taken -= this.slots;
  }

  hold(work: Held): void {
    this.#held.push(work);
  }

  next(): Held | undefined {
    return this.#held.shift();
  }

  readmit(): readonly Admitted[] {
    return this.pool.readmit();
  }

  lookedAt(): void {
    this.pool.admitted -= this.slots;
  }
}

/** A bound on how often something starts: at most `limit` within any stretch of `perMs`. */
export class RateLimit implements Gate {
  readonly kind = "rate";
  readonly #held = new HeldWork();
  /** The moments of the last starts, as a ring. */
  readonly #starts: number[] = [];
  #next = 0;
  #admitted = 0;
  #clearTimer: (() => void) | undefined;

  constructor(
    readonly limit: number,
    readonly perMs: number,
    private readonly name: string,
    private readonly clock: Clock,
    /** Starts become possible again. */
    private readonly onRoom: (gate: RateLimit) => void,
  ) {}

  get label(): string {
    return `${this.name}: ${this.limit} starts in ${this.perMs} ms`;
  }

  /** When the next start is possible, by the monotonic clock. */
  get freeAt(): number {
    return this.#starts.length < this.limit ? 0 : this.#starts[this.#next]! + this.perMs;
  }

  get isFull(): boolean {
    return this.freeAt > this.clock.monotonicMs();
  }

  /** Nothing waits, and all starts are so long ago that they do not count any more. */
  get isUnused(): boolean {
    const last = this.#starts[(this.#next + this.#starts.length - 1) % Math.max(1, this.#starts.length)];
    return this.#held.size === 0 && (last === undefined || last + this.perMs <= this.clock.monotonicMs());
  }

  take(): void {
    this.#starts[this.#next] = this.clock.monotonicMs();
    this.#next = (this.#next + 1) % this.limit;
  }

  giveBack(): void {
    // A start that happened stays one that happened.
  }

  hold(work: Held): void {
    this.#held.push(work);
    this.#arm();
  }

  readmit(): readonly Admitted[] {
    if (this.#held.size === 0) return NOTHING;
    const now = this.clock.monotonicMs();
    const admitted: Admitted[] = [];
    const room = this.limit - this.#starts.filter((at) => at + this.perMs > now).length;
    for (; this.#admitted < room && this.#held.size > 0; this.#admitted++) {
      admitted.push({ ...this.#held.shift()!, gate: this });
    }
    return admitted;
  }

  lookedAt(): void {
    this.#admitted--;
  }

  close(): void {
    this.#clearTimer?.();
  }

  #arm(): void {
    if (this.#clearTimer !== undefined || this.#held.size === 0) return;
    const at = this.clock.now() + Math.max(1, Math.ceil(this.freeAt - this.clock.monotonicMs()));
    this.#clearTimer = this.clock.timer(at, () => {
      this.#clearTimer = undefined;
      this.onRoom(this);
      this.#arm();
    });
  }
}
