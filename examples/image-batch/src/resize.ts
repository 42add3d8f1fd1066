import type { Pixels } from "./pixels.js";

/** How many lobes of the sinc function the filter keeps. */
const LOBES = 3;
const CHANNELS = 4;

/**
 * The image at another width, its proportions kept: by the Lanczos filter with three lobes, first along the rows, then
 * along the columns.
 *
 * @see Duchon, "Lanczos Filtering in One and Two Dimensions", Journal of Applied Meteorology 18 (1979)
 */
export function resize(image: Pixels, width: number): Pixels {
  const height = Math.max(1, Math.round((image.height * width) / image.width));
  const rows = resampled(image.data, image.width, image.height, width);
  // Turned, so that both passes walk along memory.
  const columns = resampled(turned(rows, width, image.height), image.height, width, height);
  return { width, height, data: Uint8Array.from(turned(columns, height, width), clamped) };
}

/** Each row of `length` pixels as one of `newLength` pixels. */
function resampled(data: ArrayLike<number>, length: number, rows: number, newLength: number): Float32Array {
  const weights = weightsOf(length, newLength);
  const result = new Float32Array(newLength * rows * CHANNELS);
  for (let row = 0; row < rows; row++) {
    for (let place = 0; place < newLength; place++) {
      const { first, factors } = weights[place]!;
      const to = (row * newLength + place) * CHANNELS;
      for (let tap = 0; tap < factors.length; tap++) {
        const from = (row * length + first + tap) * CHANNELS;
        const factor = factors[tap]!;
        for (let channel = 0; channel < CHANNELS; channel++) {
          result[to + channel] = result[to + channel]! + factor * data[from + channel]!;
        }
      }
    }
  }
  return result;
}

interface Weights {
  /** The first pixel that counts. */
  readonly first: number;
  /** Of it and of those after it; together 1. */
  readonly factors: readonly number[];
}

function weightsOf(length: number, newLength: number): readonly Weights[] {
  const scale = length / newLength;
  const reach = LOBES * Math.max(1, scale);
  return Array.from({ length: newLength }, (_, place) => {
    const centre = (place + 0.5) * scale - 0.5;
    const first = Math.max(0, Math.ceil(centre - reach));
    const last = Math.min(length - 1, Math.floor(centre + reach));
    const factors = Array.from({ length: last - first + 1 }, (__, tap) =>
      lanczos((first + tap - centre) / Math.max(1, scale)),
    );
    const sum = factors.reduce((a, b) => a + b, 0);
    return { first, factors: factors.map((factor) => factor / sum) };
  });
}

function lanczos(x: number): number {
  if (x === 0) return 1;
  if (Math.abs(x) >= LOBES) return 0;
  const angle = Math.PI * x;
  return (LOBES * Math.sin(angle) * Math.sin(angle / LOBES)) / (angle * angle);
}

/** Rows become columns. */
function turned(data: Float32Array, width: number, height: number): Float32Array {
  const result = new Float32Array(data.length);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const from = (row * width + column) * CHANNELS;
      const to = (column * height + row) * CHANNELS;
      for (let channel = 0; channel < CHANNELS; channel++) result[to + channel] = data[from + channel]!;
    }
  }
  return result;
}

function clamped(value: number): number {
  return Math.min(255, Math.max(0, Math.round(value)));
}
