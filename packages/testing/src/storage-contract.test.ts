import { describe, expect, it } from "vitest";
import { memoryStorage } from "weftline";
import { storageContract } from "./storage-contract.js";
import { BROKEN_STORAGES, type Overrides } from "./test-support/broken-storages.js";
import { collectCases } from "./test-support/collected-cases.js";
import { overridden } from "./test-support/overridden.js";

function casesOf(overrides: Overrides): ReadonlyMap<string, () => Promise<void>> {
  return collectCases((register) =>
    storageContract({
      it: register,
      open: () => {
        const inner = memoryStorage();
        return overridden(inner, overrides(inner));
      },
    }),
  );
}

describe("storageContract() catches a store that", () => {
  it.each(BROKEN_STORAGES)("%s", async (_, overrides, caughtBy) => {
    const sound = casesOf(() => ({})).get(caughtBy);
    expect(sound, `there is no case "${caughtBy}"`).toBeDefined();
    await sound!();
    await expect(casesOf(overrides).get(caughtBy)!()).rejects.toThrow();
  });
});

describe("storageContract()", () => {
  const open = () => memoryStorage();
  const test = "close() called twice does nothing more";

  it("refuses to skip a case it does not have, and names those it has", () => {
    const register = () => storageContract({ it: () => {}, open, skip: [{ test: "close()", reason: "why not" }] });
    expect(register).toThrow(/Cannot skip "close\(\)" as the storage contract has no such case.*\n.*\n/);
  });

  it("refuses to skip a case without a reason", () => {
    expect(() => storageContract({ it: () => {}, open, skip: [{ test, reason: " " }] })).toThrow("without a reason");
  });

  it("shows a skipped case with its reason, by the runner's own skip where there is one", () => {
    const reason = "closed by the host";
    const registered: string[] = [];
    storageContract({ it: (name) => registered.push(name), open, skip: [{ test, reason }] });
    expect(registered).toContain(`${test} (skipped: ${reason})`);

    const skipped: string[] = [];
    const runner = Object.assign(() => {}, { skip: (name: string) => skipped.push(name) });
    storageContract({ it: runner, open, skip: [{ test, reason }] });
    expect(skipped).toEqual([`${test} (skipped: ${reason})`]);
  });

  it("groups its cases by topic where the runner can", () => {
    const groups: string[] = [];
    const describe = (name: string, body: () => void) => {
      groups.push(name);
      body();
    };
    storageContract({ it: () => {}, describe, open });
    expect(groups).toContain("storage contract: claims");
    expect(new Set(groups).size).toBe(groups.length);
  });
});
