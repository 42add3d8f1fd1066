import type { ClaimRequest } from "../contracts/storage.js";
import type { EngineCore } from "./engine-core.js";
import type { Probation } from "./probation.js";
import type { RegisteredPipeline } from "./registry.js";

/** The most runs that one claim takes. */
export const CLAIM_LIMIT = 200;

/** What an engine with these pipelines may be given now. */
export function claimRequest(
  { engineId, clock }: EngineCore,
  entries: ReadonlyMap<string, RegisteredPipeline>,
  { suspectFrom, room }: Probation,
): ClaimRequest {
  return {
    engineId,
    definitions: [...entries.keys()],
    maxActiveRuns: maxActiveRuns(entries),
    limit: CLAIM_LIMIT,
    suspectFrom,
    suspects: room,
    now: clock.now(),
  };
}

function maxActiveRuns(entries: ReadonlyMap<string, RegisteredPipeline>): Readonly<Record<string, number>> {
  const limits: [string, number][] = [];
  for (const { pipeline } of entries.values()) {
    const { maxActiveRuns } = pipeline.settings;
    if (maxActiveRuns !== undefined) limits.push([pipeline.id, maxActiveRuns]);
  }
  return Object.fromEntries(limits);
}
