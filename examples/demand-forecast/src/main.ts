import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { z } from "zod";
import { LAST_DAY } from "./data.js";
import { type DemoOptions, runDemo } from "./demo.js";
import { demandForecast } from "./pipeline.js";

const OUT_FOLDER = fileURLToPath(new URL("../out", import.meta.url));

// npm runs a package's scripts in the package's folder, and says here where the caller is.
const CALLER_FOLDER = process.env.INIT_CWD ?? process.cwd();

const HELP = `Forecasts the daily demand of maternity wards, on real data: births per day in the US, 2000 to 2014.

Usage: npm start -- [options]

  --day <date>      the night to run for; only what was known then is used (default: ${LAST_DAY})
  --flaky           the first two attempts to fetch the data fail, and are retried
  --fail-at <task>  a task fails for good; then the fault is removed and the run resumed
  --new             begin a new run, whatever became of the last one of this night
  --out <folder>    where the model and the report go (default: the example's out folder)
  --store <file>    the database that keeps the runs (default: runs.db in that folder)
  --trace <file>    write into this file each time the code of a task begins and ends
  --help            show this text

Tasks: ${demandForecast.taskIds.join(", ")}`;

interface Arguments extends DemoOptions {
  readonly help: boolean;
}

/** @throws {TypeError} Says which argument is wrong. */
function readArguments(): Arguments {
  const { values } = parseArgs({
    options: {
      day: { type: "string", default: LAST_DAY },
      flaky: { type: "boolean", default: false },
      "fail-at": { type: "string" },
      new: { type: "boolean", default: false },
      out: { type: "string", default: OUT_FOLDER },
      store: { type: "string" },
      trace: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const { day, flaky, "fail-at": failAt, new: isFresh, out, store, trace, help } = values;
  if (!z.iso.date().safeParse(day).success)
    throw new TypeError(`Cannot run for --day "${day}": no date like ${LAST_DAY}`);
  if (failAt !== undefined && !demandForecast.taskIds.includes(failAt)) {
    throw new TypeError(`Cannot fail at "${failAt}": no task of this pipeline`);
  }
  const folder = resolve(CALLER_FOLDER, out);
  return {
    ...{ day, flaky, failAt, isFresh, folder, help },
    store: store === undefined ? join(folder, "runs.db") : resolve(CALLER_FOLDER, store),
    trace: trace === undefined ? undefined : resolve(CALLER_FOLDER, trace),
  };
}

function tryReadArguments(): Arguments | undefined {
  try {
    return readArguments();
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    return undefined;
  }
}

async function main(): Promise<number> {
  const args = tryReadArguments();
  if (args === undefined) return 2;
  if (args.help) {
    console.log(HELP);
    return 0;
  }
  const exitCode = await runDemo(args, console.log);
  if (exitCode === 0) console.log(`Report: ${relative(CALLER_FOLDER, join(args.folder, "report.html"))}`);
  return exitCode;
}

process.exitCode = await main();
