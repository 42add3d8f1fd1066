import type { Scheduler, SchedulerHost } from "../contracts/scheduler.js";

/** After `due()` failed (the store is down, say), it is called again this much later. */
const RETRY_MS = 5_000;
/** A schedule that stays due is looked at again this much later. */
const OVERDUE_MS = 1_000;

/** Wakes the engine by a timer of its own process for the next instant of any schedule; without schedules it sets none. */
export function timerScheduler(): Scheduler {
  return new TimerScheduler();
}

class TimerScheduler implements Scheduler {
  #host: SchedulerHost | undefined;
  #clearTimer: (() => void) | undefined;
  #working: Promise<void> | undefined;
  #changedMeanwhile = false;

  async start(host: SchedulerHost): Promise<void> {
    this.#host = host;
    this.changed();
  }

  changed(): void {
    if (this.#host === undefined) return;
    if (this.#working !== undefined) {
      this.#changedMeanwhile = true;
      return;
    }
    this.#working = this.#work().finally(() => {
      this.#working = undefined;
      if (this.#changedMeanwhile) this.changed();
    });
  }

  async stop(): Promise<void> {
    this.#host = undefined;
    this.#clearTimer?.();
    await this.#working;
    this.#clearTimer?.();
  }

  /** Fires what is due, then sleeps until the next instant. */
  async #work(): Promise<void> {
    this.#changedMeanwhile = false;
    this.#clearTimer?.();
    const host = this.#host;
    if (host === undefined) return;
    try {
      await host.due();
      const next = await host.nextDue();
      const now = host.clock.now();
      // Still due although it was just looked at: the store did not move it, and asking at once would spin.
      if (next !== undefined) this.#wakeAt(next > now ? next : now + OVERDUE_MS);
    } catch (error) {
      host.log.error({ error }, "schedules could not be looked at; trying again");
      this.#wakeAt(host.clock.now() + RETRY_MS);
    }
  }

  #wakeAt(at: number): void {
    if (this.#host === undefined) return;
    this.#clearTimer = this.#host.clock.timer(at, () => this.changed());
  }
}
