import { setTimeout as sleep } from "node:timers/promises";
import { isCommit, isFlush, type Matches } from "./postgres-proxy.js";
import { until, type World } from "./world.js";

/** A way in which a database fails, done while engines work on it. */
export interface DatabaseFault {
  readonly name: string;
  /**
   * @param outages - How many times as long as usual nobody can connect, or write. Default: 1, which is less than a lease.
   * @returns How often it really happened. What it changed is as before when this settles.
   */
  happen(world: World, outages?: number): Promise<number>;
}

const TIMES = 5;
const OUTAGE_MS = 1_000;
/** As many times as this, an outage is longer than a lease. */
export const LONG_OUTAGE = 6;

export const FAULTS: readonly DatabaseFault[] = [
  { name: "the reply to a COMMIT is lost", happen: (world) => arm(world, "lose-reply", isCommit) },
  { name: "the reply to a flush is lost", happen: (world) => arm(world, "lose-reply", isFlush) },
  { name: "the connection is reset in the middle of a flush", happen: (world) => arm(world, "cut-request", isFlush) },
  { name: "connections that listen go silent", happen: silence },
  { name: "every message is late", happen: delay },
  { name: "all connections are reset", happen: reset },
  { name: "connections are refused for a while", happen: refuse },
  { name: "backends are terminated in a loop", happen: terminate },
  { name: "the server crashes and starts again", happen: restart },
  { name: "the server is read-only for a while", happen: readOnly },
];

/** One after the other, so that what is sent again meets the fault as well. */
async function arm({ proxy, hosts }: World, kind: "lose-reply" | "cut-request", matches: Matches): Promise<number> {
  const happened = () => proxy.counts.lostReplies + proxy.counts.cutRequests;
  const before = happened();
  const again = hosts.reduce((sum, { counts }) => sum + counts.sentAgain, 0);
  for (let n = 0; n < TIMES; n++) {
    proxy.arm({ kind, matches });
    await until(() => proxy.isDisarmed, `something meets "${kind}"`);
  }
  // The engines say so: a flush whose fate was unknown was sent again under its id, and confirmed.
  await until(() => hosts.reduce((sum, { counts }) => sum + counts.sentAgain, 0) > again, "flushes are sent again");
  return happened() - before;
}

async function silence(world: World): Promise<number> {
  const { proxy, client } = world;
  await until(() => proxy.isHeard, "somebody listens");
  const silenced = proxy.halfOpenListeners();
  // Nobody is told of these: they are found by those who look.
  const runs = await client.trigger(world.newKeys(3));
  await world.ended(runs.values());
  return silenced;
}

async function delay({ proxy }: World): Promise<number> {
  const before = proxy.counts.delayed;
  proxy.latencyMs = 30;
  await sleep(1_000);
  proxy.latencyMs = 0;
  return proxy.counts.delayed - before;
}

async function reset({ proxy }: World): Promise<number> {
  const before = proxy.counts.resets;
  for (let n = 0; n < TIMES; n++) {
    proxy.reset();
    await sleep(100);
  }
  return proxy.counts.resets - before;
}

async function refuse(world: World, outages = 1): Promise<number> {
  const before = world.failures("ECONNREFUSED");
  await world.proxy.refuse();
  await sleep(OUTAGE_MS * outages);
  await until(() => world.failures("ECONNREFUSED") > before, "a connection is refused");
  await world.proxy.accept();
  return world.failures("ECONNREFUSED") - before;
}

async function terminate(world: World): Promise<number> {
  let terminated = 0;
  for (let n = 0; n < TIMES; n++) {
    const rows = await world.ask<{ done: boolean }>(
      "SELECT pg_terminate_backend(pid) AS done FROM pg_stat_activity WHERE application_name = ANY ($1::text[])",
      [["plain", "serializable", "client"]],
    );
    terminated += rows.filter(({ done }) => done).length;
    await sleep(100);
  }
  return terminated;
}

async function restart({ server }: World, outages = 1): Promise<number> {
  await server.shutDown("immediate");
  await sleep(OUTAGE_MS * (outages - 1));
  await server.start();
  return 1;
}

/** As when a replica was asked, or a primary was demoted, and is one again. */
async function readOnly(world: World, outages = 1): Promise<number> {
  const before = world.failures("25006");
  await setReadOnly(world, "on");
  try {
    await sleep(OUTAGE_MS * outages);
    await until(() => world.failures("25006") > before, "a write is refused");
  } finally {
    await setReadOnly(world, "off");
  }
  return world.failures("25006") - before;
}

async function setReadOnly(world: World, value: "on" | "off"): Promise<void> {
  await world.ask(`ALTER SYSTEM SET default_transaction_read_only = ${value}`);
  await world.ask("SELECT pg_reload_conf()");
}
