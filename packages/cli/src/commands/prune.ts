import type { Command } from "commander";
import { type Duration, durationMs } from "weftline";
import { EXIT_CODES } from "../errors.js";
import { withHistory } from "../history.js";
import type { CliIo } from "../io.js";
import { count, moment } from "../text.js";

const HELP = `
Examples:
  weftline prune pipelines.ts --older-than 30d

A run that has not ended stays, and so does one whose parent or child has not.
Engines on a durable storage do the same in the background, for what is older
than their option retention says (30 days), once they have run for some time.

Exit codes:
  0    they are gone
  2    the command line, the file or a definition is wrong`;

/** Adds `weftline prune`. */
export function addPruneCommand(program: Command, io: CliIo, exit: (code: number) => void): void {
  program
    .command("prune")
    .summary("delete runs that ended long ago")
    .description("Deletes the runs that ended longer ago, with all their history, some at a time.")
    .argument("<file>", "the file that exports the storage")
    .requiredOption("--older-than <duration>", "how long ago, such as 12h or 30d")
    .option("--stack", "show the stacks of errors")
    .addHelpText("after", HELP)
    .action(async (path: string, options: { readonly olderThan: Duration }) => {
      const keepMs = durationMs(options.olderThan, "--older-than");
      await withHistory(path, io, async ({ engine }) => {
        const before = moment(Date.now() - keepMs);
        const deleted = await engine.prune({ olderThan: keepMs });
        io.stdout.write(`Deleted ${count(deleted, "run")} that ended before ${before}.\n`);
      });
      exit(EXIT_CODES.succeeded);
    });
}
