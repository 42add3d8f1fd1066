import type { TriggerRule } from "weftline";

/** How an upstream task counts: a cancelled one as failed, one that has not finished as nothing. */
export interface Upstream {
  succeeded: number;
  failed: number;
  skipped: number;
  upstreamFailed: number;
  readonly total: number;
}

/** What a rule says; `teardown` is the rule of tasks that clean up, which goes by their setup. */
export type RuleDecision = "run" | "wait" | "skip" | "upstream-failed";

/**
 * The trigger rules, written for the checker from their published meaning and not from the engine's table: each says
 * first what rules the task out, then what lets it run.
 */
export function ruleDecision(rule: TriggerRule, upstream: Upstream): RuleDecision {
  const { succeeded, failed, skipped, upstreamFailed, total } = upstream;
  if (total === 0 || rule === "always") return "run";
  const bad = failed + upstreamFailed;
  const isDone = succeeded + bad + skipped === total;
  switch (rule) {
    case "all-success":
      return bad > 0 ? "upstream-failed" : skipped > 0 ? "skip" : onceDone(isDone);
    case "all-failed":
      return succeeded > 0 || skipped > 0 ? "skip" : onceDone(isDone);
    case "all-done":
      return onceDone(isDone);
    case "all-done-min-one-success":
      return skipped > 0 ? "skip" : isDone && succeeded === 0 ? "upstream-failed" : onceDone(isDone);
    case "all-skipped":
      return succeeded > 0 || bad > 0 ? "skip" : onceDone(isDone);
    case "one-success":
      return succeeded > 0 ? "run" : !isDone ? "wait" : bad > 0 ? "upstream-failed" : "skip";
    case "one-failed":
      return bad > 0 ? "run" : isDone ? "skip" : "wait";
    case "one-done":
      return succeeded + failed > 0 ? "run" : isDone ? "skip" : "wait";
    case "none-failed":
      return bad > 0 ? "upstream-failed" : onceDone(isDone);
    case "none-failed-min-one-success":
      return bad > 0 ? "upstream-failed" : isDone && succeeded === 0 ? "skip" : onceDone(isDone);
    case "none-skipped":
      return skipped > 0 ? "skip" : onceDone(isDone);
  }
}

function onceDone(isDone: boolean): RuleDecision {
  return isDone ? "run" : "wait";
}
