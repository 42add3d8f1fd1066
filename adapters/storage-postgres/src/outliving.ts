import type { CacheEntry, DefinitionRecord, FireRequest, ScheduleRecord } from "weftline";
import type { Connections, Row } from "./connections.js";
import { type CacheRow, cacheEntryOf, newRunRow, type ScheduleRow, scheduleOf } from "./rows.js";

/** What outlives runs, and the end of runs. */
export class Outliving {
  readonly #connections: Connections;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  async getCached(key: string, now: number): Promise<CacheEntry | undefined> {
    if (key.includes("\0")) return undefined;
    const [row] = await this.#read(
      "SELECT key, output, run_id, expires_at FROM {schema}.cache WHERE key = $1 AND expires_at > $2",
      [key, now],
    );
    return row && cacheEntryOf(row as unknown as CacheRow);
  }

  /** Asks first which are not known: the graph of a large pipeline is made only when it is read. */
  async putDefinitions(definitions: readonly DefinitionRecord[]): Promise<void> {
    const rows = await this.#read("SELECT hash FROM {schema}.definitions WHERE hash = ANY ($1::text[])", [
      definitions.map(({ hash }) => hash),
    ]);
    const known = new Set(rows.map(({ hash }) => hash));
    const unknown = definitions.filter(({ hash }) => !known.has(hash));
    if (unknown.length === 0) return;
    await this.#read(
      `INSERT INTO {schema}.definitions (hash, pipeline, graph)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING`,
      [unknown.map(({ hash }) => hash), unknown.map(({ pipeline }) => pipeline), unknown.map(({ graph }) => graph)],
    );
  }

  async getDefinition(hash: string): Promise<DefinitionRecord | undefined> {
    const [row] = await this.#read("SELECT hash, pipeline, graph FROM {schema}.definitions WHERE hash = $1", [hash]);
    return row as unknown as DefinitionRecord | undefined;
  }

  async schedules(): Promise<readonly ScheduleRecord[]> {
    const rows = await this.#read(
      "SELECT id, pipeline, spec, next_at, last_at FROM {schema}.schedules ORDER BY number",
      [],
    );
    return rows.map((row) => scheduleOf(row as unknown as ScheduleRow));
  }

  async putSchedules(schedules: readonly ScheduleRecord[]): Promise<void> {
    // In order, so that two engines that start at once never wait for each other.
    const sorted = [...new Map(schedules.map((schedule) => [schedule.id, schedule])).values()];
    sorted.sort((a, b) => (a.id < b.id ? -1 : 1));
    await this.#read(
      `INSERT INTO {schema}.schedules AS s (id, pipeline, spec, next_at, last_at)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
        ON CONFLICT (id) DO UPDATE
          SET pipeline = EXCLUDED.pipeline, spec = EXCLUDED.spec, next_at = EXCLUDED.next_at, last_at = EXCLUDED.last_at
          WHERE s.spec <> EXCLUDED.spec`,
      [
        sorted.map(({ id }) => id),
        sorted.map(({ pipeline }) => pipeline),
        sorted.map(({ spec }) => spec),
        sorted.map(({ nextAt }) => nextAt ?? null),
        sorted.map(({ lastAt }) => lastAt ?? null),
      ],
    );
  }

  async fire({ schedule, expected, next, run }: FireRequest): Promise<"fired" | "lost"> {
    const [row] = await this.#connections.call({
      text: "SELECT {schema}.fire_v1($1, $2, $3, $4, $5) AS fired",
      values: [
        schedule,
        expected,
        next,
        run && JSON.stringify([newRunRow(run)]),
        run?.owner === undefined ? [] : [run.owner],
      ],
    });
    return row!.fired === true ? "fired" : "lost";
  }

  async deleteRun(runId: string): Promise<"deleted" | "active" | "unknown"> {
    const [row] = await this.#connections.call({ text: "SELECT {schema}.delete_run_v1($1) AS what", values: [runId] });
    return row!.what as "deleted" | "active" | "unknown";
  }

  async prune({ before, limit }: { readonly before: number; readonly limit: number }): Promise<number> {
    const [row] = await this.#connections.call({
      text: "SELECT {schema}.prune_v1($1, $2) AS count",
      values: [before, limit],
    });
    return row!.count as number;
  }

  #read(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.#connections.query({ text, values, isRepeatable: true });
  }
}
