import { afterEach, beforeEach, expect } from "vitest";
import type { ManualClock, WatchedClock } from "./manual-clock.js";
import { settled } from "./manual-clock.js";

const closers: (() => Promise<void>)[] = [];
const clocks = new Set<ManualClock | WatchedClock>();

/** Runs after the test, whatever its result; the last registered first. */
export function closeAfterTest(close: () => Promise<void>): void {
  closers.push(close);
}

/** No timer of this clock may be left when everything is closed. */
export function watchClock<Watched extends ManualClock | WatchedClock>(clock: Watched): Watched {
  clocks.add(clock);
  return clock;
}

/**
 * For the top of a test file: closes what each test opened, then proves that no timer, listener or handle of the
 * process stayed behind.
 */
export function leavesNothingBehind(): void {
  let before: readonly string[] = [];
  beforeEach(() => {
    before = handles();
  });
  afterEach(async () => {
    // Taken first: should one of them hang, it must not go on with those of the next test.
    const opened = closers.splice(0);
    while (opened.length > 0) await opened.pop()!();
    await settled(2);
    const timers = [...clocks].map(({ pendingTimers }) => pendingTimers);
    clocks.clear();
    expect(timers.every((pending) => pending === 0)).toBe(true);
    expect(handles()).toEqual(before);
  });
}

/** Without timers, as the test runner has its own: clocks count those of the engine. */
function handles(): readonly string[] {
  const ofRunner = new Set(["Immediate", "Timeout", "PipeWrap", "MessagePort"]);
  const resources = process.getActiveResourcesInfo().filter((name) => !ofRunner.has(name));
  const listeners = process.eventNames().map((name) => `${String(name)}: ${process.listenerCount(name)}`);
  return [...resources, ...listeners].sort();
}
