import { type ChildProcess, spawn } from "node:child_process";

export interface Lifeline {
  /** The program's standard error so far. */
  readonly said: () => string;
  /** Ends the program and deletes its folder. */
  cut(): Promise<void>;
}

export interface LifelineOptions {
  /** Deleted, with all that is in it, when the program is gone. */
  readonly folder: string;
  /** What tells the program to end at once. */
  readonly signal: "QUIT" | "TERM";
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** As much of its standard error as says why it did not start. */
const MOST_SAID = 10_000;

/**
 * The shell waits on a pipe that only this process holds: when it ends, in whatever way, SIGKILL included, the pipe
 * closes, the program is ended and its folder deleted. The program must not hold that pipe itself.
 */
const SCRIPT = `signal=$1; folder=$2; shift 2
"$@" </dev/null &
read -r _
kill -s "$signal" $! 2>/dev/null
wait
rm -rf "$folder"`;

/** Starts a program that does not outlive this process. */
export function start(program: string, args: readonly string[], options: LifelineOptions): Lifeline {
  const { folder, signal, uid, gid } = options;
  const shell = spawn("sh", ["-c", SCRIPT, "sh", signal, folder, program, ...args], {
    cwd: folder,
    // A group of its own: Ctrl-C must not end the shell before it has cleaned up.
    detached: true,
    stdio: ["pipe", "ignore", "pipe"],
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
  });
  let said = "";
  shell.stderr.setEncoding("utf8").on("data", (text: string) => {
    if (said.length < MOST_SAID) said += text;
  });
  shell.stdin.on("error", () => {});
  shell.on("error", (error) => {
    said += error.message;
  });
  return { said: () => said, cut: () => cut(shell) };
}

function cut(shell: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (shell.exitCode !== null || shell.pid === undefined) return resolve();
    shell.once("exit", () => resolve());
    shell.stdin?.end();
  });
}
