import type { PoolConfig } from "pg";
import { type Duration, durationMs, WeftlineError } from "weftline";

export interface PostgresStorageOptions {
  /** Where the database is: `postgres://user:password@host:5432/database`. Either this or `pool`. */
  readonly connectionString?: string;
  /**
   * The host's own pool, of which only the settings are used: leases and commits must never wait for a connection that
   * the host's queries hold, so the storage makes connections of its own.
   */
  readonly pool?: PoolLike;
  /** The schema everything is kept in, made if it is not there. Any name of up to 63 bytes. Default: `"weftline"`. */
  readonly schema?: string;
  /**
   * How many connections there may be in all, beside one that listens; at least 3: one renews leases, one commits, the
   * rest serve everything else. Default: 5.
   */
  readonly maxConnections?: number;
  /** How long a call may take in all; after that it rejects with `STORAGE_TIMEOUT`. Default: `"30s"`. */
  readonly timeout?: Duration;
  /**
   * Whether `open()` brings the schema to the version this library works with, or rejects with `SCHEMA_OUTDATED` when it
   * is older. Default: `"auto"`.
   */
  readonly migrate?: "auto" | "never";
  /**
   * Whether statements are prepared once for each connection. `"auto"`: until the database does not know one it was
   * given, as behind a pooler that hands connections round. Default: `"auto"`.
   */
  readonly preparedStatements?: boolean | "auto";
  /** Whether engines tell each other of changes by NOTIFY. Without it, they find them by polling. Default: true. */
  readonly notify?: boolean;
  /**
   * How changes are heard of. A pooler in transaction mode does not pass them on: give a connection string that goes
   * past it, or `false` for polling alone. Default: a connection made as all others are.
   */
  readonly listen?: false | { readonly connectionString: string };
}

/** The part of a pool of `pg` that is used. */
export interface PoolLike {
  readonly options: object;
}

/** Options as they are after checking. */
export interface PostgresSettings {
  readonly connection: PoolConfig;
  readonly schema: string;
  readonly maxConnections: number;
  readonly timeoutMs: number;
  readonly migrate: "auto" | "never";
  readonly preparedStatements: boolean | "auto";
  readonly notify: boolean;
  /** How to connect for LISTEN; `undefined`: not at all. */
  readonly listener: PoolConfig | undefined;
}

const CONNECTION_OPTIONS = [
  "connectionString",
  "host",
  "port",
  "database",
  "user",
  "password",
  "ssl",
  "sslnegotiation",
  "stream",
  "options",
  "application_name",
  "client_encoding",
  "keepAlive",
  "keepAliveInitialDelayMillis",
  "enableChannelBinding",
] as const satisfies readonly (keyof PoolConfig)[];
const DEFAULT_SCHEMA = "weftline";
const DEFAULT_CONNECTIONS = 5;
const MIN_CONNECTIONS = 3;
const DEFAULT_TIMEOUT = "30s";
/** Longer names are cut off by Postgres without a word. */
const MAX_SCHEMA_BYTES = 63;

/** @throws {WeftlineError} `STORAGE_INVALID`, `POOL_TOO_SMALL` or `DURATION_INVALID`. */
export function readOptions(options: PostgresStorageOptions): PostgresSettings {
  const connection = readConnection(options);
  const { notify = true, listen } = options;
  const listener = listen === undefined ? connection : listen && { connectionString: listen.connectionString };
  return {
    connection,
    schema: readSchema(options.schema ?? DEFAULT_SCHEMA),
    maxConnections: readMaxConnections(options.maxConnections ?? DEFAULT_CONNECTIONS),
    timeoutMs: durationMs(options.timeout ?? DEFAULT_TIMEOUT, "timeout of postgresStorage()"),
    migrate: options.migrate ?? "auto",
    preparedStatements: options.preparedStatements ?? "auto",
    notify,
    listener: notify && listener !== false ? listener : undefined,
  };
}

function readConnection({ connectionString, pool }: PostgresStorageOptions): PoolConfig {
  if ((connectionString === undefined) === (pool === undefined)) {
    throw new WeftlineError(
      "STORAGE_INVALID",
      "Cannot tell how to connect to Postgres. Give postgresStorage() either a `connectionString` or a `pool`.",
    );
  }
  if (connectionString !== undefined) return { connectionString };
  return connectionOf(pool!.options);
}

/** How a pool connects. How many connections it has and what becomes of them is the host's affair. */
function connectionOf(options: PoolConfig): PoolConfig {
  const connection: Record<string, unknown> = {};
  for (const name of CONNECTION_OPTIONS) {
    if (options[name] !== undefined) connection[name] = options[name];
  }
  const { ssl } = options;
  // `pg` hides what is secret from everybody who copies the object as a whole.
  if (typeof ssl === "object") connection.ssl = { ...ssl, ...(ssl.key !== undefined && { key: ssl.key }) };
  return connection;
}

function readSchema(schema: string): string {
  const bytes = Buffer.byteLength(schema);
  if (bytes > 0 && bytes <= MAX_SCHEMA_BYTES && !schema.includes("\0")) return schema;
  throw new WeftlineError(
    "STORAGE_INVALID",
    `Cannot use a schema name of ${bytes} bytes. Use 1 to ${MAX_SCHEMA_BYTES} bytes, without NUL.`,
  );
}

function readMaxConnections(max: number): number {
  if (Number.isSafeInteger(max) && max >= MIN_CONNECTIONS) return max;
  throw new WeftlineError(
    "POOL_TOO_SMALL",
    `Cannot work with as few connections: need >= ${MIN_CONNECTIONS}, got ${max}. One renews leases and one commits, so that neither ever waits; raise \`maxConnections\`.`,
  );
}
