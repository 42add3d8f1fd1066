import type { Clock, EpochMs } from "../clock.js";
import { WakeQueue } from "./wake-queue.js";

/** A run that would wake sooner stays in memory: reading it again would cost more than it saves. */
const MIN_PARKED_MS = 1_000;
const NOTHING_SEEN: ReadonlySet<string> = new Set();

/**
 * Runs of ours that only wait, for time or for signals. Storage has all there is to know about them, so that a hundred
 * thousand of them cost little more than their ids.
 */
export class ParkedRuns {
  readonly #clock: Clock;
  /** By run: the messages it knows already and that nobody has consumed. */
  readonly #parked = new Map<string, ReadonlySet<string>>();
  readonly #wakes: WakeQueue;

  /** @param onWake - These runs may have something to do. */
  constructor(clock: Clock, onWake: (ids: readonly string[]) => void) {
    this.#clock = clock;
    this.#wakes = new WakeQueue(clock, (ids) => onWake(ids.filter((id) => this.#parked.has(id))));
  }

  get size(): number {
    return this.#parked.size;
  }

  has(id: string): boolean {
    return this.#parked.has(id);
  }

  /** Whether it is worth it. @param wakeAt - `undefined`: it waits for signals alone. */
  isWorthIt(wakeAt: EpochMs | undefined): boolean {
    return wakeAt === undefined || wakeAt - this.#clock.now() >= MIN_PARKED_MS;
  }

  park(id: string, wakeAt: EpochMs | undefined, seen: ReadonlySet<string> = NOTHING_SEEN): void {
    this.#parked.set(id, seen.size === 0 ? NOTHING_SEEN : seen);
    if (wakeAt !== undefined) this.#wakes.add(id, wakeAt);
  }

  /** Whether a message is news to a parked run. */
  isNews(id: string, messageId: string): boolean {
    return this.#parked.get(id)?.has(messageId) === false;
  }

  /** It is in memory again, or not ours any more. */
  leave(id: string): void {
    this.#parked.delete(id);
    this.#wakes.prune((sleeper) => this.#parked.has(sleeper));
  }

  /** None of them is ours any more. @returns Which they were. */
  leaveAll(): readonly string[] {
    const ids = [...this.#parked.keys()];
    this.#parked.clear();
    this.#wakes.prune(() => false);
    return ids;
  }

  close(): void {
    this.#wakes.close();
  }
}
