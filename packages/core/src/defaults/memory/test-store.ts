import type { RunRecord } from "../../contracts/records.js";
import type { ClaimRequest, LeaseRequest, LeaseState, Look, LookRequest, Storage } from "../../contracts/storage.js";
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
  for (const engine of engines) await renew(world.storage, engine);
  return world;
}

/** A store with engines `a` and `b`, of which `a` owns these runs under epoch 1. */
export async function withRuns(...ids: string[]) {
  const world = await withEngines("a", "b");
  await world.storage.createRuns(ids.map((id) => newRun({ id, owner: "a" })));
  return world;
}

/** An engine that has the definition of the runs in these tests begins, or lives on. */
export function renew(storage: Storage, engineId: string, part: Partial<LeaseRequest> = {}): Promise<LeaseState> {
  return storage.renewLease({ engineId, leaseMs: LEASE_MS, isNew: true, definitions: ["work@1"], ...part });
}

export function look(storage: Storage, now: number, part: Partial<LookRequest> = {}): Promise<Look> {
  return storage.look({ engineId: "x", definitions: ["work@1", "work@2"], now, ...part });
}

export function claim(
  storage: Storage,
  engineId: string,
  part: Partial<ClaimRequest> = {},
): Promise<readonly RunRecord[]> {
  const everything = { maxActiveRuns: {}, limit: 100, suspectFrom: 100, suspects: 100, now: 0 };
  return storage.claimRuns({ engineId, definitions: ["work@1"], ...everything, ...part });
}

export function idsOf(records: readonly { readonly id: string }[]): string[] {
  return records.map(({ id }) => id);
}
