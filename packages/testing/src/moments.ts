import type { Duration, EpochMs } from "weftline";

/** A point in time: epoch milliseconds, a `Date`, or a text `Date` understands, such as `2026-03-29T01:30:00Z`. */
export type Moment = EpochMs | Date | string;

/** @throws {RangeError} When it names no moment. */
export function epochMs(moment: Moment): EpochMs {
  const ms = typeof moment === "number" ? moment : new Date(moment).getTime();
  if (Number.isFinite(ms)) return ms;
  throw new RangeError(`Cannot read a moment as epoch milliseconds, a Date or an ISO text: ${JSON.stringify(moment)}`);
}

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** @returns Whole milliseconds, ≥ 0. @throws {RangeError} */
export function milliseconds(duration: Duration): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(String(duration));
  const ms = match ? Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS] : duration;
  if (typeof ms === "number" && ms >= 0 && Number.isFinite(ms)) return Math.ceil(ms);
  throw new RangeError(
    `Cannot read a duration as milliseconds or a text such as "250ms", "30s", "10m", "6h", "7d": ${JSON.stringify(duration)}`,
  );
}
