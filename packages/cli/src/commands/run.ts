import { resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { prepareFolder } from "../artifacts.js";
import type { CliIo } from "../io.js";
import { choosePipeline, loadPipelines } from "../load-pipelines.js";
import { readParams } from "../params.js";
import { type RunEnd, type RunOptions, runPipeline } from "../run-pipeline.js";

interface RunCommandOptions extends RunOptions {
  readonly params?: string;
  readonly param?: readonly string[];
  readonly artifacts?: string;
}

const HELP = `
Examples:
  weftline run pipelines.ts
  weftline run pipelines.ts nightly -p day=2026-11-22 -p limit=5
  weftline run pipelines.ts nightly --params '{"day":"2026-11-22"}'
  weftline run pipelines.ts nightly --params @params.json --artifacts out
  weftline run pipelines.ts --json | jq 'select(.event == "outcome").result'

The file is TypeScript or JavaScript and needs no build. Pipelines are what it
exports: by name, as default or in lists. An export named "resources" (an
object, or a function that returns one) is handed to the tasks as resources;
its [Symbol.asyncDispose]() or [Symbol.dispose]() is called in the end. All
executors run inside this process, and schedules do not fire.

Exit codes:
  0    the run succeeded
  1    the run failed
  2    the command line, the file, the params or a definition is wrong
  3    the run was cancelled
  130  Ctrl-C: the first cancels the run and waits for its tasks to stop,
       the second exits at once`;

/** Adds `weftline run`. */
export function addRunCommand(program: Command, io: CliIo, exit: (code: number) => void): void {
  program
    .command("run")
    .summary("run a pipeline and show its progress")
    .description("Runs a pipeline of a TypeScript or JavaScript file, shows its progress, and tells how it went.")
    .argument("<file>", "the file that exports the pipeline")
    .argument("[pipeline]", "its id; not needed when the file exports only one")
    .option("--params <json>", "the params as JSON, or @file with JSON in it")
    .option("-p, --param <key=value>", "one param; its value is JSON or else text (repeatable)", collect)
    .option("--concurrency <n>", "how many tasks run at once (default: 64)", parseCount)
    .option("--artifacts <dir>", "write the files the tasks made into this folder")
    .option("--key <key>", "the run's idempotency key, which tasks can read")
    .option("--tag <tag>", "a tag of the run (repeatable)", collect)
    .option("--json", "print events as lines of JSON, the outcome as the last")
    .option("-q, --quiet", "print nothing but what failed; with --json nothing but the outcome")
    .option("--stack", "show the stacks of errors")
    .addHelpText("after", HELP)
    .action(async (file: string, pipeline: string | undefined, options: RunCommandOptions) => {
      exit(await run(file, pipeline, options, io));
    });
}

async function run(file: string, id: string | undefined, options: RunCommandOptions, io: CliIo): Promise<number> {
  // What the file and its tasks print must not end up between the lines of JSON.
  const release = options.json ? io.captureOutput?.((text) => io.stderr.write(text)) : undefined;
  try {
    const loaded = await loadPipelines(file, io.cwd);
    const pipeline = choosePipeline(loaded, id);
    const params = readParams({ ...options, pairs: options.param ?? [], cwd: io.cwd });
    const folder = options.artifacts === undefined ? undefined : resolve(io.cwd, options.artifacts);
    if (folder !== undefined) prepareFolder(folder);
    const resources = await loaded.loadResources();
    let end: RunEnd | undefined;
    try {
      end = await runPipeline({ pipeline, pipelines: loaded.pipelines, params, resources, folder }, options, io);
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

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

function parseCount(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new InvalidArgumentError("Give a whole number from 1.");
}
