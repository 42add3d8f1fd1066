import type { AttemptRecord, TaskRecord } from "../../contracts/records.js";
import type { RemapRequest } from "../../contracts/storage.js";

/** What becomes of the tasks of a run when it gets another definition. */
export class TaskMoves {
  readonly #places: ReadonlyMap<number, { readonly position: number; readonly task: string }>;
  /** New ids by the old ones, as far as records have been moved: lines know their task by its id alone. */
  readonly #names = new Map<string, string>();

  constructor(tasks: RemapRequest["tasks"]) {
    this.#places = new Map(tasks.map(({ from, position, task }) => [from, { position, task }]));
  }

  /** The record at its new place; `undefined`: the task is gone. */
  of<Placed extends TaskRecord | AttemptRecord>(record: Placed): Placed | undefined {
    const place = this.#places.get(record.position);
    if (place === undefined) return undefined;
    this.#names.set(record.task, place.task);
    return { ...record, ...place };
  }

  /** Lines of tasks whose records were moved, under their new ids. */
  lines<Line extends { readonly task: string }>(lines: readonly Line[]): Line[] {
    return lines.flatMap((line) => {
      const task = this.#names.get(line.task);
      return task === undefined ? [] : [{ ...line, task }];
    });
  }
}
