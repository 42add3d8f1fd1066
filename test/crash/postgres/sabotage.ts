import pg from "pg";
import { SABOTAGES as OF_STORAGES, type Sabotage as OfStorages } from "../sqlite/sabotage.js";
import type { World } from "./world.js";

/**
 * Faults that the harness has to find: those of any storage, and `unfenced`, where the database lets everybody write
 * everything, as if no run had an owner.
 */
export type Sabotage = OfStorages | "unfenced";
export const SABOTAGES: readonly Sabotage[] = [...OF_STORAGES, "unfenced"];

/** The two places of the commit function at which a former owner is turned away. */
const FENCES = [
  ["IF NOT FOUND THEN RETURN NULL::text || p_runs; END IF;", ""],
  [" AND r.owner = p_engine AND r.epoch = p_epochs[i]", ""],
] as const;

/** Takes the fence out of the database's own function. @throws When that does not look as it is known here. */
export async function removeFence({ connectionString, schema }: World): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<{ text: string }>(
      `SELECT pg_get_functiondef(p.oid) AS text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE p.proname = 'commit_v1' AND n.nspname = $1`,
      [schema],
    );
    let text = rows[0]?.text ?? "";
    for (const [fence, instead] of FENCES) {
      if (!text.includes(fence))
        throw new Error(`The commit function has no "${fence}": this sabotage has to be mended`);
      text = text.replace(fence, instead);
    }
    await client.query(text);
  } finally {
    await client.end();
  }
}
