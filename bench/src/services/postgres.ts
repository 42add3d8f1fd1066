import { execFileSync } from "node:child_process";
import { chown, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { type Outcome, run } from "../child.js";
import { pause } from "../probes/clock.js";
import { progress } from "../progress.js";
import { describeDisk } from "./disk.js";
import { freePort } from "./free-port.js";
import { start } from "./lifeline.js";

/** A Postgres to measure on. */
export interface Postgres {
  /** Its version, and the settings that decide what a commit costs. */
  readonly description: string;
  /** Makes an empty database and lends it, then drops it. */
  withDatabase<T>(use: (url: string) => Promise<T>): Promise<T>;
  stop(): Promise<void>;
}

interface User {
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** A running server to measure on instead of one of our own: the connection string of a role that may create databases. */
const GIVEN = "WEFTLINE_BENCH_POSTGRES";
const BINARIES = "/usr/lib/postgresql";
const START_LIMIT_MS = 30_000;
const POLL_MS = 50;

let databases = 0;

/** The server that the environment names, or one of our own from the binaries that are installed. */
export async function openPostgres(): Promise<Outcome<Postgres>> {
  const given = process.env[GIVEN];
  try {
    return given === undefined ? await startOwn() : { ok: true, value: await serverAt(given, async () => {}) };
  } catch (error) {
    return { ok: false, why: `no Postgres: ${(error as Error).message}` };
  }
}

async function startOwn(): Promise<Outcome<Postgres>> {
  const binaries = await newestBinaries();
  if (binaries === undefined) {
    return { ok: false, why: `no Postgres: nothing in ${BINARIES}, and ${GIVEN} is not set` };
  }
  progress(`starting ${binaries}/postgres`);
  const user = serverUser();
  const folder = await mkdtemp(join(tmpdir(), "weftline-bench-postgres-"));
  if (user.uid !== undefined) await chown(folder, user.uid, user.gid!);
  const made = await run(
    join(binaries, "initdb"),
    ["--pgdata", folder, "--username", "bench", "--auth", "trust", "--locale", "C", "--encoding", "UTF8"],
    { ...user, cwd: folder },
  );
  if (made.ok) return serve(binaries, folder, user);
  await rm(folder, { recursive: true, force: true });
  return { ok: false, why: `no Postgres: initdb ${made.why}` };
}

/** All settings that a commit depends on are as they come, so fsync and synchronous_commit are on. */
async function serve(binaries: string, folder: string, user: User): Promise<Outcome<Postgres>> {
  const port = await freePort();
  const settings = [`port=${port}`, "listen_addresses=127.0.0.1", "unix_socket_directories="];
  const args = ["-D", folder, ...settings.flatMap((setting) => ["-c", setting])];
  const lifeline = start(join(binaries, "postgres"), args, { folder, signal: "QUIT", ...user });
  const url = `postgres://bench@127.0.0.1:${port}/postgres`;
  try {
    await answers(url);
    return { ok: true, value: await serverAt(url, lifeline.cut, await describeDisk()) };
  } catch (error) {
    await lifeline.cut();
    const fatal = /^.*FATAL:.*$/m.exec(lifeline.said())?.[0];
    return { ok: false, why: `no Postgres: ${fatal ?? (error as Error).message}` };
  }
}

async function newestBinaries(): Promise<string | undefined> {
  const versions = await readdir(BINARIES).catch(() => []);
  const newest = versions
    .map(Number)
    .filter(Number.isFinite)
    .toSorted((a, b) => b - a)[0];
  return newest === undefined ? undefined : join(BINARIES, String(newest), "bin");
}

/** Postgres refuses to run as root, so the user runs it that its package made. */
function serverUser(): User {
  if (process.getuid?.() !== 0) return {};
  const id = (kind: "-u" | "-g") => Number(execFileSync("id", [kind, "postgres"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

async function answers(url: string): Promise<void> {
  const end = performance.now() + START_LIMIT_MS;
  for (;;) {
    try {
      return await withClient(url, async () => {});
    } catch (error) {
      if (performance.now() > end) throw error;
      await pause(POLL_MS);
    }
  }
}

async function serverAt(url: string, stop: () => Promise<void>, disk = ""): Promise<Postgres> {
  const facts = await withClient(url, async (client) => {
    const read = async (name: string) => Object.values((await client.query(`SHOW ${name}`)).rows[0] as object)[0];
    return [await read("server_version"), await read("fsync"), await read("synchronous_commit")];
  });
  return {
    description: `Postgres ${facts[0]}, fsync ${facts[1]}, synchronous_commit ${facts[2]}${disk}`,
    withDatabase: (use) => withDatabase(url, use),
    stop,
  };
}

async function withDatabase<T>(url: string, use: (url: string) => Promise<T>): Promise<T> {
  const name = `weftline_bench_${process.pid}_${++databases}`;
  const place = new URL(url);
  place.pathname = `/${name}`;
  await withClient(url, async (client) => {
    await client.query(`CREATE DATABASE ${name}`);
    // Nobody pays for the pages that another one left dirty.
    await client.query("CHECKPOINT");
  });
  try {
    return await use(place.href);
  } finally {
    await withClient(url, (client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
  }
}

async function withClient<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(url);
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.end();
  }
}
