import { Client } from "pg";
import { startPostgres } from "./postgres.js";
import type { PostgresOrigin } from "./postgres-binaries.js";

/** Each project of vitest calls `setup` of a module of its own, in the same process. */
const isSetUp = Symbol.for("weftline.test.postgres");
const done = globalThis as { [isSetUp]?: true };

/**
 * For vitest: puts the connection string of a server into `WEFTLINE_TEST_POSTGRES`, which test files inherit. A string
 * that is there is used as it is; `system` and `embedded` say which Postgres to start.
 */
export async function setup(): Promise<(() => Promise<void>) | undefined> {
  if (done[isSetUp]) return undefined;
  done[isSetUp] = true;
  const given = process.env.WEFTLINE_TEST_POSTGRES ?? "";
  if (given.includes(":")) {
    console.log(`Postgres ${await versionAt(given)} from WEFTLINE_TEST_POSTGRES`);
    return undefined;
  }
  const server = await startPostgres({ origin: checked(given) });
  console.log(`Postgres ${server.version} from ${server.origin}`);
  process.env.WEFTLINE_TEST_POSTGRES = server.connectionString;
  return () => server.remove();
}

function checked(origin: string): PostgresOrigin | undefined {
  if (origin === "" || origin === "system" || origin === "embedded") return origin === "" ? undefined : origin;
  throw new Error(`WEFTLINE_TEST_POSTGRES is "${origin}". Give a connection string, "system" or "embedded".`);
}

async function versionAt(connectionString: string): Promise<string> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query<{ server_version: string }>("SHOW server_version");
    return rows[0]?.server_version ?? "?";
  } finally {
    await client.end();
  }
}
