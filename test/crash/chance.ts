import { type Random, seededRandom } from "weftline";

export type { Random };

/** Where the choices of a run of the harness begin: `WEFTLINE_CRASH_SEED`, or 1. */
export function seedFromEnvironment(): number {
  const seed = Number(process.env.WEFTLINE_CRASH_SEED ?? 1);
  if (!Number.isSafeInteger(seed)) throw new TypeError("WEFTLINE_CRASH_SEED has to be a whole number");
  return seed;
}

export function chance(seed: number): Random {
  return seededRandom(seed);
}

/** `count` whole numbers from 1 to `last`, evenly spread, which begin at another place with each draw; all where there are no more. */
export function spread(last: number, count: number, random: Random): readonly number[] {
  if (count >= last) return Array.from({ length: last }, (_, place) => place + 1);
  const step = last / count;
  const start = random() * step;
  return Array.from({ length: count }, (_, place) => Math.floor(start + place * step) + 1);
}
