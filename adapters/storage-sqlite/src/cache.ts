import type { CacheEntry, EpochMs } from "weftline";
import type { Connection } from "./connection.js";

export function putCached(connection: Connection, { key, runId, expiresAt, output }: CacheEntry): void {
  connection.run(
    "INSERT OR REPLACE INTO weftline_cache (key, run_id, expires_at, output) VALUES (?, ?, ?, ?)",
    key,
    runId,
    expiresAt,
    output,
  );
}

export function getCached(connection: Connection, key: string, now: EpochMs): CacheEntry | undefined {
  const sql = "SELECT run_id, expires_at, output FROM weftline_cache WHERE key = ? AND expires_at > ?";
  const row = connection.get(sql, key, now);
  if (row === undefined) return undefined;
  const { run_id: runId, expires_at: expiresAt, output } = row;
  return { key, output: output as string, runId: runId as string, expiresAt: expiresAt as number };
}
