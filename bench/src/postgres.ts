/** Durable runs on Postgres, beside peers and beside the least that the same commits cost. */
import { type Outcome, probe } from "./child.js";
import { type Assignment, chains, fibonaccis, one, parallel, singles } from "./durable/assignments.js";
import { compareDurable, type DurableCase, durableTable, find } from "./durable/comparison.js";
import type { DurableName } from "./durable/contenders.js";
import { commitTargets, type IdleQueries, idleTargets } from "./durable/postgres-targets.js";
import { progress } from "./progress.js";
import { decimals, type Effort, type Group, nothingMeasured, type Report, type Table } from "./report.js";
import { openPostgres, type Postgres } from "./services/postgres.js";
import { openRedis, type Redis } from "./services/redis.js";

/** The peers need seconds for a run that takes Weftline a tenth of one. */
const DBOS_PARALLEL = 2_000;
/** It ends runs that have more steps. */
const OPENWORKFLOW_PARALLEL = 1_000;
const BULLMQ_PARALLEL = 2_000;
const IDLE = { seconds: 10, settleMs: 3_000 };
const QUICK_IDLE = { seconds: 1, settleMs: 500 };

export const postgres: Group = {
  name: "postgres",
  title: "Durable runs on Postgres",
  async measure(effort) {
    const server = await openPostgres();
    if (!server.ok) return nothingMeasured("postgres", server.why);
    const redis = await openRedis();
    try {
      return await measured(server.value, redis, effort);
    } finally {
      await server.value.stop();
      if (redis.ok) await redis.value.stop();
    }
  },
};

async function measured(server: Postgres, redis: Outcome<Redis>, effort: Effort): Promise<Report> {
  const rows = await compareDurable("postgres", casesOn(server, redis, effort), effort);
  const idle = { on: await idleQueries(server, true, effort), off: await idleQueries(server, false, effort) };
  return {
    tables: [
      durableTable(
        "Sequential, parallel and single tasks",
        rows,
        ({ title }) => find(rows, "weftline", title),
        noteOn(server, redis),
      ),
      idleTable(idle, effort),
    ],
    targets: [...commitTargets(rows, effort), ...idleTargets(idle, effort)],
    samples: { rows, idle },
  };
}

function casesOn(server: Postgres, redis: Outcome<Redis>, effort: Effort): DurableCase[] {
  const onServer = (assignment: Assignment, contender: DurableName, isCounted = true): DurableCase => ({
    ...assignment,
    contender,
    isCounted: isCounted && (contender === "weftline" || !effort.isQuick),
    lend: server.withDatabase,
  });
  const onRedis = (assignment: Assignment): DurableCase => ({
    ...assignment,
    contender: "BullMQ flows, not durable",
    isCounted: false,
    lend: async (use) => (redis.ok ? redis.value.withEmpty(use) : redis),
  });
  /** Of little work, most of what OpenWorkflow asks is whether there is any, so that is not counted. */
  const everybody = (assignment: Assignment, isLoad = true): DurableCase[] => [
    onServer(assignment, "weftline"),
    onServer(assignment, "DBOS"),
    onServer(assignment, "OpenWorkflow", isLoad),
    onRedis(assignment),
    onServer(assignment, "bare loop"),
  ];
  return [
    ...everybody(chains(effort)),
    onServer(parallel(effort), "weftline"),
    onServer(parallel(effort, DBOS_PARALLEL), "DBOS"),
    onServer(parallel(effort, OPENWORKFLOW_PARALLEL), "OpenWorkflow"),
    onRedis(parallel(effort, BULLMQ_PARALLEL)),
    onServer(parallel(effort), "bare loop"),
    ...everybody(singles(effort)),
    ...everybody(fibonaccis(), false),
    ...everybody(one(), false),
    onServer(one(), "bare commit"),
  ];
}

function noteOn(server: Postgres, redis: Outcome<Redis>): string {
  const other = redis.ok ? redis.value.description : redis.why;
  return `${server.description}; BullMQ: ${other}. Each process has an empty database of its own on the same server. The bare loop has no engine: one connection, one INSERT … SELECT FROM unnest() and one commit for whatever is ready, into a table with a primary key; a bare commit inserts one row. DBOS starts workflows directly, without a queue, and has 50 connections; OpenWorkflow runs 100 workflows at once on 20 connections and is timed until its backend confirmed the last, as its \`result()\` asks once a second, and its runs may have 1,000 steps; BullMQ runs 100 jobs at once and keeps nothing on disk. Round trips are counted on the wire, in processes of their own.`;
}

async function idleQueries(server: Postgres, notify: boolean, effort: Effort): Promise<Outcome<number>> {
  progress(`postgres: queries of an idle engine, notifications ${notify ? "on" : "off"}`);
  return server.withDatabase((place) => probe("idle-queries", { place, notify, ...idleTimes(effort) }));
}

function idleTable({ on, off }: IdleQueries, effort: Effort): Table {
  const cell = (outcome: Outcome<number>) => (outcome.ok ? decimals(outcome.value) : outcome.why);
  return {
    title: "Queries a second of an engine that has nothing to do",
    columns: ["notifications", "queries/s"],
    textColumns: 1,
    rows: [
      ["on", cell(on)],
      ["off", cell(off)],
    ],
    note: `Counted on the wire over ${idleTimes(effort).seconds} s, on all connections together, the renewals of the lease included.`,
  };
}

function idleTimes({ isQuick }: Effort): typeof IDLE {
  return isQuick ? QUICK_IDLE : IDLE;
}
