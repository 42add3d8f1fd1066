import { type EpochMs, type LeaseRequest, type LeaseState, WeftlineError } from "weftline";
import type { Connection } from "./connection.js";

/** Says that an engine is alive, inside of a write. A lease that has run out is never prolonged: its engine dies first. */
export function renewLease(
  connection: Connection,
  { engineId, leaseMs, isNew, definitions }: LeaseRequest,
  now: EpochMs,
): LeaseState {
  const known = connection.get("SELECT lease_until FROM weftline_engines WHERE id = ?", engineId);
  const isDead = known !== undefined && (known.lease_until as number) <= now;
  if (isDead) die(connection, engineId);
  connection.run(
    "INSERT OR REPLACE INTO weftline_engines (id, lease_until, definitions) VALUES (?, ?, ?)",
    engineId,
    now + leaseMs,
    JSON.stringify(definitions),
  );
  return { now, lost: isDead || (known === undefined && !isNew) };
}

export function releaseLease(connection: Connection, engineId: string): void {
  forget(connection, engineId);
  connection.run("UPDATE weftline_runs SET owner = NULL WHERE owner = ?", engineId);
}

/** Gives back the runs of every engine whose lease has run out. */
export function buryDead(connection: Connection, now: EpochMs): void {
  for (const row of connection.all("SELECT id FROM weftline_engines WHERE lease_until <= ?", now)) {
    die(connection, row.id as string);
  }
}

/** What was running may be what has brought the engine down. */
function die(connection: Connection, engineId: string): void {
  forget(connection, engineId);
  connection.run(
    "UPDATE weftline_runs SET owner = NULL, crashes = crashes + (status = 'running') WHERE owner = ?",
    engineId,
  );
}

function forget(connection: Connection, engineId: string): void {
  connection.run("DELETE FROM weftline_engines WHERE id = ?", engineId);
  connection.run("DELETE FROM weftline_flushes WHERE engine = ?", engineId);
}

/** @throws {WeftlineError} `LEASE_LOST` */
export function assertLease(connection: Connection, engineId: string): void {
  if (connection.get("SELECT 1 FROM weftline_engines WHERE id = ?", engineId) !== undefined) return;
  throw new WeftlineError(
    "LEASE_LOST",
    `Cannot write for engine "${engineId}", which holds no lease. Call renewLease() first.`,
  );
}
