import { checkHistory, type Verdict } from "../history-checker/check-history.js";
import type { Violation } from "../history-checker/report.js";
import { findCacheFaults } from "./cache-findings.js";
import { findOverdue } from "./deadlines.js";
import { compare, referenceOf } from "./reference.js";
import type { Played } from "./simulation.js";

/** Something that must not be, by what found it. */
export interface Problem {
  /** `invariant 15`, `cache`, `deadline`, `reference` or `stuck`. */
  readonly rule: string;
  readonly runId: string | undefined;
  readonly why: string;
  readonly events: Violation["events"];
}

export interface Judgement {
  readonly problems: readonly Problem[];
  readonly verdict: Verdict;
}

/** Holds what happened against the invariants, and against what happens where nothing goes wrong. */
export async function judge(played: Played): Promise<Judgement> {
  const verdict = checkHistory(played.evidence);
  const problems: Problem[] = played.stuck.map((why) => ({ rule: "stuck", runId: undefined, why, events: [] }));
  for (const { severity, invariant, runId, why, events } of verdict.violations) {
    if (severity === "violation") problems.push({ rule: `invariant ${invariant}`, runId, why, events });
  }
  for (const { runId, why } of findOverdue(played.evidence))
    problems.push({ rule: "deadline", runId, why, events: [] });
  for (const { runId, why } of findCacheFaults(played)) problems.push({ rule: "cache", runId, why, events: [] });
  // A run that is stuck in the reference as well would be waited for in vain.
  if (played.stuck.length === 0) {
    const reference = await referenceOf(played);
    for (const { runId, why } of compare(played, reference)) {
      problems.push({ rule: "reference", runId, why, events: [] });
    }
  }
  return { problems, verdict };
}
