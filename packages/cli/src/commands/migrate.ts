import { type Command, InvalidArgumentError } from "commander";
import type { SchemaStep, StorageSchema } from "weftline";
import { EXIT_CODES, UsageError } from "../errors.js";
import { STORAGE_TO_EXPORT, withFile } from "../history.js";
import type { CliIo } from "../io.js";
import { jsonLine } from "../json.js";
import type { LoadedFile } from "../load-pipelines.js";

interface MigrateCommandOptions {
  readonly check?: true;
  readonly print?: true;
  readonly from?: number;
  readonly json?: true;
}

/** What was done, or is to be done. */
interface Migration {
  /** The version that was there; 0: none. */
  readonly from: number;
  /** The version that the storage works with. */
  readonly to: number;
  readonly steps: readonly SchemaStep[];
}

const HELP = `
Examples:
  weftline migrate pipelines.ts
  weftline migrate pipelines.ts --check
  weftline migrate pipelines.ts --print > schema.sql
  weftline migrate pipelines.ts --print --from 0

A storage does the same when it is opened, unless it was made with
migrate: "never". --print is for databases that somebody else has to change;
with --from it asks no database.

Exit codes:
  0    the schema is at the newest version, or its SQL was printed
  1    with --check: the schema is not at the newest version
  2    the command line, the file or a definition is wrong, or the database has
       a schema that this storage cannot work with`;

/** Adds `weftline migrate`. */
export function addMigrateCommand(program: Command, io: CliIo, exit: (code: number) => void): void {
  program
    .command("migrate")
    .summary("bring the schema of a storage to the newest version")
    .description("Brings the schema in which a storage keeps its runs to the newest version, step by step.")
    .argument("<file>", "the file that exports the storage")
    .option("--check", "change nothing, and say whether the schema is at the newest version")
    .option("--print", "change nothing, and print the SQL of the steps that are missing")
    .option("--from <n>", "with --print: the steps from this version on; 0 is an empty database", parseVersion)
    .option("--json", "print what was done, or is missing, as JSON")
    .option("--stack", "show the stacks of errors")
    .addHelpText("after", HELP)
    .action(async (path: string, options: MigrateCommandOptions) => {
      checkOptions(options);
      await withFile(path, io, async (file) => {
        const schema = await schemaOf(file);
        try {
          const migration = await carryOut(schema, options);
          io.stdout.write(shown(migration, options));
          exit(options.check && migration.steps.length > 0 ? EXIT_CODES.failed : EXIT_CODES.succeeded);
        } finally {
          await schema.close();
        }
      });
    });
}

function parseVersion(text: string): number {
  const number = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(number) && number >= 0) return number;
  throw new InvalidArgumentError("Give the number of a version, from 0.");
}

function checkOptions({ check, print, from }: MigrateCommandOptions): void {
  if (check && print) throw new UsageError("Give --check or --print, not both.");
  if (from !== undefined && !print) throw new UsageError("--from goes with --print alone.");
}

/** @throws {UsageError} for a file whose storage has nothing to migrate. */
async function schemaOf(file: LoadedFile): Promise<StorageSchema> {
  const { storage } = await file.loadEngineOptions();
  if (storage?.schema !== undefined) return storage.schema;
  const problem = `Cannot migrate the storage of ${file.name}`;
  if (storage !== undefined)
    throw new UsageError(`${problem}: it keeps no schema that has versions. There is nothing to do.`);
  throw new UsageError([`${problem}: it exports none. Export it:`, ...STORAGE_TO_EXPORT].join("\n"));
}

async function carryOut(
  schema: StorageSchema,
  { check, print, from: given }: MigrateCommandOptions,
): Promise<Migration> {
  const to = schema.version;
  const from = given ?? (await schema.current());
  if (from > to) throw tooNew(from, to);
  const steps = check || print ? schema.statements(from) : await schema.migrate();
  return { from, to, steps };
}

function tooNew(version: number, newest: number): UsageError {
  return new UsageError(
    `SCHEMA_TOO_NEW: the schema has version ${version}, and this storage works with versions up to ${newest}. Install a newer version of its package.`,
  );
}

function shown({ from, to, steps }: Migration, { check, print, json }: MigrateCommandOptions): string {
  const named = steps.map(({ version, name }) => ({ version, name }));
  if (json) return jsonLine({ from, to, steps: print ? steps : named });
  if (print) return sqlOf({ from, to, steps });
  if (from === to) return `The schema is at version ${to}, the newest. There is nothing to do.\n`;
  const lines = named.map(({ version, name }) => `  ${version}  ${name}`);
  const was = from === 0 ? "There is no schema" : `The schema is at version ${from}`;
  if (check) return `${[`${was}, and version ${to} is the newest. What is missing:`, ...lines].join("\n")}\n`;
  if (steps.length === 0) return `The schema is at version ${to}: another process made it meanwhile.\n`;
  return `${[...lines, `The schema is at version ${to}${from === 0 ? "" : `; it was at ${from}`}.`].join("\n")}\n`;
}

/** A script that people run themselves. */
function sqlOf({ from, to, steps }: Migration): string {
  if (steps.length === 0) return `-- The schema is at version ${to}, the newest: there is nothing to do.\n`;
  const head = `-- From version ${from} of the schema to ${to}. Each step is made once, in this order.\n`;
  return [head, ...steps.map(({ version, name, sql }) => `-- ${version}: ${name}\n${sql.trim()}\n`)].join("\n");
}
