import { checkCancels } from "./cancel.js";
import { type Coverage, coverageOf } from "./coverage.js";
import { checkDurability } from "./durability.js";
import { executionsOf } from "./executions.js";
import { checkPremature, checkStoredJoins, checkStoredStarts, checkWitnessedStarts } from "./graph.js";
import type { Evidence } from "./history.js";
import { checkIsolation } from "./isolation.js";
import { checkLimits } from "./limits.js";
import { checkLiveness } from "./liveness.js";
import { checkRenewals, checkSelfFence } from "./ownership.js";
import { checkExecutions } from "./redelivery.js";
import { Replay } from "./replay.js";
import { LAST_INVARIANT, Report, type Violation } from "./report.js";
import { checkSchedules } from "./schedules.js";
import { checkTimers } from "./timers.js";
import { World } from "./world.js";

export interface CheckOptions {
  /** What the evidence is said to exercise: when one of these was not met at all, the verdict is `vacuous`. */
  readonly claims?: readonly (keyof Coverage)[];
}

export interface Verdict {
  /** `vacuous`: nothing is wrong, and something that was claimed never happened, so that little was proved. */
  readonly outcome: "passed" | "violated" | "vacuous";
  readonly violations: readonly Violation[];
  /** What was held against the evidence, and how often. */
  readonly checked: readonly { readonly invariant: number; readonly times: number }[];
  /** What could not be: it is neither proved nor refuted. */
  readonly notChecked: readonly { readonly invariant: number; readonly why: string }[];
  readonly coverage: Coverage;
  /** What was claimed, and did not happen. */
  readonly missing: readonly (keyof Coverage)[];
}

/** Invariants that a history told afterwards says nothing of, whatever is in it. */
const NEED_RECORDING = [3, 4, 10, 14, 15, 16, 18, 19, 20, 21, 24, 25, 26, 31, 43, 44];
const NEED_WITNESS = [6, 7, 8, 17, 27, 28, 36];

/**
 * Proves the invariants of an engine's history, or finds where they do not hold. Pure, and independent of the engine:
 * it has a model of its own of trigger rules, states and runs.
 */
export function checkHistory(evidence: Evidence, options: CheckOptions = {}): Verdict {
  const report = new Report();
  const world = new World(evidence);
  sayWhatIsMissing(world, report);
  const replay = new Replay(world, report);
  replay.run();
  const executions = executionsOf(world);
  checkPremature(world, replay.premature, report);
  if (!world.isRecorded) {
    checkStoredStarts(world, report);
    checkStoredJoins(world, report);
  }
  checkWitnessedStarts(world, report);
  checkExecutions(world, executions, report);
  checkCancels(world, executions, report);
  checkRenewals(world, report);
  checkSelfFence(world, report);
  replay.flushes.checkRejected(world);
  checkDurability(world, executions, report);
  checkSchedules(world, report);
  checkTimers(world, report);
  checkLimits(world, executions, report);
  checkIsolation(world, report);
  checkLiveness(world, report);
  return verdictOf(world, report, coverageOf(world, executions), options.claims ?? []);
}

function sayWhatIsMissing({ isRecorded, evidence }: World, report: Report): void {
  if (!isRecorded)
    report.cannot(
      NEED_RECORDING,
      "the history was told afterwards, and does not say in which order things were written",
    );
  if (evidence.witness.length === 0) report.cannot(NEED_WITNESS, "no task wrote down what it did");
  if (evidence.clients.length === 0) report.cannot([22, 23, 47, 48], "no client wrote down what it asked for");
  if (evidence.settings?.overlap === undefined && evidence.settings?.maxActiveRuns === undefined)
    report.cannot([32], "nothing says how many runs of a schedule may be active at once");
}

function isViolatedIn({ violations }: Report, invariant: number): boolean {
  return violations.some((violation) => violation.invariant === invariant);
}

function verdictOf(
  { isRecorded }: World,
  report: Report,
  coverage: Coverage,
  claims: readonly (keyof Coverage)[],
): Verdict {
  const checked: { invariant: number; times: number }[] = [];
  const notChecked: { invariant: number; why: string }[] = [];
  for (let invariant = 1; invariant <= LAST_INVARIANT; invariant++) {
    const times = report.times[invariant]!;
    // What was told afterwards is in order by its making, and would pass without having been proved.
    const isProved = isRecorded || !NEED_RECORDING.includes(invariant) || isViolatedIn(report, invariant);
    if (times > 0 && isProved) checked.push({ invariant, times });
    else notChecked.push({ invariant, why: report.whyNot(invariant) });
  }
  const missing = claims.filter((claim) => coverage[claim] === 0);
  const { violations } = report;
  const isViolated = violations.some(({ severity }) => severity === "violation");
  const outcome = isViolated ? "violated" : missing.length > 0 ? "vacuous" : "passed";
  return { outcome, violations, checked, notChecked, coverage, missing };
}
