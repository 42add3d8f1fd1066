/** The commands that say something to a run. They take no run up: its owner applies what they leave. */
import type { Command } from "commander";
import { isRunFinished, type RunInfo } from "weftline";
import { EXIT_CODES, UsageError } from "../errors.js";
import { findRun } from "../find-run.js";
import { type History, withHistory } from "../history.js";
import type { CliIo } from "../io.js";
import { readParams } from "../params.js";
import { parseIndex, RUN_ARGUMENT } from "./options.js";
import { checkTask } from "./run-facts.js";

interface CancelCommandOptions {
  readonly task?: string;
  readonly index?: readonly number[];
  readonly downstream?: true;
  readonly reason?: string;
}

const EXIT_HELP = `
The command takes no run up: it leaves a message, and the engine that has the
run applies it, or the next one that takes it up (weftline resume).

Exit codes:
  0    the message was left
  2    the command line, the file or a definition is wrong, there is no such
       run, or it has ended`;

type Exit = (code: number) => void;

/** Adds `weftline cancel`, `pause`, `unpause`, `signal` and `delete`. */
export function addMessageCommands(program: Command, io: CliIo, exit: Exit): void {
  addCancelCommand(program, io, exit);
  addPauseCommands(program, io, exit);
  addSignalCommand(program, io, exit);
  addDeleteCommand(program, io, exit);
}

function addCancelCommand(program: Command, io: CliIo, exit: Exit): void {
  const examples = `
Examples:
  weftline cancel pipelines.ts last --reason "wrong day"
  weftline cancel pipelines.ts 01a2047f --task train --index 3
  weftline cancel pipelines.ts 01a2047f --task train --downstream
`;
  messageCommand(program, "cancel", "cancel a run, or one task of it", "Cancels a run, or one task or item of it.")
    .option("--task <id>", "cancel this task, or group, alone")
    .option("--index <n>", "one item of the task, such as 3, or 3,0 in a list of lists", parseIndex)
    .option("--downstream", "with everything that depends on the task")
    .option("--reason <text>", "why, for the history")
    .option("--stack", "show the stacks of errors")
    .addHelpText("after", examples + EXIT_HELP)
    .action(async (path: string, given: string, options: CancelCommandOptions) => {
      const { task, index, downstream, reason } = options;
      if (task === undefined && (index || downstream)) throw new UsageError("Name the task as well: --task <id>.");
      await withHistory(path, io, async (history) => {
        const run = await openRun(history, given, "cancel");
        if (task !== undefined) await checkTask(history, run, task);
        const isSent = await history.engine.runs.cancel(run.id, {
          ...(task !== undefined && { task }),
          ...(index !== undefined && { index }),
          ...(downstream && { downstream }),
          ...(reason !== undefined && { reason }),
        });
        if (!isSent) throw hasEnded(await history.engine.runs.get(run.id), "cancel");
        await tell(history, run, `cancel${task === undefined ? "" : ` of "${task}"`}`, io);
      });
      exit(EXIT_CODES.succeeded);
    });
}

function addPauseCommands(program: Command, io: CliIo, exit: Exit): void {
  const kinds = [
    [
      "pause",
      "let nothing start in a run until it is unpaused",
      "Lets nothing start in a run; what runs goes on to its end.",
    ],
    ["unpause", "go on with a paused run", "Goes on with a paused run."],
  ] as const;
  for (const [kind, summary, description] of kinds) {
    messageCommand(program, kind, summary, description)
      .option("--stack", "show the stacks of errors")
      .addHelpText("after", `\nExamples:\n  weftline ${kind} pipelines.ts last\n${EXIT_HELP}`)
      .action(async (path: string, given: string) => {
        await withHistory(path, io, async (history) => {
          const run = await openRun(history, given, kind);
          if (!(await history.engine.runs[kind](run.id))) throw hasEnded(await history.engine.runs.get(run.id), kind);
          await tell(history, run, kind, io);
        });
        exit(EXIT_CODES.succeeded);
      });
  }
}

function addSignalCommand(program: Command, io: CliIo, exit: Exit): void {
  const examples = `
Examples:
  weftline signal pipelines.ts last approve --payload '{"by":"ann"}'
  weftline signal pipelines.ts last approve --payload @answer.json
`;
  messageCommand(
    program,
    "signal",
    "send a payload to a task that waits for it",
    "Sends a payload to a task that waits for a signal.",
  )
    .argument("<task>", "the task that waits, or will")
    .option("--payload <json>", "what it is sent, as JSON or @file")
    .option("--stack", "show the stacks of errors")
    .addHelpText("after", examples + EXIT_HELP)
    .action(async (path: string, given: string, task: string, { payload }: { payload?: string }) => {
      const params = payload === undefined ? {} : { params: payload };
      const value = readParams({ ...params, pairs: [], cwd: io.cwd });
      await withHistory(path, io, async (history) => {
        const run = await openRun(history, given, "signal");
        await checkTask(history, run, task);
        await history.engine.runs.signal(run.id, task, value);
        await tell(history, run, `signal to "${task}"`, io);
      });
      exit(EXIT_CODES.succeeded);
    });
}

function addDeleteCommand(program: Command, io: CliIo, exit: Exit): void {
  const help = `
Examples:
  weftline delete pipelines.ts 01a2047f-e559-759f-9350-fb49330ac00d

Exit codes:
  0    the run and its history are gone
  2    the command line, the file or a definition is wrong, there is no such
       run, or it has not ended`;
  messageCommand(
    program,
    "delete",
    "delete a finished run with its history",
    "Deletes a finished run with its history, and the runs that its tasks started.",
  )
    .option("--stack", "show the stacks of errors")
    .addHelpText("after", help)
    .action(async (path: string, given: string) => {
      await withHistory(path, io, async ({ engine }) => {
        const run = await findRun(engine, given);
        await engine.runs.delete(run.id);
        io.stdout.write(`Deleted run ${run.id} of pipeline "${run.pipeline}".\n`);
      });
      exit(EXIT_CODES.succeeded);
    });
}

function messageCommand(program: Command, name: string, summary: string, description: string): Command {
  return program
    .command(name)
    .summary(summary)
    .description(description)
    .argument("<file>", "the file that exports the storage")
    .argument("<run>", RUN_ARGUMENT);
}

/** @throws {UsageError} for a run that has ended. */
async function openRun({ engine }: History, given: string, what: string): Promise<RunInfo> {
  const run = await findRun(engine, given);
  if (isRunFinished(run.status)) throw hasEnded(run, what);
  return run;
}

function hasEnded({ id, status }: RunInfo, what: string): UsageError {
  return new UsageError(`RUN_FINISHED: Cannot ${what} run ${id} as it has ended: its status is ${status}.`);
}

/** Who will do it. */
async function tell({ storage, path }: History, { id }: RunInfo, what: string, io: CliIo): Promise<void> {
  const owner = (await storage.getRun(id))?.owner;
  const who =
    owner === undefined
      ? `No engine has the run now: the next one that takes it up applies it, here with: weftline resume ${path} ${id}`
      : `Its owner, engine ${owner}, applies it.`;
  io.stdout.write(`Left a message for run ${id}: ${what}. ${who}\n`);
}
