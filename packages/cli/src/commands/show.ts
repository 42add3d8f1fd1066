import type { Command } from "commander";
import { EXIT_CODES, UsageError } from "../errors.js";
import { findRun } from "../find-run.js";
import { withHistory } from "../history.js";
import type { CliIo } from "../io.js";
import { detailsJson, readDetails } from "../report/run-details.js";
import { showReport } from "../report/show-report.js";
import { colorsFor } from "../text.js";
import { parseCount, RUN_ARGUMENT } from "./options.js";

interface ShowCommandOptions {
  readonly generation?: number;
  readonly json?: true;
  readonly stack?: true;
}

const HELP = `
Examples:
  weftline show pipelines.ts last
  weftline show pipelines.ts 01a2047f --generation 1
  weftline show pipelines.ts last --json | jq '.tasks[] | select(.status == "failed")'

Exit codes:
  0    the run was shown, however it ended
  2    the command line, the file or a definition is wrong, or there is no
       such run`;

/** Adds `weftline show`. */
export function addShowCommand(program: Command, io: CliIo, exit: (code: number) => void): void {
  program
    .command("show")
    .summary("show a run: its tasks, what it made, what failed")
    .description("Shows a run: its tasks with their attempts and steps, what it made, and what failed why.")
    .argument("<file>", "the file that exports the storage")
    .argument("<run>", RUN_ARGUMENT)
    .option("--generation <n>", "as it was before a rerun or a group's retry, from 1", parseCount)
    .option("--json", "print everything as one line of JSON")
    .option("--stack", "show the stacks of errors")
    .addHelpText("after", HELP)
    .action(async (path: string, given: string, { generation, json, stack }: ShowCommandOptions) => {
      await withHistory(path, io, async ({ engine }) => {
        const run = await findRun(engine, given);
        if (generation !== undefined && generation > run.generation) {
          throw new UsageError(`Run ${run.id} has no generation ${generation}: it is in generation ${run.generation}.`);
        }
        const details = await readDetails(engine, run, generation);
        const options = { colors: colorsFor(io), columns: io.columns, cwd: io.cwd, showStack: stack === true };
        io.stdout.write(json ? detailsJson(details, options.showStack) : showReport(details, Date.now(), options));
        if (run.status === "quarantined" && !json) {
          io.stdout.write(`\nOnce that is mended, go on with it: weftline resume ${path} ${run.id}\n`);
        }
      });
      exit(EXIT_CODES.succeeded);
    });
}
