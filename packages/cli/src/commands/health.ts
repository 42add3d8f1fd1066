import type { Command } from "commander";
import type { StorageSchema } from "weftline";
import { type FleetHealth, fleetHealth, unusable } from "../fleet-health.js";
import { type History, withHistory } from "../history.js";
import type { CliIo } from "../io.js";
import { healthJson, healthReport } from "../report/health-report.js";
import { colorsFor } from "../text.js";

/** What the command ends with. 2 means the same as everywhere. */
const HEALTH_EXIT_CODES = { green: 0, degraded: 1, red: 3 } as const;

const MAX_QUARANTINED = 100;

const HELP = `
Examples:
  weftline health pipelines.ts
  weftline health pipelines.ts --json | jq -r '.reasons[].message'

What storage shows: which engines are alive, and what nobody takes care of.
How an engine is inside, such as whether its writes are confirmed, its own
process alone knows: engine.health().

Exit codes:
  0    green: all is well
  1    degraded: the work is done, and somebody should look
  2    the command line, the file or a definition is wrong
  3    red: the work is not done`;

/** Adds `weftline health`. */
export function addHealthCommand(program: Command, io: CliIo, exit: (code: number) => void): void {
  program
    .command("health")
    .summary("say whether the engines on a storage do their work")
    .description("Says whether engines on the storage of a file are alive and do all that is to be done.")
    .argument("<file>", "the file that exports the storage")
    .option("--json", "print it as one line of JSON")
    .option("--stack", "show the stacks of errors")
    .addHelpText("after", HELP)
    .action(async (path: string, { json }: { readonly json?: true }) => {
      const health = await withHistory(path, io, healthOf);
      io.stdout.write(json ? healthJson(health) : healthReport(health, colorsFor(io)));
      exit(HEALTH_EXIT_CODES[health.status]);
    });
}

async function healthOf({ engine, storage }: History): Promise<FleetHealth> {
  try {
    const missing = await missingSchema(storage); // a probe is not what makes or changes a database
    if (missing !== undefined) return unusable({ kind: "schema", message: missing });
    const health = await engine.health();
    if (health.survey === undefined) return fleetHealth({ health, schedules: [], quarantined: [] });
    const { items } = await engine.runs.list({ status: ["quarantined"] }, { limit: MAX_QUARANTINED });
    return fleetHealth({ health, schedules: await storage.schedules(), quarantined: items.map(({ id }) => id) });
  } catch (error) {
    return unusable({ kind: "storage", message: `Storage does not answer: ${(error as Error).message}` });
  }
}

async function missingSchema({ schema }: History["storage"]): Promise<string | undefined> {
  if (schema === undefined) return undefined;
  const version = await versionOf(schema);
  if (version >= schema.version) return undefined;
  const what = version === 0 ? "There is no schema in the database yet" : `The schema is at version ${version}`;
  return `SCHEMA_OUTDATED: ${what}, and version ${schema.version} is needed. The first engine that starts makes it, or weftline migrate does.`;
}

async function versionOf(schema: StorageSchema): Promise<number> {
  try {
    return await schema.current();
  } finally {
    await schema.close();
  }
}
