import type { Command } from "commander";
import { diffPipelines, type Pipeline, type PipelineDescription, type PipelineDiff } from "weftline";
import { withSubPipelines } from "weftline/remote";
import { EXIT_CODES, UsageError } from "../errors.js";
import { findRun } from "../find-run.js";
import { withHistory } from "../history.js";
import type { CliIo } from "../io.js";
import { jsonLine } from "../json.js";
import { choosePipeline, loadPipelines } from "../load-pipelines.js";
import { type Colors, colorsFor, plainLine, plainLines } from "../text.js";

interface DiffCommandOptions {
  readonly pipeline?: string;
  readonly run?: string;
  readonly json?: true;
}

/** What a comparison is between; `undefined` where one side has no such pipeline. */
interface Pair {
  readonly id: string;
  readonly before: Pipeline | PipelineDescription | undefined;
  readonly after: Pipeline | PipelineDescription | undefined;
}

const HELP = `
Examples:
  weftline diff old/pipelines.ts pipelines.ts
  weftline diff old/pipelines.ts pipelines.ts --pipeline nightly
  weftline diff pipelines.ts --run last

A run can be resumed only where the definition is compatible with the one it
was made with.

Exit codes:
  0    nothing differs
  1    something differs
  2    the command line, a file or a definition is wrong, or there is no such
       run`;

/** Adds `weftline diff`. */
export function addDiffCommand(program: Command, io: CliIo, exit: (code: number) => void): void {
  program
    .command("diff")
    .summary("compare pipelines of two files, or with what a run ran with")
    .description("Compares the tasks and edges of pipelines: those of two files, or one with the graph a run ran with.")
    .argument("<file>", "the file with the definitions before; with --run, those of now")
    .argument("[other]", "the file with the definitions after")
    .option("--pipeline <id>", "compare only this pipeline")
    .option("--run <id>", "compare what this run ran with, and the definition in the file now")
    .option("--json", "print the differences as JSON")
    .option("--stack", "show the stacks of errors")
    .addHelpText("after", HELP)
    .action(async (path: string, other: string | undefined, options: DiffCommandOptions) => {
      const pairs = await pairsOf(path, other, options, io);
      const diffs = pairs.map((pair) => ({ pair, diff: diffOf(pair) }));
      for (const { pair, diff } of diffs) {
        const facts = { pipeline: pair.id, in: sidesOf(pair), ...(diff && { ...diff, text: undefined }) };
        io.stdout.write(options.json ? jsonLine(facts) : diffText(pair, diff, pairs.length > 1, colorsFor(io)));
      }
      exit(diffs.every(({ diff }) => diff?.equal) ? EXIT_CODES.succeeded : EXIT_CODES.failed);
    });
}

async function pairsOf(
  path: string,
  other: string | undefined,
  { run, pipeline }: DiffCommandOptions,
  io: CliIo,
): Promise<readonly Pair[]> {
  if (run !== undefined && other !== undefined) throw new UsageError("Give another file or --run, not both.");
  if (run !== undefined) return [await pairOfRun(path, run, io)];
  if (other === undefined) {
    throw new UsageError("Say what to compare with: a second file, or --run <id> for what a run ran with.");
  }
  const [a, b] = [await loadPipelines(path, io.cwd), await loadPipelines(other, io.cwd)];
  const isOne = a.pipelines.length === 1 && b.pipelines.length === 1;
  if (pipeline !== undefined || isOne) {
    const [before, after] = [choosePipeline(a, pipeline), choosePipeline(b, pipeline)];
    return [{ id: after.id, before, after }];
  }
  const ids = [...new Set([...a.pipelines, ...b.pipelines].map(({ id }) => id))];
  const named = (pipelines: readonly Pipeline[], id: string) => pipelines.find((one) => one.id === id);
  return ids.map((id) => ({ id, before: named(a.pipelines, id), after: named(b.pipelines, id) }));
}

function pairOfRun(path: string, given: string, io: CliIo): Promise<Pair> {
  return withHistory(path, io, async ({ engine, file }) => {
    const run = await findRun(engine, given);
    const after = withSubPipelines(file.pipelines).find(({ id }) => id === run.pipeline);
    if (after === undefined) {
      throw new UsageError(
        `PIPELINE_UNKNOWN: ${file.name} does not export "${run.pipeline}", the pipeline of run ${run.id}.`,
      );
    }
    return { id: after.id, before: await engine.runs.graph(run.id), after };
  });
}

function diffOf({ before, after }: Pair): PipelineDiff | undefined {
  return before && after && diffPipelines(before, after);
}

function sidesOf({ before, after }: Pair): string {
  return before === undefined ? "after" : after === undefined ? "before" : "both";
}

function diffText({ id, before }: Pair, diff: PipelineDiff | undefined, isOneOfMany: boolean, colors: Colors): string {
  if (diff === undefined) return before ? colors.red(`- pipeline ${id}\n`) : colors.green(`+ pipeline ${id}\n`);
  const styles: Readonly<Record<string, (text: string) => string>> = {
    "+": colors.green,
    "-": colors.red,
    "~": colors.yellow,
  };
  const lines = plainLines(diff.text).map((line) => (styles[line[0] ?? ""] ?? String)(plainLine(line)));
  const verdict = diff.compatible
    ? "Runs of the one can go on under the other."
    : "Runs of the one cannot go on under the other.";
  return [...(isOneOfMany ? [`${id}:`] : []), ...lines, ...(diff.equal ? [] : [verdict]), ""].join("\n");
}
