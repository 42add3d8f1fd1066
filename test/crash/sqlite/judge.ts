import {
  type ClientCall,
  checkHistory,
  type Fault,
  finalStateOf,
  historiesOf,
  shapesOf,
  type Verdict,
  type WitnessLine,
} from "@weftline/testing";
import type { Storage } from "weftline";
import { crashPipelines, NO_SURROUNDINGS } from "../pipeline.js";
import { LEASE_MS, POLL_MS } from "./host-options.js";

/** What was written down outside of the storage. */
export interface Logs {
  readonly witness: readonly WitnessLine[];
  readonly clients: readonly ClientCall[];
  readonly faults: readonly Fault[];
}

const { crash } = crashPipelines(NO_SURROUNDINGS);
const SHAPES = shapesOf([crash]);

/** Lets the history checker say what is wrong with all that is stored, and what was seen from outside. */
export async function judge(storage: Storage, logs: Logs): Promise<Verdict> {
  const final = await finalStateOf(storage, Date.now());
  const { history } = await historiesOf(
    storage,
    final.runs.map(({ run }) => run.id),
  );
  const engineIds = final.runs.flatMap(({ attempts }) => attempts.map(({ engineId }) => engineId));
  return checkHistory({
    ...{ source: "stored", ...logs, history, final, shapes: SHAPES },
    settings: { leaseMs: LEASE_MS, pollMs: POLL_MS, quarantineAfter: 20 },
    facts: { engines: Object.fromEntries(engineIds.map((id) => [id, hostOf(id)])) },
  });
}

/** The name that the engine was given, without the part that makes it unique. */
function hostOf(engineId: string): string {
  return /^host-\d+/.exec(engineId)?.[0] ?? engineId;
}
