import { inspect } from "node:util";
import { createEngine, type Engine, type Logger, type Scheduler, type Storage } from "weftline";
import { UsageError } from "./errors.js";
import type { CliIo } from "./io.js";
import { type LoadedFile, loadFile } from "./load-pipelines.js";
import { plainLine, truncate } from "./text.js";

/** The history of a file's runs, read through an engine that never starts: it takes no run up. */
export interface History {
  readonly file: LoadedFile;
  /** As it was given, for commands to copy. */
  readonly path: string;
  readonly engine: Engine;
  readonly storage: Storage;
}

/** Schedules do not fire while somebody works by hand. */
export const NO_SCHEDULER: Scheduler = { start: async () => {}, changed() {}, stop: async () => {} };

/** Opens the history for as long as `use` takes. @throws {UsageError} when the file has no storage that outlives it. */
export async function withHistory<Result>(
  path: string,
  io: CliIo,
  use: (history: History) => Promise<Result>,
): Promise<Result> {
  return withFile(path, io, (file) => withEngine(file, path, io, use));
}

/** Loads a file for as long as `use` takes. */
export async function withFile<Result>(
  path: string,
  io: CliIo,
  use: (file: LoadedFile) => Promise<Result>,
): Promise<Result> {
  // What the file prints must not end up between the lines of ours.
  const release = io.captureOutput?.((text) => io.stderr.write(text));
  try {
    return await use(await loadFile(path, io.cwd));
  } finally {
    release?.();
  }
}

async function withEngine<Result>(
  file: LoadedFile,
  path: string,
  io: CliIo,
  use: (history: History) => Promise<Result>,
): Promise<Result> {
  const storage = await durableStorage(file);
  const engine = createEngine({
    ...(await file.loadEngineOptions()),
    pipelines: file.pipelines,
    storage,
    resources: {},
    scheduler: NO_SCHEDULER,
    log: noteLogger((text) => void io.stderr.write(`${text}\n`)),
    name: "cli",
  });
  try {
    return await use({ file, path, engine, storage });
  } finally {
    await engine.stop({ grace: 0 });
  }
}

/** @throws {UsageError} that says what to export. */
export async function durableStorage(file: LoadedFile): Promise<Storage> {
  const { storage } = await file.loadEngineOptions();
  if (storage?.supports.durable || storage?.supports.manyProcesses) return storage;
  const problem =
    storage === undefined
      ? "it exports no storage, so its runs are kept in memory, and memory holds nothing after the process ends"
      : "the storage it exports holds nothing after the process ends";
  throw new UsageError(
    [
      `Cannot look at runs of ${file.name}: ${problem}. Export a storage that keeps them, beside the pipelines:`,
      ...STORAGE_TO_EXPORT,
    ].join("\n"),
  );
}

/** How a file says where its runs are. */
export const STORAGE_TO_EXPORT: readonly string[] = [
  "  export const storage = …;            // a Storage, or a function that returns one",
  "  export const engine = { storage };   // or options for createEngine()",
];

const MAX_DETAILS_LENGTH = 500;

/** Shows what an engine reports and nobody asked for. */
export function noteLogger(note: (text: string) => void): Logger {
  const write = (level: string) => (details: object, message: string) => {
    const shown = plainLine(
      inspect(details, { depth: 2, breakLength: Number.POSITIVE_INFINITY, customInspect: false }),
    );
    note(`${level}: ${plainLine(message)} ${truncate(shown, MAX_DETAILS_LENGTH)}`);
  };
  return { debug() {}, info() {}, warn: write("warning"), error: write("error") };
}
