import type { Command } from "commander";
import { RUN_STATUSES, type RunQuery, type RunStatus } from "weftline";
import { EXIT_CODES } from "../errors.js";
import { withHistory } from "../history.js";
import type { CliIo } from "../io.js";
import { jsonLine, withoutStack } from "../json.js";
import { listAll } from "../pages.js";
import { runsTable } from "../report/runs-table.js";
import { colorsFor } from "../text.js";
import { checkOneOf, parseCount, parseList } from "./options.js";

interface RunsCommandOptions {
  readonly pipeline?: string;
  readonly status?: readonly string[];
  readonly tag?: string;
  readonly limit: number;
  readonly json?: true;
}

const HELP = `
Examples:
  weftline runs pipelines.ts
  weftline runs pipelines.ts --pipeline nightly --status failed,cancelled
  weftline runs pipelines.ts --tag eu --limit 5 --json

The file exports, beside its pipelines, the "storage" that keeps their runs, or
an "engine" with one: { storage }.

Exit codes:
  0    the runs were listed
  2    the command line, the file or a definition is wrong`;

/** Adds `weftline runs`. */
export function addRunsCommand(program: Command, io: CliIo, exit: (code: number) => void): void {
  program
    .command("runs")
    .summary("list runs, newest first")
    .description("Lists the runs in the storage of a file, newest first.")
    .argument("<file>", "the file that exports the storage")
    .option("--pipeline <id>", "only runs of this pipeline")
    .option("--status <list>", "only runs with one of these statuses, separated by commas", parseList)
    .option("--tag <tag>", "only runs with this tag")
    .option("--limit <n>", "how many", parseCount, 20)
    .option("--json", "print each run as a line of JSON")
    .option("--stack", "show the stacks of errors")
    .addHelpText("after", HELP)
    .action(async (path: string, options: RunsCommandOptions) => {
      const { pipeline, status = [], tag, limit } = options;
      checkOneOf(status, RUN_STATUSES, "status");
      const query: RunQuery = {
        ...(pipeline !== undefined && { pipeline }),
        ...(tag !== undefined && { tag }),
        ...(status.length > 0 && { status: status as readonly RunStatus[] }),
      };
      await withHistory(path, io, async ({ engine }) => {
        const runs = await listAll((page) => engine.runs.list(query, page), limit);
        if (!options.json) io.stdout.write(runsTable(runs, Date.now(), io.columns, colorsFor(io)));
        else for (const run of runs) io.stdout.write(jsonLine({ ...run, error: run.error && withoutStack(run.error) }));
      });
      exit(EXIT_CODES.succeeded);
    });
}
