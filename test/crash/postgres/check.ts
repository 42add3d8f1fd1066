import {
  type ClientCall,
  checkHistory,
  type Fault,
  finalStateOf,
  historiesOf,
  shapesOf,
  type Violation,
  type WitnessLine,
} from "@weftline/testing";
import type { RunRecord, Storage } from "weftline";
import { crashPipelines, NO_SURROUNDINGS } from "../pipeline.js";
import { hasJustSlept } from "./executions.js";
import { type ClientLine, LEASE_MS, POLL_MS, WORK_MS } from "./world.js";

export interface Logs {
  readonly witness: readonly WitnessLine[];
  /** One line for each call. */
  readonly calls: readonly ClientLine[];
  readonly faults: readonly Fault[];
  /** When nothing was disturbed any more. */
  readonly healedAt: number;
}

export interface Checked {
  readonly problems: readonly string[];
  /** How often any invariant was held against what is there. */
  readonly times: number;
  /** How many invariants were. */
  readonly invariants: number;
}

const PROBE = /^probe-(.+)$/;
const SHAPES = shapesOf([crashPipelines(NO_SURROUNDINGS).crash]);

/** Lets the history checker say what is wrong with all that is stored, and what was seen from outside. */
export async function check(storage: Storage, { witness, calls, faults, healedAt }: Logs): Promise<Checked> {
  const final = await finalStateOf(storage, Date.now());
  const runs = final.runs.map(({ run }) => run);
  const runIds = runs.map(({ id }) => id);
  const { history } = await historiesOf(storage, runIds);
  const engineIds = final.runs.flatMap(({ attempts }) => attempts.map(({ engineId }) => engineId));
  const verdict = checkHistory({
    ...{ source: "stored", history, witness, faults, final, shapes: SHAPES },
    clients: calls.map(clientCall),
    settings: { leaseMs: LEASE_MS, pollMs: POLL_MS, workMs: WORK_MS, quarantineAfter: 1_000, healedAt },
    facts: {
      engines: Object.fromEntries(engineIds.map((id) => [id, nameOf(id)])),
      probes: runs.flatMap(probeOf),
    },
  });
  const problems = verdict.violations.filter((violation) => !isByOneThatJustWoke(violation, faults));
  return {
    problems: problems.map(({ invariant, runId, why }) => `invariant ${invariant}, run ${runId}: ${why}`),
    times: verdict.checked.reduce((sum, { times }) => sum + times, 0),
    invariants: verdict.checked.length,
  };
}

/** The name that an engine was given, without the part that makes it unique. */
function nameOf(engineId: string): string {
  return /^engine-\d+/.exec(engineId)?.[0] ?? engineId;
}

function probeOf({ id: runId, key }: RunRecord): readonly { readonly engine: string; readonly runId: string }[] {
  const [, engine] = PROBE.exec(key ?? "") ?? [];
  return engine === undefined ? [] : [{ engine, runId }];
}

function clientCall({
  operation,
  key,
  invokedAt,
  returnedAt,
  outcome = "unknown",
  runId,
  code,
}: ClientLine): ClientCall {
  return {
    ...{ operation, invokedAt, returnedAt, outcome, runId, key },
    ...(operation === "trigger" && { pipeline: "crash", params: "{}", intent: key }),
    ...(operation === "signal" && { task: "approval" }),
    ...(code !== undefined && { code }),
  };
}

/** Nobody can stop an engine that stood still between looking at its lease and calling the task's code. */
function isByOneThatJustWoke({ invariant, events }: Violation, faults: readonly Fault[]): boolean {
  if (invariant !== 6) return false;
  return events.some(
    (event) => "phase" in event && event.phase === "start" && hasJustSlept(faults, event.engine ?? "", 0, event.at),
  );
}
