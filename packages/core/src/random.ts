import { V7Generator } from "uuidv7";
import { systemClock } from "./clock.js";
import { show } from "./define/show.js";

/** A source of chance: numbers in [0, 1). */
export type Random = () => number;

const systemRandom = Math.random;

/** The runtime's generator, captured at load so that a patched `Math.random` does not reach the engine. */
export const defaultRandom: Random = () => systemRandom();

const ids = new V7Generator();

/**
 * A new id; ids sort by the moment they were made. By our own clock, since a patched `Date.now` must not reach the engine.
 * Through a buffer, as the generator's text is a chain of two dozen pieces that would stay with every run (770 bytes).
 */
export const defaultNewId = (): string =>
  Buffer.from(ids.generateOrResetWithTs(systemClock.now()).toString(), "latin1").toString("latin1");

/**
 * A repeatable sequence for one seed; for tests and simulations, not for secrets.
 *
 * @param seed - Any integer; its low 32 bits count.
 * @see https://gist.github.com/tommyettinger/46a874533244883189143505d203312c (mulberry32, public domain)
 */
export function seededRandom(seed: number): Random {
  if (typeof seed !== "number") throw new TypeError(`seededRandom(seed) takes a number, not ${show(seed)}`);
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
