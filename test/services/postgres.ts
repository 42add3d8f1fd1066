import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Account, serverAccount, serverFolder } from "./account.js";
import { type PostgresBinaries, type PostgresOrigin, postgresBinaries } from "./postgres-binaries.js";
import { freePort, type Service, startService } from "./service.js";

export interface PostgresOptions {
  /** Default: what is installed on the machine, else the one from npm. */
  readonly origin?: PostgresOrigin | undefined;
  /** Server settings on top of those below. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A Postgres server of one's own, empty, which does not outlive this process. */
export interface PostgresServer {
  /** Of a superuser. */
  readonly connectionString: string;
  readonly version: string;
  /** Where its programs are from, for people. */
  readonly origin: string;
  /** The end of its log. */
  log(): string;
  /**
   * Ends the server and leaves its data. `fast`: open transactions are rolled back; `immediate`: as a crash of all its
   * processes.
   */
  shutDown(mode?: "fast" | "immediate"): Promise<void>;
  /** After `shutDown`: on the same port with the same data. */
  start(): Promise<void>;
  /** Ends the server and removes it. */
  remove(): Promise<void>;
}

// Durable for nobody: the data goes away with the server.
const SETTINGS = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "300",
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  lc_messages: "C",
};
const READY = /database system is ready to accept connections/;

/** Makes a server in a temporary folder and starts it, which takes about two seconds. */
export async function startPostgres({ origin, settings }: PostgresOptions = {}): Promise<PostgresServer> {
  const account = serverAccount();
  const folder = serverFolder("postgres", account);
  try {
    const binaries = postgresBinaries(account, join(folder, "programs"), origin);
    return await new LocalPostgres(binaries, account, folder, { ...SETTINGS, ...settings }).prepared();
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

class LocalPostgres implements PostgresServer {
  readonly version: string;
  readonly origin: string;
  readonly #programs: string;
  readonly #account: Account;
  readonly #folder: string;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #password = randomBytes(16).toString("hex");
  #port = 0;
  #service: Service | undefined;

  constructor(
    { folder: programs, version, origin }: PostgresBinaries,
    account: Account,
    folder: string,
    settings: Readonly<Record<string, string>>,
  ) {
    this.version = version;
    this.origin = origin;
    this.#programs = programs;
    this.#account = account;
    this.#folder = folder;
    this.#settings = settings;
  }

  get connectionString(): string {
    return `postgresql://postgres:${this.#password}@127.0.0.1:${this.#port}/postgres`;
  }

  async prepared(): Promise<this> {
    const passwordFile = join(this.#folder, "password");
    writeFileSync(passwordFile, `${this.#password}\n`, { mode: 0o644 });
    const options = [
      ...[`--pgdata=${join(this.#folder, "data")}`, "--username=postgres", `--pwfile=${passwordFile}`],
      ...["--auth=password", "--locale=C", "--encoding=UTF8", "--no-sync"],
    ];
    await promisify(execFile)(join(this.#programs, "initdb"), options, { cwd: this.#folder, ...this.#account });
    for (let tries = 1; ; tries++) {
      this.#port = await freePort();
      try {
        await this.start();
        return this;
      } catch (error) {
        // Somebody else was faster.
        if (tries === 3 || !String(error).includes("Address already in use")) throw error;
      }
    }
  }

  log(): string {
    return this.#service?.log() ?? "";
  }

  async start(): Promise<void> {
    const settings = Object.entries({ port: String(this.#port), ...this.#settings });
    this.#service = await startService({
      ...this.#account,
      command: join(this.#programs, "postgres"),
      args: ["-D", join(this.#folder, "data"), ...settings.flatMap(([name, value]) => ["-c", `${name}=${value}`])],
      folder: this.#folder,
      ready: READY,
      stopSignal: "SIGQUIT",
    });
  }

  async shutDown(mode: "fast" | "immediate" = "fast"): Promise<void> {
    this.#service?.signal(mode === "fast" ? "SIGINT" : "SIGQUIT");
    await this.#service?.ended;
  }

  async remove(): Promise<void> {
    await this.shutDown("immediate");
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
