import type { Clock, EpochMs } from "../clock.js";

/** The timers of one run: none when nothing waits. */
export class RunTimers {
  readonly #clock: Clock;
  /** By instance: the next attempt. */
  readonly #retries = new Map<number, () => void>();
  /** By instance: the end of the task's time over all attempts. */
  readonly #deadlines = new Map<number, { readonly at: EpochMs; readonly clear: () => void }>();
  #clearRunDeadline: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  armRetry(instance: number, at: EpochMs, fire: () => void): void {
    const timer = this.#clock.timer(at, () => {
      this.#retries.delete(instance);
      fire();
    });
    this.#retries.set(instance, timer);
  }

  armDeadline(instance: number, at: EpochMs, fire: () => void): void {
    this.#deadlines.get(instance)?.clear();
    this.#deadlines.set(instance, { at, clear: this.#clock.timer(at, fire) });
  }

  armRunDeadline(at: EpochMs, fire: () => void): void {
    this.#clearRunDeadline?.();
    this.#clearRunDeadline = this.#clock.timer(at, fire);
  }

  deadlineOf(instance: number): EpochMs | undefined {
    return this.#deadlines.get(instance)?.at;
  }

  /** The instance has finished. */
  clear(instance: number): void {
    this.#retries.get(instance)?.();
    this.#retries.delete(instance);
    this.#deadlines.get(instance)?.clear();
    this.#deadlines.delete(instance);
  }

  clearAll(): void {
    for (const clear of this.#retries.values()) clear();
    for (const { clear } of this.#deadlines.values()) clear();
    this.#retries.clear();
    this.#deadlines.clear();
    this.#clearRunDeadline?.();
  }
}
