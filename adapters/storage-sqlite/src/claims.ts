import type { ClaimRequest, EpochMs, RunRecord } from "weftline";
import type { Connection } from "./connection.js";
import { type Kind, kindsOf } from "./kinds.js";
import { assertLease, buryDead } from "./ownership.js";
import { runOf, SELECT_RUNS } from "./rows.js";
import { HAS_BEGUN, UNFINISHED } from "./schema.js";

const IS_FREE = `owner IS NULL AND ${UNFINISHED}`;
/** Free runs whose time has come, with conditions to follow. SQLite would prefer a larger index to the one that is named. */
export const FREE_RUNS = `weftline_runs INDEXED BY weftline_runs_free WHERE ready = 1 AND ${IS_FREE}`;
/** Free runs that are to start later, or whose time nobody has seen come. */
export const DELAYED_RUNS = `weftline_runs INDEXED BY weftline_runs_delayed WHERE ready = 0 AND ${IS_FREE}`;
/** How many runs whose time has come one claim may make ready, so that it never takes long. */
const MAX_WOKEN = 5_000;

/** Takes runs for an engine, inside of a write. @param storeNow - By which leases are judged. */
export function claimRuns(connection: Connection, request: ClaimRequest, storeNow: EpochMs): readonly RunRecord[] {
  buryDead(connection, storeNow);
  assertLease(connection, request.engineId);
  const found = request.runId === undefined ? claimable(connection, request) : claimableOne(connection, request);
  return found.map((run) => take(connection, run, request.engineId));
}

function take(connection: Connection, run: number, engineId: string): RunRecord {
  connection.run("UPDATE weftline_runs SET owner = ?, epoch = epoch + 1 WHERE n = ?", engineId, run);
  return runOf(connection.get(`${SELECT_RUNS} r.n = ?`, run)!);
}

function claimableOne(connection: Connection, { runId, suspectFrom, suspects }: ClaimRequest): readonly number[] {
  const run = connection.get(`SELECT n, crashes FROM weftline_runs WHERE id = ? AND ${IS_FREE}`, runId!);
  if (run === undefined) return [];
  return (run.crashes as number) >= suspectFrom && suspects === 0 ? [] : [run.n as number];
}

/** The numbers of the runs to take, in the order in which they are. */
function claimable(connection: Connection, request: ClaimRequest): readonly number[] {
  const { limit, suspectFrom } = request;
  const lanes = lanesOf(connection, request);
  const ordinary = lanes.filter(({ crashes }) => crashes < suspectFrom);
  const suspect = lanes.filter(({ crashes }) => crashes >= suspectFrom);
  const room = new Room(connection, request);
  let { suspects } = request;
  const found: number[] = [];
  while (found.length < limit) {
    const lane = firstOf(ordinary, room, isBefore);
    const suspected = suspects > 0 ? firstOf(suspect, room, isLessSuspect) : undefined;
    const first = lane === undefined || (suspected !== undefined && isBefore(suspected, lane)) ? suspected : lane;
    if (first === undefined) break;
    if (first === suspected) suspects--;
    room.use(first.pipeline);
    found.push(first.shift());
  }
  return found;
}

function lanesOf(connection: Connection, request: ClaimRequest): readonly Lane[] {
  return kindsOf(connection, request.definitions).flatMap((kind) => {
    wake(connection, kind, request.now);
    return crashesOf(connection, kind).map((crashes) => new Lane(connection, kind, crashes, request));
  });
}

/** Marks the runs whose time has come, so that claims find them by priority. */
function wake(connection: Connection, { n }: Kind, now: EpochMs): void {
  connection.run(
    `UPDATE weftline_runs SET ready = 1 WHERE n IN (SELECT n FROM ${DELAYED_RUNS} AND kind = ? AND available_at <= ?
       ORDER BY available_at LIMIT ${MAX_WOKEN})`,
    n,
    now,
  );
}

/** The numbers of crashes there are among free runs, from one to the next: few, whatever the number of runs. */
function crashesOf(connection: Connection, { n }: Kind): readonly number[] {
  const sql = `SELECT crashes FROM ${FREE_RUNS} AND kind = ? AND crashes > ? ORDER BY crashes LIMIT 1`;
  const found: number[] = [];
  for (let row = connection.get(sql, n, -1); row !== undefined; row = connection.get(sql, n, row.crashes!)) {
    found.push(row.crashes as number);
  }
  return found;
}

interface FreeRun {
  readonly n: number;
  readonly begun: number;
  readonly priority: number;
  readonly created_at: number;
}

/** How many runs of a lane are read at once. */
const LANE_PAGE = 100;

/** The free runs of one kind that have crashed equally often, in the order in which they are taken. */
class Lane {
  readonly pipeline: string;
  readonly crashes: number;
  readonly #read: (offset: number) => readonly FreeRun[];
  #rows: readonly FreeRun[] = [];
  #place = 0;
  #taken = 0;
  #isAtEnd = false;

  constructor(connection: Connection, { n, pipeline }: Kind, crashes: number, { now, limit }: ClaimRequest) {
    this.pipeline = pipeline;
    this.crashes = crashes;
    const sql = `SELECT n, ${HAS_BEGUN} AS begun, priority, created_at FROM ${FREE_RUNS}
      AND kind = ? AND crashes = ? AND available_at <= ?
      ORDER BY ${HAS_BEGUN} DESC, priority DESC, created_at, n LIMIT ? OFFSET ?`;
    const size = Math.min(limit, LANE_PAGE);
    this.#read = (offset) => connection.all<FreeRun>(sql, n, crashes, now, size, offset);
  }

  get first(): FreeRun | undefined {
    if (this.#place === this.#rows.length && !this.#isAtEnd) {
      this.#rows = this.#read(this.#taken);
      this.#place = 0;
      this.#isAtEnd = this.#rows.length === 0;
    }
    return this.#rows[this.#place];
  }

  shift(): number {
    const { n } = this.first!;
    this.#place++;
    this.#taken++;
    return n;
  }
}

/** How many more runs of each pipeline may become active. */
class Room {
  readonly #connection: Connection;
  readonly #max: ClaimRequest["maxActiveRuns"];
  readonly #left = new Map<string, number>();

  constructor(connection: Connection, { maxActiveRuns }: ClaimRequest) {
    this.#connection = connection;
    this.#max = maxActiveRuns;
  }

  has(pipeline: string): boolean {
    if (!Object.hasOwn(this.#max, pipeline)) return true;
    let left = this.#left.get(pipeline);
    if (left === undefined) {
      const sql = `SELECT count(*) AS count FROM weftline_kinds k
        CROSS JOIN weftline_runs r INDEXED BY weftline_runs_active ON r.kind = k.n AND r.owner IS NOT NULL
        WHERE k.pipeline = ?`;
      left = this.#max[pipeline]! - (this.#connection.get(sql, pipeline)!.count as number);
      this.#left.set(pipeline, left);
    }
    return left > 0;
  }

  use(pipeline: string): void {
    const left = this.#left.get(pipeline);
    if (left !== undefined) this.#left.set(pipeline, left - 1);
  }
}

function firstOf(lanes: readonly Lane[], room: Room, comesBefore: (a: Lane, b: Lane) => boolean): Lane | undefined {
  let first: Lane | undefined;
  for (const lane of lanes) {
    if (lane.first === undefined || !room.has(lane.pipeline)) continue;
    if (first === undefined || comesBefore(lane, first)) first = lane;
  }
  return first;
}

function isLessSuspect(a: Lane, b: Lane): boolean {
  return a.crashes === b.crashes ? isBefore(a, b) : a.crashes < b.crashes;
}

/** Of two lanes with runs: what has begun, then the higher priority, then the older run. */
function isBefore(a: Lane, b: Lane): boolean {
  const [x, y] = [a.first!, b.first!];
  return (y.begun - x.begun || y.priority - x.priority || x.created_at - y.created_at || x.n - y.n) < 0;
}
