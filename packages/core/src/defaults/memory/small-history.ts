import type { AttemptQuery, AttemptRecord, TaskQuery, TaskRecord } from "../../contracts/records.js";
import { matches } from "./matches.js";
import {
  type AttemptPlace,
  beginsWith,
  comparePaths,
  comparePlaces,
  type Path,
  pathOf,
  type TaskHistory,
} from "./task-history.js";

const MAX_RECORDS = 32;
const NONE: readonly never[] = Object.freeze([]);

/** The history of a run of few tasks: the records themselves, in the order of listings. */
export class SmallHistory implements TaskHistory {
  #tasks: readonly TaskRecord[] = NONE;
  #attempts: readonly AttemptRecord[] = NONE;

  get isFull(): boolean {
    return this.#tasks.length >= MAX_RECORDS || this.#attempts.length >= MAX_RECORDS;
  }

  putTask(record: TaskRecord): void {
    this.#tasks = withRecord(this.#tasks, record, compareTasks);
  }

  putAttempt(record: AttemptRecord): void {
    this.#attempts = withRecord(this.#attempts, record, compareAttempts);
  }

  everyTask(): readonly TaskRecord[] {
    return this.#tasks;
  }

  everyAttempt(): readonly AttemptRecord[] {
    return this.#attempts;
  }

  currentTask(position: number, index: readonly number[]): TaskRecord | undefined {
    const newest = this.#tasks.findLast((record) => comparePlaces(record, { position, index }) === 0);
    return newest && this.#isCurrent(newest) ? newest : undefined;
  }

  tasks(query: TaskQuery, after: Path, limit: number): TaskRecord[] {
    const found = this.#tasks.filter(
      (record) =>
        matches(record, query) &&
        (query.generation !== undefined || this.#isCurrent(record)) &&
        (after.length === 0 || comparePaths(pathOf(record), after) > 0),
    );
    return found.slice(0, limit);
  }

  attempts(query: AttemptQuery, after: AttemptPlace, limit: number): AttemptRecord[] {
    const found = this.#attempts.filter((record) => matches(record, query) && isBehind(record, after));
    return found.slice(0, limit);
  }

  /** No record of its place, or of what it is a part of, has a higher generation. */
  #isCurrent({ position, index, generation }: TaskRecord): boolean {
    return !this.#tasks.some(
      (other) => other.generation > generation && other.position === position && beginsWith(index, other.index),
    );
  }
}

function compareTasks(a: TaskRecord, b: TaskRecord): number {
  return comparePlaces(a, b) || a.generation - b.generation;
}

function compareAttempts(a: AttemptRecord, b: AttemptRecord): number {
  return comparePlaces(a, b) || a.generation - b.generation || a.attempt - b.attempt;
}

function isBehind(record: AttemptRecord, { path, generation, attempt }: AttemptPlace): boolean {
  if (path.length === 0) return true;
  return (comparePaths(pathOf(record), path) || record.generation - generation || record.attempt - attempt) > 0;
}

/** Copied for each new record, since an array that grows by itself reserves room for sixteen more. */
function withRecord<Item>(
  records: readonly Item[],
  record: Item,
  compare: (a: Item, b: Item) => number,
): readonly Item[] {
  // Most records belong behind all others.
  let place = records.length;
  while (place > 0 && compare(records[place - 1]!, record) > 0) place--;
  const isKnown = place > 0 && compare(records[place - 1]!, record) === 0;
  return isKnown ? records.with(place - 1, record) : records.toSpliced(place, 0, record);
}
