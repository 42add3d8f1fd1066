import type { Finding } from "./fuzz.js";

interface Known {
  readonly entry: RegExp;
  readonly fault: RegExp;
  readonly why: string;
}

/** What is found, and is not mended yet. Whoever mends one takes it from this list. */
const KNOWN: readonly Known[] = [];

export function isKnown(finding: Finding): boolean {
  return KNOWN.some(({ entry, fault }) => entry.test(finding.entry) && fault.test(finding.fault));
}
