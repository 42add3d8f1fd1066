import type { EpochMs } from "../../clock.js";
import {
  type AttemptRecord,
  type AttemptStatus,
  TASK_STATUSES,
  type TaskRecord,
  type TaskStatus,
} from "../../contracts/records.js";
import type { Encoded } from "../../values/codec.js";
import { NO_CELL } from "./places.js";

/** Few, so that a run of some forty tasks stays small; enough for the heads of the arrays not to count. */
const CHUNK_BITS = 8;
const CELLS_PER_CHUNK = 1 << CHUNK_BITS;
/** What one byte holds; it stands for "as much or more" where there can be more. */
const MAX_BYTE = 255;

/** How many moments each cell has, and which. */
const MOMENTS = 4;
const TASK_STARTED = 0;
const TASK_FINISHED = 1;
const ATTEMPT_STARTED = 2;
const ATTEMPT_FINISHED = 3;

/** How many bytes each cell has, and which. A status of 0: there is no such record. */
const BYTES = 4;
const TASK_STATUS = 0;
const ATTEMPTS = 1;
const ATTEMPT_STATUS = 2;
const ORIGIN = 3;

/** Statuses by their bytes, and the other way round. */
const TASK_STATUS_OF = [undefined, ...TASK_STATUSES] as const;
const TASK_BYTES = new Map(TASK_STATUSES.map((status, place) => [status, place + 1]));
const ATTEMPT_BYTES: Readonly<Record<AttemptStatus, number>> = {
  running: 1,
  succeeded: 2,
  failed: 3,
  skipped: 4,
  cancelled: 5,
  abandoned: 6,
};
const ATTEMPT_STATUS_OF = [undefined, ...(Object.keys(ATTEMPT_BYTES) as AttemptStatus[])] as const;

/** What few task records have; of those that have any of it, it is kept together with the output. */
type Rest = Pick<
  TaskRecord,
  | "attempts"
  | "attemptsBefore"
  | "retryAt"
  | "wait"
  | "output"
  | "error"
  | "reason"
  | "warning"
  | "cachedFrom"
  | "items"
  | "list"
>;

/** What all records of a place have in common. */
export type CellPlace = Pick<TaskRecord, "runId" | "task" | "position" | "index">;

type Origin = Pick<AttemptRecord, "executor" | "engineId">;

/** What is kept of a number of cells, side by side. */
class Chunk {
  /** By cell, {@link MOMENTS} of each; NaN where there is none. */
  readonly moments = new Float64Array(CELLS_PER_CHUNK * MOMENTS);
  /** By cell, {@link BYTES} of each. */
  readonly bytes = new Uint8Array(CELLS_PER_CHUNK * BYTES);
  /** By cell: the task's output, or what else there is to say. */
  readonly values: (Encoded | Rest | undefined)[] = new Array(CELLS_PER_CHUNK).fill(undefined);
  /** By cell: generations above the first, and one more than the cell of the next older one. */
  lineage: Int32Array | undefined;
}

/**
 * Cells, each with the task record and the attempts of one task or item in one generation. What most of them say is in
 * typed arrays, without an object for each; records are made anew when they are read.
 */
export class Cells {
  readonly #chunks: Chunk[] = [];
  #count = 0;
  /** Executors and engines of attempts, for a byte to name them. */
  readonly #origins: Origin[] = [];
  /** Attempts that the arrays have no room for: those after the first, and those with an error. In order. */
  #moreAttempts: Map<number, AttemptRecord[]> | undefined;

  /** @param older - The cell of the next older generation, or `NO_CELL`. */
  add(generation: number, older: number): number {
    const cell = this.#count++;
    if (cell % CELLS_PER_CHUNK === 0) this.#chunks.push(new Chunk());
    if (generation !== 1 || older !== NO_CELL) {
      this.#lineage(cell)[placeOf(cell) * 2] = generation - 1;
      this.setOlder(cell, older);
    }
    return cell;
  }

  generation(cell: number): number {
    const lineage = this.#chunk(cell).lineage;
    return lineage === undefined ? 1 : lineage[placeOf(cell) * 2]! + 1;
  }

  older(cell: number): number {
    const lineage = this.#chunk(cell).lineage;
    return lineage === undefined ? NO_CELL : lineage[placeOf(cell) * 2 + 1]! - 1;
  }

  setOlder(cell: number, older: number): void {
    this.#lineage(cell)[placeOf(cell) * 2 + 1] = older + 1;
  }

  // ---- Tasks

  /** @returns `undefined` when there are only attempts. */
  taskStatus(cell: number): TaskStatus | undefined {
    return TASK_STATUS_OF[this.#chunk(cell).bytes[placeOf(cell) * BYTES + TASK_STATUS]!];
  }

  putTask(cell: number, record: TaskRecord): void {
    const { moments, bytes, values } = this.#chunk(cell);
    const place = placeOf(cell);
    moments[place * MOMENTS + TASK_STARTED] = record.startedAt ?? Number.NaN;
    moments[place * MOMENTS + TASK_FINISHED] = record.finishedAt ?? Number.NaN;
    bytes[place * BYTES + TASK_STATUS] = TASK_BYTES.get(record.status)!;
    bytes[place * BYTES + ATTEMPTS] = Math.min(record.attempts, MAX_BYTE);
    values[place] = hasRest(record) ? restOf(record) : record.output;
  }

  task(cell: number, { runId, task, position, index }: CellPlace): TaskRecord {
    const { moments, bytes, values } = this.#chunk(cell);
    const place = placeOf(cell);
    const value = values[place];
    const rest = typeof value === "object" ? value : undefined;
    return {
      runId,
      task,
      position,
      index,
      generation: this.generation(cell),
      status: this.taskStatus(cell)!,
      attempts: rest?.attempts ?? bytes[place * BYTES + ATTEMPTS]!,
      attemptsBefore: rest?.attemptsBefore ?? 0,
      startedAt: momentOf(moments[place * MOMENTS + TASK_STARTED]!),
      finishedAt: momentOf(moments[place * MOMENTS + TASK_FINISHED]!),
      retryAt: rest?.retryAt,
      wait: rest?.wait,
      output: typeof value === "object" ? value.output : value,
      error: rest?.error,
      reason: rest?.reason,
      warning: rest?.warning,
      cachedFrom: rest?.cachedFrom,
      items: rest?.items,
      list: rest?.list,
    };
  }

  // ---- Attempts

  putAttempt(cell: number, record: AttemptRecord): void {
    const { moments, bytes } = this.#chunk(cell);
    const place = placeOf(cell);
    const origin = record.attempt === 1 && record.error === undefined ? this.#originOf(record) : MAX_BYTE;
    if (origin === MAX_BYTE) {
      if (record.attempt === 1) bytes[place * BYTES + ATTEMPT_STATUS] = 0;
      return this.#keepMore(cell, record);
    }
    moments[place * MOMENTS + ATTEMPT_STARTED] = record.startedAt;
    moments[place * MOMENTS + ATTEMPT_FINISHED] = record.finishedAt ?? Number.NaN;
    bytes[place * BYTES + ATTEMPT_STATUS] = ATTEMPT_BYTES[record.status];
    bytes[place * BYTES + ORIGIN] = origin;
    if (this.#moreAttempts !== undefined) this.#dropFirst(cell);
  }

  /** False: there is no attempt of these statuses. */
  mayHaveAttempts(cell: number, status: readonly AttemptStatus[] | undefined): boolean {
    return this.#hasFirst(cell, status) || this.#moreAttempts?.has(cell) === true;
  }

  /** In order. @param status - Those of which are wanted. Default: all. */
  attempts(cell: number, place: CellPlace, status: readonly AttemptStatus[] | undefined): readonly AttemptRecord[] {
    const attempts = this.#hasFirst(cell, status) ? [this.#firstAttempt(cell, place)] : [];
    for (const record of this.#moreAttempts?.get(cell) ?? []) {
      if (status === undefined || status.includes(record.status)) attempts.push(record);
    }
    return attempts;
  }

  #hasFirst(cell: number, status: readonly AttemptStatus[] | undefined): boolean {
    const first = this.#firstStatus(cell);
    return first !== undefined && (status === undefined || status.includes(first));
  }

  #firstStatus(cell: number): AttemptStatus | undefined {
    return ATTEMPT_STATUS_OF[this.#chunk(cell).bytes[placeOf(cell) * BYTES + ATTEMPT_STATUS]!];
  }

  #firstAttempt(cell: number, { runId, task, position, index }: CellPlace): AttemptRecord {
    const { moments, bytes } = this.#chunk(cell);
    const place = placeOf(cell);
    const { executor, engineId } = this.#origins[bytes[place * BYTES + ORIGIN]!]!;
    return {
      runId,
      task,
      position,
      index,
      generation: this.generation(cell),
      attempt: 1,
      status: this.#firstStatus(cell)!,
      executor,
      engineId,
      startedAt: moments[place * MOMENTS + ATTEMPT_STARTED]!,
      finishedAt: momentOf(moments[place * MOMENTS + ATTEMPT_FINISHED]!),
      error: undefined,
    };
  }

  /** @returns `MAX_BYTE` when there are more of them than a byte can name. */
  #originOf({ executor, engineId }: AttemptRecord): number {
    // From the end: who made the last attempt probably made this one.
    for (let place = this.#origins.length - 1; place >= 0; place--) {
      const origin = this.#origins[place]!;
      if (origin.executor === executor && origin.engineId === engineId) return place;
    }
    return this.#origins.length < MAX_BYTE ? this.#origins.push({ executor, engineId }) - 1 : MAX_BYTE;
  }

  #keepMore(cell: number, record: AttemptRecord): void {
    this.#moreAttempts ??= new Map();
    const more = this.#moreAttempts.get(cell);
    if (more === undefined) return void this.#moreAttempts.set(cell, [record]);
    let place = more.length;
    while (place > 0 && more[place - 1]!.attempt > record.attempt) place--;
    if (more[place - 1]?.attempt === record.attempt) more[place - 1] = record;
    else more.splice(place, 0, record);
  }

  #dropFirst(cell: number): void {
    const more = this.#moreAttempts?.get(cell);
    if (more?.[0]?.attempt === 1) more.shift();
  }

  #chunk(cell: number): Chunk {
    return this.#chunks[cell >> CHUNK_BITS]!;
  }

  #lineage(cell: number): Int32Array {
    const chunk = this.#chunk(cell);
    chunk.lineage ??= new Int32Array(CELLS_PER_CHUNK * 2);
    return chunk.lineage;
  }
}

function placeOf(cell: number): number {
  return cell & (CELLS_PER_CHUNK - 1);
}

function momentOf(kept: number): EpochMs | undefined {
  return Number.isNaN(kept) ? undefined : kept;
}

function hasRest(record: TaskRecord): boolean {
  return (
    record.attempts >= MAX_BYTE ||
    record.attemptsBefore !== 0 ||
    record.retryAt !== undefined ||
    record.wait !== undefined ||
    record.error !== undefined ||
    record.reason !== undefined ||
    record.warning !== undefined ||
    record.cachedFrom !== undefined ||
    record.items !== undefined ||
    record.list !== undefined
  );
}

function restOf(record: TaskRecord): Rest {
  const { attempts, attemptsBefore, retryAt, wait, output, error, reason, warning, cachedFrom, items, list } = record;
  return { attempts, attemptsBefore, retryAt, wait, output, error, reason, warning, cachedFrom, items, list };
}
