import { parseArgs } from "node:util";
import { OF_DATABASE, SABOTAGES, type Sabotage, sabotageOfStorage } from "./postgres/sabotage.js";
import type { Sabotage as OfStorages } from "./sqlite/sabotage.js";

export const USAGE = `Usage: npm run crash -- [--sqlite] [--log-cuts] [--postgres] [options]
Kills real processes on real stores and judges what is left. Without a part: all three.

  --sqlite          a kill at each failpoint of a run on SQLite
  --log-cuts        SQLite files copied at failpoints, with their log cut
  --postgres        engines on Postgres under kills, pauses and stops
  --minutes N       how long the engines on Postgres are disturbed (default 1)
  --no-hints        without NOTIFY: engines on Postgres find what there is by looking
  --connection URL  a Postgres to use instead of one of its own
  --sample N        only N of the failpoints, and of the cuts (default: all)
  --seed N          another choice of all that is drawn (default: WEFTLINE_CRASH_SEED, or 1)
  --jobs N          processes at once on SQLite (default 2)
  --sabotage NAME   makes the storage faulty, to see that it is found:
                    ${SABOTAGES.join(", ")} (on Postgres alone: ${OF_DATABASE.join(", ")})`;

export interface CommandOptions {
  readonly sqlite: boolean;
  readonly logCuts: boolean;
  readonly postgres: boolean;
  readonly minutes: number;
  readonly hints: boolean;
  readonly connection: string | undefined;
  readonly sample: number | undefined;
  readonly seed: number | undefined;
  readonly jobs: number;
  /** Of the part on Postgres. */
  readonly sabotage: Sabotage | undefined;
  /** Of the parts on SQLite. */
  readonly sqliteSabotage: OfStorages | undefined;
}

const OPTIONS = {
  sqlite: { type: "boolean", default: false },
  "log-cuts": { type: "boolean", default: false },
  postgres: { type: "boolean", default: false },
  minutes: { type: "string", default: "1" },
  "no-hints": { type: "boolean", default: false },
  connection: { type: "string" },
  sample: { type: "string" },
  seed: { type: "string" },
  jobs: { type: "string", default: "2" },
  sabotage: { type: "string" },
} as const;

/** @returns `undefined` when the arguments make no sense. */
export function readCommand(args: readonly string[]): CommandOptions | undefined {
  try {
    const { values } = parseArgs({ args: [...args], options: OPTIONS });
    const { sqlite, postgres, connection, sabotage } = values;
    const logCuts = values["log-cuts"];
    const isAll = !sqlite && !logCuts && !postgres;
    const sabotages = readSabotage(sabotage, isAll || sqlite || logCuts);
    return {
      sqlite: sqlite || isAll,
      logCuts: logCuts || isAll,
      postgres: postgres || isAll,
      minutes: positive(values.minutes),
      hints: !values["no-hints"],
      connection,
      sample: values.sample === undefined ? undefined : Math.ceil(positive(values.sample)),
      seed: values.seed === undefined ? undefined : Number(values.seed),
      jobs: Math.ceil(positive(values.jobs)),
      ...sabotages,
    };
  } catch {
    return undefined;
  }
}

/** @param isOnSqlite - Where no fence can be removed. */
function readSabotage(
  name: string | undefined,
  isOnSqlite: boolean,
): Pick<CommandOptions, "sabotage" | "sqliteSabotage"> {
  const sabotage = SABOTAGES.find((known) => known === name);
  if (name !== undefined && sabotage === undefined) throw new RangeError(`there is no sabotage "${name}"`);
  const sqliteSabotage = sabotageOfStorage(sabotage);
  if (sabotage !== sqliteSabotage && isOnSqlite) throw new RangeError(`${sabotage} is for Postgres alone`);
  return { sabotage, sqliteSabotage };
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new RangeError(`${text} is no number above 0`);
  return value;
}
