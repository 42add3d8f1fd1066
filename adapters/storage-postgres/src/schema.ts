import { type SchemaStep, type StorageSchema, WeftlineError } from "weftline";
import { connectionConfig, type Driver, loadDriver } from "./connections.js";
import { codeOf, translated } from "./errors.js";
import { forSchema, literal, SCHEMA_VERSION, stepsFrom, TABLE_NAMES, VERSIONS } from "./migrations.js";
import type { PostgresSettings } from "./options.js";

type Client = InstanceType<Driver["Client"]>;

const MIN_SERVER_VERSION = 130_000;
/** Not all of a call's time, so that there is some left to find out who holds the lock. */
const MAX_LOCK_TIMEOUT_MS = 15_000;
const LOCK_NOT_GIVEN = "55P03";
const NO_RIGHT = "42501";

/** The schema in the database: what is there, and how it comes to be. Uses a connection of its own, for one call each. */
export class PostgresSchema implements StorageSchema {
  readonly version = SCHEMA_VERSION;
  readonly #settings: PostgresSettings;

  constructor(settings: PostgresSettings) {
    this.#settings = settings;
  }

  current(): Promise<number> {
    return this.#connected((client) => this.#current(client));
  }

  statements(from: number): readonly SchemaStep[] {
    const { schema } = this.#settings;
    const steps = stepsFrom(from, schema);
    return steps.map((step) => ({
      ...step,
      sql: `${this.#begun(step.version)}${step.sql}\n${recorded(step, schema)}`,
    }));
  }

  migrate(): Promise<readonly SchemaStep[]> {
    return this.#connected((client) => this.#migrate(client));
  }

  async close(): Promise<void> {}

  /** Everything is made in one transaction: whenever it is cut off, all of it is there or nothing. */
  async #migrate(client: Client): Promise<readonly SchemaStep[]> {
    const version = await this.#current(client);
    if (version === SCHEMA_VERSION) return [];
    this.#checkNotNewer(version);
    await client.query("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
    await this.#lock(client);
    // Whoever held the lock before may have made it all.
    const steps = this.statements(await this.#current(client));
    for (const { sql } of steps) await client.query(sql);
    const { command } = await client.query("COMMIT");
    if (command !== "COMMIT") throw new Error("the database rolled the migration back");
    return steps;
  }

  get #lockTimeoutMs(): number {
    return Math.min(MAX_LOCK_TIMEOUT_MS, Math.ceil(this.#settings.timeoutMs / 2));
  }

  /** The lock goes with the transaction: one that belongs to the session would be left behind on a pooler's connection. */
  async #lock(client: Client): Promise<void> {
    const key = `hashtextextended(${literal(`weftline migration of ${this.#settings.schema}`)}, 0)`;
    try {
      await client.query(`SET LOCAL lock_timeout = ${this.#lockTimeoutMs}`);
      await client.query(`SELECT pg_advisory_xact_lock(${key})`);
    } catch (error) {
      if (codeOf(error) !== LOCK_NOT_GIVEN) throw error;
      await client.query("ROLLBACK");
      const { rows } = await client.query(
        `SELECT l.pid FROM pg_locks l, (SELECT ${key} AS key) k WHERE l.locktype = 'advisory' AND l.granted
          AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
          AND l.classid::bigint = (k.key >> 32 & 4294967295) AND l.objid::bigint = (k.key & 4294967295)`,
      );
      throw lockTimeout(
        rows.map(({ pid }) => pid),
        this.#lockTimeoutMs,
        error,
      );
    }
  }

  /** @throws {WeftlineError} `STORAGE_INVALID` when the schema holds tables of somebody else's under our names. */
  async #current(client: Client): Promise<number> {
    const { schema } = this.#settings;
    const names = [...TABLE_NAMES, VERSIONS];
    await this.#checkServer(client);
    const { rows } = await client.query<{ relname: string }>(
      `SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = ANY ($2::text[])`,
      [schema, names],
    );
    if (rows.length === 0) return 0;
    if (!rows.some(({ relname }) => relname === VERSIONS))
      throw foreignTables(
        schema,
        rows.map(({ relname }) => relname),
      );
    const { rows: versions } = await client.query<{ version: number }>(
      forSchema(`SELECT max(version) AS version FROM {schema}.${VERSIONS}`, schema),
    );
    return versions[0]?.version ?? 0;
  }

  async #checkServer(client: Client): Promise<void> {
    const { rows } = await client.query<{ version: number }>(
      "SELECT current_setting('server_version_num')::integer AS version",
    );
    const { version } = rows[0]!;
    if (version >= MIN_SERVER_VERSION) return;
    throw new WeftlineError(
      "STORAGE_INVALID",
      `The database is Postgres ${Math.floor(version / 10_000)}, and 13 or newer is needed. Upgrade the server.`,
    );
  }

  #checkNotNewer(version: number): void {
    if (version <= SCHEMA_VERSION) return;
    throw new WeftlineError(
      "SCHEMA_TOO_NEW",
      `The schema "${this.#settings.schema}" is of version ${version}, this library works with versions up to ${SCHEMA_VERSION}. Update @weftline/storage-postgres here, and drain engines of the older version.`,
    );
  }

  /** What the first step begins with. */
  #begun(version: number): string {
    if (version > 1) return "";
    return forSchema(
      `CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE {schema}.${VERSIONS} (
  version integer PRIMARY KEY,
  name text NOT NULL,
  made_at timestamptz NOT NULL DEFAULT now()
);
`,
      this.#settings.schema,
    );
  }

  /** @throws {WeftlineError} `SCHEMA_TOO_NEW`, `SCHEMA_OUTDATED`, and what migrating throws. */
  async prepare(): Promise<readonly SchemaStep[]> {
    if (this.#settings.migrate === "auto") return this.migrate();
    const version = await this.current();
    this.#checkNotNewer(version);
    if (version < SCHEMA_VERSION) throw outdated(this.#settings.schema, version);
    return [];
  }

  async #connected<Result>(work: (client: Client) => Promise<Result>): Promise<Result> {
    const driver = await loadDriver();
    const client = new driver.Client({
      ...connectionConfig(driver, this.#settings.connection),
      connectionTimeoutMillis: this.#settings.timeoutMs,
    });
    client.on("error", () => {});
    try {
      await client.connect();
      return await work(client);
    } catch (error) {
      if (codeOf(error) === NO_RIGHT) throw this.#noRight(error);
      throw translated(error, this.#settings.schema);
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  #noRight(cause: unknown): WeftlineError {
    const { schema } = this.#settings;
    return new WeftlineError(
      "STORAGE_INVALID",
      `The database user may not make the schema "${schema}": ${(cause as Error).message}. Give it the right (GRANT CREATE ON DATABASE … TO …), or have an administrator run \`weftline migrate\`, or the SQL that \`storage.schema.statements(0)\` gives, and grant all rights on the schema and what is in it; then use \`migrate: "never"\`.`,
      { cause },
    );
  }
}

function recorded({ version, name }: SchemaStep, schema: string): string {
  return forSchema(`INSERT INTO {schema}.${VERSIONS} (version, name) VALUES (${version}, '${name}');\n`, schema);
}

function foreignTables(schema: string, tables: readonly string[]): WeftlineError {
  return new WeftlineError(
    "STORAGE_INVALID",
    `The schema "${schema}" has tables of somebody else's under names that are needed: ${tables.join(", ")}. Give postgresStorage() a \`schema\` of its own.`,
  );
}

function outdated(schema: string, version: number): WeftlineError {
  const what = version === 0 ? "is not there" : `is of version ${version}, this library needs ${SCHEMA_VERSION}`;
  return new WeftlineError(
    "SCHEMA_OUTDATED",
    `The schema "${schema}" ${what}, and \`migrate: "never"\` forbids to change it. Run \`weftline migrate\`, or the SQL that \`storage.schema.statements(${version})\` gives.`,
  );
}

function lockTimeout(pids: readonly number[], ms: number, cause: unknown): WeftlineError {
  const holder = pids.length > 0 ? `pid ${pids.join(", ")}` : "which has ended by now";
  return new WeftlineError(
    "MIGRATION_LOCK_TIMEOUT",
    `Another session holds the migration lock (${holder}) for more than ${ms} ms. If it is stuck, end it with pg_terminate_backend().`,
    { cause, retryable: true },
  );
}
