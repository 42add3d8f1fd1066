import { type Command, InvalidArgumentError } from "commander";
import { type AttemptRecord, durationMs } from "weftline";
import { withSubPipelines } from "weftline/remote";
import { EXIT_CODES } from "../errors.js";
import { findRun } from "../find-run.js";
import { type History, withHistory } from "../history.js";
import type { CliIo } from "../io.js";
import { type Verified, verifyJson, verifyReport } from "../report/verify-report.js";
import { colorsFor } from "../text.js";
import { RUN_ARGUMENT } from "./options.js";

interface VerifyCommandOptions {
  readonly skew?: number;
  readonly json?: true;
}

/** Where clocks are set by a time server, a second is far more than they differ. */
const DEFAULT_SKEW_MS = 1_000;

const HELP = `
Examples:
  weftline verify pipelines.ts last
  weftline verify pipelines.ts 01a2047f --skew 5s
  weftline verify pipelines.ts last --json | jq '.violations[].why'

What is stored does not tell everything: what cannot be checked from it is
listed as not checked, with the reason.

Exit codes:
  0    nothing speaks against the run
  1    an invariant does not hold
  2    the command line, the file or a definition is wrong, or there is no
       such run`;

/** Adds `weftline verify`. */
export function addVerifyCommand(program: Command, io: CliIo, exit: (code: number) => void): void {
  program
    .command("verify")
    .summary("prove that what is stored of a run can have happened")
    .description("Holds what is stored of a run against what an engine promises: order, attempts, joins, its status.")
    .argument("<file>", "the file that exports the storage")
    .argument("<run>", RUN_ARGUMENT)
    .option("--skew <duration>", "how far clocks of engines may be apart (default: 1s, or 0 for a single engine)", skew)
    .option("--json", "print everything as one line of JSON")
    .option("--stack", "show the stacks of errors")
    .addHelpText("after", HELP)
    .action(async (path: string, given: string, options: VerifyCommandOptions) => {
      const verified = await withHistory(path, io, (history) => verify(history, given, options));
      io.stdout.write(options.json ? verifyJson(verified) : verifyReport(verified, colorsFor(io)));
      exit(verified.verdict.outcome === "violated" ? EXIT_CODES.failed : EXIT_CODES.succeeded);
    });
}

async function verify(
  { engine, storage, file }: History,
  given: string,
  options: VerifyCommandOptions,
): Promise<Verified> {
  const run = await findRun(engine, given);
  // No other command needs the checker.
  const { checkHistory, historyOf, shapesOf } = await import("@weftline/testing");
  const stored = await historyOf(storage, run.id);
  if (stored === undefined) throw new Error(`Run ${run.id} was deleted while it was read.`);
  const { history, shape, final } = stored;
  const own = shapesOf(withSubPipelines(file.pipelines)); // they say more than what is stored of them
  const verdict = checkHistory({
    source: "stored",
    history,
    witness: [],
    clients: [],
    faults: [],
    shapes: { ...(shape && { [shape.hash]: shape }), ...own },
    final: { at: Date.now(), runs: [final] },
    settings: { skewMs: options.skew ?? defaultSkew(final.attempts) },
  });
  return { run, verdict, knowsPipeline: own[run.definition] !== undefined };
}

function defaultSkew(attempts: readonly AttemptRecord[]): number {
  return attempts.some(({ engineId }) => engineId !== attempts[0]!.engineId) ? DEFAULT_SKEW_MS : 0;
}

function skew(text: string): number {
  try {
    return durationMs(text as never, "--skew");
  } catch (thrown) {
    throw new InvalidArgumentError((thrown as Error).message);
  }
}
