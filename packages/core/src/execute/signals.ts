import type { Duration } from "../define/duration.js";

/** Thrown by a task: another attempt would fail the same way, so there is none. */
export class NonRetryableError extends Error {
  override readonly name: string = "NonRetryableError";
}

/** Thrown by a task: there is nothing to do; the task (or item) counts as skipped. */
export class SkipTask extends Error {
  override readonly name: string = "SkipTask";

  constructor(reason = "the task found nothing to do") {
    super(reason);
  }
}

/**
 * Thrown by a task: the attempt failed, and the next one should come after this delay instead of the policy's.
 * How many attempts there are is still the policy's to say. A delay that makes no sense (NaN, an invalid date, over
 * 100 years: servers send all of these) is replaced by the policy's and noted in the task's log; a past moment means now.
 */
export class RetryAfter extends Error {
  override readonly name: string = "RetryAfter";

  constructor(
    /** From now, or the moment itself. */
    readonly delay: Duration | Date,
    message = `asked to try again after ${delay instanceof Date ? "a given moment" : delay}`,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Recognises our own errors, subclasses under names of their own, and those of another copy of this library. */
export function isOwn<Kind extends Error>(
  thrown: unknown,
  kind: abstract new (...args: never[]) => Kind,
  name: Kind["name"],
): thrown is Kind {
  try {
    return thrown instanceof kind || (thrown instanceof Error && thrown.name === name);
  } catch {
    return false; // a revoked proxy, or a getter that throws: whatever it is, it is none of ours
  }
}
