import type { RetryPolicy } from "../define/options.js";

/**
 * How long to wait before the next attempt. Finite and at most `policy.maxDelayMs` for every attempt up to 10,000;
 * with jitter drawn evenly from (0, delay], so that it is never 0 unless the policy's delay is.
 *
 * @param failures - How many attempts have failed since the task was started or resumed; ≥ 1.
 * @param random - A number in [0, 1).
 * @returns Whole milliseconds.
 * @see https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ ("Full Jitter")
 */
export function retryDelayMs(policy: RetryPolicy, failures: number, random: number): number {
  if (policy.delayMs === 0) return 0; // 0 × 2ⁿ is NaN once 2ⁿ overflows
  const full = Math.min(policy.maxDelayMs, policy.delayMs * growth(policy.backoff, failures));
  return policy.jitter === "full" ? Math.ceil(full * (1 - random)) : full;
}

function growth(backoff: RetryPolicy["backoff"], failures: number): number {
  switch (backoff) {
    case "fixed":
      return 1;
    case "linear":
      return failures;
    case "exponential":
      return 2 ** (failures - 1);
  }
}

/** What decides whether a failed attempt is followed by another. */
export interface Failure {
  /** Attempts since the task was started or resumed, this one included. */
  readonly attempts: number;
  /** False for a `NonRetryableError` or when the policy's predicate declined. */
  readonly retryable: boolean;
  /** The code of this attempt may still be running. */
  readonly abandoned: boolean;
  /** The delay the task asked for, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** When the task's total timeout ends it. */
  readonly deadlineAt: number | undefined;
}

/**
 * When the next attempt is due.
 *
 * @param random - A number in [0, 1).
 * @returns Epoch milliseconds, or `undefined` when the failure is final: no attempts left, not worth one, or not
 * possible before the task's deadline.
 */
export function nextAttemptAt(policy: RetryPolicy, failure: Failure, now: number, random: number): number | undefined {
  if (!failure.retryable || failure.attempts >= policy.attempts) return undefined;
  if (failure.abandoned && !policy.whileAbandoned) return undefined;
  const at = now + (failure.retryAfterMs ?? retryDelayMs(policy, failure.attempts, random));
  return failure.deadlineAt !== undefined && at >= failure.deadlineAt ? undefined : at;
}
