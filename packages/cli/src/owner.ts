import { setTimeout } from "node:timers/promises";
import type { Storage } from "weftline";
import { UsageError } from "./errors.js";
import { duration } from "./text.js";

/** How often a lease is looked at, in milliseconds. */
const LOOK_MS = 200;

/**
 * Waits while another engine has the run, until one of two things is sure: that it is dead, as its lease has run out,
 * or that it is alive, as it renews it.
 *
 * @param note - Says for what the person is kept waiting.
 * @throws {UsageError} `RUN_ACTIVE`: it is alive.
 */
export async function waitForOwner(
  storage: Pick<Storage, "getRun" | "survey">,
  runId: string,
  note: (text: string) => void,
): Promise<void> {
  let known: number | undefined;
  for (;;) {
    const owner = (await storage.getRun(runId))?.owner;
    const { storeNow, engines } = await storage.survey({ now: Date.now() });
    const leaseUntil = engines.find(({ id }) => id === owner)?.leaseUntil ?? 0;
    if (owner === undefined || leaseUntil <= storeNow) return;
    if (leaseUntil === Number.POSITIVE_INFINITY || (known !== undefined && leaseUntil > known)) {
      throw isAlive(runId, owner);
    }
    if (known === undefined) {
      const left = duration(leaseUntil - storeNow);
      note(`Engine ${owner} has the run. Waiting to see whether it is alive: if not, its lease runs out in ${left}.`);
    }
    known = leaseUntil;
    await setTimeout(Math.min(LOOK_MS, leaseUntil - storeNow));
  }
}

export function isAlive(runId: string, owner: string): UsageError {
  return new UsageError(
    `RUN_ACTIVE: Cannot go on with run ${runId} here, as engine ${owner} has it, which is alive. Wait for it, or cancel the run.`,
  );
}
