import { createHash } from "node:crypto";
import type { Pool, PoolClient, PoolConfig, QueryResult } from "pg";
import { WeftlineError } from "weftline";
import { cancelQuery } from "./cancel.js";
import { Deadline, pause } from "./deadline.js";
import { codeOf, isAnswer, isConflict, isUnprepared, translated, WRONG_ISOLATION } from "./errors.js";
import { forSchema } from "./migrations.js";
import type { PostgresSettings } from "./options.js";

export type Row = Readonly<Record<string, unknown>>;

/** A statement and what to put in. In its text, `{schema}` stands for the schema's quoted name. */
export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
  /** It may be sent again when a connection was lost: sent twice, it does what it does once. */
  readonly isRepeatable?: boolean;
  /** There are too many of its kind to have each prepared. */
  readonly isVaried?: boolean;
}

/** Which connections: commits have one of their own, as no query of history may keep them waiting. */
export type Lane = "commits" | "others";

/** Two transactions are in each other's way for some milliseconds, not for seconds. */
const MAX_TRIES = 10;
const FIRST_RETRY_MS = 2;
const MAX_RETRY_MS = 200;
const IDLE_MS = 30_000;
const INT8_OID = 20;
const BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

interface KnownText {
  readonly text: string;
  /** Under which it is prepared. */
  readonly name?: string;
}

/** Connections of this storage's own, and how statements get to the database and back. */
export class Connections {
  readonly #settings: PostgresSettings;
  readonly #pools: Readonly<Record<Lane, Pool>>;
  readonly #texts = new Map<string, KnownText>();
  #isPreparing: boolean;
  /** Every call that changes something begins a transaction of its own, as the database's default is another than ours. */
  #isExplicit = false;

  private constructor(settings: PostgresSettings, pools: Readonly<Record<Lane, Pool>>) {
    this.#settings = settings;
    this.#pools = pools;
    this.#isPreparing = settings.preparedStatements !== false;
  }

  /** Nothing is connected before it is needed. @throws {WeftlineError} `DRIVER_MISSING`. */
  static async open(settings: PostgresSettings): Promise<Connections> {
    const driver = await loadDriver();
    const make = (max: number) => {
      const pool = new driver.Pool({ ...connectionConfig(driver, settings.connection), max, ...limits(settings) });
      // Without these, an idle connection that is cut off would end the host's process.
      pool.on("error", () => {});
      pool.on("connect", (client) => client.on("error", () => {}));
      return pool;
    };
    return new Connections(settings, { commits: make(1), others: make(settings.maxConnections - 2) });
  }

  async close(): Promise<void> {
    await Promise.all([this.#pools.commits.end(), this.#pools.others.end()]);
  }

  /** Runs one statement. Its conflicts with others are solved here; what it rejects with is meant for callers. */
  query(statement: Statement, lane: Lane = "others"): Promise<readonly Row[]> {
    return this.#persist(lane, (client, deadline) => this.#run(client, statement, deadline), statement.isRepeatable);
  }

  /** Calls a function that changes something: in a transaction of the right kind, whatever the database's default. */
  call(statement: Statement, lane: Lane = "others"): Promise<readonly Row[]> {
    return this.#persist(
      lane,
      async (client, deadline) => {
        if (!this.#isExplicit) return this.#run(client, statement, deadline);
        return this.#inTransaction(client, deadline, () => this.#run(client, statement, deadline));
      },
      statement.isRepeatable,
    );
  }

  /** Runs `work` in one transaction. @param isDry - It is rolled back at the end, whatever comes of it. */
  transaction<Result>(
    lane: Lane,
    work: (run: (statement: Statement) => Promise<readonly Row[]>) => Promise<Result>,
    isDry = false,
  ): Promise<Result> {
    return this.#persist(lane, (client, deadline) => {
      const run = (statement: Statement) => this.#run(client, statement, deadline);
      return this.#inTransaction(client, deadline, () => work(run), isDry);
    });
  }

  /** A statement's text as the database is given it. */
  inSchema(text: string): string {
    return forSchema(text, this.#settings.schema);
  }

  #known(text: string): KnownText {
    let known = this.#texts.get(text);
    if (known === undefined) {
      const inSchema = this.inSchema(text);
      known = { text: inSchema, name: nameOf(inSchema) };
      this.#texts.set(text, known);
    }
    return known;
  }

  async #persist<Result>(
    lane: Lane,
    work: (client: PoolClient, deadline: Deadline) => Promise<Result>,
    isRepeatable = false,
  ): Promise<Result> {
    const deadline = new Deadline(this.#settings.timeoutMs);
    let losses = 0;
    for (let tries = 1; ; tries++) {
      try {
        return await this.#once(lane, work, deadline);
      } catch (error) {
        const isLost = isRepeatable && !isAnswer(error) && !(error instanceof WeftlineError) && losses++ === 0;
        if (!isLost && !(tries < MAX_TRIES && this.#canRetry(error))) throw translated(error, this.#settings.schema);
      }
      const ms = Math.random() * Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** tries);
      if (ms >= deadline.remainingMs) throw deadline.error;
      await pause(ms);
    }
  }

  #canRetry(error: unknown): boolean {
    if (isConflict(error)) return true;
    // These two hold for all calls from now on; others may have found out at the same time.
    if (codeOf(error) === WRONG_ISOLATION) {
      this.#isExplicit = true;
      return true;
    }
    if (isUnprepared(error) && this.#settings.preparedStatements === "auto") {
      this.#isPreparing = false;
      return true;
    }
    return false;
  }

  async #once<Result>(
    lane: Lane,
    work: (client: PoolClient, deadline: Deadline) => Promise<Result>,
    deadline: Deadline,
  ): Promise<Result> {
    const connecting = this.#pools[lane].connect();
    const client = await deadline.limit(connecting).catch((error: unknown) => {
      // It may still come, and would be lost to the pool.
      connecting.then(
        (late) => late.release(),
        () => {},
      );
      throw error;
    });
    let isFit = false;
    try {
      const result = await work(client, deadline);
      isFit = true;
      return result;
    } catch (error) {
      isFit = isAnswer(error);
      if (error === deadline.error) cancelQuery(client);
      throw error;
    } finally {
      // One that may still be busy, or in a transaction, is of no use to anybody.
      client.release(!isFit);
    }
  }

  async #run(client: PoolClient, statement: Statement, deadline: Deadline): Promise<readonly Row[]> {
    const { values, isVaried = false } = statement;
    const { text, name } = isVaried ? { text: this.inSchema(statement.text) } : this.#known(statement.text);
    const config = { text, values: values as unknown[], ...(this.#isPreparing && name !== undefined && { name }) };
    const { rows }: QueryResult<Row> = await deadline.limit(client.query<Row>(config));
    return rows;
  }

  async #inTransaction<Result>(
    client: PoolClient,
    deadline: Deadline,
    work: () => Promise<Result>,
    isDry = false,
  ): Promise<Result> {
    await deadline.limit(client.query(BEGIN));
    try {
      const result = await work();
      const { command } = await deadline.limit(client.query(isDry ? "ROLLBACK" : "COMMIT"));
      if (!isDry && command !== "COMMIT") throw new Error("the database rolled the transaction back");
      return result;
    } catch (error) {
      // An answer leaves the connection in a transaction that has failed. When it cannot be ended it is thrown away.
      if (isAnswer(error)) await deadline.limit(client.query("ROLLBACK"));
      throw error;
    }
  }
}

export type Driver = typeof import("pg")["default"];

/** @throws {WeftlineError} `DRIVER_MISSING`. */
export async function loadDriver(): Promise<Driver> {
  try {
    const driver = await import("pg");
    return driver.default;
  } catch (cause) {
    throw new WeftlineError("DRIVER_MISSING", 'Cannot load the package "pg". Install it: `npm install pg`.', { cause });
  }
}

/** How each connection is made, whoever makes it. */
export function connectionConfig({ types }: Driver, connection: PoolConfig): PoolConfig {
  const getTypeParser = (oid: number, format?: "text" | "binary"): unknown =>
    // Moments and counts fit a number; what may not, is never read.
    oid === INT8_OID ? Number : types.getTypeParser(oid, format as "text");
  return { keepAlive: true, application_name: "weftline", ...connection, types: { getTypeParser } as never };
}

function limits({ timeoutMs }: PostgresSettings): PoolConfig {
  return {
    // Later than the call that waits for it gives up, so that all calls that are late say the same.
    connectionTimeoutMillis: timeoutMs + 1_000,
    idleTimeoutMillis: IDLE_MS,
    // Whether the process goes on is decided by what the engine has to do.
    allowExitOnIdle: true,
  };
}

/** By content: poolers hand connections round, and one name must never mean two statements. */
function nameOf(text: string): string {
  return `weftline_${createHash("sha256").update(text).digest("hex").slice(0, 32)}`;
}
