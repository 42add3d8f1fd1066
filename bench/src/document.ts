import type { Page } from "./groups.js";
import type { Machine } from "./machine.js";
import { asMarkdown } from "./render.js";
import { type Report, targetTable } from "./report.js";

/** A whole run of the program. */
export interface Results {
  readonly at: Date;
  readonly command: string;
  readonly isQuick: boolean;
  readonly runs: number;
  readonly machine: Machine;
  readonly groups: readonly GroupResult[];
}

export interface GroupResult extends Report {
  readonly name: string;
  readonly title: string;
}

export const NOTHING_MEASURED = "Nothing was measured; the targets say why.";

/** A page of what was measured of its groups. */
export function documentOf(page: Page, results: Results): string {
  const groups = results.groups.filter(({ name }) => page.groups.some((group) => group.name === name));
  const leftOut = page.groups.map(({ name }) => name).filter((name) => groups.every((group) => group.name !== name));
  const targets = groups.flatMap((group) => group.targets);
  const parts = [
    `# ${page.title}`,
    INTRODUCTION,
    ...warnings(results, leftOut),
    machineList(results),
    "## Targets",
    targets.length > 0 ? withoutHeading(asMarkdown(targetTable(targets))) : "None of these groups has a target.",
    ...groups.flatMap(({ title, tables }) => [`## ${title}`, ...tablesOf(tables.map(asMarkdown))]),
  ];
  return `${parts.join("\n\n")}\n`;
}

const INTRODUCTION = `What Weftline costs, beside its peers. All figures are of one run of the program in [bench](../bench/README.md), which wrote this page: every contender on the same machine, in turns, in processes of their own, with tasks that do next to nothing. Figures are medians; a target is judged by the figure as it was measured.`;

function warnings({ isQuick }: Results, leftOut: readonly string[]): string[] {
  return [
    ...(isQuick
      ? ["**This was a quick run**: its sizes are small, its figures show only that the program works."]
      : []),
    ...(leftOut.length > 0 ? [`**Not everything was measured**: ${leftOut.join(", ")} are left out.`] : []),
  ];
}

function machineList({ at, command, runs, machine }: Results): string {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  return [
    `- Command: \`${command}\`, ${runs} ${runs === 1 ? "process" : "processes"} for each figure`,
    `- Date: ${at.toISOString().slice(0, 10)}`,
    `- Machine: ${machine.cpu}, ${machine.cores} cores, ${(machine.memory / 2 ** 30).toFixed(1)} GiB of memory, ${machine.system}`,
    `- Node ${machine.node}`,
    `- Versions: ${versions.join(", ")}`,
  ].join("\n");
}

function tablesOf(tables: readonly string[]): readonly string[] {
  return tables.length > 0 ? tables : [NOTHING_MEASURED];
}

function withoutHeading(table: string): string {
  return table.slice(table.indexOf("|"));
}
