import { describe, expect, it } from "vitest";
import { memoryStorage } from "weftline";
import { storageContract } from "./storage-contract.js";
import { BROKEN_STORAGES, type Overrides } from "./test-support/broken-storages.js";
import { collectCases } from "./test-support/collected-cases.js";
import { overridden } from "./test-support/overridden.js";
import { IN_MEMORY, type SoundStorages } from "./test-support/sound-storages.js";

function casesOf(basis: SoundStorages, overrides: Overrides): ReadonlyMap<string, () => Promise<void>> {
  return collectCases((register) =>
    storageContract({
      ...basis,
      it: register,
      open: async (place) => {
        const inner = await basis.open(place);
        return overridden(inner, overrides(inner));
      },
    }),
  );
}

/** A case passes on a sound store: looked at once, however many faults it has to find. */
function isSound(basis: SoundStorages, name: string): Promise<void> {
  const cases = soundCases.get(basis) ?? casesOf(basis, () => ({}));
  soundCases.set(basis, cases);
  const check = cases.get(name);
  expect(check, `there is no case "${name}"`).toBeDefined();
  const checked = checkedCases.get(check!) ?? check!();
  checkedCases.set(check!, checked);
  return checked;
}

const soundCases = new Map<SoundStorages, ReadonlyMap<string, () => Promise<void>>>();
const checkedCases = new Map<() => Promise<void>, Promise<void>>();

describe("storageContract() catches a store that", () => {
  for (const [fault, overrides, caughtBy, basis = IN_MEMORY] of BROKEN_STORAGES) {
    it(fault, async () => {
      await isSound(basis, caughtBy);
      await expect(casesOf(basis, overrides).get(caughtBy)!()).rejects.toThrow();
    });
  }
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
