/** When a task may start, judged by how its upstream tasks ended; Airflow's names and meaning. */
export const TRIGGER_RULES = [
  "all-success",
  "all-failed",
  "all-done",
  "all-done-min-one-success",
  "all-skipped",
  "one-success",
  "one-failed",
  "one-done",
  "none-failed",
  "none-failed-min-one-success",
  "none-skipped",
  "always",
] as const;
export type TriggerRule = (typeof TRIGGER_RULES)[number];

/** `run`: it may start; `wait`: nothing happens yet; otherwise what becomes of it at once. */
export type Decision = "run" | "wait" | "skip" | "upstream-failed";

/**
 * A rule: what `succeeded`, `failed` (or cancelled), `skipped` and `upstreamFailed` of `total` upstream tasks mean.
 * The difference to `total` has not finished. `total` is at least 1.
 */
type Rule = (succeeded: number, failed: number, skipped: number, upstreamFailed: number, total: number) => Decision;

/** Every rule on one page. Where two clauses hold, the first one decides. */
const RULES: Readonly<Record<TriggerRule, Rule>> = {
  "all-success": (s, f, k, u, total) => {
    if (f + u > 0) return "upstream-failed";
    if (k > 0) return "skip";
    return s === total ? "run" : "wait";
  },
  "all-failed": (s, f, k, u, total) => {
    if (s + k > 0) return "skip";
    return f + u === total ? "run" : "wait";
  },
  "all-done": (s, f, k, u, total) => (s + f + k + u === total ? "run" : "wait"),
  "all-done-min-one-success": (s, f, k, u, total) => {
    if (k > 0) return "skip";
    if (s + f + u < total) return "wait";
    return s > 0 ? "run" : "upstream-failed";
  },
  "all-skipped": (s, f, k, u, total) => {
    if (s + f + u > 0) return "skip";
    return k === total ? "run" : "wait";
  },
  "one-success": (s, f, k, u, total) => {
    if (s > 0) return "run";
    if (f + k + u < total) return "wait";
    return f + u > 0 ? "upstream-failed" : "skip";
  },
  "one-failed": (s, f, k, u, total) => {
    if (f + u > 0) return "run";
    return s + k < total ? "wait" : "skip";
  },
  "one-done": (s, f, k, u, total) => {
    if (s + f > 0) return "run";
    return k + u < total ? "wait" : "skip";
  },
  "none-failed": (s, f, k, u, total) => {
    if (f + u > 0) return "upstream-failed";
    return s + k === total ? "run" : "wait";
  },
  "none-failed-min-one-success": (s, f, k, u, total) => {
    if (f + u > 0) return "upstream-failed";
    if (s + k < total) return "wait";
    return s > 0 ? "run" : "skip";
  },
  "none-skipped": (s, f, k, u, total) => {
    if (k > 0) return "skip";
    return s + f + u === total ? "run" : "wait";
  },
  always: () => "run",
};

/** The rule of teardown tasks, behind those that users write: its decision depends on which upstream tasks are its setup. */
export const TEARDOWN_RULE = TRIGGER_RULES.length;

/** The rules by their place in {@link TRIGGER_RULES}, as a plan stores them. */
const RULE_BY_CODE: readonly Rule[] = TRIGGER_RULES.map((name) => RULES[name]);

/**
 * What a task's rule says about the upstream tasks that finished so far.
 *
 * @param code - The rule's place in {@link TRIGGER_RULES}.
 * @param total - How many upstream tasks there are; without any a task always runs.
 */
export function decide(
  code: number,
  succeeded: number,
  failed: number,
  skipped: number,
  upstreamFailed: number,
  total: number,
): Decision {
  if (total === 0) return "run";
  return (RULE_BY_CODE[code] as Rule)(succeeded, failed, skipped, upstreamFailed, total);
}
