import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { postgresStorage } from "@weftline/storage-postgres";
import pg from "pg";
import { isRunFinished, type Logger, type Storage } from "weftline";
import { type PostgresServer, startPostgres } from "../services/postgres.js";
import { HostProcess } from "./host-process.js";
import { judge, type Verdict } from "./judge.js";
import { PostgresProxy } from "./postgres-proxy.js";

const SCHEMA = "faults";
const KEYS_AT_ONCE = 2;
const PAUSE_MS = 40;
const END_WITHIN_MS = 60_000;
const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Engines in processes of their own, a server of their own, and between them a network that can fail. */
export class World {
  readonly server: PostgresServer;
  readonly proxy: PostgresProxy;
  /** Each flush is one statement, or with `serializable` a transaction with a COMMIT. Both by way of the proxy. */
  readonly engines: { readonly plain: HostProcess; readonly serializable: HostProcess };
  /** Runs nothing, and knows another way to the server. */
  readonly client: HostProcess;
  /** Of this process, past the proxy. */
  readonly storage: Storage;
  readonly #folder: string;
  #keys = 0;

  private constructor(parts: Pick<World, "server" | "proxy" | "engines" | "client" | "storage">, folder: string) {
    this.server = parts.server;
    this.proxy = parts.proxy;
    this.engines = parts.engines;
    this.client = parts.client;
    this.storage = parts.storage;
    this.#folder = folder;
  }

  static async start(): Promise<World> {
    const folder = mkdtempSync(join(tmpdir(), "weftline-database-faults-"));
    // What it confirmed has to outlive its processes; power is not lost here.
    const server = await startPostgres({ settings: { synchronous_commit: "on" } });
    try {
      return await World.#around(server, folder);
    } catch (error) {
      await server.remove();
      rmSync(folder, { recursive: true });
      throw error;
    }
  }

  static async #around(server: PostgresServer, folder: string): Promise<World> {
    const { connectionString } = server;
    const storage = postgresStorage({ connectionString, schema: SCHEMA, listen: false });
    await storage.open({ log: SILENT, now: Date.now });
    const proxy = await PostgresProxy.start(connectionString);
    const host = (name: string, where: string, more: { readonly serializable?: boolean } = {}) =>
      HostProcess.start({
        ...{ name, schema: SCHEMA, connectionString: where, witness: join(folder, "witness"), ...more },
        runs: name !== "client",
      });
    const [plain, serializable, client] = await Promise.all([
      host("plain", proxy.connectionString),
      host("serializable", proxy.connectionString, { serializable: true }),
      host("client", connectionString),
    ]);
    return new World({ server, proxy, engines: { plain, serializable }, client, storage }, folder);
  }

  get hosts(): readonly HostProcess[] {
    return [this.engines.plain, this.engines.serializable, this.client];
  }

  /** How often calls of the engines failed with this code. */
  failures(code: string): number {
    return this.hosts.reduce((sum, { counts }) => sum + (counts.failures[code] ?? 0), 0);
  }

  /** What the engines complained of, one line each at least. */
  get complaints(): string {
    const logged = ((): string => {
      try {
        return readFileSync(join(this.#folder, "witness.errors"), "utf8");
      } catch {
        return "";
      }
    })();
    return logged + this.hosts.map(({ complaints }) => complaints).join("");
  }

  /** Keys that were not used before. */
  newKeys(count: number): readonly string[] {
    return Array.from({ length: count }, () => `key-${++this.#keys}`);
  }

  /**
   * Triggers runs from all sides while `work` goes on, heals everything, waits until every run has ended and judges them.
   *
   * @throws When a run does not end.
   */
  async underLoad(work: () => Promise<void>): Promise<Verdict> {
    const runs = new Map<string, string>();
    let isOver = false;
    const stream = async (host: HostProcess) => {
      while (!isOver) {
        for (const [key, id] of await host.trigger(this.newKeys(KEYS_AT_ONCE))) runs.set(key, id);
        await sleep(PAUSE_MS);
      }
    };
    const streams = Promise.all(this.hosts.map(stream));
    try {
      // Once without a fault: whatever is made when it is first needed is there.
      await until(() => runs.size > this.hosts.length * KEYS_AT_ONCE, "runs are triggered");
      await work();
    } finally {
      isOver = true;
      await this.heal();
    }
    await streams;
    await this.ended(runs.values());
    return judge(this.storage, join(this.#folder, "witness"), runs);
  }

  /** Waits until these runs have ended. */
  async ended(ids: Iterable<string>): Promise<void> {
    const left = new Set(ids);
    await until(
      async () => {
        for (const id of left) {
          const run = await this.storage.getRun(id).catch(() => undefined);
          if (run === undefined || !isRunFinished(run.status)) return false;
          left.delete(id);
        }
        return true;
      },
      () => `${left.size} runs end, such as ${[...left][0]}\n${this.complaints}`,
    );
  }

  async heal(): Promise<void> {
    this.proxy.disarm();
    this.proxy.latencyMs = 0;
    await this.proxy.accept();
  }

  /** One statement of an administrator, past the proxy. */
  async ask<Row extends object>(sql: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    const client = new pg.Client({ connectionString: this.server.connectionString });
    client.on("error", () => {});
    await client.connect();
    try {
      const { rows } = await client.query<Row & pg.QueryResultRow>(sql, [...values]);
      return rows;
    } finally {
      await client.end();
    }
  }

  async stop(): Promise<void> {
    await this.heal();
    await Promise.all(this.hosts.map((host) => host.stop()));
    await this.storage.close();
    await this.proxy.stop();
    await this.server.remove();
    rmSync(this.#folder, { recursive: true });
  }
}

/** @throws When it does not become true within a minute. */
export async function until(isTrue: () => boolean | Promise<boolean>, what: string | (() => string)): Promise<void> {
  for (const end = performance.now() + END_WITHIN_MS; performance.now() < end; await sleep(20))
    if (await isTrue()) return;
  throw new Error(`not within ${END_WITHIN_MS} ms: ${typeof what === "string" ? what : what()}`);
}
