import type { AttemptRecord, RunMessage, RunRecord, TaskRecord } from "../../contracts/records.js";
import type { RunChanges } from "../../contracts/storage.js";
import { ColumnHistory } from "./column-history.js";
import { type LineKind, type Lines, RunLines } from "./run-lines.js";
import type { Waiting } from "./signals.js";
import { SmallHistory } from "./small-history.js";
import type { TaskHistory } from "./task-history.js";
import type { TaskMoves } from "./task-moves.js";

/** A message in an inbox. */
export interface Delivered {
  readonly message: RunMessage;
  /** Rises with every message and signal of the whole store: which of two is older. */
  readonly arrival: number;
}

/** One run and all its history. There may be very many of them with little in each, so nothing is made before it is used. */
export class RunStore {
  record: RunRecord;
  /** By message id. */
  inbox: Map<string, Delivered> | undefined = undefined;
  /** By place: the tasks that wait for a signal to a key. */
  waits: Map<string, Waiting> | undefined = undefined;
  #history: SmallHistory | ColumnHistory | undefined = undefined;
  #lines: RunLines | undefined = undefined;

  constructor(
    record: RunRecord,
    /** Rises with every run; orders listings. */
    readonly sequence: number,
  ) {
    this.record = record;
  }

  get history(): SmallHistory | ColumnHistory {
    this.#history ??= new SmallHistory();
    return this.#history;
  }

  lines<Kind extends LineKind>(kind: Kind): readonly Lines[Kind][] {
    return this.#lines?.of(kind) ?? [];
  }

  write(changes: RunChanges): void {
    this.#put(changes.tasks, changes.attempts);
    if (hasLines(changes)) {
      this.#lines ??= new RunLines();
      this.#lines.write(changes);
    }
  }

  /** Goes over to the tasks of another definition; what has no place there is forgotten. */
  move(moves: TaskMoves): void {
    const tasks = this.history.everyTask().flatMap((record) => moves.of(record) ?? []);
    const attempts = this.history.everyAttempt().flatMap((record) => moves.of(record) ?? []);
    this.#history = undefined;
    this.#put(tasks, attempts);
    this.#lines?.move(moves);
  }

  #put(tasks: readonly TaskRecord[], attempts: readonly AttemptRecord[]): void {
    let { history } = this;
    for (const record of tasks) {
      if (history.isFull) history = this.#widen(history);
      history.putTask(record);
    }
    for (const record of attempts) {
      if (history.isFull) history = this.#widen(history);
      history.putAttempt(record);
    }
  }

  #widen(full: TaskHistory): ColumnHistory {
    const history = new ColumnHistory(this.record.id);
    for (const record of full.everyTask()) history.putTask(record);
    for (const record of full.everyAttempt()) history.putAttempt(record);
    this.#history = history;
    return history;
  }
}

function hasLines({ logs, metrics, artifacts, assets, steps }: RunChanges): boolean {
  return logs.length + metrics.length + artifacts.length + assets.length + steps.length > 0;
}
