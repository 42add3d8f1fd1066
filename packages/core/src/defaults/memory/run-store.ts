import type { RunMessage, RunRecord } from "../../contracts/records.js";
import type { RunChanges } from "../../contracts/storage.js";
import { ColumnHistory } from "./column-history.js";
import { type LineKind, type Lines, RunLines } from "./run-lines.js";
import type { Waiting } from "./signals.js";
import { SmallHistory } from "./small-history.js";

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
    let { history } = this;
    for (const record of changes.tasks) {
      if (history.isFull) history = this.#widen(history);
      history.putTask(record);
    }
    for (const record of changes.attempts) {
      if (history.isFull) history = this.#widen(history);
      history.putAttempt(record);
    }
    if (hasLines(changes)) {
      this.#lines ??= new RunLines();
      this.#lines.write(changes);
    }
  }

  #widen(full: SmallHistory): ColumnHistory {
    const history = new ColumnHistory(this.record.id);
    full.moveTo(history);
    this.#history = history;
    return history;
  }
}

function hasLines({ logs, metrics, artifacts, assets, steps }: RunChanges): boolean {
  return logs.length + metrics.length + artifacts.length + assets.length + steps.length > 0;
}
