import { existsSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { createJiti } from "jiti";
import * as weftline from "weftline";
import { findPipelines } from "weftline/remote";
import { closest } from "./closest.js";
import { UsageError } from "./errors.js";
import { type FileEngineOptions, loadEngineOptions, loadResources } from "./load-engine.js";
import { describeLoadError } from "./load-error.js";
import { plainLine, shortList } from "./text.js";

type Pipeline = weftline.Pipeline;

/** What a file of pipelines offers to the commands. */
export interface LoadedFile {
  /** As people know it: relative to where they are. */
  readonly name: string;
  /** Every pipeline it exports, once; none where what it exports is only a storage. */
  readonly pipelines: readonly Pipeline[];
  /** What it lends to its tasks: its export `resources`, called if it is a function; else what its `engine` has. */
  loadResources(): Promise<object>;
  /** What it says about its engine: its exports `engine` and `storage`. Asked once, however often it is called. */
  loadEngineOptions(): Promise<FileEngineOptions>;
}

/** {@link loadFile} for what needs a pipeline. @throws {UsageError} also when the file exports none. */
export async function loadPipelines(file: string, cwd: string): Promise<LoadedFile> {
  const { name, exports } = await load(file, cwd);
  const loaded = loadedFile(name, exports);
  if (loaded.pipelines.length > 0) return loaded;
  throw new UsageError(`Cannot find a pipeline in ${name}: ${describeExports(exports)}.`);
}

/**
 * Loads a TypeScript or JavaScript file as it is, without a build, and finds the pipelines it exports: by name, as
 * default, in lists, or in an object exported as default.
 *
 * @throws {UsageError} when there is no such file, or it cannot be loaded.
 */
export async function loadFile(file: string, cwd: string): Promise<LoadedFile> {
  const { name, exports } = await load(file, cwd);
  return loadedFile(name, exports);
}

type Exports = Readonly<Record<string, unknown>>;

async function load(file: string, cwd: string): Promise<{ readonly name: string; readonly exports: Exports }> {
  const path = resolve(cwd, file);
  const name = relativeName(path, cwd);
  checkFile(path, name);
  return { name, exports: await importFile(path, cwd) };
}

function loadedFile(name: string, exports: Exports): LoadedFile {
  const pipelines = findPipelines(exports);
  checkIds(pipelines, name);
  let options: Promise<FileEngineOptions> | undefined;
  const engineOptions = () => (options ??= loadEngineOptions(exports, name));
  return {
    name,
    pipelines,
    loadResources: async () => (await loadResources(exports, name)) ?? (await engineOptions()).resources ?? {},
    loadEngineOptions: engineOptions,
  };
}

/**
 * The pipeline that was asked for, or the only one there is.
 *
 * @throws {UsageError} that lists the pipelines, when that leaves a choice.
 */
export function choosePipeline({ name, pipelines }: LoadedFile, id: string | undefined): Pipeline {
  const [first] = pipelines;
  const ids = pipelines.map((pipeline) => pipeline.id);
  if (id === undefined) {
    if (pipelines.length === 1) return first!;
    throw new UsageError(`Name the pipeline, as ${name} exports ${pipelines.length}:\n${listPipelines(pipelines)}`);
  }
  const chosen = pipelines.find((pipeline) => pipeline.id === id);
  if (chosen) return chosen;
  const meant = closest(id, ids);
  const hint = meant === undefined ? "" : ` Did you mean "${meant}"?`;
  throw new UsageError(`Cannot find pipeline "${id}" in ${name}.${hint} It exports:\n${listPipelines(pipelines)}`);
}

function listPipelines(pipelines: readonly Pipeline[]): string {
  return pipelines.map(({ id, title }) => `  ${id}${title === undefined ? "" : `  ${plainLine(title)}`}`).join("\n");
}

function relativeName(path: string, cwd: string): string {
  const name = relative(cwd, path);
  return name === "" || name.startsWith("..") ? path : name;
}

function checkFile(path: string, name: string): void {
  if (!existsSync(path)) {
    const meant = closestFile(path);
    throw new UsageError(`Cannot find ${name}: no such file.${meant === undefined ? "" : ` Did you mean ${meant}?`}`);
  }
  if (!statSync(path).isFile())
    throw new UsageError(`Cannot load ${name}: it is a folder. Give a file that exports pipelines.`);
}

function closestFile(path: string): string | undefined {
  const folder = dirname(path);
  if (!existsSync(folder)) return undefined;
  const base = relative(folder, path);
  const files = readdirSync(folder).filter((file) => /\.[cm]?[jt]sx?$/.test(file));
  return files.find((file) => file.startsWith(`${base}.`)) ?? closest(base, files);
}

async function importFile(path: string, cwd: string): Promise<Exports> {
  // Without its default interop jiti hands out the exports as the file wrote them.
  const jiti = createJiti(pathToFileURL(path).href, { interopDefault: false, virtualModules: ownLibrary(path) });
  try {
    return await jiti.import<Record<string, unknown>>(path);
  } catch (thrown) {
    throw new UsageError(describeLoadError(thrown, path, cwd), { cause: thrown });
  }
}

/** A project uses the library it installed. A file outside any project gets ours, so that it runs all the same. */
function ownLibrary(path: string): Record<string, unknown> {
  try {
    createRequire(path).resolve("weftline");
    return {};
  } catch {
    return { weftline };
  }
}

function checkIds(pipelines: readonly Pipeline[], name: string): void {
  const ids = pipelines.map((pipeline) => pipeline.id);
  const twice = ids.find((id, place) => ids.indexOf(id) !== place);
  if (twice === undefined) return;
  throw new UsageError(`Cannot use ${name}: it exports two pipelines with the id "${twice}". Give each its own id.`);
}

function describeExports(exports: Exports): string {
  const names = Object.entries(exports).map(([name, value]) => `${name} (${kindOf(value)})`);
  return names.length === 0 ? "it exports nothing" : `it exports ${shortList(names, 20)}`;
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "list" : typeof value;
}
