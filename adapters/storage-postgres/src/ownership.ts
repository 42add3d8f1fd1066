import {
  type ClaimRequest,
  type EngineRecord,
  type LeaseRequest,
  type LeaseState,
  type Look,
  type LookRequest,
  type RemapRequest,
  type RunRecord,
  type Survey,
  type UnadoptableRuns,
  WeftlineError,
} from "weftline";
import type { Connections, Row } from "./connections.js";
import { RUN_COLUMNS, type RunRow, runOf } from "./rows.js";

const MAX_SHOWN_RUNS = 10;

/** Which engine owns which run, and what there is to take. */
export class Ownership {
  readonly #connections: Connections;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  async renewLease({ engineId, leaseMs, isNew, definitions }: LeaseRequest): Promise<LeaseState> {
    const [row] = await this.#call("SELECT store_now, lost FROM {schema}.renew_lease_v1($1, $2, $3, $4)", [
      engineId,
      leaseMs,
      isNew,
      definitions,
    ]);
    return { now: row!.store_now as number, lost: row!.lost as boolean };
  }

  async releaseLease(engineId: string): Promise<void> {
    await this.#call("SELECT {schema}.release_lease_v1($1)", [engineId]);
  }

  async claimRuns(request: ClaimRequest): Promise<readonly RunRecord[]> {
    const { engineId, definitions, maxActiveRuns, limit, suspectFrom, suspects, runId, now } = request;
    const rows = await this.#call(
      `SELECT ${RUN_COLUMNS} FROM {schema}.claim_runs_v1($1, $2, $3, $4, $5, $6, $7, $8, $9) r`,
      [
        engineId,
        definitions,
        Object.keys(maxActiveRuns),
        Object.values(maxActiveRuns),
        limit,
        suspectFrom,
        suspects,
        runId,
        now,
      ],
    );
    if (rows[0]?.id === null) throw noLease(engineId);
    return rows.map((row) => runOf(row as unknown as RunRow));
  }

  async look({ engineId, definitions, now }: LookRequest): Promise<Look> {
    const [row] = await this.#read(
      "SELECT store_now, claimable, messages, next_wake FROM {schema}.look_v1($1, $2, $3)",
      [engineId, definitions, now],
    );
    const { store_now, claimable, messages, next_wake } = row!;
    return {
      storeNow: store_now as number,
      claimable: claimable as boolean,
      messages: messages as boolean,
      nextWake: (next_wake as number | null) ?? undefined,
    };
  }

  async remapRun({ engineId, runId, epoch, definition, tasks }: RemapRequest): Promise<"moved" | "fenced"> {
    const [row] = await this.#call("SELECT {schema}.remap_run_v1($1, $2, $3, $4, $5, $6, $7) AS moved", [
      engineId,
      runId,
      epoch,
      definition,
      tasks.map(({ from }) => from),
      tasks.map(({ position }) => position),
      tasks.map(({ task }) => task),
    ]);
    return row!.moved === true ? "moved" : "fenced";
  }

  async survey(now: number): Promise<Survey> {
    const living =
      "(SELECT DISTINCT unnest(e.definitions) FROM {schema}.engines e WHERE e.lease_until > clock_timestamp())";
    const [[clock], engines, [backlog], unadoptable] = await Promise.all([
      this.#read("SELECT {schema}.now_v1() AS now", []),
      this.#read(
        `SELECT e.id, floor(extract(epoch FROM e.lease_until) * 1000)::bigint AS lease_until, e.definitions,
            (SELECT count(*) FROM {schema}.owned o WHERE o.owner = e.id) AS runs
          FROM {schema}.engines e ORDER BY e.id`,
        [],
      ),
      this.#read(
        `SELECT count(*) AS runs, min(f.available_at) AS oldest FROM {schema}.free f
          WHERE f.available_at <= $1 AND f.definition IN ${living}`,
        [now],
      ),
      this.#read(
        `SELECT r.pipeline, r.definition, count(*) AS runs,
            (array_agg(r.id ORDER BY r.created_at, r.number))[1:${MAX_SHOWN_RUNS}] AS ids
          FROM {schema}.free f JOIN {schema}.runs r ON r.number = f.run WHERE f.definition NOT IN ${living}
          GROUP BY r.pipeline, r.definition ORDER BY r.pipeline, r.definition`,
        [],
      ),
    ]);
    return {
      storeNow: clock!.now as number,
      engines: engines.map(engineOf),
      backlog: { runs: backlog!.runs as number, oldestAt: (backlog!.oldest as number | null) ?? undefined },
      unadoptable: unadoptable.map(unadoptableOf),
    };
  }

  #call(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.#connections.call({ text, values });
  }

  #read(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.#connections.query({ text, values, isRepeatable: true });
  }
}

function noLease(engineId: string): WeftlineError {
  return new WeftlineError(
    "LEASE_LOST",
    `Cannot claim for engine "${engineId}", which holds no lease. Call renewLease() first.`,
  );
}

function engineOf({ id, lease_until, definitions, runs }: Row): EngineRecord {
  return {
    id: id as string,
    leaseUntil: lease_until as number,
    definitions: definitions as string[],
    runs: runs as number,
  };
}

function unadoptableOf({ pipeline, definition, runs, ids }: Row): UnadoptableRuns {
  return {
    pipeline: pipeline as string,
    definition: definition as string,
    runs: runs as number,
    runIds: ids as string[],
  };
}
