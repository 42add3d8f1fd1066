import type { EpochMs } from "../../clock.js";
import { isRunFinished, type RunRecord } from "../../contracts/records.js";
import type { ClaimRequest, LookRequest } from "../../contracts/storage.js";
import { Heap } from "./heap.js";
import type { RunStore } from "./run-store.js";

/** Unfinished runs without an owner, in the order in which they may be claimed. */
export class FreeRuns {
  /** By definition: what a claim cannot take is not even looked at. */
  readonly #lanes = new Map<string, Lane[]>();

  /** Adds a run, or moves one whose time has changed. */
  add(run: RunStore): void {
    this.#laneOf(run).add(run);
  }

  /**
   * The runs a claim may take, one by one: each has to have an owner before the next is asked for.
   *
   * @param hasRoom - Whether another run of this pipeline may become active.
   */
  *claimable(request: ClaimRequest, hasRoom: (pipeline: string) => boolean): Generator<RunStore> {
    const { suspectFrom, now } = request;
    const lanes = this.#of(request.definitions);
    const ordinary = lanes.filter(({ crashes }) => crashes < suspectFrom);
    const suspect = lanes.filter(({ crashes }) => crashes >= suspectFrom);
    let suspects = request.suspects;
    for (;;) {
      const run = firstOf(ordinary, now, hasRoom, isBefore);
      const suspected = suspects > 0 ? firstOf(suspect, now, hasRoom, isLessSuspect) : undefined;
      const first = run === undefined || (suspected !== undefined && isBefore(suspected, run)) ? suspected : run;
      if (first === undefined) return;
      if (first === suspected) suspects--;
      yield first;
    }
  }

  isAnyDue({ definitions, now }: LookRequest): boolean {
    return this.#of(definitions).some((lane) => lane.first(now) !== undefined);
  }

  /** The earliest moment after the request's `now` at which a run is due. */
  nextDue({ definitions, now }: LookRequest): EpochMs | undefined {
    let earliest: EpochMs | undefined;
    for (const lane of this.#of(definitions)) {
      const due = lane.nextDue(now);
      if (due !== undefined && (earliest === undefined || due < earliest)) earliest = due;
    }
    return earliest;
  }

  #of(definitions: readonly string[]): readonly Lane[] {
    return definitions.flatMap((definition) => this.#lanes.get(definition) ?? []);
  }

  #laneOf({ record }: RunStore): Lane {
    const lanes = this.#lanes.get(record.definition) ?? [];
    this.#lanes.set(record.definition, lanes);
    let lane = lanes.find((other) => other.fits(record));
    if (lane === undefined) {
      lane = new Lane(record);
      lanes.push(lane);
    }
    return lane;
  }
}

interface Delayed {
  readonly run: RunStore;
  readonly until: EpochMs;
}

/**
 * The free runs of one definition and pipeline with the same number of crashes, begun or not. Runs leave it unseen, by
 * being claimed, by becoming due earlier, or for another lane: what comes to the top is checked.
 */
class Lane {
  readonly pipeline: string;
  readonly crashes: number;
  readonly hasBegun: boolean;
  readonly #definition: string;
  readonly #due = new Heap<RunStore>(isBefore);
  readonly #delayed = new Heap<Delayed>((a, b) => a.until < b.until);

  constructor(record: RunRecord) {
    this.pipeline = record.pipeline;
    this.crashes = record.crashes;
    this.hasBegun = hasBegun(record);
    this.#definition = record.definition;
  }

  /** Whether a free run belongs here. */
  fits(record: RunRecord): boolean {
    const { definition, pipeline, crashes } = record;
    if (definition !== this.#definition || pipeline !== this.pipeline || crashes !== this.crashes) return false;
    return hasBegun(record) === this.hasBegun;
  }

  add(run: RunStore): void {
    this.#delayed.push({ run, until: run.record.availableAt });
  }

  first(now: EpochMs): RunStore | undefined {
    this.#wake(now);
    for (let run = this.#due.first; run !== undefined; run = this.#due.first) {
      const isHere = this.#has(run);
      if (isHere && run.record.availableAt <= now) return run;
      this.#due.shift();
      if (isHere) this.add(run); // due by the clock of another engine only
    }
    return undefined;
  }

  nextDue(now: EpochMs): EpochMs | undefined {
    this.#wake(now);
    while (this.#delayed.first !== undefined && !this.#isStill(this.#delayed.first)) this.#delayed.shift();
    return this.#delayed.first?.until;
  }

  #wake(now: EpochMs): void {
    for (let next = this.#delayed.first; next !== undefined && next.until <= now; next = this.#delayed.first) {
      this.#delayed.shift();
      if (this.#isStill(next)) this.#due.push(next.run);
    }
  }

  #isStill({ run, until }: Delayed): boolean {
    return this.#has(run) && run.record.availableAt === until;
  }

  #has(run: RunStore): boolean {
    return isFree(run) && this.fits(run.record);
  }
}

/** @param hasRoom - Asked only about the pipeline of a run that would come first. */
function firstOf(
  lanes: readonly Lane[],
  now: EpochMs,
  hasRoom: (pipeline: string) => boolean,
  comesBefore: (a: RunStore, b: RunStore) => boolean,
): RunStore | undefined {
  let first: RunStore | undefined;
  for (const lane of lanes) {
    const run = lane.first(now);
    if (run !== undefined && (first === undefined || comesBefore(run, first)) && hasRoom(lane.pipeline)) first = run;
  }
  return first;
}

function hasBegun({ status }: RunRecord): boolean {
  return status !== "queued";
}

export function isFree({ record }: RunStore): boolean {
  return record.owner === undefined && !isRunFinished(record.status);
}

function isLessSuspect(a: RunStore, b: RunStore): boolean {
  if (a.record.crashes !== b.record.crashes) return a.record.crashes < b.record.crashes;
  return isBefore(a, b);
}

/** What has begun is gone on with before anything new begins. */
function isBefore(a: RunStore, b: RunStore): boolean {
  const aHasBegun = hasBegun(a.record);
  if (aHasBegun !== hasBegun(b.record)) return aHasBegun;
  if (a.record.priority !== b.record.priority) return a.record.priority > b.record.priority;
  return a.sequence < b.sequence;
}
