import type {
  ArtifactRecord,
  AssetRecord,
  AttemptRecord,
  CacheEntry,
  Flush,
  LogRecord,
  MetricRecord,
  RunChanges,
  RunState,
  StepRecord,
  TaskRecord,
} from "weftline";
import { BigintArray, type BinaryArray, BytesArray, DoubleArray, IntegerArray, TextArray } from "./binary-arrays.js";
import { FirstAttempts } from "./first-attempts.js";
import { pathOf } from "./paths.js";
import { errorText } from "./rows.js";
import { moreOf, waitKeyOf } from "./task-rows.js";

const NUL = "\0";

/** The columns of a kind of record, in the order of the function's arguments: what holds them, and what of a record they hold. */
type Columns<Record> = readonly Column<Record>[];
type Column<Record> =
  | readonly [new () => BinaryArray<number>, (record: Record) => number | undefined]
  | readonly [new () => BinaryArray<string>, (record: Record) => string | undefined]
  | readonly [new () => BinaryArray<Uint8Array>, (record: Record) => Uint8Array | undefined];

// A column that has nothing but what is usual is not sent: the function takes NULL for that.
const unlessOne = (count: number) => (count === 1 ? undefined : count);
const pathOfItem = ({ index }: { readonly index: readonly number[] }) => {
  return index.length === 0 ? undefined : pathOf(index);
};

const STATES: Columns<RunState> = [
  [TextArray, ({ status }) => status],
  [BigintArray, ({ startedAt }) => startedAt],
  [BigintArray, ({ finishedAt }) => finishedAt],
  [BigintArray, ({ deadlineAt }) => deadlineAt],
  [TextArray, ({ error }) => errorText(error)],
  [IntegerArray, ({ generation }) => generation],
  [TextArray, ({ params }) => params],
  [IntegerArray, ({ crashes }) => crashes],
];

/** With the place of the executor and engine that the row names, see {@link Origins}. */
interface FromOrigin<Record> {
  readonly record: Record;
  readonly origin: number | undefined;
}

interface WrittenTask extends FromOrigin<TaskRecord> {
  /** There may be a record of its identity. */
  readonly mayBeThere: boolean;
}

const TASKS: Columns<WrittenTask> = [
  [BigintArray, ({ record }) => record.startedAt],
  [BigintArray, ({ record }) => record.finishedAt],
  [IntegerArray, ({ record }) => record.position],
  [IntegerArray, ({ record }) => unlessOne(record.generation)],
  [IntegerArray, ({ record }) => unlessOne(record.attempts)],
  [IntegerArray, ({ origin }) => origin],
  [TextArray, ({ record }) => pathOfItem(record)],
  [TextArray, ({ record }) => record.task],
  [TextArray, ({ record }) => record.status],
  [TextArray, ({ record }) => record.output],
  [TextArray, ({ record }) => waitKeyOf(record)],
  [TextArray, ({ record }) => moreOf(record)],
  [IntegerArray, ({ mayBeThere }) => (mayBeThere ? 1 : undefined)],
];

const ATTEMPTS: Columns<FromOrigin<AttemptRecord>> = [
  [BigintArray, ({ record }) => record.startedAt],
  [BigintArray, ({ record }) => record.finishedAt],
  [IntegerArray, ({ record }) => record.position],
  [IntegerArray, ({ record }) => unlessOne(record.generation)],
  [IntegerArray, ({ record }) => record.attempt],
  [IntegerArray, ({ origin }) => origin],
  [TextArray, ({ record }) => pathOfItem(record)],
  [TextArray, ({ record }) => record.task],
  [TextArray, ({ record }) => record.status],
  [TextArray, ({ record }) => errorText(record.error)],
];

/** What all lines have in common. */
const LINES: Columns<LogRecord | MetricRecord | ArtifactRecord | AssetRecord | StepRecord> = [
  [BigintArray, ({ at }) => at],
  [IntegerArray, ({ generation }) => unlessOne(generation)],
  [IntegerArray, ({ attempt }) => unlessOne(attempt)],
  [TextArray, ({ task }) => task],
  [TextArray, pathOfItem],
];

const LOGS: Columns<LogRecord> = [
  ...LINES,
  [TextArray, ({ level }) => level],
  [TextArray, ({ message }) => message],
  [TextArray, ({ data }) => data],
];

const METRICS: Columns<MetricRecord> = [...LINES, [TextArray, ({ name }) => name], [DoubleArray, ({ value }) => value]];

const ARTIFACTS: Columns<ArtifactRecord> = [
  ...LINES,
  [BigintArray, ({ size }) => size],
  [TextArray, ({ name }) => name],
  [TextArray, ({ contentType }) => contentType],
  [BytesArray, ({ data }) => data],
];

const ASSETS: Columns<AssetRecord> = [...LINES, [TextArray, ({ asset }) => asset]];

const STEPS: Columns<StepRecord> = [
  ...LINES,
  [BigintArray, ({ startedAt }) => startedAt],
  [TextArray, ({ step }) => step],
  [TextArray, ({ output }) => output],
];

const CACHE: Columns<CacheEntry> = [
  [TextArray, ({ key }) => key],
  [TextArray, ({ output }) => output],
  [TextArray, ({ runId }) => runId],
  [BigintArray, ({ expiresAt }) => expiresAt],
];

const CONSUMED: Columns<string> = [[TextArray, (id) => id]];

/** The rows of one kind in a flush: first the place of each one's run, then its columns. */
class Rows<Record> {
  readonly #columns: Columns<Record>;
  /** Made with the first row: of most kinds, most flushes have none. */
  #arrays: BinaryArray<unknown>[] | undefined;

  constructor(columns: Columns<Record>) {
    this.#columns = columns;
  }

  push(run: number, record: Record): void {
    this.#arrays ??= [new IntegerArray(), ...this.#columns.map(([MadeArray]) => new MadeArray())];
    const arrays = this.#arrays;
    arrays[0]!.push(run);
    for (let place = 1; place < arrays.length; place++) arrays[place]!.push(this.#columns[place - 1]![1](record));
  }

  get values(): readonly (Buffer | null)[] {
    return this.#arrays?.map(({ value }) => value) ?? [null, ...this.#columns.map(() => null)];
  }
}

/** A flush as the arguments of the function `commit`: of each kind of record one array for each column. */
export class FlushColumns {
  readonly #flush: Flush;
  readonly #mayBeThere: (task: TaskRecord) => boolean;
  readonly #runs = new TextArray();
  readonly #epochs = new BigintArray();
  readonly #origins = new Origins();
  readonly #states = new Rows(STATES);
  readonly #tasks = new Rows(TASKS);
  readonly #attempts = new Rows(ATTEMPTS);
  readonly #logs = new Rows(LOGS);
  readonly #metrics = new Rows(METRICS);
  readonly #artifacts = new Rows(ARTIFACTS);
  readonly #assets = new Rows(ASSETS);
  readonly #steps = new Rows(STEPS);
  readonly #cache = new Rows(CACHE);
  readonly #consumed = new Rows(CONSUMED);
  /** There is a first attempt without its task. */
  #hasAlone = false;

  /** @param mayBeThere - False of a task of which no record of its identity can have been written before. */
  constructor(flush: Flush, mayBeThere: (task: TaskRecord) => boolean) {
    this.#flush = flush;
    this.#mayBeThere = mayBeThere;
    for (const [place, changes] of flush.runs.entries()) this.#add(place + 1, changes);
  }

  /**
   * @param forget - Earlier flushes that will never be sent again.
   * @param isGoingOn - More of a flush that was begun before in the same transaction.
   */
  values(forget: number | undefined, isGoingOn = false): unknown[] {
    const { id, number, engineId } = this.#flush;
    return [
      engineId,
      isGoingOn ? null : id,
      number,
      forget ?? null,
      this.#runs.value,
      this.#epochs.value,
      ...this.#origins.values,
      ...this.#states.values,
      ...this.#tasks.values,
      ...this.#attempts.values,
      this.#hasAlone,
      ...this.#logs.values,
      ...this.#metrics.values,
      ...this.#artifacts.values,
      ...this.#assets.values,
      ...this.#steps.values,
      ...this.#cache.values,
      ...this.#consumed.values,
    ];
  }

  #add(run: number, changes: RunChanges): void {
    this.#runs.push(changes.runId);
    this.#epochs.push(changes.epoch);
    if (changes.run !== undefined) this.#states.push(run, changes.run);
    this.#addWork(run, changes);
    for (const line of changes.logs) this.#logs.push(run, line);
    for (const line of changes.metrics) this.#metrics.push(run, line);
    for (const line of changes.artifacts) this.#artifacts.push(run, line);
    for (const line of changes.assets) this.#assets.push(run, line);
    for (const step of changes.steps) this.#steps.push(run, step);
    for (const entry of changes.cached) {
      // Nothing is ever found under such a key; nor is a task to fail for what only saves it work another time.
      if (!entry.key.includes(NUL)) this.#cache.push(run, entry);
    }
    for (const id of changes.consumed) this.#consumed.push(run, id);
  }

  #addWork(run: number, changes: RunChanges): void {
    const firstAttempts = new FirstAttempts(changes);
    for (const record of changes.tasks) {
      const attempt = firstAttempts.of(record);
      const origin = attempt && this.#origins.placeOf(attempt);
      this.#tasks.push(run, { record, origin, mayBeThere: this.#mayBeThere(record) });
    }
    for (const record of changes.attempts) {
      if (firstAttempts.has(record)) continue;
      this.#attempts.push(run, { record, origin: this.#origins.placeOf(record) });
      this.#hasAlone ||= firstAttempts.isAlone(record);
    }
  }
}

/** The pairs of executor and engine in a flush: there are few, and often one. */
class Origins {
  readonly #executors: string[] = [];
  readonly #engines: string[] = [];

  /** Counted from 1. */
  placeOf({ executor, engineId }: AttemptRecord): number {
    for (let place = this.#executors.length; place > 0; place--) {
      if (this.#executors[place - 1] === executor && this.#engines[place - 1] === engineId) return place;
    }
    this.#engines.push(engineId);
    return this.#executors.push(executor);
  }

  get values(): readonly (readonly string[] | null)[] {
    return this.#executors.length === 0 ? [null, null] : [this.#executors, this.#engines];
  }
}
