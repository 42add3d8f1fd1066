/** A DAG as plain numbers, computed when asked for, so that it costs a measured process nothing. */
export interface Graph {
  readonly size: number;
  /** The tasks that a task waits for. All of them have smaller numbers. */
  before(task: number): readonly number[];
}

const WIDTH = 100;
const LAYERS = 20;
/** Where, in the layer before, the up to three dependencies of a task are. */
const OFFSETS = [0, 1, 7];

/** The shapes that are measured, each with `size` tasks. */
export const SHAPES = {
  /** Layers of 100 tasks; each depends on 3 tasks of the layer before. */
  layered: (size: number) => layers(size, WIDTH),
  /** 20 layers; each task depends on 3 tasks of the layer before. */
  "20 layers": (size: number) => layers(size, Math.ceil(size / LAYERS)),
  chain: (size: number): Graph => ({ size, before: (task) => (task === 0 ? [] : [task - 1]) }),
  independent: (size: number): Graph => ({ size, before: () => [] }),
  /** One task, then all others. */
  "fan-out": (size: number): Graph => ({ size, before: (task) => (task === 0 ? [] : [0]) }),
  /** All others, then one task. */
  "fan-in": (size: number): Graph => ({ size, before: (task) => (task === size - 1 ? range(0, task) : []) }),
  /** One task, then many, then one that joins them. */
  "fan-out and join": (size: number): Graph => ({
    size,
    before: (task) => (task === 0 ? [] : task === size - 1 ? range(1, task) : [0]),
  }),
} as const satisfies Record<string, (size: number) => Graph>;
export type Shape = keyof typeof SHAPES;

/** Every task of a graph, in order. */
export function tasksOf({ size }: Graph): number[] {
  return range(0, size);
}

function layers(size: number, width: number): Graph {
  const before = (task: number): number[] => {
    const layer = Math.floor(task / width);
    if (layer === 0) return [];
    return [...new Set(OFFSETS.map((offset) => (layer - 1) * width + ((task + offset) % width)))];
  };
  return { size, before };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, offset) => from + offset);
}
