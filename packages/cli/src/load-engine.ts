import type { EngineOptions, Storage } from "weftline";
import { UsageError } from "./errors.js";

/** What a file says about the engine that its pipelines run on. */
export type FileEngineOptions = Partial<Omit<EngineOptions, "pipelines">>;

type Exports = Readonly<Record<string, unknown>>;

/**
 * The exports `engine` (options for `createEngine`) and `storage` (which goes before the one in `engine`), each as it is
 * or as a function that returns it.
 *
 * @throws {UsageError}
 */
export async function loadEngineOptions(exports: Exports, name: string): Promise<FileEngineOptions> {
  const options = await exported(exports, "engine", name);
  if (options !== undefined) checkOptions(options, name);
  const storage = await exported(exports, "storage", name);
  if (storage === undefined) return (options ?? {}) as FileEngineOptions;
  checkStorage(storage, `the export "storage" of ${name}`);
  return { ...(options as FileEngineOptions), storage };
}

/** What the file lends to its tasks. @throws {UsageError} */
export async function loadResources(exports: Exports, name: string): Promise<object | undefined> {
  const resources = await exported(exports, "resources", name);
  if (resources === undefined || isObject(resources)) return resources;
  throw new UsageError(
    `Cannot use the export "resources" of ${name}: it is no object and no function that returns one.`,
  );
}

async function exported(exports: Exports, what: string, name: string): Promise<unknown> {
  const value = exports[what];
  try {
    return await (typeof value === "function" ? value() : value);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new UsageError(`Cannot get the ${what} of ${name}: ${reason}`, { cause: thrown });
  }
}

function checkOptions(options: unknown, name: string): void {
  if (!isObject(options)) {
    throw new UsageError(`Cannot use the export "engine" of ${name}: it is no object with options for createEngine().`);
  }
  if ("trigger" in options && "runs" in options) {
    throw new UsageError(
      `Cannot use the export "engine" of ${name}: it is an engine. Export its options, without the pipelines: export const engine = { storage }`,
    );
  }
  if ("storage" in options && options.storage !== undefined)
    checkStorage(options.storage, `the storage of "engine" in ${name}`);
}

function checkStorage(storage: unknown, what: string): asserts storage is Storage {
  if (isObject(storage) && "createRuns" in storage && "supports" in storage) return;
  throw new UsageError(`Cannot use ${what}: it is no Storage and no function that returns one.`);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
