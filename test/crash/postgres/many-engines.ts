import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Fault, WitnessLine } from "@weftline/testing";
import pg from "pg";
import { isRunFinished, type Storage } from "weftline";
import { startPostgres } from "../../services/postgres.js";
import type { HostLine } from "../audit/host-log.js";
import type { Block } from "../blocks.js";
import { chance, type Random } from "../chance.js";
import type { InvariantReport, PartReport } from "../report.js";
import { type Stall, watchForStalls } from "../stalls.js";
import { storedRuns, withStorage } from "../stored-runs.js";
import { readLines } from "../witness.js";
import { readAudit } from "./audit.js";
import { check } from "./check.js";
import { callsOf } from "./clients.js";
import { Fleet } from "./fleet.js";
import { judge, type Seen } from "./judge.js";
import type { Sabotage } from "./sabotage.js";
import {
  BLOCKS,
  CLIENTS,
  type ClientLine,
  CONFIRMED,
  type ConfirmedLine,
  LEASE_MS,
  logOf,
  STALLS,
  storageOf,
  TOLD,
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
  /** Default: true. False: nobody is told of anything, all have to look. */
  readonly hints?: boolean;
  readonly onProgress: (done: number, of: number) => void;
}

/** Between two disturbances, at least and at most, in milliseconds. */
const CALM_MS = [250, 1_200] as const;
/** How often what is stored is looked at meanwhile. */
const LOOKS = 3;
/** How long everything may take to come to its end once nothing disturbs it any more, in milliseconds. */
const SETTLES_WITHIN_MS = 60_000;
/** Between two instants of the schedule. */
const TICK_MS = 1_000;
/** Instants go on for so much longer than the disturbances, as the engines take a while to start. */
const TICKS_AFTER_MS = 3_000;
/** What has to be held against something; the others depend on what happens. */
const REQUIRED = [
  ...[1, 2, 3, 4, 5, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 22, 24, 25, 27, 28],
  ...[29, 30, 31, 32, 33, 41, 47, 48, 49],
];
/** How soon runs are taken up by engines that nobody tells of them. */
const UNHINTED = 44;

/** Kills, pauses and stops engines that share one Postgres, heals them, and judges what came of all runs. */
export async function manyEngines(options: ManyEnginesOptions): Promise<PartReport> {
  const server = options.connectionString === undefined ? await startPostgres() : undefined;
  const folder = mkdtempSync(join(tmpdir(), "weftline-crash-"));
  const connectionString = options.connectionString ?? server!.connectionString;
  const schema = `crash_${randomBytes(6).toString("hex")}`;
  const { sabotage, minutes, hints = true } = options;
  const from = Date.now();
  const ticks = { everyMs: TICK_MS, from, until: from + minutes * 60_000 + TICKS_AFTER_MS };
  const world: World = { connectionString, schema, folder, ticks, hints, ...(sabotage && { sabotage }) };
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
  const starved: Omit<Stall, "engine">[] = [];
  const unwatch = watchForStalls((stall) => starved.push(stall));
  try {
    await fleet.start();
    const moments = await disturb(fleet, world, random, options);
    await fleet.killAlone();
    const healedAt = await fleet.heal();
    const drainedAt = Date.now();
    const isDrained = await fleet.drainClient(SETTLES_WITHIN_MS);
    const settledMs = Date.now() - drainedAt;
    if (isDrained && !(await allEnd(world))) fleet.problems.push("child runs have not ended with all others");
    const probed = await fleet.probe();
    await fleet.stop();
    const seen = await look(world);
    const faults = [...fleet.faults, ...stalls(world), ...silence(world)];
    const clients = readLines<ClientLine>(logOf(world, CLIENTS));
    const confirmed = readLines<ConfirmedLine>(logOf(world, CONFIRMED));
    const verdict = judge({ seen, moments, faults, clients, confirmed });
    const logs = {
      ...{ witness: seen.witness, calls: callsOf(clients), stops: fleet.stops, faults, healedAt, starved },
      ticks: world.ticks,
      audit: await readAudit(world),
      told: readLines<HostLine>(logOf(world, TOLD)),
      blocks: readLines<Block>(logOf(world, BLOCKS)),
    };
    const checked = await withStorage(storageOf(world), (storage) => check(storage, logs));
    const exercised = { ...verdict.exercised, ...checked.exercised };
    const problems = [...fleet.problems, ...checked.problems, ...verdict.problems, ...(await enginesLeft(world))];
    const required = world.hints ? REQUIRED : [...REQUIRED, UNHINTED];
    return reportOf({
      faults: fleet.faults,
      probed,
      settledMs,
      exercised,
      problems,
      invariants: { ...checked, required },
    });
  } finally {
    unwatch();
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

/** Child runs of runs that were cancelled may take a little longer, and so may the last instants. */
function allEnd(world: World): Promise<boolean> {
  return withStorage(storageOf(world), async (storage) => {
    for (const begin = Date.now(); Date.now() - begin < SETTLES_WITHIN_MS; ) {
      const { items } = await storage.list(
        "runs",
        { status: ["queued", "running", "waiting", "paused"] },
        { limit: 1 },
      );
      const hasInstants = (await storage.schedules()).some(({ nextAt }) => nextAt !== undefined);
      if (!hasInstants && items.every(({ status }) => isRunFinished(status))) return true;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    return false;
  });
}

function stalls(world: World): readonly Fault[] {
  return readLines<Stall>(logOf(world, STALLS)).map((stall) => ({ kind: "block", ...stall }));
}

function silence({ hints, ticks: { from } }: World): readonly Fault[] {
  return hints ? [] : [{ kind: "no-hints", engine: undefined, from, to: undefined }];
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
  readonly invariants: InvariantReport;
}): PartReport {
  const { faults, probed, settledMs, exercised, problems, invariants } = made;
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
      ...["runs", "tasks", "witness lines", "unknown calls", "probes after all", "flushes", "flushes refused"],
      ...["flushes compared with what was asked for", "instants fired", "blocks that a lease outlived"],
    ],
    problems,
    invariants,
  };
}
