import { childProcesses } from "@weftline/executor-child-process";
import { workerThreads } from "@weftline/executor-worker-threads";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createEngine, type Engine, type EngineOptions, type Executor, inProcess, type Pipeline } from "weftline";
import { eventually } from "./runs.js";

export const KINDS = ["in-process", "threads", "processes"] as const;
/** Where tasks run. */
export type Kind = (typeof KINDS)[number];

/** How many tasks run at once in threads and in processes: more than the limits that the tests set. */
const MAX_WORKERS = 3;

export function executorOf(kind: Kind, module: URL): Executor {
  switch (kind) {
    case "in-process":
      return inProcess();
    case "threads":
      return workerThreads({ module, maxThreads: MAX_WORKERS });
    case "processes":
      return childProcesses({ module, maxProcesses: MAX_WORKERS });
  }
}

/** The engine says what matters through its history; tests look there. */
export const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

export interface Setup {
  /** The module that the workers load. */
  readonly module: URL;
  /** What it exports. */
  readonly exports: object;
  /** For each engine, as a storage is one engine's alone. */
  readonly options?: () => Partial<EngineOptions>;
}

/** A started engine whose tasks all run on one executor. */
export async function engineOn(kind: Kind, { module, exports, options }: Setup): Promise<Engine> {
  const engine = createEngine({
    pipelines: pipelinesOf(exports),
    executors: { default: executorOf(kind, module) },
    log: SILENT,
    abortGrace: 150,
    ...options?.(),
  });
  await engine.start();
  return engine;
}

export function pipelinesOf(exports: object): readonly Pipeline[] {
  return (Object.values(exports) as Pipeline[]).filter((value) => value?.plan !== undefined);
}

/** @returns What was observed, which has to be the same on every executor. */
type Scenario<Subject extends readonly unknown[]> = (...subject: Subject) => Promise<unknown>;

/** States a behaviour. @param only - Where it can be seen at all, when that is not everywhere. */
type Behaviour<Subject extends readonly unknown[]> = (
  name: string,
  scenario: Scenario<Subject>,
  only?: readonly Kind[],
) => void;

/**
 * Has every behaviour shown on each executor, by one engine for each, and holds what was observed against what is observed
 * in-process.
 */
export function onEachExecutor(
  setup: Setup,
  define: (behaviour: Behaviour<[engine: Engine, kind: Kind]>) => void,
): void {
  const engines = new Map<Kind, Promise<Engine>>();
  const engine = (kind: Kind) => once(engines, kind, () => engineOn(kind, setup));
  leavesNoWorkers(() => Promise.all(engines.values()));
  comparing((behaviour) => {
    define((name, scenario, only) => behaviour(name, async (kind) => scenario(await engine(kind), kind), only));
  });
}

/** The same for behaviours that need engines of their own. */
export function comparing(define: (behaviour: Behaviour<[kind: Kind]>) => void): void {
  const references = new Map<string, Promise<unknown>>();
  for (const kind of KINDS) {
    describe(kind, { timeout: 60_000 }, () => {
      define((name, scenario, only = KINDS) => {
        const reference = only[0]!;
        it.runIf(only.includes(kind))(name, async () => {
          const expected = () => once(references, name, () => scenario(reference));
          if (kind === reference) await expected();
          else expect(await scenario(kind)).toStrictEqual(await expected());
        });
      });
    });
  }
}

/** Stops all engines after the tests of a file, and looks whether their workers are gone. */
export function leavesNoWorkers(engines: () => Promise<readonly Engine[]>): void {
  let before = 0;
  beforeAll(() => {
    before = workers();
  });
  afterAll(async () => {
    for (const engine of await engines()) await engine.stop({ grace: 0 });
    // What has been told that its process is gone says so a turn of the event loop later.
    await eventually(() => workers() <= before, "the end of all workers");
  }, 60_000);
}

function once<Key, Value>(known: Map<Key, Value>, key: Key, make: () => Value): Value {
  if (!known.has(key)) known.set(key, make());
  return known.get(key)!;
}

/** The threads and processes that this process has, and what it talks to them by. */
function workers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === "ProcessWrap" || name === "MessagePort").length;
}
