import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { tempProject } from "./temp-project.js";

export const BIN = fileURLToPath(new URL("../../bin/weftline.js", import.meta.url));
const MODULES = fileURLToPath(new URL("../../../../node_modules", import.meta.url));

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A project that keeps its runs in SQLite, with all packages installed as built, and the command in it. */
export interface SqliteProject {
  readonly cwd: string;
  /** Runs the command in a process of its own to its end. */
  weftline(...args: string[]): Outcome;
  /** Starts the command, and waits until it has printed this. */
  started(args: readonly string[], printed: string): Promise<ChildProcess>;
  /** Runs a script that may import what is installed. */
  script(source: string): string;
}

/** @param files - By name; `weftline.db` beside them is the storage of those that export it. */
export function sqliteProject(files: Readonly<Record<string, string>>): SqliteProject {
  const cwd = tempProject(files);
  symlinkSync(MODULES, join(cwd, "node_modules"));
  const run = (args: readonly string[]): Outcome => {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: "utf8", timeout: 30_000 });
    return { code: status, out: stable(stdout), err: stable(stderr) };
  };
  return {
    cwd,
    weftline: (...args) => run([BIN, ...args]),
    started: async (args, printed) => {
      const child = spawn(process.execPath, [BIN, ...args], { cwd, stdio: ["ignore", "pipe", "inherit"] });
      onTestFinished(() => void child.kill("SIGKILL"));
      let out = "";
      for await (const text of child.stdout.setEncoding("utf8").iterator({ destroyOnReturn: false })) {
        out += text;
        if (out.includes(printed)) return child;
      }
      throw new Error(`it ended without "${printed}":\n${out}`);
    },
    script: (source) => {
      const { code, out, err } = run(["--input-type=module", "--eval", source]);
      if (code !== 0) throw new Error(err);
      return out;
    },
  };
}

export async function killed(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** What differs from run to run is replaced. */
function stable(text: string): string {
  return text
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}/g, "<run>")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "<moment>")
    .replace(/ *\b\d+(\.\d+)?m?s\b/g, " <time>");
}
