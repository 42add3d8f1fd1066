import type { Clock } from "../clock.js";
import type { ManualClock } from "./manual-clock.js";

/** Work of a known length by the test's clock; it stops when it is told to. */
export function lasting(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const clear = clock.timer(clock.now() + ms, resolve);
    signal?.addEventListener("abort", () => {
      clear();
      reject(signal.reason as Error);
    });
  });
}

/** Lets virtual time go on until the work is done, at most for `maxMs`. */
export async function finishing<Value>(clock: ManualClock, work: Promise<Value>, maxMs = 3_600_000): Promise<Value> {
  let isDone = false;
  const end = () => {
    isDone = true;
  };
  work.then(end, end);
  for (let ms = 0; !isDone && ms < maxMs; ms += 1_000) await clock.advance(1_000);
  if (!isDone) throw new Error(`not done after ${maxMs} ms of virtual time`);
  return work;
}
