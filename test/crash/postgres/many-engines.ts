import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Fault, WitnessLine } from "@weftline/testing";
import pg from "pg";
import { isRunFinished, type Storage } from "weftline";
import { startPostgres } from "../../services/postgres.js";
import { chance, type Random } from "../chance.js";
import type { PartReport } from "../report.js";
import type { Stall } from "../stalls.js";
import { storedRuns, withStorage } from "../stored-runs.js";
import { readLines } from "../witness.js";
import { check } from "./check.js";
import { callsOf } from "./clients.js";
import { Fleet } from "./fleet.js";
import { judge, type Seen } from "./judge.js";
import type { Sabotage } from "./sabotage.js";
import {
  CLIENTS,
  type ClientLine,
  CONFIRMED,
  type ConfirmedLine,
  LEASE_MS,
  logOf,
  STALLS,
  storageOf,
  WITNESS,
  type World,
} from "./world.js";

export interface ManyEnginesOptions {
  readonly seed: number;
  /** How long the engines are disturbed. */
  readonly minutes: number;
  /** Left out: a server of its own. */
  readonly connectionString?: string | undefined;
  readonly sabotage?: Sabotage | undefined;
  readonly onProgress: (done: number, of: number) => void;
}

/** Between two disturbances, at least and at most, in milliseconds. */
const CALM_MS = [250, 1_200] as const;
/** How often what is stored is looked at meanwhile. */
const LOOKS = 3;
/** How long everything may take to come to its end once nothing disturbs it any more, in milliseconds. */
const SETTLES_WITHIN_MS = 60_000;

/** Kills, pauses and stops engines that share one Postgres, heals them, and judges what came of all runs. */
export async function manyEngines(options: ManyEnginesOptions): Promise<PartReport> {
  const server = options.connectionString === undefined ? await startPostgres() : undefined;
  const folder = mkdtempSync(join(tmpdir(), "weftline-crash-"));
  const connectionString = options.connectionString ?? server!.connectionString;
  const schema = `crash_${randomBytes(6).toString("hex")}`;
  const { sabotage } = options;
  const world: World = { connectionString, schema, folder, ...(sabotage && { sabotage }) };
  try {
    return await disturbed(world, options);
  } finally {
    rmSync(folder, { recursive: true, force: true });
    if (server) await server.remove();
    else await dropSchema(world);
  }
}

async function disturbed(world: World, options: ManyEnginesOptions): Promise<PartReport> {
  const random = chance(options.seed);
  const fleet = new Fleet(world, random);
  try {
    await fleet.start();
    const moments = await disturb(fleet, world, random, options);
    const healedAt = await fleet.heal();
    const isDrained = await fleet.drainClient(SETTLES_WITHIN_MS);
    const settledMs = Date.now() - healedAt;
    if (isDrained && !(await allEnd(world))) fleet.problems.push("child runs have not ended with all others");
    const probed = await fleet.probe();
    await fleet.stop();
    const seen = await look(world);
    const faults = [...fleet.faults, ...stalls(world)];
    const clients = readLines<ClientLine>(logOf(world, CLIENTS));
    const confirmed = readLines<ConfirmedLine>(logOf(world, CONFIRMED));
    const verdict = judge({ seen, moments, faults, clients, confirmed });
    const logs = { witness: seen.witness, calls: callsOf(clients), faults, healedAt };
    const checked = await withStorage(storageOf(world), (storage) => check(storage, logs));
    const { times, invariants } = checked;
    const exercised = { ...verdict.exercised, "invariants checked": invariants, "times that one was": times };
    const problems = [...fleet.problems, ...verdict.problems, ...checked.problems, ...(await enginesLeft(world))];
    return reportOf({ faults: fleet.faults, probed, settledMs, exercised, problems });
  } finally {
    fleet.abandon();
  }
}

/** @returns What was stored at some moments. */
async function disturb(
  fleet: Fleet,
  world: World,
  random: Random,
  { minutes, onProgress }: ManyEnginesOptions,
): Promise<readonly Seen[]> {
  const length = minutes * 60_000;
  const begin = Date.now();
  const moments: Seen[] = [];
  for (let spent = 0; spent < length; spent = Date.now() - begin) {
    const [least, most] = CALM_MS;
    await new Promise((resolve) => setTimeout(resolve, least + random() * (most - least)));
    fleet.disturb();
    if (spent > (length / LOOKS) * (moments.length + 1)) moments.push(await look(world));
    onProgress(Math.round(spent / 1_000), Math.round(length / 1_000));
  }
  return moments;
}

/** The store first: what has ended there has begun before the witness is read. */
async function look(world: World): Promise<Seen> {
  const [runs, steps] = await withStorage(storageOf(world), async (storage) => {
    const runs = await storedRuns(storage);
    return [
      runs,
      await stepsOf(
        storage,
        runs.map(({ run }) => run.id),
      ),
    ] as const;
  });
  return { runs, steps, witness: readLines<WitnessLine>(logOf(world, WITNESS)) };
}

async function stepsOf(storage: Storage, runIds: readonly string[]): Promise<Seen["steps"]> {
  const pages = runIds.map((runId) => storage.list("steps", { runId }, { limit: 1_000 }));
  return (await Promise.all(pages)).flatMap(({ items }) => items);
}

/** Child runs of runs that were cancelled may take a little longer. */
function allEnd(world: World): Promise<boolean> {
  return withStorage(storageOf(world), async (storage) => {
    for (const begin = Date.now(); Date.now() - begin < SETTLES_WITHIN_MS; ) {
      const { items } = await storage.list(
        "runs",
        { status: ["queued", "running", "waiting", "paused"] },
        { limit: 1 },
      );
      if (items.every(({ status }) => isRunFinished(status))) return true;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    return false;
  });
}

function stalls(world: World): readonly Fault[] {
  return readLines<Stall>(logOf(world, STALLS)).map((stall) => ({ kind: "block", ...stall }));
}

/** An engine that stopped in order is forgotten, one that was killed as soon as its lease has run out. */
function enginesLeft(world: World): Promise<readonly string[]> {
  return withStorage(storageOf(world), async (storage) => {
    const { engines, storeNow } = await storage.survey({ now: Date.now() });
    const left = engines.filter(({ leaseUntil, runs }) => runs > 0 || leaseUntil > storeNow + LEASE_MS);
    return left.map(({ id, runs }) => `${id} is still known after all have stopped, with ${runs} runs`);
  });
}

async function dropSchema({ connectionString, schema }: World): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`);
  await client.end();
}

function reportOf(made: {
  readonly faults: readonly Fault[];
  readonly probed: readonly string[];
  readonly settledMs: number;
  readonly exercised: PartReport["exercised"];
  readonly problems: readonly string[];
}): PartReport {
  const { faults, probed, settledMs, exercised, problems } = made;
  const count = (kind: Fault["kind"], who: string) =>
    faults.filter((fault) => fault.kind === kind && fault.engine?.startsWith(who)).length;
  return {
    name: "Postgres, engines that are killed, paused and stopped",
    exercised: {
      kills: count("kill", "engine"),
      pauses: count("pause", "engine"),
      "pauses beyond the lease": faults.filter(
        ({ kind, from, to }) => kind === "pause" && (to ?? from) - from > LEASE_MS,
      ).length,
      stops: count("stop", "engine"),
      "kills of the client": count("kill", "client"),
      ...exercised,
      "probes after all": probed.length,
      "ms to settle": settledMs,
    },
    required: [
      ...["kills", "pauses", "pauses beyond the lease", "stops", "kills of the client", "takeovers", "redeliveries"],
      ...["runs", "tasks", "witness lines", "unknown calls", "invariants checked", "probes after all"],
    ],
    problems,
  };
}
