import type { Clock, EpochMs } from "../clock.js";
import type { Logger } from "../logger.js";

/**
 * What wakes the engine when a schedule may be due. Exactness does not depend on it: `Storage.fire` moves a schedule
 * once however often `due()` is called.
 */
export interface Scheduler {
  /** Begins to call `host.due()` whenever a schedule may be due: never much later than `host.nextDue()`; too often is harmless. */
  start(host: SchedulerHost): Promise<void>;
  /** Schedules changed: look at `nextDue()` again. */
  changed(): void;
  /** Calls `due()` no more, and waits for one that is under way. */
  stop(): Promise<void>;
}

export interface SchedulerHost {
  readonly clock: Clock;
  readonly log: Logger;
  /** The earliest instant of any schedule; `undefined`: none. */
  readonly nextDue: () => Promise<EpochMs | undefined>;
  /** Fires every schedule that is due. */
  readonly due: () => Promise<void>;
}
