import type { AttemptRecord, RunChanges, TaskRecord } from "weftline";

/**
 * Most tasks have one attempt, of which there is nothing to say that the task's record does not say: it needs no row of
 * its own. Tells, of the changes of a run, which attempts those are, and of which task.
 */
export class FirstAttempts {
  readonly #ofTask = new Map<TaskRecord, AttemptRecord>();
  readonly #included = new Set<AttemptRecord>();
  /** By task: the attempt that is not as it says, as one that still ran. */
  #apart: Map<TaskRecord, AttemptRecord> | undefined;
  readonly #alone = new Set<AttemptRecord>();

  constructor({ tasks, attempts }: RunChanges) {
    let byPlace: Map<string, TaskRecord> | undefined;
    for (const [place, attempt] of attempts.entries()) {
      if (attempt.attempt !== 1) continue;
      let task = tasks[place];
      // As a rule the two lists run side by side.
      if (task === undefined || !isOfTask(attempt, task)) {
        byPlace ??= new Map(tasks.map((record) => [placeOf(record), record]));
        task = byPlace.get(placeOf(attempt));
      }
      if (task === undefined) this.#alone.add(attempt);
      else if (saysTheSame(attempt, task)) this.#include(task, attempt);
      else this.#keepApart(task, attempt);
    }
  }

  /** The attempt that the task's row stands for. */
  of(task: TaskRecord): AttemptRecord | undefined {
    return this.#ofTask.get(task);
  }

  /** A task's row stands for this attempt, or for a later record of it. */
  has(attempt: AttemptRecord): boolean {
    return this.#included.has(attempt);
  }

  /** It is a first attempt whose task is not among the changes: the row that is stored may stand for it. */
  isAlone(attempt: AttemptRecord): boolean {
    return this.#alone.has(attempt);
  }

  #include(task: TaskRecord, attempt: AttemptRecord): void {
    this.#ofTask.set(task, attempt);
    this.#included.add(attempt);
    const earlier = this.#apart?.get(task);
    // A row of its own would replace what the task's row says as soon as that stands for no attempt any more.
    if (earlier !== undefined) this.#included.add(earlier);
  }

  #keepApart(task: TaskRecord, attempt: AttemptRecord): void {
    this.#ofTask.delete(task);
    this.#apart ??= new Map();
    this.#apart.set(task, attempt);
  }
}

function saysTheSame(attempt: AttemptRecord, task: TaskRecord): boolean {
  return (
    attempt.status === task.status &&
    attempt.startedAt === task.startedAt &&
    attempt.finishedAt === task.finishedAt &&
    attempt.error === undefined &&
    attempt.task === task.task
  );
}

function isOfTask(attempt: AttemptRecord, task: TaskRecord): boolean {
  if (attempt.position !== task.position || attempt.generation !== task.generation) return false;
  if (attempt.index.length === 0) return task.index.length === 0;
  return placeOf(attempt) === placeOf(task);
}

function placeOf({ position, index, generation }: TaskRecord | AttemptRecord): string {
  return `${position} ${generation} ${index}`;
}
