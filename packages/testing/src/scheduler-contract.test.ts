import { describe, expect, it } from "vitest";
import { timerScheduler } from "weftline";
import { schedulerContract } from "./scheduler-contract.js";
import { BROKEN_SCHEDULERS, type Overrides } from "./test-support/broken-schedulers.js";
import { collectCases } from "./test-support/collected-cases.js";
import { overridden } from "./test-support/overridden.js";

function casesOf(overrides: Overrides): ReadonlyMap<string, () => Promise<void>> {
  return collectCases((register) =>
    schedulerContract({
      it: register,
      open: () => {
        const inner = timerScheduler();
        return overridden(inner, overrides(inner));
      },
    }),
  );
}

describe("schedulerContract() catches a scheduler that", () => {
  it.concurrent.each(BROKEN_SCHEDULERS)("%s", async (_, overrides, caughtBy) => {
    const check = casesOf(overrides).get(caughtBy);
    expect(check, `there is no case "${caughtBy}"`).toBeDefined();
    await expect(check!()).rejects.toThrow();
  });
});

it("schedulerContract() refuses to skip a case it does not have", () => {
  const skip = [{ test: "stop()", reason: "none" }];
  expect(() => schedulerContract({ it: () => {}, open: () => timerScheduler(), skip })).toThrow(/no such case/);
});
