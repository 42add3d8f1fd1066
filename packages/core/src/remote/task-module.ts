import type { Pipeline } from "../define/pipeline.js";
import { type ErrorCode, WeftlineError } from "../errors.js";
import type { ResourcesOption } from "../execute/resources.js";
import type { ErrorRecord } from "../values/error-record.js";
import { findPipelines, withSubPipelines } from "./find-pipelines.js";
import { PROTOCOL_VERSION } from "./protocol.js";

/** What a module of task code offers to a worker. */
export interface TaskModule {
  /** By id. */
  readonly pipelines: ReadonlyMap<string, Pipeline>;
  /** Its export `resources`: what its tasks receive, or the function that makes it. */
  readonly resources: ResourcesOption;
}

/** Loads a module as the runtime itself cannot. */
export type ImportTypeScript = (url: string) => Promise<Readonly<Record<string, unknown>>>;

/** What a worker says of itself when it is ready. */
export interface Definitions {
  /** See {@link PROTOCOL_VERSION}. */
  readonly protocol: number;
  /** The definition of each pipeline of its module, by id. */
  readonly pipelines: Readonly<Record<string, string>>;
}

/**
 * Loads a module of task code in a worker: JavaScript as the runtime does it, TypeScript by `importTypeScript`.
 *
 * @param url - Of a file. @throws {WeftlineError} `WORKER_START_FAILED` with what the module threw as its cause.
 */
export async function loadTaskModule(url: string, importTypeScript: ImportTypeScript): Promise<TaskModule> {
  const exports = await importModule(url, importTypeScript);
  const found = withSubPipelines(findPipelines(exports));
  if (found.length === 0) {
    throw new WeftlineError(
      "WORKER_START_FAILED",
      `module ${url} exports no pipeline. Export the pipelines whose tasks are to run here, by name or in a list.`,
    );
  }
  const { resources = {} } = exports;
  if (typeof resources !== "function" && (typeof resources !== "object" || resources === null)) {
    throw new WeftlineError(
      "WORKER_START_FAILED",
      `the export "resources" of module ${url} is of type ${typeof resources}. Export an object, or a function that returns one.`,
    );
  }
  return {
    pipelines: new Map(found.map((pipeline) => [pipeline.id, pipeline])),
    resources: resources as ResourcesOption,
  };
}

async function importModule(
  url: string,
  importTypeScript: ImportTypeScript,
): Promise<Readonly<Record<string, unknown>>> {
  try {
    const isTypeScript = /\.[cm]?tsx?$/.test(new URL(url).pathname);
    return isTypeScript ? await importTypeScript(url) : ((await import(url)) as Readonly<Record<string, unknown>>);
  } catch (thrown) {
    const reason = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
    throw new WeftlineError("WORKER_START_FAILED", `module ${url} cannot be loaded: ${reason}. Mend it.`, {
      cause: thrown,
    });
  }
}

/**
 * Holds what the engine has against what a worker loaded.
 *
 * @param expected - The pipelines with tasks for this executor. @throws {WeftlineError} `EXECUTOR_INVALID` naming what is
 * missing or another version.
 */
export function checkDefinitions(
  expected: ReadonlyMap<string, Pipeline>,
  { protocol, pipelines: found }: Definitions,
  url: string,
): void {
  if (protocol !== PROTOCOL_VERSION) {
    throw new WeftlineError(
      "EXECUTOR_INVALID",
      `the worker for module ${url} has another version of weftline than the engine (protocol ${protocol}, not ${PROTOCOL_VERSION}). Install one version for both: "npm ls weftline" shows which there are.`,
    );
  }
  const missing = [...expected.keys()].filter((id) => found[id] === undefined);
  const different = [...expected.values()].filter(({ id, hash }) => found[id] !== undefined && found[id] !== hash);
  const has = Object.keys(found).join(", ");
  if (missing.length > 0) {
    throw new WeftlineError(
      "EXECUTOR_INVALID",
      `module ${url} does not export ${missing.map(quote).join(", ")}, whose tasks are to run in it; it has ${has}. Export them there, or give these tasks another executor.`,
    );
  }
  if (different.length > 0) {
    throw new WeftlineError(
      "EXECUTOR_INVALID",
      `module ${url} has another version of ${different.map(({ id }) => quote(id)).join(", ")} than the engine. Import the pipelines of createEngine() from the same module, and build both together.`,
    );
  }
}

function quote(text: string): string {
  return `"${text}"`;
}

export function definitionsOf({ pipelines }: TaskModule): Definitions {
  const hashes = Object.fromEntries([...pipelines].map(([id, { hash }]) => [id, hash]));
  return { protocol: PROTOCOL_VERSION, pipelines: hashes };
}

/** What kept a worker from starting, as it said so itself: an error's class does not survive the way. */
export function workerError({ code, message, cause }: ErrorRecord): WeftlineError {
  const text = message.replace(`${code}: `, "");
  return new WeftlineError((code ?? "WORKER_START_FAILED") as ErrorCode, text, { cause });
}
