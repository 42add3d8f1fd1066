import { spawnSync } from "node:child_process";
import { chownSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The user a server runs as; empty: the same as this process. */
export interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

/** Postgres and PgBouncer refuse to run as root. Nothing of the machine is changed for them: every system has `nobody`. */
export function serverAccount(): Account {
  if (process.getuid?.() !== 0) return {};
  const found = ["postgres", "nobody"].map(accountOf).find((account) => account !== undefined);
  if (found === undefined) throw new Error("Servers do not run as root, and there is no user postgres or nobody here.");
  return found;
}

function accountOf(user: string): Account | undefined {
  const [uid, gid] = ["-u", "-g"].map((option) => {
    const { status, stdout } = spawnSync("id", [option, user], { encoding: "utf8" });
    return status === 0 ? Number(stdout) : undefined;
  });
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}

/** A folder in the system's temporary one that belongs to `account` and is closed to all others. */
export function serverFolder(name: string, { uid, gid }: Account): string {
  const folder = mkdtempSync(join(tmpdir(), `weftline-${name}-`));
  if (uid !== undefined && gid !== undefined) chownSync(folder, uid, gid);
  return folder;
}
