import type { Command } from "commander";
import { beginNew } from "../begin.js";
import type { CliIo } from "../io.js";
import { choosePipeline } from "../load-pipelines.js";
import { readParams } from "../params.js";
import { addExecuteOptions, addShowOptions, EXIT_HELP, type ExecuteOptions, execute } from "./execute.js";
import { collect } from "./options.js";

interface RunCommandOptions extends ExecuteOptions {
  readonly params?: string;
  readonly param?: readonly string[];
  readonly key?: string;
  readonly tag?: readonly string[];
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
its [Symbol.asyncDispose]() or [Symbol.dispose]() is called in the end.
An export named "storage" (a Storage, or a function that returns one) keeps the
run for the other commands, and one named "engine" has further options for
createEngine, such as { storage, executors, resources, pools }. Without them
the run lives in memory, and all executors run inside this process. Schedules
do not fire, and of the runs in the storage no other is taken up.
${EXIT_HELP}`;

/** Adds `weftline run`. */
export function addRunCommand(program: Command, io: CliIo, exit: (code: number) => void): void {
  const command = program
    .command("run")
    .summary("run a pipeline and show its progress")
    .description("Runs a pipeline of a TypeScript or JavaScript file, shows its progress, and tells how it went.")
    .argument("<file>", "the file that exports the pipeline")
    .argument("[pipeline]", "its id; not needed when the file exports only one")
    .option("--params <json>", "the params as JSON, or @file with JSON in it")
    .option("-p, --param <key=value>", "one param; its value is JSON or else text (repeatable)", collect);
  addExecuteOptions(command)
    .option("--key <key>", "the run's idempotency key, which tasks can read")
    .option("--tag <tag>", "a tag of the run (repeatable)", collect);
  addShowOptions(command)
    .addHelpText("after", HELP)
    .action(async (path: string, id: string | undefined, options: RunCommandOptions) => {
      const prepare: Parameters<typeof execute>[3] = (file) => {
        const pipeline = choosePipeline(file, id);
        const params = readParams({ ...options, pairs: options.param ?? [], cwd: io.cwd });
        return (host) => beginNew(host, { pipeline, params, key: options.key, tags: options.tag ?? [] });
      };
      exit(await execute(path, options, io, prepare));
    });
}
