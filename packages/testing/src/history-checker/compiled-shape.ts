import type { Shape, TaskShape } from "./history.js";

/** A task of a shape with its neighbours by position. */
export interface CompiledTask extends TaskShape {
  readonly position: number;
  /** Distinct tasks that have to end before it. */
  readonly before: readonly { readonly from: number; readonly choices: readonly string[] | undefined }[];
  readonly after: readonly number[];
  /** What it reads, by position. */
  readonly setup: readonly number[];
  /** -1: none. */
  readonly around: number;
  /** The tasks that stand directly in it. */
  readonly members: readonly number[];
  /** How many numbers the index of the task itself has: one for each mapped group around it. */
  readonly depth: number;
}

export interface CompiledShape {
  readonly shape: Shape;
  readonly tasks: readonly CompiledTask[];
  readonly positions: ReadonlyMap<string, number>;
}

const compiled = new WeakMap<Shape, CompiledShape>();

/** Made once for each shape, as a simulation checks many histories of the same pipelines. */
export function compileShape(shape: Shape): CompiledShape {
  let known = compiled.get(shape);
  if (known === undefined) {
    known = compile(shape);
    compiled.set(shape, known);
  }
  return known;
}

function compile(shape: Shape): CompiledShape {
  const positions = new Map(shape.tasks.map(({ id }, position) => [id, position]));
  const at = (id: string | undefined): number => (id === undefined ? -1 : (positions.get(id) ?? -1));
  const after: number[][] = shape.tasks.map(() => []);
  const members: number[][] = shape.tasks.map(() => []);
  const depths: number[] = [];
  for (const [position, task] of shape.tasks.entries()) {
    for (const { task: id } of task.upstream) after[at(id)]?.push(position);
    const around = at(task.group);
    members[around]?.push(position);
    depths.push(around < 0 ? 0 : depths[around]! + (shape.tasks[around]!.mapped ? 1 : 0));
  }
  const tasks = shape.tasks.map((task, position) => ({
    ...task,
    position,
    before: task.upstream.map(({ task: id, choices }) => ({ from: at(id), choices })),
    after: after[position]!,
    setup: task.needs.map((need) => at(need.task)),
    around: at(task.group),
    members: members[position]!,
    depth: depths[position]!,
  }));
  return { shape, tasks, positions };
}
