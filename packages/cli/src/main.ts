import { Command, CommanderError } from "commander";
import packageJson from "../package.json" with { type: "json" };
import { addDiffCommand } from "./commands/diff.js";
import { addExplainCommand } from "./commands/explain.js";
import { addGraphCommand } from "./commands/graph.js";
import { addHealthCommand } from "./commands/health.js";
import { addLogsCommand } from "./commands/logs.js";
import { addMessageCommands } from "./commands/messages.js";
import { addMigrateCommand } from "./commands/migrate.js";
import { addPruneCommand } from "./commands/prune.js";
import { addRemapCommand } from "./commands/remap.js";
import { addRerunCommand, addResumeCommand } from "./commands/resume.js";
import { addRunCommand } from "./commands/run.js";
import { addRunsCommand } from "./commands/runs.js";
import { addShowCommand } from "./commands/show.js";
import { addVerifyCommand } from "./commands/verify.js";
import { describeThrown, EXIT_CODES, isUsageError } from "./errors.js";
import type { CliIo } from "./io.js";

/**
 * Runs the `weftline` command.
 *
 * @param argv - The arguments, without the program's own name.
 * @returns The exit code; it never rejects.
 */
export async function main(argv: readonly string[], io: CliIo): Promise<number> {
  let exitCode: number = EXIT_CODES.succeeded;
  const program = makeProgram(io, (code) => {
    exitCode = code;
  });
  try {
    if (argv.length === 0) program.help({ error: true });
    await program.parseAsync(argv, { from: "user" });
    return exitCode;
  } catch (thrown) {
    // Commander has said what is wrong already; it throws for --help and --version too.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT_CODES.succeeded : EXIT_CODES.usage;
    io.stderr.write(`${describeThrown(thrown, argv.includes("--stack"))}\n`);
    return isUsageError(thrown) ? EXIT_CODES.usage : EXIT_CODES.failed;
  }
}

function makeProgram(io: CliIo, exit: (code: number) => void): Command {
  const program = new Command("weftline")
    .description("Runs and inspects Weftline pipelines from a terminal.")
    .version(packageJson.version, "-V, --version", "print the version")
    .helpOption("-h, --help", "show this text")
    .helpCommand("help [command]", "show the help of a command")
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      getOutHelpWidth: () => io.columns,
      getErrHelpWidth: () => io.columns,
    })
    .addHelpText("after", "\nMore about a command and its exit codes: weftline <command> --help");
  addRunCommand(program, io, exit);
  addGraphCommand(program, io, exit);
  addRunsCommand(program, io, exit);
  addShowCommand(program, io, exit);
  addLogsCommand(program, io, exit);
  addExplainCommand(program, io, exit);
  addVerifyCommand(program, io, exit);
  addResumeCommand(program, io, exit);
  addRerunCommand(program, io, exit);
  addRemapCommand(program, io, exit);
  addMessageCommands(program, io, exit);
  addPruneCommand(program, io, exit);
  addDiffCommand(program, io, exit);
  addHealthCommand(program, io, exit);
  addMigrateCommand(program, io, exit);
  return program;
}
