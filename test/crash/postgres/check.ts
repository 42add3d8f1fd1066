import {
  type ClientCall,
  checkHistory,
  type Fault,
  finalStateOf,
  shapesOf,
  type Violation,
  type WitnessLine,
} from "@weftline/testing";
import type { RunRecord, Storage } from "weftline";
import { Asked } from "../audit/asked.js";
import { auditedHistory } from "../audit/audited-history.js";
import type { Change } from "../audit/change.js";
import type { HostLine } from "../audit/host-log.js";
import { type Block, outlivedBlocks } from "../blocks.js";
import { type Judged, judgedBy } from "../judged.js";
import { ACTIVE_TICKS, crashPipelines, NO_SURROUNDINGS, REFUSED } from "../pipeline.js";
import type { Stall } from "../stalls.js";
import { instantsOf, type Ticks } from "../ticks.js";
import { hasJustSlept } from "./executions.js";
import { type ClientLine, LEASE_MS, POLL_MS, WORK_MS } from "./world.js";

export interface Logs {
  readonly witness: readonly WitnessLine[];
  /** One line for each call. */
  readonly calls: readonly ClientLine[];
  readonly stops: readonly ClientCall[];
  readonly faults: readonly Fault[];
  /** What the database wrote down. */
  readonly audit: readonly Change[];
  /** What hosts asked for. */
  readonly told: readonly HostLine[];
  readonly blocks: readonly Block[];
  /** When the harness itself stood still. */
  readonly starved: readonly Omit<Stall, "engine">[];
  readonly ticks: Ticks;
  /** When nothing was disturbed any more. */
  readonly healedAt: number;
}

export interface Checked extends Judged {
  readonly exercised: Readonly<Record<string, number>>;
}

const PROBE = /^probe-(.+)$/;
const { crash, tick } = crashPipelines(NO_SURROUNDINGS);
const SHAPES = shapesOf([crash, tick]);

/** Lets the history checker say what is wrong with what the database wrote down, and with what was seen from outside. */
export async function check(storage: Storage, logs: Logs): Promise<Checked> {
  const { witness, calls, stops, faults, audit, told, blocks, starved, ticks, healedAt } = logs;
  const until = Date.now();
  const final = await finalStateOf(storage, until);
  const asked = new Asked(told);
  const { history, engines, findings, comparisons } = auditedHistory(audit, asked, LEASE_MS);
  const verdict = checkHistory({
    ...{ source: "recorded", history, witness, faults, final, shapes: SHAPES },
    clients: [...calls.map(clientCall), ...stops],
    settings: {
      ...{ leaseMs: LEASE_MS, pollMs: POLL_MS, workMs: WORK_MS, quarantineAfter: 1_000, healedAt, until },
      // All had ended before anybody looked.
      settleMs: Math.max(1, until - healedAt - LEASE_MS - POLL_MS),
      overlap: { [tick.id]: ACTIVE_TICKS },
    },
    facts: {
      engines: Object.fromEntries(engines.map((id) => [id, nameOf(id)])),
      probes: final.runs.flatMap(({ run }) => probeOf(run)),
      instants: { [tick.id]: instantsOf(ticks) },
      refused: [REFUSED],
    },
  });
  const { outlived, problems } = outlivedBlocks(history, blocks, nameOf, starved);
  const judged = judgedBy(verdict, findings, (violation) => isByOneThatJustWoke(violation, faults));
  const { coverage } = verdict;
  return {
    ...judged,
    problems: [...judged.problems, ...problems],
    exercised: {
      "rows of audit": audit.length,
      events: history.length,
      flushes: history.filter(({ type }) => type === "flushed").length,
      "parts of flushes that were fenced": Math.max(asked.fenced, coverage.fencedWrites),
      "flushes compared with what was asked for": comparisons,
      "flushes refused": coverage.rejectedFlushes,
      "leases lost": coverage.leasesLost,
      "instants fired": coverage.schedulesFired,
      "instants passed over": passedOver(history, ticks),
      "blocks that a lease outlived": outlived,
    },
  };
}

/** Instants without a run of their own, since a later one was due by then. */
function passedOver(history: ReturnType<typeof auditedHistory>["history"], ticks: Ticks): number {
  const fired = history.filter((event) => event.type === "fired");
  const first = fired[0]?.expected ?? Number.POSITIVE_INFINITY;
  return instantsOf(ticks).filter((instant) => instant >= first).length - fired.length;
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
  if (invariant !== 6 && invariant !== 17) return false;
  return events.some(
    (event) => "phase" in event && event.phase === "start" && hasJustSlept(faults, event.engine ?? "", 0, event.at),
  );
}
