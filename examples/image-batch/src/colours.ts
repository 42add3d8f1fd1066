import type { Pixels } from "./pixels.js";

const LEVELS = 4;

/** The colours that cover most of an image, the most frequent first, as `#rrggbb`: the means of 64 equal cubes. */
export function mainColours({ data }: Pixels, count: number): readonly string[] {
  const cubes = new Map<number, { pixels: number; readonly sum: [number, number, number] }>();
  for (let at = 0; at < data.length; at += 4) {
    const [red, green, blue] = [data[at]!, data[at + 1]!, data[at + 2]!];
    const key = (cubeOf(red) * LEVELS + cubeOf(green)) * LEVELS + cubeOf(blue);
    const cube = cubes.get(key) ?? { pixels: 0, sum: [0, 0, 0] };
    cube.pixels++;
    cube.sum[0] += red;
    cube.sum[1] += green;
    cube.sum[2] += blue;
    cubes.set(key, cube);
  }
  return [...cubes.values()]
    .sort((a, b) => b.pixels - a.pixels)
    .slice(0, count)
    .map(({ pixels, sum }) => `#${sum.map((part) => hex(Math.round(part / pixels))).join("")}`);
}

function cubeOf(value: number): number {
  return Math.floor((value * LEVELS) / 256);
}

function hex(value: number): string {
  return value.toString(16).padStart(2, "0");
}
