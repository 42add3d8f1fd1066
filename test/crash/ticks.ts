import type { Schedule } from "weftline";

/** Instants on all multiples of `everyMs` after `from` and up to `until`, and none beyond. In epoch milliseconds. */
export interface Ticks {
  readonly everyMs: number;
  readonly from: number;
  readonly until: number;
}

/** All instants of a schedule, by an enumeration that the engine has no part in. */
export function instantsOf({ everyMs, from, until }: Ticks): readonly number[] {
  const instants: number[] = [];
  for (let instant = from - (from % everyMs) + everyMs; instant <= until; instant += everyMs) instants.push(instant);
  return instants;
}

/** Shorter intervals than the engine itself offers, so that a run of half a second meets some; and an end. */
export function scheduleOf({ everyMs, from, until }: Ticks): Schedule<Record<never, never>> {
  const next = (after: number) => (Math.floor(Math.max(after, from) / everyMs) + 1) * everyMs;
  return {
    spec: `every ${everyMs}ms until ${until}`,
    next: (after) => (next(after) <= until ? next(after) : undefined),
    latest(after, now) {
      const instant = Math.floor(Math.min(now, until) / everyMs) * everyMs;
      return instant > after ? instant : undefined;
    },
    params: undefined,
  };
}
