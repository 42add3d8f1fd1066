import { spawnSync } from "node:child_process";
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { serverAccount, serverFolder } from "./account.js";
import { freePort, startService } from "./service.js";

export interface PgbouncerOptions {
  /** Of the server behind it. */
  readonly connectionString: string;
  /** Default: `transaction`. */
  readonly poolMode?: "session" | "transaction" | "statement";
  /** Connections to the server for each user and database. Default: 10. */
  readonly poolSize?: number;
  /** Other settings of the section `[pgbouncer]`. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface Pgbouncer {
  /** Of the same user and database, by way of the bouncer. */
  readonly connectionString: string;
  log(): string;
  /** Ends and removes it. */
  remove(): Promise<void>;
}

/** Debian installs it where only root looks. */
const program = ["pgbouncer", "/usr/sbin/pgbouncer"].find((path) => spawnSync(path, ["--version"]).status === 0);

/** Why there is no PgBouncer on this machine: the reason for which a test that needs one is skipped. */
export function missingPgbouncer(): string | undefined {
  return program === undefined ? "pgbouncer is not installed (Debian: apt-get install pgbouncer)" : undefined;
}

/** Starts a PgBouncer in front of a server; it does not outlive this process. */
export async function startPgbouncer(options: PgbouncerOptions): Promise<Pgbouncer> {
  const account = serverAccount();
  const folder = serverFolder("pgbouncer", account);
  const address = new URL(options.connectionString);
  const port = await freePort();
  const settings = join(folder, "pgbouncer.ini");
  writeFileSync(settings, iniText(options, address, port, folder));
  writeFileSync(join(folder, "users.txt"), `"${decodeURIComponent(address.username)}" "${passwordOf(address)}"\n`);
  for (const name of ["pgbouncer.ini", "users.txt"]) chmodSync(join(folder, name), 0o644);
  const service = await startService({
    ...account,
    command: program ?? "pgbouncer",
    args: [settings],
    folder,
    ready: /process up/,
    stopSignal: "SIGTERM",
  });
  address.hostname = "127.0.0.1";
  address.port = String(port);
  return {
    connectionString: address.href,
    log: service.log,
    async remove() {
      service.signal("SIGTERM");
      await service.ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function iniText(options: PgbouncerOptions, server: URL, port: number, folder: string): string {
  const { poolMode = "transaction", poolSize = 10 } = options;
  const settings = {
    listen_addr: "127.0.0.1",
    listen_port: String(port),
    unix_socket_dir: "",
    auth_type: "scram-sha-256",
    auth_file: join(folder, "users.txt"),
    pool_mode: poolMode,
    default_pool_size: String(poolSize),
    max_client_conn: "200",
    ...options.settings,
  };
  const target = `host=${server.hostname} port=${server.port || "5432"}`;
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  return `[databases]\n* = ${target}\n\n[pgbouncer]\n${lines.join("\n")}\n`;
}

function passwordOf(address: URL): string {
  return decodeURIComponent(address.password);
}
