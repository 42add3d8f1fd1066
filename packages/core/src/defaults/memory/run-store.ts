import type {
  ArtifactRecord,
  AttemptRecord,
  LogRecord,
  MetricRecord,
  RunMessage,
  RunRecord,
  TaskRecord,
} from "../../contracts/records.js";
import type { RunChanges } from "../../contracts/storage.js";

/** A task or item with its attempts, and the items below it. */
export interface Cell {
  record: TaskRecord | undefined;
  /** By attempt number, from 1 at place 0. */
  readonly attempts: AttemptRecord[];
  items: Cell[] | undefined;
}

/** One run and all its history. Tasks are found by their position, so that neither writing nor paging has to search. */
export class RunStore {
  record: RunRecord;
  readonly inbox: RunMessage[] = [];
  readonly logs: LogRecord[] = [];
  readonly metrics: MetricRecord[] = [];
  readonly artifacts: ArtifactRecord[] = [];
  readonly #cells: Cell[] = [];

  constructor(
    record: RunRecord,
    /** Rises with every run; orders listings. */
    readonly sequence: number,
  ) {
    this.record = record;
  }

  apply(changes: RunChanges): void {
    for (const record of changes.tasks) this.#cell(record.position, record.index).record = record;
    for (const record of changes.attempts) {
      this.#cell(record.position, record.index).attempts[record.attempt - 1] = record;
    }
    for (const record of changes.logs) this.logs.push(record);
    for (const record of changes.metrics) this.metrics.push(record);
    for (const record of changes.artifacts) this.artifacts.push(record);
    for (const id of changes.consumed) {
      const place = this.inbox.findIndex((message) => message.id === id);
      if (place >= 0) this.inbox.splice(place, 1);
    }
  }

  /** Every cell after `path` (a position followed by an index path), in order. */
  cells(path: readonly number[]): Generator<CellAt> {
    return walk(this.#cells, path, []);
  }

  cellAtPath(path: readonly number[]): Cell | undefined {
    let cells: readonly Cell[] | undefined = this.#cells;
    let cell: Cell | undefined;
    for (const place of path) {
      cell = cells?.[place];
      cells = cell?.items;
    }
    return cell;
  }

  #cell(position: number, index: readonly number[]): Cell {
    let cell = cellAt(this.#cells, position);
    for (const item of index) {
      cell.items ??= [];
      cell = cellAt(cell.items, item);
    }
    return cell;
  }
}

export interface CellAt {
  readonly cell: Cell;
  readonly path: readonly number[];
}

function cellAt(cells: Cell[], place: number): Cell {
  let cell = cells[place];
  if (cell === undefined) {
    cell = { record: undefined, attempts: [], items: undefined };
    // Filled up rather than left with holes: an array with far-apart holes turns into a slow dictionary.
    while (cells.length < place) cells.push({ record: undefined, attempts: [], items: undefined });
    cells[place] = cell;
  }
  return cell;
}

function* walk(cells: readonly Cell[], after: readonly number[], parent: readonly number[]): Generator<CellAt> {
  const [first, ...rest] = after;
  for (let place = first ?? 0; place < cells.length; place++) {
    const cell = cells[place]!;
    const path = [...parent, place];
    const isAfter = place !== first; // `first` itself is at or before the given path; only what lies below it may follow
    if (isAfter) yield { cell, path };
    if (cell.items) yield* walk(cell.items, isAfter ? [] : rest, path);
  }
}
