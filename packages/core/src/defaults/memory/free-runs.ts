import type { EpochMs } from "../../clock.js";
import { isRunFinished } from "../../contracts/records.js";
import type { ClaimRequest } from "../../contracts/storage.js";
import { Heap } from "./heap.js";
import type { RunStore } from "./run-store.js";

/** Unfinished runs without an owner, in the order in which they may be claimed. */
export class FreeRuns {
  /** By definition and pipeline: what a claim cannot take is not even looked at. */
  readonly #lanes = new Map<string, Map<string, Lane>>();

  /** Adds a run, or moves one whose time has changed. */
  add(run: RunStore): void {
    const { definition, pipeline } = run.record;
    const lanes = getOrAdd(this.#lanes, definition, () => new Map<string, Lane>());
    getOrAdd(lanes, pipeline, () => new Lane(pipeline)).add(run);
  }

  /**
   * The runs a claim may take, one by one: each has to have an owner before the next is asked for.
   *
   * @param hasRoom - Whether another run of this pipeline may become active.
   */
  *claimable({ definitions, now }: ClaimRequest, hasRoom: (pipeline: string) => boolean): Generator<RunStore> {
    const lanes = definitions.flatMap((definition) => [...(this.#lanes.get(definition)?.values() ?? [])]);
    for (;;) {
      let first: RunStore | undefined;
      for (const lane of lanes) {
        const run = lane.first(now);
        if (run !== undefined && (first === undefined || isBefore(run, first)) && hasRoom(lane.pipeline)) first = run;
      }
      if (first === undefined) return;
      yield first;
    }
  }

  /** The earliest moment after `now` at which a run is due. */
  nextDue(now: EpochMs): EpochMs | undefined {
    let earliest: EpochMs | undefined;
    for (const lanes of this.#lanes.values()) {
      for (const lane of lanes.values()) {
        const due = lane.nextDue(now);
        if (due !== undefined && (earliest === undefined || due < earliest)) earliest = due;
      }
    }
    return earliest;
  }
}

interface Delayed {
  readonly run: RunStore;
  readonly until: EpochMs;
}

/**
 * The free runs of one definition. Runs leave it unseen, by being claimed or by becoming due earlier: what comes to the
 * top is checked.
 */
class Lane {
  readonly pipeline: string;
  readonly #due = new Heap<RunStore>(isBefore);
  readonly #delayed = new Heap<Delayed>((a, b) => a.until < b.until);

  constructor(pipeline: string) {
    this.pipeline = pipeline;
  }

  add(run: RunStore): void {
    this.#delayed.push({ run, until: run.record.availableAt });
  }

  first(now: EpochMs): RunStore | undefined {
    this.#wake(now);
    for (let run = this.#due.first; run !== undefined; run = this.#due.first) {
      if (isFree(run) && run.record.availableAt <= now) return run;
      this.#due.shift();
      if (isFree(run)) this.add(run); // due by the clock of another engine only
    }
    return undefined;
  }

  nextDue(now: EpochMs): EpochMs | undefined {
    this.#wake(now);
    while (this.#delayed.first !== undefined && !isStill(this.#delayed.first)) this.#delayed.shift();
    return this.#delayed.first?.until;
  }

  #wake(now: EpochMs): void {
    for (let next = this.#delayed.first; next !== undefined && next.until <= now; next = this.#delayed.first) {
      this.#delayed.shift();
      if (isStill(next)) this.#due.push(next.run);
    }
  }
}

function isStill({ run, until }: Delayed): boolean {
  return isFree(run) && run.record.availableAt === until;
}

function isFree({ record }: RunStore): boolean {
  return record.owner === undefined && !isRunFinished(record.status);
}

function isBefore(a: RunStore, b: RunStore): boolean {
  if (a.record.priority !== b.record.priority) return a.record.priority > b.record.priority;
  return a.sequence < b.sequence;
}

function getOrAdd<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
