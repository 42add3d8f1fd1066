import pg from "pg";
import { SABOTAGES as OF_STORAGES, type Sabotage as OfStorages, REUSED_EPOCH } from "../sqlite/sabotage.js";
import type { World } from "./world.js";

/** Faults of the database itself. */
export const OF_DATABASE = ["unfenced", "steals-runs"] as const;

/**
 * Faults that the harness has to find: those of any storage, and
 *
 * - `unfenced`: the database lets everybody write everything, as if no run had an owner.
 * - `steals-runs`: engines are given up for dead while their leases hold.
 */
export type Sabotage = OfStorages | (typeof OF_DATABASE)[number];
export const SABOTAGES: readonly Sabotage[] = [...OF_STORAGES, ...OF_DATABASE];

/** @returns `undefined`: a storage has no part in it. */
export function sabotageOfStorage(sabotage: Sabotage | undefined): OfStorages | undefined {
  return OF_STORAGES.find((name) => name === sabotage);
}

/** The two places of the commit function at which a former owner is turned away. */
const FENCES = [
  ["IF NOT FOUND THEN RETURN NULL::text || p_runs; END IF;", ""],
  [" AND r.owner = p_engine AND r.epoch = p_epochs[i]", ""],
] as const;

/** So long before its lease has run out an engine is taken for dead. */
const STOLEN = [
  "WHERE lease_until <= clock_timestamp()",
  "WHERE lease_until <= clock_timestamp() + interval '1.2 s'",
] as const;

/** What is replaced in which of the database's own functions. */
const IN_FUNCTIONS: {
  readonly [Name in Sabotage]?: readonly [name: string, changes: readonly (readonly [string, string])[]];
} = {
  unfenced: ["commit_v1", FENCES],
  "steals-runs": ["claim_runs_v1", [STOLEN]],
  "reuses-epochs": ["claim_runs_v1", [REUSED_EPOCH]],
};

/** Makes the database itself faulty, where that is the sabotage. @throws When its function does not look as it is known here. */
export async function sabotageDatabase({ connectionString, schema, sabotage }: World): Promise<void> {
  const inFunction = sabotage && IN_FUNCTIONS[sabotage];
  if (inFunction === undefined) return;
  const [name, changes] = inFunction;
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<{ text: string }>(
      `SELECT pg_get_functiondef(p.oid) AS text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE p.proname = $1 AND n.nspname = $2`,
      [name, schema],
    );
    let text = rows[0]?.text ?? "";
    for (const [from, to] of changes) {
      if (!text.includes(from)) throw new Error(`${name} has no "${from}": this sabotage has to be mended`);
      text = text.replace(from, to);
    }
    await client.query(text);
  } finally {
    await client.end();
  }
}
