import { Client } from "pg";
import { type BareRow, runBare } from "./bare-loop.js";
import type { DurableContender } from "./contender.js";

const TABLE = `CREATE TABLE tasks (
  run bigint, task int, status text NOT NULL, output text, started bigint NOT NULL, finished bigint,
  PRIMARY KEY (run, task)
)`;
const INSERT = `INSERT INTO tasks (run, task, status, output, started, finished)
  SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])`;

/** One connection, one statement and one commit for each flush: what a group commit costs without an engine. */
export const barePostgres: DurableContender = async (place) => {
  const client = await connected(place);
  const flush = (rows: readonly BareRow[]) =>
    client.query({
      name: "flush",
      text: INSERT,
      values: [
        rows.map(({ run }) => run),
        rows.map(({ task }) => task),
        rows.map(({ status }) => status),
        rows.map(({ output }) => output),
        rows.map(({ started }) => started),
        rows.map(({ finished }) => finished),
      ],
    });
  return { run: (workload) => runBare(workload, { flush }), close: () => client.end() };
};

/** One row for each commit: the unit in which a run's latency is told. */
export const bareCommit: DurableContender = async (place) => {
  const client = await connected(place);
  const insert = {
    name: "insert",
    text: "INSERT INTO tasks (run, task, status, output, started, finished) VALUES ($1, $2, $3, $4, $5, $6)",
  };
  const flush = async (rows: readonly BareRow[]) => {
    for (const { run, task, status, output, started, finished } of rows) {
      await client.query({ ...insert, values: [run, task, status, output, started, finished] });
    }
  };
  return { run: (workload) => runBare(workload, { flush }), close: () => client.end() };
};

async function connected(place: string): Promise<Client> {
  const client = new Client(place);
  await client.connect();
  await client.query(TABLE);
  return client;
}
