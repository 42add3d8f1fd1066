import type { checkHistory, Violation } from "@weftline/testing";
import type { Finding } from "./audit/kept-whole.js";

type Verdict = ReturnType<typeof checkHistory>;

/** What was held against the invariants, and what was found. */
export interface Judged {
  readonly problems: readonly string[];
  /** By invariant: how often it was held against something. */
  readonly checked: ReadonlyMap<number, number>;
  readonly notChecked: ReadonlyMap<number, string>;
}

/** Adds what only the harness can tell to what the checker of histories says. @param isExcused - Violations that are none here. */
export function judgedBy(
  { violations, checked, notChecked }: Verdict,
  findings: readonly Finding[],
  isExcused: (violation: Violation) => boolean = () => false,
): Judged {
  const found = violations.filter((violation) => !isExcused(violation)).map(textOf);
  return {
    problems: [...findings.map((finding) => textOf({ ...finding, events: [] })), ...found],
    checked: new Map(checked.map(({ invariant, times }) => [invariant, times])),
    notChecked: new Map(notChecked.map(({ invariant, why }) => [invariant, why])),
  };
}

/** What several cases were held against, as one. */
export function addedUp(
  all: readonly Pick<Judged, "checked" | "notChecked">[],
): Pick<Judged, "checked" | "notChecked"> {
  const checked = new Map<number, number>();
  const notChecked = new Map<number, string>();
  for (const one of all) {
    for (const [invariant, times] of one.checked) checked.set(invariant, (checked.get(invariant) ?? 0) + times);
    for (const [invariant, why] of one.notChecked) notChecked.set(invariant, why);
  }
  for (const invariant of checked.keys()) notChecked.delete(invariant);
  return { checked, notChecked };
}

function textOf({ invariant, runId, why, events }: Pick<Violation, "invariant" | "runId" | "why" | "events">): string {
  const about = runId === undefined ? "" : `, run ${runId}`;
  const shown = events.map((event) => JSON.stringify(event).slice(0, 300)).join(" ");
  return `invariant ${invariant}${about}: ${why} ${shown}`.trim();
}
