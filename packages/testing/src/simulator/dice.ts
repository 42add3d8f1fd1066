import { type Random, seededRandom } from "weftline";

/** Chance with a memory of nothing but its seed: equal seeds draw equal numbers. */
export class Dice {
  readonly #seed: number;
  readonly random: Random;

  /** @param seed - Any integer; its low 32 bits count. */
  constructor(seed: number) {
    this.#seed = seed | 0;
    this.random = seededRandom(this.#seed);
  }

  /** Dice of their own for one purpose: how often these are thrown does not change what others draw. */
  fork(purpose: string): Dice {
    return new Dice(hash(`${this.#seed}/${purpose}`));
  }

  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number {
    return min + Math.floor(this.random() * (max - min + 1));
  }

  /** True in this part of all cases. */
  chance(probability: number): boolean {
    return this.random() < probability;
  }

  pick<Value>(values: readonly Value[]): Value {
    return values[Math.floor(this.random() * values.length)]!;
  }

  /** One of the values, each as often as its weight says. */
  weighted<Value extends string>(weights: Readonly<Record<Value, number>>): Value {
    const entries = Object.entries(weights) as [Value, number][];
    let left = this.random() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [value, weight] of entries) {
      left -= weight;
      if (left < 0) return value;
    }
    return entries.at(-1)![0];
  }

  times<Value>(count: number, make: (place: number) => Value): Value[] {
    return Array.from({ length: count }, (_, place) => make(place));
  }
}

/** FNV-1a, 32 bits: for seeds and digests that nobody has to trust. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return value >>> 0;
}
