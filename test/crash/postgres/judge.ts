import type { Fault } from "@weftline/testing";
import type { StepRecord } from "weftline";
import { changedSince, type Moment, orphans } from "../ledger.js";
import { brokenPromises, callsOf } from "./clients.js";
import { byIdentity, executionsOf, overlaps, redeliveriesIn } from "./executions.js";
import { againstWitness, lostConfirmations, repeatedSteps, unfinishedBusiness } from "./records.js";
import type { ClientLine, ConfirmedLine } from "./world.js";

/** What was there at one moment. */
export interface Seen extends Moment {
  readonly steps: readonly StepRecord[];
}

export interface Evidence {
  /** When all was over. */
  readonly seen: Seen;
  /** Before that. */
  readonly moments: readonly Seen[];
  readonly faults: readonly Fault[];
  readonly clients: readonly ClientLine[];
  readonly confirmed: readonly ConfirmedLine[];
}

export interface Verdict {
  readonly problems: readonly string[];
  readonly exercised: Readonly<Record<string, number>>;
}

/** Holds what is stored against what tasks saw of themselves and what clients were told. */
export function judge({ seen, moments, faults, clients, confirmed }: Evidence): Verdict {
  const { runs, steps, witness } = seen;
  const executions = executionsOf(witness);
  const grouped = byIdentity(executions);
  const calls = callsOf(clients);
  const overlapped = overlaps(grouped, faults);
  const looked = runs.map((run) => againstWitness(run, grouped, faults));
  return {
    problems: [
      ...moments.flatMap((moment) => changed(moment, seen)),
      ...runs.flatMap((run) => unfinishedBusiness(run, faults)),
      ...looked.flatMap(({ problems }) => problems),
      ...lostConfirmations(confirmed, runs),
      ...orphans(runs),
      ...repeatedSteps(steps, witness, faults),
      ...overlapped.problems,
      ...brokenPromises(calls, runs),
    ],
    exercised: {
      takeovers: sum(runs.map(({ run }) => Math.max(0, run.epoch - 1))),
      redeliveries: redeliveriesIn(grouped),
      overlaps: overlapped.allowed,
      "starts by engines that woke too late": sum(looked.map(({ woken }) => woken)),
      runs: runs.length,
      "runs cancelled": runs.filter(({ run }) => run.status === "cancelled").length,
      tasks: runs.flatMap(({ tasks }) => tasks).length,
      executions: executions.length,
      "ends that were confirmed": confirmed.length,
      "attempts left as running": runs.flatMap(({ attempts }) => attempts).filter(({ status }) => status === "running")
        .length,
      "witness lines": witness.length,
      calls: calls.length,
      "unknown calls": calls.filter(({ outcome }) => outcome === "unknown").length,
      "looks in between": moments.length,
    },
  };
}

/** Records that had ended, and steps that were done, are as they were. What began again is looked at elsewhere, with the faults. */
function changed(before: Seen, after: Seen): readonly string[] {
  const now = new Map(after.steps.map((step) => [nameOf(step), JSON.stringify(step)]));
  const steps = before.steps.filter((step) => now.get(nameOf(step)) !== JSON.stringify(step));
  return [
    ...changedSince({ runs: before.runs, witness: [] }, { runs: after.runs, witness: [] }),
    ...steps.map((step) => `${nameOf(step)} was stored, and is now ${now.get(nameOf(step)) ?? "gone"}`),
  ];
}

function nameOf({ runId, task, index, generation, step }: StepRecord): string {
  return `${step} of ${task}[${index.join()}] of run ${runId} g${generation}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
