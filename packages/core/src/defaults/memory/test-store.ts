import type { RunRecord } from "../../contracts/records.js";
import type { ClaimRequest, Storage } from "../../contracts/storage.js";
import { guardLogger } from "../../logger.js";
import { RecordingLogger } from "../../test-support/engines.js";
import { memoryStorage } from "./memory-storage.js";
import { newRun } from "./test-records.js";

export const LEASE_MS = 10_000;

/** An open store, and the time by which it judges leases. */
export async function opened() {
  const storage = memoryStorage();
  const time = { now: 1_000_000 };
  const context = { log: guardLogger(new RecordingLogger()), now: () => time.now };
  await storage.open(context);
  return { storage, time, context };
}

export async function withEngines(...engines: string[]) {
  const world = await opened();
  for (const engine of engines) await world.storage.renewLease(engine, LEASE_MS);
  return world;
}

/** A store with engines `a` and `b`, of which `a` owns these runs under epoch 1. */
export async function withRuns(...ids: string[]) {
  const world = await withEngines("a", "b");
  await world.storage.createRuns(ids.map((id) => newRun({ id, owner: "a" })));
  return world;
}

export function claim(
  storage: Storage,
  engineId: string,
  part: Partial<ClaimRequest> = {},
): Promise<readonly RunRecord[]> {
  return storage.claimRuns({ engineId, definitions: ["work@1"], maxActiveRuns: {}, limit: 100, now: 0, ...part });
}

export function idsOf(records: readonly { readonly id: string }[]): string[] {
  return records.map(({ id }) => id);
}
