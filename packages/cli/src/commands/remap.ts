import { type Command, InvalidArgumentError } from "commander";
import { beginRemap, type TaskMoves } from "../begin.js";
import { UsageError } from "../errors.js";
import type { CliIo } from "../io.js";
import { addExecuteOptions, addShowOptions, EXIT_HELP, type ExecuteOptions, execute } from "./execute.js";
import { collect, RUN_ARGUMENT } from "./options.js";
import { again } from "./resume.js";

interface RemapCommandOptions extends ExecuteOptions {
  readonly task?: readonly string[];
  readonly drop?: readonly string[];
}

const HELP = `
Examples:
  weftline remap pipelines.ts last
  weftline remap pipelines.ts 01a2047f --task fetch=download --drop audit

For a run that was made with another version of its pipeline, and that no
engine can go on with, or that failed under it. What its tasks did goes to the
tasks of the same ids, or of those given with --task, and is not done again.
Nothing is changed as long as it is not clear what becomes of a task that did
something. What the versions differ in: weftline diff pipelines.ts --run last
${EXIT_HELP}`;

/** Adds `weftline remap`. */
export function addRemapCommand(program: Command, io: CliIo, exit: (code: number) => void): void {
  const command = program
    .command("remap")
    .summary("carry a run over to the pipeline as it is now, and go on with it")
    .description("Carries a run over to the version of its pipeline that the file has, and goes on with it here.")
    .argument("<file>", "the file that exports the pipeline and its storage")
    .argument("<run>", RUN_ARGUMENT)
    .option("--task <old=new>", "what a task is called now (repeatable)", collectMove)
    .option("--drop <task>", "forget what this task did (repeatable)", collect);
  addShowOptions(addExecuteOptions(command))
    .addHelpText("after", HELP)
    .action(async (path: string, given: string, options: RemapCommandOptions) => {
      const tasks = movesOf(options);
      exit(
        await execute(path, options, io, (file) =>
          again(file, given, (host, run, pipelines) => beginRemap(host, run, pipelines, tasks)),
        ),
      );
    });
}

function collectMove(text: string, before?: readonly string[]): readonly string[] {
  if (/^[^=]+=[^=]+$/.test(text)) return collect(text, before);
  throw new InvalidArgumentError("Give the old and the new id, as old=new.");
}

function movesOf({ task = [], drop = [] }: RemapCommandOptions): TaskMoves {
  const moves = new Map<string, string | null>();
  const add = (from: string, to: string | null): void => {
    if (moves.has(from)) throw new UsageError(`Say once what becomes of task "${from}".`);
    moves.set(from, to);
  };
  for (const move of task) {
    const [from, to] = move.split("=", 2);
    add(from!, to!);
  }
  for (const from of drop) add(from, null);
  return Object.fromEntries(moves);
}
