import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { GROUPS } from "./groups.js";
import type { Effort, Group } from "./report.js";

export interface Settings extends Effort {
  readonly groups: readonly Group[];
  /** Where the figures go as JSON. */
  readonly json: string;
  readonly writesDocs: boolean;
  /** What measures the same again, without where the figures go. */
  readonly command: string;
}

const RESULTS = fileURLToPath(new URL("../results.json", import.meta.url));
const RUNS = 3;
const QUICK_RUNS = 2;

// npm runs a package's scripts in the package's folder, and says here where the caller is.
const CALLER_FOLDER = process.env.INIT_CWD ?? process.cwd();

export const HELP = `Measures what Weftline costs, beside its peers in the same run.

Usage: npm run bench -- [options]

  --only <group,…>  measure these groups: ${GROUPS.map(({ name }) => name).join(", ")}
  --quick           small sizes and few repetitions: shows that the program works, its figures mean nothing
  --runs <n>        how many processes stand behind each figure (default: ${RUNS}, quick: ${QUICK_RUNS})
  --json <file>     where the figures go, every sample included (default: bench/results.json)
  --write-docs      write the pages in docs of what was measured
  --help            show this text`;

/** @returns Nothing when help is asked for. @throws {TypeError} Says which argument is wrong. */
export function readSettings(args: readonly string[]): Settings | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", multiple: true, default: [] },
      quick: { type: "boolean", default: false },
      runs: { type: "string" },
      json: { type: "string" },
      "write-docs": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const effort: Effort = {
    isQuick: values.quick,
    runs: values.runs === undefined ? (values.quick ? QUICK_RUNS : RUNS) : count(values.runs),
  };
  const groups = chosen(values.only.flatMap((names) => names.split(",")));
  return {
    ...effort,
    groups,
    json: values.json === undefined ? RESULTS : resolve(CALLER_FOLDER, values.json),
    writesDocs: values["write-docs"],
    command: commandOf(groups, effort),
  };
}

function commandOf(groups: readonly Group[], { isQuick, runs }: Effort): string {
  const options = [
    ...(groups.length < GROUPS.length ? [`--only ${groups.map(({ name }) => name).join(",")}`] : []),
    ...(isQuick ? ["--quick"] : []),
    ...(runs === (isQuick ? QUICK_RUNS : RUNS) ? [] : [`--runs ${runs}`]),
    "--write-docs",
  ];
  return `npm run bench -- ${options.join(" ")}`;
}

function chosen(names: readonly string[]): readonly Group[] {
  if (names.length === 0) return GROUPS;
  const unknown = names.find((name) => GROUPS.every((group) => group.name !== name));
  if (unknown !== undefined) throw new TypeError(`Cannot measure "${unknown}": no such group`);
  return GROUPS.filter(({ name }) => names.includes(name));
}

function count(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1) return number;
  throw new TypeError(`Cannot take --runs "${text}": give a whole number from 1`);
}
