/** How often a process looks whether it stood still, and from which delay on it did, in milliseconds. */
const LOOK_MS = 50;
const STALL_MS = 300;

/** A stretch of time in which an engine's process stood still, though nobody paused it. */
export interface Stall {
  readonly engine: string;
  readonly from: number;
  readonly to: number;
}

/** Tells when the event loop has not turned for long: on a busy machine a lease may run out meanwhile. @returns What ends it. */
export function watchForStalls(onStall: (stall: Omit<Stall, "engine">) => void): () => void {
  let last = Date.now();
  const timer = setInterval(() => {
    const now = Date.now();
    if (now - last > LOOK_MS + STALL_MS) onStall({ from: last, to: now });
    last = now;
  }, LOOK_MS);
  return () => clearInterval(timer);
}
