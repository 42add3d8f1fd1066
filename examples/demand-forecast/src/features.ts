import { addDays, type Day, holidayOn, monthOf, WEEKDAYS, weekdayOf } from "./calendar.js";
import type { DailyDemand } from "./data.js";

/**
 * How far ahead a forecast can be made, in days. Wards fix the roster a week before, so a feature of day `d` may use
 * the demand up to and including `d - 7` and nothing later: the youngest lag is 7, and the four-week mean ends there.
 */
export const HORIZON_DAYS = 7;

// 364 is 52 weeks: the same weekday a year ago.
const LAGS = [7, 14, 364] as const;
const MEAN_DAYS = 28;
/** Days of history before the first day that has all its features. */
const HISTORY_DAYS = Math.max(...LAGS, HORIZON_DAYS + MEAN_DAYS - 1);

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;

/** The columns of a feature row. Monday and January are the base levels, and so have no column of their own. */
export const FEATURE_NAMES: readonly string[] = [
  ...WEEKDAYS.slice(1),
  ...MONTHS.slice(1),
  "holiday",
  "next to a holiday",
  ...LAGS.map((lag) => `demand ${lag} days before`),
  "four-week mean",
];

/** Column-aligned: `rows[i]` are the features of `days[i]`, on which there were `births[i]`. */
export interface FeatureTable {
  readonly days: readonly Day[];
  readonly births: readonly number[];
  readonly rows: readonly (readonly number[])[];
}

/** Every day that has enough history before it. @param demand - One entry per day, without gaps. */
export function buildFeatures(demand: readonly DailyDemand[]): FeatureTable {
  const known = demand.slice(HISTORY_DAYS);
  return {
    days: known.map(({ day }) => day),
    births: known.map(({ births }) => births),
    rows: known.map(({ day }, index) => featuresOf(day, demand, HISTORY_DAYS + index)),
  };
}

/** The features of the days after the newest one, as far as they are known: {@link HORIZON_DAYS} days. */
export function buildFeaturesAhead(demand: readonly DailyDemand[]): Pick<FeatureTable, "days" | "rows"> {
  const newest = demand.at(-1);
  if (newest === undefined || demand.length < HISTORY_DAYS) return { days: [], rows: [] };
  const days = Array.from({ length: HORIZON_DAYS }, (_, index) => addDays(newest.day, index + 1));
  return { days, rows: days.map((day, index) => featuresOf(day, demand, demand.length + index)) };
}

/** One feature of every row, for example the demand a week before, which is also the naive forecast. */
export function columnOf(table: FeatureTable, feature: string): number[] {
  const column = FEATURE_NAMES.indexOf(feature);
  if (column === -1) throw new RangeError(`Cannot read feature "${feature}": known are ${FEATURE_NAMES.join(", ")}`);
  return table.rows.map((row) => row[column]!);
}

export function sliceTable(table: FeatureTable, start: number, end: number): FeatureTable {
  return {
    days: table.days.slice(start, end),
    births: table.births.slice(start, end),
    rows: table.rows.slice(start, end),
  };
}

/** @param position - Where `day` stands, or would stand, in `demand`. */
function featuresOf(day: Day, demand: readonly DailyDemand[], position: number): number[] {
  const weekday = weekdayOf(day);
  const month = monthOf(day) - 1;
  const births = (daysBefore: number) => demand[position - daysBefore]?.births ?? Number.NaN;

  let sum = 0;
  for (let daysBefore = HORIZON_DAYS; daysBefore < HORIZON_DAYS + MEAN_DAYS; daysBefore++) sum += births(daysBefore);

  return [
    ...WEEKDAYS.slice(1).map((_, index) => flag(weekday === index + 1)),
    ...MONTHS.slice(1).map((_, index) => flag(month === index + 1)),
    flag(holidayOn(day) !== undefined),
    flag(holidayOn(addDays(day, -1)) !== undefined || holidayOn(addDays(day, 1)) !== undefined),
    ...LAGS.map(births),
    sum / MEAN_DAYS,
  ];
}

function flag(condition: boolean): number {
  return condition ? 1 : 0;
}
