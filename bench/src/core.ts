/** Measures the chosen groups, prints their tables, and writes the figures as JSON and, when asked to, the pages in docs of what was measured. */
import { writeFile } from "node:fs/promises";
import { documentOf, type GroupResult, NOTHING_MEASURED, type Results } from "./document.js";
import { PAGES } from "./groups.js";
import { describeMachine } from "./machine.js";
import { progress } from "./progress.js";
import { asText } from "./render.js";
import { type Group, nothingMeasured, type Report, targetTable } from "./report.js";
import { HELP, readSettings, type Settings } from "./settings.js";

const DOCS = new URL("../../docs/", import.meta.url);

await main();

async function main(): Promise<void> {
  const settings = trySettings();
  if (settings === "invalid") process.exitCode = 2;
  else if (settings === "help") console.log(HELP);
  else await measureAll(settings);
}

function trySettings(): Settings | "help" | "invalid" {
  try {
    return readSettings(process.argv.slice(2)) ?? "help";
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    return "invalid";
  }
}

async function measureAll(settings: Settings): Promise<void> {
  const at = new Date();
  const machine = await describeMachine();
  const groups: GroupResult[] = [];
  for (const group of settings.groups) groups.push(await measureGroup(group, settings));
  const { command, isQuick, runs } = settings;
  await save({ at, command, isQuick, runs, machine, groups }, settings);
}

async function measureGroup(group: Group, settings: Settings): Promise<GroupResult> {
  const report = await group.measure(settings).catch((error: unknown) => failed(group, error));
  console.log(`\n# ${group.title}\n`);
  for (const table of report.tables) console.log(`${asText(table)}\n`);
  if (report.tables.length === 0) console.log(`  ${NOTHING_MEASURED}\n`);
  return { name: group.name, title: group.title, ...report };
}

/** What the other groups found is not lost with one that fails. */
function failed({ name }: Group, error: unknown): Report {
  console.error(error);
  process.exitCode = 1;
  const failure = error instanceof Error ? error.message : String(error);
  return nothingMeasured(name, failure);
}

async function save(results: Results, { json, writesDocs }: Settings): Promise<void> {
  console.log(asText(targetTable(results.groups.flatMap(({ targets }) => targets))));
  if (results.isQuick) console.log("\n  A quick run judges nothing.");
  await writeFile(json, `${JSON.stringify(results, null, 2)}\n`);
  progress(`wrote ${json}`);
  if (!writesDocs) return;
  for (const page of PAGES) {
    if (!results.groups.some(({ name }) => page.groups.some((group) => group.name === name))) continue;
    await writeFile(new URL(page.file, DOCS), documentOf(page, results));
    progress(`wrote docs/${page.file}`);
  }
}
