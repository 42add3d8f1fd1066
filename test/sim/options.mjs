import { parseArgs } from "node:util";

/** What `npm run sim` understands. */
const USAGE = `npm run sim -- [--seeds 2000] [--seed N] [--from N] [--edition N] [--minutes M] [--storage memory|sqlite] [--mutations [name]]

  --seeds      how many worlds to play; default 2,000
  --seed       this one alone, with all that is to be said about it
  --from       the first seed; default 1
  --edition    of the worlds that seeds stand for; default: the newest
  --minutes    plays for so long, however many seeds that are
  --storage    where runs are kept; default memory
  --mutations  makes the engine wrong on purpose, in each known way or in one, and sees that it is found out`;

/** @returns The options with their defaults; ends the process with a usage for those it does not know. */
export function readOptions(args) {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        seeds: { type: "string", default: "2000" },
        seed: { type: "string" },
        from: { type: "string", default: "1" },
        edition: { type: "string" },
        minutes: { type: "string" },
        storage: { type: "string", default: "memory" },
        mutations: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) throw new Error("");
    if (!["memory", "sqlite"].includes(values.storage)) throw new Error(`--storage ${values.storage} is not known`);
    return {
      seeds: number(values.seeds, "--seeds"),
      seed: values.seed === undefined ? undefined : number(values.seed, "--seed"),
      from: number(values.from, "--from"),
      edition: values.edition === undefined ? undefined : number(values.edition, "--edition"),
      minutes: values.minutes === undefined ? undefined : number(values.minutes, "--minutes"),
      storage: values.storage,
      mutations: values.mutations,
      names: positionals,
    };
  } catch (error) {
    process.stderr.write(`${error.message}\n${USAGE}\n`);
    process.exit(2);
  }
}

function number(text, option) {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new Error(`${option} is ${text}, and has to be a number`);
}
