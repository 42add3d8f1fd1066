/** 50 to 53: what is sampled over a long time does not grow. */

/** One figure over time: bytes, handles, rows, queries for each task … */
export interface Series {
  readonly name: string;
  /** 50 to 53. */
  readonly invariant: number;
  /** In the order they were taken. */
  readonly samples: readonly number[];
}

export interface GrowthOptions {
  /** The part of the samples that is left out at the beginning, from 0 to below 1. Default: 0.2. */
  readonly warmUp?: number;
  /** How much the end may lie above the beginning, as a part of that. Default: 0.05. */
  readonly limit?: number;
}

export interface Growth {
  readonly name: string;
  readonly invariant: number;
  /** How much it grew after the warm-up, as a part of where it began: 0.1 is a tenth. `undefined`: too few samples. */
  readonly growth: number | undefined;
  readonly isBounded: boolean;
}

const MIN_SAMPLES = 8;

/**
 * Judges the slope of each series after its warm-up: of the line that fits best, from its beginning to its end, so that
 * a single high sample (a collection that had not come yet) decides nothing. A series that shrinks is bounded.
 */
export function checkGrowth(series: readonly Series[], options: GrowthOptions = {}): readonly Growth[] {
  const { warmUp = 0.2, limit = 0.05 } = options;
  return series.map(({ name, invariant, samples }) => {
    const settled = samples.slice(Math.floor(samples.length * warmUp));
    const growth = settled.length < MIN_SAMPLES ? undefined : growthOf(settled);
    return { name, invariant, growth, isBounded: growth !== undefined && growth < limit };
  });
}

/** From the median slope between all pairs, which outliers do not move. */
function growthOf(samples: readonly number[]): number {
  const slopes: number[] = [];
  for (let to = 1; to < samples.length; to++) {
    for (let from = 0; from < to; from++) slopes.push((samples[to]! - samples[from]!) / (to - from));
  }
  const slope = median(slopes);
  const middle = median(samples);
  const rise = slope * (samples.length - 1);
  const start = middle - rise / 2;
  return rise === 0 ? 0 : rise / Math.max(Math.abs(start), Number.EPSILON);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}
