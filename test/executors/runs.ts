import { type Engine, type Pipeline, type RunHandle, type TaskInfo, type TriggerOptions, taskName } from "weftline";
import { all, historyOf, OF_EXECUTOR } from "./history.js";

/** A run that has ended, however that went. */
export interface Ran {
  readonly id: string;
  readonly status: string;
  /** What it resolved to, or `undefined`. */
  readonly result: Readonly<Record<string, unknown>>;
  /** What `result()` threw. */
  readonly error: { readonly code: string; readonly message: string } | undefined;
  /** By their names as people write them. */
  readonly tasks: Readonly<Record<string, TaskInfo>>;
  /** `task status` of every attempt. */
  readonly attempts: readonly string[];
  /** What its tasks said. */
  readonly lines: readonly string[];
  /** All of it, without ids and times. */
  readonly history: Awaited<ReturnType<typeof historyOf>>;
}

type Handle = RunHandle<unknown>;

export function started(
  engine: Engine,
  pipeline: Pipeline,
  params: unknown = {},
  options: TriggerOptions = {},
): Promise<Handle> {
  return engine.trigger(pipeline as unknown as Pipeline<object, unknown>, params as object, options);
}

/** Triggers a run and waits for its end. */
export async function ran(
  engine: Engine,
  pipeline: Pipeline,
  params?: unknown,
  options?: TriggerOptions,
): Promise<Ran> {
  return ended(engine, await started(engine, pipeline, params, options));
}

/** Waits for the end of a run. */
export async function ended(engine: Engine, run: Handle): Promise<Ran> {
  let error: Ran["error"];
  const result = await run.result().catch((thrown: Ran["error"]) => {
    error = thrown;
  });
  const tasks = await all((page) => engine.runs.tasks(run.id, {}, page));
  const attempts = await all((page) => engine.runs.attempts(run.id, {}, page));
  const logs = await all((page) => engine.runs.logs(run.id, {}, page));
  return {
    id: run.id,
    status: await run.status(),
    result: (result ?? {}) as Ran["result"],
    error,
    tasks: Object.fromEntries(tasks.map((task) => [taskName(task.task, task.index), task])),
    attempts: attempts.map(({ task, index, status }) => `${taskName(task, index)} ${status}`),
    lines: logs.map(({ message }) => message).filter((message) => !OF_EXECUTOR.test(message)),
    history: await historyOf(engine, run.id),
  };
}

/** Where its tasks and items stand. */
export function statuses({ tasks }: Ran): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(tasks).map(([name, { status }]) => [name, status]));
}

/** Triggers a run and waits until one of its tasks has said so. */
export async function startedUntil(
  engine: Engine,
  pipeline: Pipeline,
  message: string,
  params?: unknown,
): Promise<Handle> {
  let id: string | undefined;
  let seen = (_: string) => {};
  const heard: string[] = [];
  const off = engine.on("task:log", (event) => {
    if (event.message !== message) return;
    heard.push(event.runId);
    if (event.runId === id) seen(event.runId);
  });
  const run = await started(engine, pipeline, params);
  id = run.id;
  if (!heard.includes(id)) await new Promise<string>((resolve) => (seen = resolve));
  off();
  return run;
}

/** Asks again until it holds. */
export async function eventually(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + 20_000; !(await holds()); ) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** When something ran, by its own clock. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** How many of them there were at once, at the most. */
export function mostAtOnce(spans: readonly Span[]): number {
  const edges = spans.flatMap(({ from, to }) => [
    { at: from, change: 1 },
    { at: to, change: -1 },
  ]);
  // What ends in the millisecond in which another begins was before it.
  edges.sort((a, b) => a.at - b.at || a.change - b.change);
  let now = 0;
  return Math.max(...edges.map(({ change }) => (now += change)));
}
