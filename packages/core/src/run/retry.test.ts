import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type RetryOptions, type RetryPolicy, retryPolicy } from "../define/options.js";
import { type Failure, nextAttemptAt, retryDelayMs } from "./retry.js";

const policy = (options: Omit<RetryOptions, "attempts">): RetryPolicy =>
  retryPolicy({ attempts: 10_000, ...options }, "a test");

describe("retryDelayMs()", () => {
  it.each([
    ["fixed", [100, 100, 100, 100, 100, 100]],
    ["linear", [100, 200, 300, 400, 500, 600]],
    ["exponential", [100, 200, 400, 800, 1_000, 1_000]],
  ] as const)("grows as its policy says: %s", (backoff, delays) => {
    const retry = policy({ delay: 100, backoff, maxDelay: "1s", jitter: "none" });
    expect(delays.map((_, n) => retryDelayMs(retry, n + 1, 0.5))).toEqual(delays);
  });

  it("is with jitter a part of the full delay, from one millisecond to all of it", () => {
    const retry = policy({ delay: 100, backoff: "exponential", maxDelay: "1s" });
    expect([0, 0.25, 0.5, 0.75, 1 - Number.EPSILON].map((random) => retryDelayMs(retry, 2, random))).toEqual([
      200, 150, 100, 50, 1,
    ]);
  });

  it("draws evenly with jitter", () => {
    const retry = policy({ delay: 10, backoff: "fixed", jitter: "full" });
    const counts = new Map<number, number>();
    for (let n = 0; n < 1_000; n++) {
      const delay = retryDelayMs(retry, 1, (n + 0.5) / 1_000);
      counts.set(delay, (counts.get(delay) ?? 0) + 1);
    }
    expect([...counts].sort(([a], [b]) => a - b)).toEqual(Array.from({ length: 10 }, (_, n) => [n + 1, 100]));
  });

  it("is 0 when the policy's delay is, for every attempt", () => {
    const retry = policy({ delay: 0, backoff: "exponential" });
    expect([1, 2, 1_100, 10_000].map((failures) => retryDelayMs(retry, failures, 0.5))).toEqual([0, 0, 0, 0]);
  });

  const policies = fc
    .record({
      delay: fc.oneof(fc.nat({ max: 10_000 }), fc.nat({ max: 100 * 366 * 86_400_000 })),
      above: fc.oneof(fc.constant(undefined), fc.nat({ max: 1_000_000 }), fc.nat({ max: 10 ** 12 })),
      backoff: fc.constantFrom("fixed" as const, "linear" as const, "exponential" as const),
      jitter: fc.constantFrom("full" as const, "none" as const),
    })
    .map(({ delay, above, backoff, jitter }) => {
      const maxDelay = above === undefined ? undefined : Math.min(delay + above, 100 * 366 * 86_400_000);
      return policy({ delay, backoff, jitter, ...(maxDelay === undefined ? {} : { maxDelay }) });
    });

  it("is a whole number above 0 and at most maxDelay, up to 10,000 attempts", () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    const failures = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 10_000 }));
    fc.assert(
      fc.property(policies, failures, random, (retry, failed, chance) => {
        const delay = retryDelayMs(retry, failed, chance);
        expect(Number.isSafeInteger(delay)).toBe(true);
        expect(delay).toBeLessThanOrEqual(retry.maxDelayMs);
        if (retry.delayMs === 0) expect(delay).toBe(0);
        else expect(delay).toBeGreaterThan(0);
      }),
      { numRuns: 2_000 },
    );
  });

  it("never shrinks from one failure to the next without jitter", () => {
    fc.assert(
      fc.property(policies, fc.integer({ min: 1, max: 9_999 }), (retry, failed) => {
        const steady = { ...retry, jitter: "none" as const };
        expect(retryDelayMs(steady, failed + 1, 0)).toBeGreaterThanOrEqual(retryDelayMs(steady, failed, 0));
      }),
    );
  });
});

describe("nextAttemptAt()", () => {
  const NOW = 1_000_000;
  const failure: Failure = {
    attempts: 1,
    retryable: true,
    abandoned: false,
    retryAfterMs: undefined,
    deadlineAt: undefined,
  };
  const retry = retryPolicy({ attempts: 3, delay: 100, backoff: "fixed" }, "a test");

  it.each<[string, Partial<Failure>, Partial<RetryPolicy>, number | undefined]>([
    ["after the policy's delay", {}, {}, NOW + 100],
    ["after the delay the last attempt but one earned", { attempts: 2 }, { backoff: "linear" }, NOW + 200],
    ["never when no attempts are left", { attempts: 3 }, {}, undefined],
    ["never when more attempts were made than there are", { attempts: 4 }, {}, undefined],
    ["never when there is one attempt", {}, { attempts: 1 }, undefined],
    ["never when the error is not worth it", { retryable: false }, {}, undefined],
    ["never while the last attempt may still run", { abandoned: true }, {}, undefined],
    ["also then when the policy allows it", { abandoned: true }, { whileAbandoned: true }, NOW + 100],
    [
      "never when abandoned and not worth it",
      { abandoned: true, retryable: false },
      { whileAbandoned: true },
      undefined,
    ],
    ["before the task's deadline", { deadlineAt: NOW + 101 }, {}, NOW + 100],
    ["not at the task's deadline", { deadlineAt: NOW + 100 }, {}, undefined],
    ["not after the task's deadline", { deadlineAt: NOW + 99 }, {}, undefined],
    ["after the delay the task asked for", { retryAfterMs: 7_000 }, {}, NOW + 7_000],
    ["at once when the task asked for no delay", { retryAfterMs: 0 }, {}, NOW],
    ["later than maxDelay when the task asked for it", { retryAfterMs: 5_000 }, { maxDelayMs: 1_000 }, NOW + 5_000],
    ["not for a delay beyond the deadline", { retryAfterMs: 7_000, deadlineAt: NOW + 6_000 }, {}, undefined],
    ["not for a delay when no attempts are left", { retryAfterMs: 7_000, attempts: 3 }, {}, undefined],
  ])("is %s", (_, facts, options, expected) => {
    expect(nextAttemptAt({ ...retry, ...options }, { ...failure, ...facts }, NOW, 0.5)).toBe(expected);
  });

  it("hands on its random number", () => {
    const jittered = { ...retry, jitter: "full" as const };
    expect(nextAttemptAt(jittered, failure, NOW, 0.25)).toBe(NOW + 75);
  });
});
