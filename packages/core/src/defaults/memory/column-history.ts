import type { AttemptQuery, AttemptRecord, TaskQuery, TaskRecord } from "../../contracts/records.js";
import { type CellPlace, Cells } from "./cells.js";
import { NO_CELL, Places } from "./places.js";
import type { AttemptPlace, Path, TaskHistory } from "./task-history.js";

const NO_INDEX: readonly number[] = Object.freeze([]);
const NO_PATH: Path = Object.freeze([]);

/** A way through the places of a run, in order, or through those of one task or index. */
interface Walk {
  readonly task: string | undefined;
  readonly index: readonly number[] | undefined;
  /** Where the walk is. */
  readonly path: number[];
  /**
   * @param newest - The cell of the newest generation at `path`.
   * @param current - The cell of the current task record, or `NO_CELL`.
   * @param isStart - It is the place from which the walk goes on.
   * @returns True when the walk is over.
   */
  readonly visit: (newest: number, current: number, isStart: boolean) => boolean;
}

/**
 * The history of a run of many tasks. Tasks are found by their position, items by their number, so that neither
 * writing nor paging has to search.
 */
export class ColumnHistory implements TaskHistory {
  readonly isFull = false;
  readonly #runId: string;
  /** The ids of tasks, by position. */
  readonly #names: string[] = [];
  readonly #places = new Places();
  readonly #cells = new Cells();

  constructor(runId: string) {
    this.#runId = runId;
  }

  putTask(record: TaskRecord): void {
    this.#cells.putTask(this.#openCell(record), record);
  }

  putAttempt(record: AttemptRecord): void {
    this.#cells.putAttempt(this.#openCell(record), record);
  }

  everyTask(): readonly TaskRecord[] {
    const found: TaskRecord[] = [];
    const path: number[] = [];
    const visit = (newest: number) => {
      for (let cell = newest; cell !== NO_CELL; cell = this.#cells.older(cell)) {
        if (this.#cells.taskStatus(cell) !== undefined) found.push(this.#cells.task(cell, this.#placeAt(path)));
      }
      return false;
    };
    this.#walk(this.#places, NO_PATH, 0, { task: undefined, index: undefined, path, visit });
    return found;
  }

  everyAttempt(): readonly AttemptRecord[] {
    return this.attempts(
      { runId: this.#runId },
      { path: NO_PATH, generation: 0, attempt: 0 },
      Number.POSITIVE_INFINITY,
    );
  }

  currentTask(position: number, index: readonly number[]): TaskRecord | undefined {
    let places: Places | undefined = this.#places;
    let place = position;
    let newest = this.#newestTask(places.cell(place));
    let floor = this.#generation(newest);
    for (const item of index) {
      places = places?.items(place);
      place = item;
      newest = this.#newestTask(places?.cell(place) ?? NO_CELL);
      floor = Math.max(floor, this.#generation(newest));
    }
    if (newest === NO_CELL || this.#generation(newest) < floor) return undefined;
    return this.#cells.task(newest, this.#placeAt([position, ...index]));
  }

  tasks(query: TaskQuery, after: Path, limit: number): TaskRecord[] {
    const found: TaskRecord[] = [];
    const path: number[] = [];
    const visit = (newest: number, current: number, isStart: boolean) => {
      if (isStart) return false;
      const cell = query.generation === undefined ? current : this.#ofGeneration(newest, query.generation);
      const status = cell === NO_CELL ? undefined : this.#cells.taskStatus(cell);
      if (status === undefined || query.status?.includes(status) === false) return false;
      return found.push(this.#cells.task(cell, this.#placeAt(path))) === limit;
    };
    this.#walk(this.#places, after, 0, { task: query.task, index: undefined, path, visit });
    return found;
  }

  attempts(query: AttemptQuery, after: AttemptPlace, limit: number): AttemptRecord[] {
    const found: AttemptRecord[] = [];
    const path: number[] = [];
    const visit = (newest: number, _: number, isStart: boolean) => {
      for (const cell of this.#attemptCells(newest, query)) {
        for (const record of this.#cells.attempts(cell, this.#placeAt(path), query.status)) {
          if (isStart && (record.generation - after.generation || record.attempt - after.attempt) <= 0) continue;
          if (found.push(record) === limit) return true;
        }
      }
      return false;
    };
    this.#walk(this.#places, after.path, 0, { task: query.task, index: query.index, path, visit });
    return found;
  }

  /** The cells with attempts that may be wanted, the oldest generation first. */
  #attemptCells(newest: number, { generation, status }: AttemptQuery): readonly number[] {
    const cells: number[] = [];
    for (let cell = newest; cell !== NO_CELL; cell = this.#cells.older(cell)) {
      if (generation !== undefined && this.#cells.generation(cell) !== generation) continue;
      if (this.#cells.mayHaveAttempts(cell, status)) cells.push(cell);
    }
    return cells.reverse();
  }

  /**
   * @param after - Where to go on, below the walk's path; empty: from the beginning.
   * @param floor - The highest generation above these places: records of older ones were left behind.
   * @returns True when the walk is over.
   */
  #walk(places: Places, after: Path, floor: number, walk: Walk): boolean {
    const { task, index, path, visit } = walk;
    const depth = path.length;
    const isWanted = index === undefined || index.length === depth;
    const goesOn = index === undefined || index.length > depth;
    // An index names one place on each level.
    const only = depth === 0 ? undefined : index?.[depth - 1];
    const first = Math.max(after[0] ?? 0, only ?? 0);
    const end = only === undefined ? places.size : Math.min(only + 1, places.size);
    path.push(first);
    for (let place = first; place < end; place++) {
      if (depth === 0 && task !== undefined && this.#names[place] !== task) continue;
      path[depth] = place;
      const below = place === after[0] ? after.slice(1) : NO_PATH;
      const newest = places.cell(place);
      const current = this.#newestTask(newest);
      const generation = this.#generation(current);
      // What the walk passes on the way to where it goes on was visited before.
      if (isWanted && newest !== NO_CELL && below.length === 0) {
        if (visit(newest, generation < floor ? NO_CELL : current, place === after[0])) return true;
      }
      const items = goesOn ? places.items(place) : undefined;
      if (items !== undefined && this.#walk(items, below, Math.max(floor, generation), walk)) return true;
    }
    path.pop();
    return false;
  }

  /** The cell of this task or item in this generation, made if there is none yet. */
  #openCell({ task, position, index, generation }: TaskRecord | AttemptRecord): number {
    let places = this.#places;
    let place = position;
    for (let depth = 0; depth < index.length; depth++) {
      places = places.openItems(place);
      place = index[depth]!;
    }
    const newest = places.cell(place);
    if (newest !== NO_CELL && this.#cells.generation(newest) === generation) return newest;
    this.#name(position, task);
    return this.#addCell(places, place, generation);
  }

  /** Generations are chained, from the newest to the oldest. */
  #addCell(places: Places, place: number, generation: number): number {
    const cells = this.#cells;
    let newer = NO_CELL;
    let older = places.cell(place);
    while (older !== NO_CELL && cells.generation(older) > generation) {
      newer = older;
      older = cells.older(older);
    }
    if (older !== NO_CELL && cells.generation(older) === generation) return older;
    const cell = cells.add(generation, older);
    if (newer === NO_CELL) places.setCell(place, cell);
    else cells.setOlder(newer, cell);
    return cell;
  }

  #name(position: number, task: string): void {
    while (this.#names.length < position) this.#names.push("");
    this.#names[position] = task;
  }

  #placeAt(path: Path): CellPlace {
    const position = path[0]!;
    const index = path.length === 1 ? NO_INDEX : path.slice(1);
    return { runId: this.#runId, task: this.#names[position]!, position, index };
  }

  /** From a cell down its chain, the first with a task record; attempts may be ahead of it. */
  #newestTask(cell: number): number {
    let newest = cell;
    while (newest !== NO_CELL && this.#cells.taskStatus(newest) === undefined) newest = this.#cells.older(newest);
    return newest;
  }

  #ofGeneration(newest: number, generation: number): number {
    let cell = newest;
    while (cell !== NO_CELL && this.#cells.generation(cell) !== generation) cell = this.#cells.older(cell);
    return cell;
  }

  /** 0 where there is no cell. */
  #generation(cell: number): number {
    return cell === NO_CELL ? 0 : this.#cells.generation(cell);
  }
}
