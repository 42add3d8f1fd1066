import type { ContractOptions } from "../contract-case.js";

/** Collects the cases of a suite instead of running them. */
export function collectCases(register: (it: ContractOptions["it"]) => void): ReadonlyMap<string, () => Promise<void>> {
  const cases = new Map<string, () => Promise<void>>();
  register((name, test) => {
    if (cases.has(name)) throw new Error(`two cases are called "${name}"`);
    cases.set(name, test);
  });
  return cases;
}
