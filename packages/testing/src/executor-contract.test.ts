import { describe, expect, it } from "vitest";
import { inProcess } from "weftline";
import { executorContract } from "./executor-contract.js";
import { BROKEN_EXECUTORS, type Overrides } from "./test-support/broken-executors.js";
import { collectCases } from "./test-support/collected-cases.js";
import { overridden } from "./test-support/overridden.js";

function casesOf(overrides: Overrides): ReadonlyMap<string, () => Promise<void>> {
  return collectCases((register) =>
    executorContract({
      it: register,
      open: () => {
        const inner = inProcess();
        return overridden(inner, overrides(inner));
      },
    }),
  );
}

describe("executorContract() catches an executor that", () => {
  it.concurrent.each(BROKEN_EXECUTORS)("%s", { timeout: 20_000 }, async (_, overrides, caughtBy) => {
    const check = casesOf(overrides).get(caughtBy);
    expect(check, `there is no case "${caughtBy}"`).toBeDefined();
    await expect(check!()).rejects.toThrow();
  });
});

it("executorContract() refuses to skip a case it does not have", () => {
  const skip = [{ test: "slots", reason: "none" }];
  expect(() => executorContract({ it: () => {}, open: () => inProcess(), skip })).toThrow(/no such case/);
});
