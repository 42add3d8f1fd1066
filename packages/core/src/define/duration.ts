import { WeftlineError } from "../errors.js";
import { asText } from "../execute/as-text.js";
import { boundText } from "../values/text.js";
import { show } from "./show.js";

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
type Unit = keyof typeof UNIT_MS;

/** A length of time: milliseconds, or a number with a unit such as `"250ms"`, `"30s"`, `"10m"`, `"6h"`, `"7d"`. */
export type Duration = number | `${number}${Unit}`;

const MAX_WHERE = 1_000;
/** A hundred years: longer than any wait that is meant, short enough to add to any date. */
const MAX_DURATION_MS = 100 * 366 * UNIT_MS.d;

/**
 * Reads a duration.
 *
 * @param where - What the duration is for, e.g. `retry.delay of task "fetch"`; becomes part of the message.
 * @returns Whole milliseconds, 0 to 100 years; fractions are rounded up, so that a tiny wait never becomes none.
 * @throws {WeftlineError} `DURATION_INVALID`.
 */
export function durationMs(duration: Duration, where: string): number {
  const ms = typeof duration === "number" ? duration : parse(duration);
  if (!(ms >= 0 && ms <= MAX_DURATION_MS)) {
    throw new WeftlineError(
      "DURATION_INVALID",
      `Cannot read ${boundText(asText(where), MAX_WHERE)} as a duration: ${show(duration)}. Write milliseconds or a text such as "250ms", "30s", "10m", "6h" or "7d", from 0 to 100 years.`,
    );
  }
  // 15 digits, so that the noise of "16.1s" × 1000 = 16100.000000000002 is not rounded up to another millisecond.
  return Math.ceil(Number(ms.toPrecision(15)));
}

function parse(text: unknown): number {
  const match = typeof text === "string" ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) : null;
  return match ? Number(match[1]) * UNIT_MS[match[2] as Unit] : Number.NaN;
}
