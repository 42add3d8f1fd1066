import {
  type ClientCall,
  type Coverage,
  checkHistory,
  type Fault,
  finalStateOf,
  shapesOf,
  type WitnessLine,
} from "@weftline/testing";
import type { Storage } from "weftline";
import { Asked } from "../audit/asked.js";
import { auditedHistory } from "../audit/audited-history.js";
import type { HostLine } from "../audit/host-log.js";
import { type Block, outlivedBlocks } from "../blocks.js";
import { type Judged, judgedBy } from "../judged.js";
import { ACTIVE_TICKS, crashPipelines, NO_SURROUNDINGS } from "../pipeline.js";
import type { Stall } from "../stalls.js";
import { instantsOf } from "../ticks.js";
import { readAudit } from "./audit.js";
import { LEASE_MS, POLL_MS, TICK_MS, TICKS_MS } from "./host-options.js";

/** What was written down outside of the storage. */
export interface Logs {
  readonly witness: readonly WitnessLine[];
  readonly clients: readonly ClientCall[];
  readonly faults: readonly Fault[];
  /** What hosts asked for. */
  readonly told: readonly HostLine[];
  readonly blocks: readonly Block[];
  /** When the harness itself stood still. */
  readonly starved: readonly Omit<Stall, "engine">[];
  /** When the instants of the schedule begin. */
  readonly ticksFrom: number;
}

export interface Verdict extends Judged {
  readonly coverage: Coverage;
  /** How often what an engine asked for was held against what was written. */
  readonly comparisons: number;
  readonly outlived: number;
}

const { crash, tick } = crashPipelines(NO_SURROUNDINGS);
const SHAPES = shapesOf([crash, tick]);

/**
 * Lets the history checker say what is wrong with what the database wrote down, and with what was seen from outside.
 *
 * @param storage - Open, on the same file.
 */
export async function judge(storage: Storage, file: string, logs: Logs): Promise<Verdict> {
  const { witness, clients, faults, told, blocks, starved, ticksFrom } = logs;
  const final = await finalStateOf(storage, Date.now());
  const { history, engines, findings, comparisons } = auditedHistory(readAudit(file), new Asked(told), LEASE_MS);
  const verdict = checkHistory({
    ...{ source: "recorded", history, witness, clients, faults, final, shapes: SHAPES },
    settings: { leaseMs: LEASE_MS, pollMs: POLL_MS, quarantineAfter: 20, overlap: { [tick.id]: ACTIVE_TICKS } },
    facts: {
      engines: Object.fromEntries(engines.map((id) => [id, hostOf(id)])),
      instants: { [tick.id]: instantsOf({ everyMs: TICK_MS, from: ticksFrom, until: ticksFrom + TICKS_MS }) },
    },
  });
  const { outlived, problems } = outlivedBlocks(history, blocks, hostOf, starved);
  const judged = judgedBy(verdict, findings);
  return { ...judged, problems: [...judged.problems, ...problems], coverage: verdict.coverage, comparisons, outlived };
}

/** The name that the engine was given, without the part that makes it unique. */
function hostOf(engineId: string): string {
  return /^host-\d+/.exec(engineId)?.[0] ?? engineId;
}
