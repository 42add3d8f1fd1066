import type { AttemptQuery, AttemptRecord, TaskQuery, TaskRecord } from "../../contracts/records.js";

/** A position, then the index path of an item: where a task or item has its place in its run. */
export type Path = readonly number[];

/**
 * The task and attempt records of one run, by identity. Listings are in the definition's order and give at most `limit`
 * records of those behind the given place.
 */
export interface TaskHistory {
  /** A representation with more room is due. */
  readonly isFull: boolean;
  putTask(record: TaskRecord): void;
  putAttempt(record: AttemptRecord): void;
  /** Of every generation, in no order that counts. */
  everyTask(): readonly TaskRecord[];
  everyAttempt(): readonly AttemptRecord[];
  /** The record of the task's current generation. */
  currentTask(position: number, index: readonly number[]): TaskRecord | undefined;
  /** @param after - Empty: from the beginning. */
  tasks(query: TaskQuery, after: Path, limit: number): TaskRecord[];
  attempts(query: AttemptQuery, after: AttemptPlace, limit: number): AttemptRecord[];
}

/** A place in a listing of attempts. */
export interface AttemptPlace {
  /** Empty: before all of them. */
  readonly path: Path;
  readonly generation: number;
  readonly attempt: number;
}

type Placed = Pick<TaskRecord, "position" | "index">;

export function pathOf({ position, index }: Placed): Path {
  return [position, ...index];
}

/** A task comes before its items. @returns Negative, 0 or positive, as sorting wants it. */
export function comparePaths(a: Path, b: Path): number {
  const shared = Math.min(a.length, b.length);
  for (let place = 0; place < shared; place++) {
    if (a[place] !== b[place]) return a[place]! - b[place]!;
  }
  return a.length - b.length;
}

export function comparePlaces(a: Placed, b: Placed): number {
  return a.position - b.position || comparePaths(a.index, b.index);
}

/** True when `index` begins with `head`: it is the same place, or one below it. */
export function beginsWith(index: readonly number[], head: readonly number[]): boolean {
  if (index.length < head.length) return false;
  for (let place = 0; place < head.length; place++) if (index[place] !== head[place]) return false;
  return true;
}
