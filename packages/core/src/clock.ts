/** Milliseconds since 1970-01-01T00:00:00Z. */
export type EpochMs = number;

/**
 * Time as the engine sees it. The engine reads no other clock, so a test or a simulator that passes its own
 * decides what time it is and when every timer fires.
 */
export interface Clock {
  /** Wall-clock time; may jump. Used for what people read and for absolute deadlines. */
  now(): EpochMs;
  /** Milliseconds from an arbitrary start that never go backwards. Used for measuring how long something took. */
  monotonicMs(): number;
  /**
   * Calls `fire` once, at or after `at`, never synchronously and whatever the distance (also beyond the 24.8 days
   * a plain `setTimeout` can wait).
   *
   * @returns A function that takes the timer back; harmless after it fired.
   */
  timer(at: EpochMs, fire: () => void): () => void;
  /** Calls `fire` after the event loop had a turn for timers and sockets, so that long work does not starve the host. */
  afterTurn(fire: () => void): void;
}

/** The longest delay Node's timers accept; a longer one would fire after 1 ms. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
const MAX_EARLY_MS = 2;

// Captured when the module loads, so that a host's fake timers or a task that patches globals cannot stop the engine.
const { setTimeout: startTimeout, clearTimeout: stopTimeout, setImmediate: startImmediate } = globalThis;
const dateNow = Date.now;
const performanceNow = performance.now.bind(performance);

/** The machine's clock. Its timers keep the process alive, as a run that waits for a retry is unfinished work. */
export const systemClock: Clock = {
  now: () => dateNow(),
  monotonicMs: () => performanceNow(),
  timer(at, fire) {
    let handle: NodeJS.Timeout;
    const fireUnlessEarly = () => {
      const remaining = at - dateNow();
      // Node counts its milliseconds apart from the wall clock. More than a few: that was set back, and waits for nobody.
      if (remaining > 0 && remaining <= MAX_EARLY_MS) handle = startTimeout(fireUnlessEarly, remaining);
      else fire();
    };
    const arm = () => {
      const remaining = at - dateNow();
      if (remaining > MAX_TIMEOUT_MS) handle = startTimeout(arm, MAX_TIMEOUT_MS);
      else handle = startTimeout(fireUnlessEarly, Math.max(0, remaining));
    };
    arm();
    return () => stopTimeout(handle);
  },
  afterTurn(fire) {
    startImmediate(fire);
  },
};
