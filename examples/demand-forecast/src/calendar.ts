/** A calendar day without a time, as `YYYY-MM-DD`. Strings of this form sort by date. */
export type Day = string;

const DAY_MS = 86_400_000;

export const WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"] as const;

/** @param month - From 1 to 12. */
export function toDay(year: number, month: number, dayOfMonth: number): Day {
  return new Date(Date.UTC(year, month - 1, dayOfMonth)).toISOString().slice(0, 10);
}

export function addDays(day: Day, count: number): Day {
  return new Date(Date.parse(day) + count * DAY_MS).toISOString().slice(0, 10);
}

/** 0 for Monday to 6 for Sunday: the index into {@link WEEKDAYS}. */
export function weekdayOf(day: Day): number {
  return (new Date(day).getUTCDay() + 6) % 7;
}

export function yearOf(day: Day): number {
  return Number(day.slice(0, 4));
}

/** From 1 to 12. */
export function monthOf(day: Day): number {
  return Number(day.slice(5, 7));
}

/**
 * The six US holidays on which nearly everybody is off: wards plan few inductions and sections, and births fall well
 * below the weekday's level. The other federal holidays (Presidents' Day, Veterans Day …) hardly show in the data.
 */
export function holidayOn(day: Day): string | undefined {
  const monthAndDay = day.slice(5);
  const fixed = FIXED_HOLIDAYS[monthAndDay];
  if (fixed !== undefined) return fixed;

  const weekday = weekdayOf(day);
  if (weekday === 0 && monthAndDay >= "05-25" && monthAndDay <= "05-31") return "Memorial Day";
  if (weekday === 0 && monthAndDay >= "09-01" && monthAndDay <= "09-07") return "Labor Day";
  if (weekday === 3 && monthAndDay >= "11-22" && monthAndDay <= "11-28") return "Thanksgiving";
  return undefined;
}

const FIXED_HOLIDAYS: Readonly<Record<string, string>> = {
  "01-01": "New Year's Day",
  "07-04": "Independence Day",
  "12-25": "Christmas Day",
};
