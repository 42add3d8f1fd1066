import type { EpochMs } from "weftline";

/** A point in time: epoch milliseconds, a `Date`, or a text `Date` understands, such as `2026-03-29T01:30:00Z`. */
export type Moment = EpochMs | Date | string;

/** @throws {RangeError} When it names no moment. */
export function epochMs(moment: Moment): EpochMs {
  const ms = typeof moment === "number" ? moment : new Date(moment).getTime();
  if (Number.isFinite(ms)) return ms;
  throw new RangeError(`Cannot read a moment as epoch milliseconds, a Date or an ISO text: ${JSON.stringify(moment)}`);
}
