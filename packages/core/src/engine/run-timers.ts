import type { Clock, EpochMs } from "../clock.js";

/** The timers of one run: none when nothing waits. */
export class RunTimers {
  readonly #clock: Clock;
  /** By instance: the next attempt, or the end of a wait. */
  readonly #wakes = new Map<number, { readonly at: EpochMs; readonly clear: () => void }>();
  /** By instance: the end of the task's time over all attempts. */
  readonly #deadlines = new Map<number, { readonly at: EpochMs; readonly clear: () => void }>();
  #runDeadline: { readonly at: EpochMs; readonly clear: () => void } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  armWake(instance: number, at: EpochMs, fire: () => void): void {
    this.#wakes.get(instance)?.clear();
    const clear = this.#clock.timer(at, () => {
      this.#wakes.delete(instance);
      fire();
    });
    this.#wakes.set(instance, { at, clear });
  }

  armDeadline(instance: number, at: EpochMs, fire: () => void): void {
    this.#deadlines.get(instance)?.clear();
    this.#deadlines.set(instance, { at, clear: this.#clock.timer(at, fire) });
  }

  armRunDeadline(at: EpochMs, fire: () => void): void {
    this.#runDeadline?.clear();
    this.#runDeadline = { at, clear: this.#clock.timer(at, fire) };
  }

  /** When the first of all timers fires; `undefined`: there is none. */
  get next(): EpochMs | undefined {
    let next = this.#runDeadline?.at;
    for (const { at } of this.#wakes.values()) next = Math.min(at, next ?? at);
    for (const { at } of this.#deadlines.values()) next = Math.min(at, next ?? at);
    return next;
  }

  deadlineOf(instance: number): EpochMs | undefined {
    return this.#deadlines.get(instance)?.at;
  }

  /** The instance has finished. */
  clear(instance: number): void {
    if (this.#wakes.size > 0) {
      this.#wakes.get(instance)?.clear();
      this.#wakes.delete(instance);
    }
    this.clearDeadline(instance);
  }

  clearDeadline(instance: number): void {
    if (this.#deadlines.size === 0) return;
    this.#deadlines.get(instance)?.clear();
    this.#deadlines.delete(instance);
  }

  clearAll(): void {
    for (const { clear } of this.#wakes.values()) clear();
    for (const { clear } of this.#deadlines.values()) clear();
    this.#wakes.clear();
    this.#deadlines.clear();
    this.#runDeadline?.clear();
    this.#runDeadline = undefined;
  }
}
