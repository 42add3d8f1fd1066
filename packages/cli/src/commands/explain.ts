import type { Command } from "commander";
import type { RunExplanation } from "weftline";
import { EXIT_CODES } from "../errors.js";
import { findRun } from "../find-run.js";
import { withHistory } from "../history.js";
import type { CliIo } from "../io.js";
import { jsonLine } from "../json.js";
import { STATUS_STYLES } from "../progress/status-style.js";
import { type Colors, colorsFor, plainLine } from "../text.js";
import { parseIndex, RUN_ARGUMENT } from "./options.js";
import { checkTask } from "./run-facts.js";

interface ExplainCommandOptions {
  readonly index?: readonly number[];
  readonly json?: true;
}

const HELP = `
Examples:
  weftline explain pipelines.ts last
  weftline explain pipelines.ts last train --index 3
  weftline explain pipelines.ts 01a2047f --json

Exit codes:
  0    it was explained
  2    the command line, the file or a definition is wrong, or there is no
       such run or task`;

/** Adds `weftline explain`. */
export function addExplainCommand(program: Command, io: CliIo, exit: (code: number) => void): void {
  program
    .command("explain")
    .summary("say why a run, or a task of it, stands where it stands")
    .description(
      "Says why a run has not ended, or ended as it did; of a task why it has not started, or what became of it.",
    )
    .argument("<file>", "the file that exports the pipeline and its storage")
    .argument("<run>", RUN_ARGUMENT)
    .argument("[task]", "the task; without it, all that keeps or decided the run")
    .option("--index <n>", "one item of the task, such as 3, or 3,0 in a list of lists", parseIndex)
    .option("--json", "print the reasons as JSON")
    .option("--stack", "show the stacks of errors")
    .addHelpText("after", HELP)
    .action(async (path: string, given: string, task: string | undefined, options: ExplainCommandOptions) => {
      await withHistory(path, io, async (history) => {
        const { engine } = history;
        const run = await findRun(engine, given);
        if (task !== undefined) await checkTask(history, run, task);
        if (task === undefined) {
          const explanation = await engine.runs.explain(run.id);
          return void io.stdout.write(options.json ? jsonLine(explanation) : runText(explanation, colorsFor(io)));
        }
        const explanation = await engine.runs.explain(run.id, task, options.index ?? []);
        const { status, sentence } = explanation;
        io.stdout.write(options.json ? jsonLine(explanation) : line(status, sentence, "", colorsFor(io)));
      });
      exit(EXIT_CODES.succeeded);
    });
}

/** The run in a line, and each of its tasks in one below. */
function runText({ status, tasks, sentence }: RunExplanation, colors: Colors): string {
  const told = tasks.map((task) => task.sentence).join(" ");
  const own = sentence.endsWith(told) ? sentence.slice(0, sentence.length - told.length) : sentence;
  const lines = tasks.map((task) => line(task.status, task.sentence, "  ", colors));
  return [line(status, own, "", colors), ...lines].join("");
}

function line(status: keyof typeof STATUS_STYLES, sentence: string, indent: string, colors: Colors): string {
  const { symbol, style } = STATUS_STYLES[status];
  return `${indent}${colors[style](symbol)} ${plainLine(sentence)}\n`;
}
