/** A DAG as plain numbers: for each task the tasks before it. Every task comes after those it depends on. */
export type Graph = readonly (readonly number[])[];

const WIDTH = 100;
const LAYERS = 20;
const MAX_DEPENDENCIES = 3;

/** The shapes that are measured, each with about `size` tasks. */
export const SHAPES = {
  /** Layers of 100 tasks; each depends on up to 3 tasks of the layer before. */
  layered: (size: number) => layers(size, WIDTH),
  /** 20 layers; each task depends on 3 tasks of the layer before. */
  "20-layers": (size: number) => layers(size, Math.ceil(size / LAYERS)),
  chain: (size: number): Graph => build(size, (task) => (task === 0 ? [] : [task - 1])),
  independent: (size: number): Graph => build(size, () => []),
  /** One task, then all others. */
  "fan-out": (size: number): Graph => build(size, (task) => (task === 0 ? [] : [0])),
  /** All others, then one task. */
  "fan-in": (size: number): Graph => build(size, (task) => (task === size - 1 ? range(size - 1) : [])),
  /** One task, then many, then one that joins them. */
  "fan-out-join": (size: number): Graph =>
    build(size, (task) => (task === 0 ? [] : task === size - 1 ? range(size - 1).slice(1) : [0])),
} as const satisfies Record<string, (size: number) => Graph>;
export type Shape = keyof typeof SHAPES;

function layers(size: number, width: number): Graph {
  return build(size, (task) => {
    const layer = Math.floor(task / width);
    if (layer === 0) return [];
    const offsets = [0, 1, 7].slice(0, MAX_DEPENDENCIES);
    return [...new Set(offsets.map((offset) => (layer - 1) * width + ((task + offset) % width)))];
  });
}

function build(size: number, before: (task: number) => readonly number[]): Graph {
  return Array.from({ length: size }, (_, task) => before(task));
}

function range(size: number): number[] {
  return Array.from({ length: size }, (_, number) => number);
}
