import { Cron } from "croner";
import type { EpochMs } from "../clock.js";
import { WeftlineError } from "../errors.js";
import { boundText } from "../values/text.js";
import { type Duration, durationMs } from "./duration.js";
import { show } from "./show.js";

/** What a parser says of a text may quote all of it. */
const MAX_REASON = 300;

/** When runs start by themselves, and with which params. Made by {@link cron} and {@link every}. */
export interface Schedule<out Params> {
  /** In words, e.g. `0 2 * * * Europe/Berlin`; a schedule whose words change starts afresh. */
  readonly spec: string;
  /** The first instant after `after`; `undefined`: never. */
  next(after: EpochMs): EpochMs | undefined;
  /** The latest instant at or before `until` and after `after`; what a catch-up runs. */
  latest(after: EpochMs, until: EpochMs): EpochMs | undefined;
  readonly params: ((fire: ScheduleFire) => Params) | undefined;
}

export interface ScheduleFire {
  /** The scheduled point in time, in epoch milliseconds; not when the run happens to start. */
  readonly instant: EpochMs;
}

export interface ScheduleOptions<Params> {
  /** The run's params for an instant. */
  readonly params?: (fire: ScheduleFire) => Params;
}

export interface CronOptions<Params> extends ScheduleOptions<Params> {
  /** An IANA zone such as `Europe/Berlin`. Default: `UTC`, so that a schedule means the same on every machine. */
  readonly timeZone?: string;
}

/**
 * A cron expression with five fields, or six with seconds. A local time that a change of clocks skips fires at the
 * first valid moment after it; one that happens twice fires once.
 *
 * Days and months may be names (`MON-FRI`, `JAN`); `L`, `W`, `#` and nicknames such as `@daily` are understood. When
 * day of month and day of week are both given, either is enough.
 *
 * @throws {WeftlineError} `SCHEDULE_INVALID` for a bad expression or zone, and for one that never fires.
 */
export function cron<Params = Record<never, never>>(
  expression: string,
  options: CronOptions<Params> = {},
): Schedule<Params> {
  const timeZone = options?.timeZone ?? "UTC";
  const calculator = parseCron(expression, timeZone);
  const params = checkedParams(options, "cron()");
  return {
    spec: `${expression} ${timeZone}`,
    next: (after) => calculator.nextRun(new Date(after))?.getTime(),
    latest(after, until) {
      // croner looks strictly before its reference, so the reference is one second later and the result is checked.
      const candidates = calculator.previousRuns(2, new Date(until + 1_000)).map((date) => date.getTime());
      return candidates.find((instant) => instant <= until && instant > after);
    },
    params,
  };
}

function checkedParams<Params>(options: ScheduleOptions<Params>, where: string): ScheduleOptions<Params>["params"] {
  const params: unknown = options?.params;
  if (params === undefined || typeof params === "function") return options?.params;
  const problem = `Cannot use ${show(params)} as params of ${where}`;
  throw new WeftlineError("SCHEDULE_INVALID", `${problem}. Give a function from the instant to the run's params.`);
}

function parseCron(expression: string, timeZone: string): Cron {
  try {
    if (typeof expression !== "string" || typeof timeZone !== "string") throw new TypeError("both have to be texts");
    const calculator = new Cron(expression, {
      paused: true,
      mode: "5-or-6-parts",
      timezone: timeZone,
      // croner's default takes `30 2,14 * * *` for an interval, skipped in spring and doubled in autumn.
      fixedTimeRule: "no-wildcard",
    });
    if (calculator.getOnce() !== null) throw new TypeError("it is a single date");
    if (timeZone === "") throw new RangeError("the zone is empty"); // croner would take the machine's
    // A wrong zone shows only here.
    if (calculator.nextRun(new Date(0)) === null) throw new RangeError("it never fires; check day and month");
    return calculator;
  } catch (cause) {
    const reason = boundText(cause instanceof Error ? cause.message : String(cause), MAX_REASON);
    throw new WeftlineError(
      "SCHEDULE_INVALID",
      `Cannot use ${show(expression)} in zone ${show(timeZone)} as a schedule: ${reason}. Write five cron fields and an IANA zone name.`,
      { cause },
    );
  }
}

/**
 * Every so often, on multiples of `interval` since 1970-01-01T00:00Z: `every("15m")` fires at :00, :15, :30, :45.
 *
 * @param interval - At least one second.
 * @throws {WeftlineError} `SCHEDULE_INVALID`, `DURATION_INVALID`.
 */
export function every<Params = Record<never, never>>(
  interval: Duration,
  options: ScheduleOptions<Params> = {},
): Schedule<Params> {
  const ms = durationMs(interval, "the interval of every()");
  if (ms < 1_000) {
    throw new WeftlineError("SCHEDULE_INVALID", `Cannot schedule every ${interval}: the shortest interval is "1s".`);
  }
  const params = checkedParams(options, "every()");
  return {
    spec: `every ${ms}ms`,
    next: (after) => (Math.floor(after / ms) + 1) * ms,
    latest(after, until) {
      const instant = Math.floor(until / ms) * ms;
      return instant > after ? instant : undefined;
    },
    params,
  };
}
