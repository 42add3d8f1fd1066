import { type Command, Option } from "commander";
import { type Pipeline, toDot, toMermaid } from "weftline";
import { EXIT_CODES } from "../errors.js";
import { listGraph } from "../graph-listing.js";
import type { CliIo } from "../io.js";
import { choosePipeline, loadPipelines } from "../load-pipelines.js";
import { plainLines } from "../text.js";

const FORMATS = { tree: listGraph, mermaid: toMermaid, dot: toDot } satisfies Record<string, (of: Pipeline) => string>;
type Format = keyof typeof FORMATS;

const HELP = `
Examples:
  weftline graph pipelines.ts
  weftline graph pipelines.ts nightly --format mermaid
  weftline graph pipelines.ts nightly --format dot | dot -Tsvg > nightly.svg

In the tree "←" names what a task waits for: in parentheses what it does not
read, and as "gate = deploy" the choice of a branch.

Exit codes:
  0    the pipeline was shown
  2    the command line, the file or a definition is wrong`;

/** Adds `weftline graph`. */
export function addGraphCommand(program: Command, io: CliIo, exit: (code: number) => void): void {
  program
    .command("graph")
    .summary("show the tasks of a pipeline and what they wait for")
    .description("Shows the tasks of a pipeline and what they wait for, without running anything.")
    .argument("<file>", "the file that exports the pipeline")
    .argument("[pipeline]", "its id; not needed when the file exports only one")
    .addOption(new Option("-f, --format <format>", "how to show it").choices(Object.keys(FORMATS)).default("tree"))
    .option("--stack", "show the stacks of errors")
    .addHelpText("after", HELP)
    .action(async (file: string, id: string | undefined, { format }: { format: Format }) => {
      const pipeline = choosePipeline(await loadPipelines(file, io.cwd), id);
      io.stdout.write(plainLines(FORMATS[format](pipeline)).join("\n"));
      exit(EXIT_CODES.succeeded);
    });
}
