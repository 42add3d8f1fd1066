import { seedFromEnvironment } from "./chance.js";
import { type CommandOptions, readCommand, USAGE } from "./command.js";
import { manyEngines } from "./postgres/many-engines.js";
import { hasFailed, type PartReport, textOf } from "./report.js";
import { everyFailpoint } from "./sqlite/every-failpoint.js";
import { logCuts } from "./sqlite/log-cuts.js";

/** @returns The exit code: 1 when something was found, or nothing was shown; 2 when it cannot be understood. */
export async function main(args: readonly string[]): Promise<number> {
  const options = readCommand(args);
  if (options === undefined) {
    console.error(USAGE);
    return 2;
  }
  const reports: PartReport[] = [];
  for (const part of partsOf(options)) {
    const report = await part();
    reports.push(report);
    console.log(textOf(report));
  }
  return reports.some(hasFailed) ? 1 : 0;
}

function partsOf(options: CommandOptions): readonly (() => Promise<PartReport>)[] {
  const { sample, jobs, sabotage, sqliteSabotage } = options;
  const seed = options.seed ?? seedFromEnvironment();
  const onSqlite = { seed, sample, sabotage: sqliteSabotage };
  const parts: (() => Promise<PartReport>)[] = [];
  if (options.sqlite) parts.push(() => everyFailpoint({ ...onSqlite, jobs, onProgress: progress("kills") }));
  if (options.logCuts) parts.push(() => logCuts({ ...onSqlite, onProgress: progress("copies") }));
  if (options.postgres) {
    const { minutes, hints, connection: connectionString } = options;
    const onPostgres = { seed, minutes, hints, connectionString, sabotage };
    parts.push(() => manyEngines({ ...onPostgres, onProgress: progress("seconds") }));
  }
  return parts;
}

/** Says how far it is, at most every few seconds. */
function progress(what: string): (done: number, of: number) => void {
  let saidAt = Date.now();
  return (done, of) => {
    if (Date.now() - saidAt < 5_000) return;
    saidAt = Date.now();
    console.error(`  ${what}: ${done} of ${of}`);
  };
}
