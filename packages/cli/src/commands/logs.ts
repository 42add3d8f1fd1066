import { setTimeout } from "node:timers/promises";
import type { Command } from "commander";
import { isRunFinished, type LogInfo, type LogLevel, taskName } from "weftline";
import { EXIT_CODES } from "../errors.js";
import { findRun } from "../find-run.js";
import { type History, withHistory } from "../history.js";
import type { CliIo } from "../io.js";
import { jsonLine } from "../json.js";
import { plainLine } from "../text.js";
import { checkOneOf, RUN_ARGUMENT } from "./options.js";
import { checkTask } from "./run-facts.js";

interface LogsCommandOptions {
  readonly task?: string;
  readonly level?: string;
  readonly follow?: true;
  readonly json?: true;
}

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];
const PAGE = 1_000;
const FOLLOW_MS = 500;

const HELP = `
Examples:
  weftline logs pipelines.ts last
  weftline logs pipelines.ts last --task train --level warn
  weftline logs pipelines.ts 01a2047f --follow

--follow goes on until the run has ended, and needs a storage that several
processes may use at once.

Exit codes:
  0    the lines were printed
  2    the command line, the file or a definition is wrong, or there is no
       such run
  130  Ctrl-C while following`;

/** Adds `weftline logs`. */
export function addLogsCommand(program: Command, io: CliIo, exit: (code: number) => void): void {
  program
    .command("logs")
    .summary("print what the tasks of a run logged")
    .description("Prints what the tasks of a run logged, in the order in which it was written.")
    .argument("<file>", "the file that exports the storage")
    .argument("<run>", RUN_ARGUMENT)
    .option("--task <id>", "only of this task")
    .option("--level <level>", `only lines at least as important: ${LEVELS.join(", ")}`)
    .option("-f, --follow", "print new lines until the run has ended")
    .option("--json", "print each line as a line of JSON")
    .option("--stack", "show the stacks of errors")
    .addHelpText("after", HELP)
    .action(async (path: string, given: string, options: LogsCommandOptions) => {
      if (options.level !== undefined) checkOneOf([options.level], LEVELS, "level");
      exit(await withHistory(path, io, (history) => printLogs(history, given, options, io)));
    });
}

async function printLogs(history: History, given: string, options: LogsCommandOptions, io: CliIo): Promise<number> {
  const { engine, storage } = history;
  const run = await findRun(engine, given);
  const { task, level } = options;
  if (task !== undefined) await checkTask(history, run, task);
  const query = {
    ...(task !== undefined && { task }),
    ...(level !== undefined && { level: LEVELS.slice(LEVELS.indexOf(level as LogLevel)) }),
  };
  const print = (line: LogInfo) => void io.stdout.write(options.json ? jsonLine(line) : textLine(line));
  const reader = newLines((page) => engine.runs.logs(run.id, query, page), print);
  const isOpen = async () => !isRunFinished((await engine.runs.get(run.id)).status);
  if (options.follow && !storage.supports.manyProcesses && (await isOpen())) {
    io.stderr.write("Cannot follow: one process at a time may use this storage. These are the lines so far.\n");
  } else if (options.follow) return follow(reader, isOpen, io);
  await reader();
  return EXIT_CODES.succeeded;
}

async function follow(read: () => Promise<void>, isOpen: () => Promise<boolean>, io: CliIo): Promise<number> {
  const ctrlC = new AbortController();
  const release = io.onInterrupt?.(() => ctrlC.abort());
  try {
    for (let goesOn = true; goesOn && !ctrlC.signal.aborted; ) {
      goesOn = await isOpen(); // before reading: what came after the last line is read too
      await read();
      if (goesOn) await setTimeout(FOLLOW_MS, undefined, { signal: ctrlC.signal }).catch(() => undefined);
    }
  } finally {
    release?.();
  }
  return ctrlC.signal.aborted ? EXIT_CODES.interrupted : EXIT_CODES.succeeded;
}

/** Hands out the lines that were not there when it was called before. */
function newLines(
  list: (page: { limit: number; cursor?: string }) => Promise<{ items: readonly LogInfo[]; next: string | undefined }>,
  print: (line: LogInfo) => void,
): () => Promise<void> {
  let cursor: string | undefined;
  let seen = 0;
  return async () => {
    for (;;) {
      const { items, next } = await list({ limit: PAGE, ...(cursor !== undefined && { cursor }) });
      items.slice(seen).forEach(print);
      seen = next === undefined ? items.length : 0;
      if (next === undefined) return;
      cursor = next;
    }
  };
}

function textLine({ at, task, index, attempt, level, message, data }: LogInfo): string {
  const where = `${taskName(task, index)}${attempt > 1 ? ` #${attempt}` : ""}`;
  const more = data === undefined ? "" : ` ${plainLine(jsonLine(data))}`;
  return `${new Date(at).toISOString()}  ${level.padEnd(5)}  ${where}  ${plainLine(message)}${more}\n`;
}
