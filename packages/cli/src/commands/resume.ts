import type { Command } from "commander";
import type { Pipeline, RunInfo } from "weftline";
import { beginAgain, beginRerun } from "../begin.js";
import { closest } from "../closest.js";
import { UsageError } from "../errors.js";
import { findRun } from "../find-run.js";
import { durableStorage } from "../history.js";
import type { CliIo } from "../io.js";
import type { LoadedFile } from "../load-pipelines.js";
import { readParams } from "../params.js";
import type { RunRequest } from "../run-here.js";
import { addExecuteOptions, addShowOptions, EXIT_HELP, type ExecuteOptions, execute } from "./execute.js";
import { parseList, RUN_ARGUMENT } from "./options.js";

interface RerunCommandOptions extends ExecuteOptions {
  readonly from: readonly string[];
  readonly only?: true;
  readonly params?: string;
}

const RESUME_HELP = `
Examples:
  weftline resume pipelines.ts last
  weftline resume pipelines.ts 01a2047f-e559-759f-9350-fb49330ac00d --artifacts out

A run that failed or was cancelled goes on from the point of failure, and what
succeeded is not run again. So does a run that lost its process.
${EXIT_HELP}`;

/** Adds `weftline resume`. */
export function addResumeCommand(program: Command, io: CliIo, exit: (code: number) => void): void {
  const command = program
    .command("resume")
    .summary("go on with a run that failed, was cancelled or lost its process")
    .description("Goes on with a run from the point of failure, here, to its end.")
    .argument("<file>", "the file that exports the pipeline and its storage")
    .argument("<run>", RUN_ARGUMENT);
  addShowOptions(addExecuteOptions(command))
    .addHelpText("after", RESUME_HELP)
    .action(async (path: string, given: string, options: ExecuteOptions) => {
      exit(await execute(path, options, io, (file) => again(file, given, beginAgain)));
    });
}

const RERUN_HELP = `
Examples:
  weftline rerun pipelines.ts last --from train
  weftline rerun pipelines.ts last --from train,report --only
  weftline rerun pipelines.ts 01a2047f --from fetch --params '{"day":"2026-11-23"}'

What the tasks did before stays in history as an earlier generation:
weftline show pipelines.ts last --generation 1
${EXIT_HELP}`;

/** Adds `weftline rerun`. */
export function addRerunCommand(program: Command, io: CliIo, exit: (code: number) => void): void {
  const command = program
    .command("rerun")
    .summary("run tasks of a finished run again")
    .description("Runs tasks of a finished run again, here, with everything that depends on them.")
    .argument("<file>", "the file that exports the pipeline and its storage")
    .argument("<run>", RUN_ARGUMENT)
    .requiredOption("--from <tasks>", "the tasks, or groups, to run again, separated by commas", parseList)
    .option("--only", "run these alone, and nothing that depends on them")
    .option("--params <json>", "other params for the run from now on, as JSON or @file");
  addShowOptions(addExecuteOptions(command))
    .addHelpText("after", RERUN_HELP)
    .action(async (path: string, given: string, options: RerunCommandOptions) => {
      const { from, only = false } = options;
      const prepare = (file: LoadedFile) => {
        const params = readParams({ ...options, pairs: [], cwd: io.cwd });
        return again(file, given, (host, run, pipelines) => {
          checkTasks(from, run, pipelines);
          return beginRerun(host, run, pipelines, { from, only, params });
        });
      };
      exit(await execute(path, options, io, prepare));
    });
}

/** @throws {UsageError} when the file has no storage in which runs could be. */
export async function again(file: LoadedFile, given: string, begin: typeof beginAgain): Promise<RunRequest["begin"]> {
  await durableStorage(file);
  return async (host) => begin(host, await findRun(host.engine, given), file.pipelines);
}

function checkTasks(from: readonly string[], run: RunInfo, pipelines: readonly Pipeline[]): void {
  const pipeline = pipelines.find(({ hash }) => hash === run.definition);
  const unknown = pipeline && from.find((task) => !pipeline.plan.positions.has(task));
  if (unknown === undefined) return;
  const meant = closest(unknown, pipeline!.taskIds);
  const hint =
    meant === undefined ? `It has ${pipeline!.taskIds.slice(0, 20).join(", ")}.` : `Did you mean "${meant}"?`;
  throw new UsageError(`TASK_UNKNOWN: Pipeline "${run.pipeline}" has no task "${unknown}". ${hint}`);
}
