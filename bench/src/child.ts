import { type ExecFileException, execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Probes } from "./measure.js";

/** What came of something that may fail or take too long. */
export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  /**
   * @property why - A few words for a table.
   * @property output - What it wrote all the same.
   */
  | { readonly ok: false; readonly why: string; readonly output?: string };

type Request<Name extends keyof Probes> = Parameters<Probes[Name]>[0];
type Sample<Name extends keyof Probes> = Awaited<ReturnType<Probes[Name]>>;

const MEASURE = fileURLToPath(new URL("measure.js", import.meta.url));
const LIMIT_MS = 120_000;
const MAX_OUTPUT_BYTES = 64 * 1_024 * 1_024;

/** Takes one measurement in a process of its own, which is ended after `limitMs`. */
export async function probe<Name extends keyof Probes>(
  name: Name,
  request: Request<Name>,
  limitMs = LIMIT_MS,
): Promise<Outcome<Sample<Name>>> {
  const args = ["--expose-gc", MEASURE, name, JSON.stringify(request ?? {})];
  const result = await run(process.execPath, args, { limitMs });
  return result.ok ? { ok: true, value: (JSON.parse(result.value) ?? undefined) as Sample<Name> } : result;
}

export interface RunOptions {
  readonly limitMs?: number;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Who runs it, where that is somebody else. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** Runs a program. @returns What it wrote to its standard output. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome<string>> {
  const { limitMs = LIMIT_MS, uid, gid, ...rest } = options;
  return new Promise((resolve) => {
    execFile(
      program,
      args,
      {
        ...rest,
        ...(uid !== undefined && { uid }),
        ...(gid !== undefined && { gid }),
        timeout: limitMs,
        killSignal: "SIGKILL",
        maxBuffer: MAX_OUTPUT_BYTES,
        // On Windows npm is a .cmd file, which only a shell can start.
        shell: process.platform === "win32" && program === "npm",
      },
      (error, stdout, stderr) =>
        resolve(
          error ? { ok: false, why: reasonOf(error, stderr, limitMs), output: stdout } : { ok: true, value: stdout },
        ),
    );
  });
}

function reasonOf(error: ExecFileException, stderr: string, limitMs: number): string {
  if (error.killed) return `stopped after ${limitMs / 1_000} s`;
  const named = /^(?:\w*Error|FATAL ERROR)\b.*$/m.exec(stderr)?.[0];
  return named ?? `failed with ${error.signal ?? `exit code ${error.code}`}`;
}
