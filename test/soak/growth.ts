/** One look at a process, by the name of what was measured. */
export type Sample = Readonly<Record<string, number>>;

export interface Growth {
  readonly what: string;
  /** The medians of the first and of the last third of the samples after the warm-up. */
  readonly from: number;
  readonly to: number;
  /** A fraction: 0.05 is 5 %. */
  readonly growth: number;
  readonly isFlat: boolean;
}

export interface GrowthOptions {
  /** The part of the samples, from the first on, that is not looked at. Default: 0.25. */
  readonly warmUp?: number;
  /** The growth from which something is no longer flat. Default: 0.05. */
  readonly limit?: number;
  /** By name: growth by less than this is none, however large the fraction. Default: 0. */
  readonly slack?: Readonly<Record<string, number>>;
}

const WARM_UP = 0.25;
const LIMIT = 0.05;
/** With fewer after the warm-up, there are no thirds to compare. */
export const MIN_SAMPLES = 6;

/**
 * How everything that was sampled has grown. What shrinks is flat.
 *
 * @throws {RangeError} With less than {@link MIN_SAMPLES} samples after the warm-up: then nothing can be said.
 */
export function growthOf(samples: readonly Sample[], options: GrowthOptions = {}): readonly Growth[] {
  const { warmUp = WARM_UP, limit = LIMIT, slack = {} } = options;
  const warm = samples.slice(Math.floor(samples.length * warmUp));
  if (warm.length < MIN_SAMPLES) {
    throw new RangeError(`Cannot judge growth from ${warm.length} samples after the warm-up: need ${MIN_SAMPLES}`);
  }
  const third = Math.floor(warm.length / 3);
  return Object.keys(warm[0]!).map((what) => {
    const values = warm.map((sample) => sample[what] ?? 0);
    const from = median(values.slice(0, third));
    const to = median(values.slice(-third));
    const growth = from === to ? 0 : (to - from) / Math.max(Math.abs(from), Number.MIN_VALUE);
    return { what, from, to, growth, isFlat: growth < limit || to - from <= (slack[what] ?? 0) };
  });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
