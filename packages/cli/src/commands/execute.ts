import { resolve } from "node:path";
import type { Command } from "commander";
import { prepareFolder } from "../artifacts.js";
import type { CliIo } from "../io.js";
import type { LoadedFile } from "../load-pipelines.js";
import { loadPipelines } from "../load-pipelines.js";
import { type RunEnd, type RunOptions, type RunRequest, runHere } from "../run-here.js";
import { parseCount } from "./options.js";

/** The options of every command that runs something. */
export interface ExecuteOptions extends RunOptions {
  readonly artifacts?: string;
}

export const EXIT_HELP = `
Exit codes:
  0    the run succeeded
  1    the run failed
  2    the command line, the file, the params or a definition is wrong
  3    the run was cancelled
  130  Ctrl-C: the first cancels the run and waits for its tasks to stop,
       the second exits at once`;

export function addExecuteOptions(command: Command): Command {
  return command
    .option("--concurrency <n>", "how many tasks run at once (default: 64)", parseCount)
    .option("--artifacts <dir>", "write the files the tasks made into this folder");
}

export function addShowOptions(command: Command): Command {
  return command
    .option("--json", "print events as lines of JSON, the outcome as the last")
    .option("-q, --quiet", "print nothing but what failed; with --json nothing but the outcome")
    .option("--stack", "show the stacks of errors");
}

/**
 * Loads the file, lends its resources, and runs here what `prepare` says.
 *
 * @param prepare - Checks everything that can be wrong before anything starts.
 */
export async function execute(
  path: string,
  options: ExecuteOptions,
  io: CliIo,
  prepare: (file: LoadedFile) => Promise<RunRequest["begin"]> | RunRequest["begin"],
): Promise<number> {
  // What the file and its tasks print must not end up between the lines of JSON.
  const release = options.json ? io.captureOutput?.((text) => io.stderr.write(text)) : undefined;
  try {
    const file = await loadPipelines(path, io.cwd);
    const begin = await prepare(file);
    const folder = options.artifacts === undefined ? undefined : resolve(io.cwd, options.artifacts);
    if (folder !== undefined) prepareFolder(folder);
    const engineOptions = await file.loadEngineOptions();
    const resources = await file.loadResources();
    let end: RunEnd | undefined;
    try {
      const { pipelines } = file;
      end = await runHere({ pipelines, engineOptions, resources, folder, begin }, options, io);
      return end.exitCode;
    } finally {
      // Closing what tasks still use could take as long as they do.
      if (!end?.isAbandoned) await dispose(resources);
    }
  } finally {
    release?.();
  }
}

async function dispose(resources: Partial<AsyncDisposable & Disposable>): Promise<void> {
  if (Symbol.asyncDispose in resources) await resources[Symbol.asyncDispose]?.();
  else resources[Symbol.dispose]?.();
}
