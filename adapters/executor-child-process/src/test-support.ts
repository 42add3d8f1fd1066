import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";
import { createEngine, type Engine, type EngineOptions, type Pipeline } from "weftline";
import { childProcesses } from "./child-processes.js";
import type { ChildProcessesOptions } from "./options.js";

export const fixture = (name: string): string => fileURLToPath(new URL(`../test/fixtures/${name}`, import.meta.url));
const { tasks } = (await import(fixture("tasks.mjs"))) as { readonly tasks: readonly Pipeline[] };

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };
const opened: Engine[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((engine) => engine.stop({ grace: 0 })));
});

/** A started engine whose tasks run in child processes; stopped after the test. */
export async function startedEngine(
  options: Partial<ChildProcessesOptions> = {},
  engineOptions: Partial<EngineOptions> = {},
): Promise<Engine> {
  const processes = childProcesses({ module: fixture("tasks.mjs"), maxProcesses: 1, ...options });
  const engine = createEngine({
    pipelines: tasks,
    executors: { processes },
    log: SILENT,
    abortGrace: 200,
    ...engineOptions,
  });
  opened.push(engine);
  await engine.start();
  return engine;
}

export interface Ran {
  readonly status: string;
  readonly output: unknown;
  readonly error:
    | { readonly code?: string; readonly message: string; readonly cause?: { readonly code?: string } }
    | undefined;
  readonly lines: readonly string[];
  readonly runId: string;
}

export const pipelineOf = (id: string): Pipeline<object, { out: unknown }> =>
  tasks.find((pipeline) => pipeline.id === id) as unknown as Pipeline<object, { out: unknown }>;

/** Runs the task of one of the fixture's pipelines to its end. */
export async function ran(engine: Engine, id: string, params: object = {}): Promise<Ran> {
  const run = await engine.trigger(pipelineOf(id), params);
  const output = await run.result().then(
    ({ out }) => out,
    () => undefined,
  );
  const attempts = (await engine.runs.attempts(run.id)).items;
  const { items: lines } = await engine.runs.logs(run.id, {}, { limit: 1_000 });
  return {
    status: await run.status(),
    output,
    error: attempts.at(-1)?.error as Ran["error"],
    lines: lines.map(({ message }) => message),
    runId: run.id,
  };
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Asks again until it holds. */
export async function eventually(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + 10_000; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
