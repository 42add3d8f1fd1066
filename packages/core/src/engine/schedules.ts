import type { Clock, EpochMs } from "../clock.js";
import type { NewRun, ScheduleRecord } from "../contracts/records.js";
import type { Storage } from "../contracts/storage.js";
import type { Pipeline } from "../define/pipeline.js";
import { show } from "../define/show.js";
import type { Logger } from "../logger.js";

export interface SchedulesOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly log: Logger;
  readonly pipelines: readonly Pipeline[];
  /** Validates params and makes the run of an instant. */
  readonly newRun: (pipeline: Pipeline, params: unknown, instant: EpochMs) => Promise<NewRun>;
}

/** So many instants are asked for at once at the most. */
const MAX_INSTANTS = 10_000;

/** A schedule as callers see it. */
export interface ScheduleInfo {
  /** The pipeline's id: a pipeline has one schedule. */
  readonly id: string;
  readonly pipeline: string;
  readonly spec: string;
  readonly nextAt: EpochMs | undefined;
  readonly lastAt: EpochMs | undefined;
}

/** Turns instants of schedules into runs: one run for each instant, never early, whoever wakes it and however often. */
export class Schedules {
  readonly #options: SchedulesOptions;
  readonly #scheduled: readonly Pipeline[];

  constructor(options: SchedulesOptions) {
    this.#options = options;
    this.#scheduled = options.pipelines.filter((pipeline) => pipeline.settings.schedule !== undefined);
  }

  /** Makes the schedules of this engine's pipelines known to storage. */
  async register(): Promise<void> {
    if (this.#scheduled.length === 0) return;
    const now = this.#options.clock.now();
    await this.#options.storage.putSchedules(
      this.#scheduled.map(({ id, settings }) => {
        const { spec, next } = settings.schedule!;
        return { id, pipeline: id, spec, nextAt: next(now), lastAt: undefined };
      }),
    );
  }

  /** Every schedule in storage. */
  async list(): Promise<readonly ScheduleInfo[]> {
    return this.#options.storage.schedules();
  }

  /** The next instants of a pipeline's schedule. @param count - How many, ≥ 1. */
  next(pipeline: Pipeline, count = 1): readonly EpochMs[] {
    if (pipeline?.plan === undefined || !Number.isSafeInteger(count) || count < 0 || count > MAX_INSTANTS) {
      throw new TypeError(
        `next(pipeline, count) takes a pipeline and a whole number, not ${show(pipeline)} and ${show(count)}`,
      );
    }
    const instants: EpochMs[] = [];
    let instant: EpochMs | undefined = this.#options.clock.now();
    while (instants.length < count) {
      instant = pipeline.settings.schedule?.next(instant);
      if (instant === undefined) break;
      instants.push(instant);
    }
    return instants;
  }

  async nextDue(): Promise<EpochMs | undefined> {
    const own = await this.#ownRecords();
    const times = own.flatMap((record) => (record.nextAt === undefined ? [] : [record.nextAt]));
    return times.length === 0 ? undefined : times.reduce((a, b) => Math.min(a, b));
  }

  /** Fires what is due. After a pause only the latest instant of each schedule runs; those before it are passed over. */
  async fireDue(): Promise<void> {
    const now = this.#options.clock.now();
    for (const record of await this.#ownRecords()) {
      if (record.nextAt !== undefined && record.nextAt <= now) await this.#fire(record, record.nextAt, now);
    }
  }

  async #fire(record: ScheduleRecord, expected: EpochMs, now: EpochMs): Promise<void> {
    const { storage, log, newRun } = this.#options;
    const pipeline = this.#scheduled.find(({ id }) => id === record.id)!;
    const schedule = pipeline.settings.schedule!;
    const instant = schedule.latest(expected - 1, now) ?? expected;
    if (instant > expected)
      log.warn({ schedule: record.id, from: expected, to: instant }, "instants were missed; running the latest");
    let run: NewRun | undefined;
    try {
      run = await newRun(pipeline, schedule.params?.({ instant }), instant);
    } catch (error) {
      // A schedule whose params are wrong must not fire for ever: the instant is passed over, loudly.
      log.error(
        { schedule: record.id, instant, error },
        "the params of a scheduled run are refused; the instant is passed over",
      );
    }
    await storage.fire({ schedule: record.id, expected, next: schedule.next(instant), run });
  }

  async #ownRecords(): Promise<readonly ScheduleRecord[]> {
    if (this.#scheduled.length === 0) return [];
    const ids = new Set(this.#scheduled.map(({ id }) => id));
    return (await this.#options.storage.schedules()).filter((record) => ids.has(record.id));
  }
}
