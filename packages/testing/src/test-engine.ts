import {
  createEngine,
  type Duration,
  type Engine,
  type EngineOptions,
  EVENT_NAMES,
  type Executor,
  inProcess,
  isRunFinished,
  memoryStorage,
  type NamedEvent,
  type Pipeline,
  type RunHandle,
  type RunStatus,
  type Runs,
  type Schedules,
  type StopOptions,
  type Storage,
  seededRandom,
  type TaskInfo,
  type TaskStatus,
  type TriggerArguments,
  taskName,
} from "weftline";
import { withSubPipelines } from "weftline/remote";
import { heldStorage } from "./held-storage.js";
import { type MockFunction, Mocks, mockable, withMocks } from "./mocks.js";
import type { Moment } from "./moments.js";
import { assertAttempts, assertOrder, assertStatuses, type ByTask } from "./run-assertions.js";
import { table } from "./table.js";
import { VirtualClock } from "./virtual-clock.js";

/** Each look is a timer, and moving time over a month is to take milliseconds. */
const DEFAULT_POLL: Duration = "1h";
/** How long something real, which no virtual time brings on, is waited for. */
const PATIENCE_MS = 2_000;
const LOOK_AGAIN_MS = 5;
/** A run that needs more timers than this most likely never ends. */
const MAX_TIMERS = 100_000;

const { setTimeout: startTimeout } = globalThis;

export interface TestEngineOptions extends Omit<EngineOptions, "clock" | "random" | "newId"> {
  /** Where the engine's time begins. Default: 2026-01-01T00:00:00Z. */
  readonly now?: Moment;
  /** Equal seeds give equal delays, and so equal histories. Default: 1. */
  readonly seed?: number;
  /** Default: every pool that a pipeline names, with room for all. */
  readonly pools?: Readonly<Record<string, number>>;
  /** Default: an hour, as nobody else changes what is stored; only a storage for many processes is looked into at all. */
  readonly poll?: Duration;
}

/** A run, by its handle or its id. */
export type RunReference = string | { readonly id: string };

/** A state of a run, or of one of its tasks; an item of a map is named `train[3]`. */
export type Goal =
  | { readonly status: RunStatus; readonly task?: undefined }
  | { readonly task: string; readonly status: TaskStatus };

/**
 * An engine for tests: its time is virtual, its chance seeded and its ids counted, so that a month of schedules and
 * retries takes milliseconds and happens in the same order each time. Time moves only in the methods that say so.
 */
export function createTestEngine(options: TestEngineOptions): TestEngine {
  return new TestEngine(options);
}

class TestEngine {
  /** The engine itself, for everything that is not here. What it waits for needs somebody to move time. */
  readonly engine: Engine;
  readonly clock: VirtualClock;
  /** Everything that happened on this engine, in order. */
  readonly events: readonly NamedEvent[];
  readonly #mocks: Mocks;

  /** @internal Use {@link createTestEngine}. */
  constructor({
    now,
    seed = 1,
    storage = memoryStorage(),
    executors,
    pools,
    pipelines,
    ...options
  }: TestEngineOptions) {
    const all = withSubPipelines(pipelines);
    this.clock = new VirtualClock(now);
    this.#mocks = new Mocks(all);
    this.engine = createEngine({
      poll: DEFAULT_POLL,
      ...options,
      pipelines: mockable(pipelines, this.#mocks),
      pools: pools ?? roomyPools(all),
      storage: heldStorage(storage, this.clock),
      executors: mockedExecutors(all, executors, this.#mocks),
      clock: this.clock,
      random: seededRandom(seed),
      newId: countedIds(storage),
    });
    this.events = recordEvents(this.engine);
  }

  get runs(): Runs {
    return this.engine.runs;
  }

  get schedules(): Schedules {
    return this.engine.schedules;
  }

  start(): Promise<void> {
    return this.engine.start();
  }

  /** As `engine.stop()`, moving time as far as the graces of what still runs ask for. */
  async stop(options?: StopOptions): Promise<void> {
    let isStopped = false;
    const stopping = this.engine.stop(options).finally(() => {
      isStopped = true;
    });
    await this.#drive(async () => isStopped);
    await stopping;
  }

  trigger<Params, Result>(
    pipeline: Pipeline<Params, Result>,
    ...args: TriggerArguments<Params>
  ): Promise<RunHandle<Result>> {
    return this.engine.trigger(pipeline, ...args);
  }

  /**
   * Triggers a run and moves time until it has ended, however it ended; starts the engine if that has not been done.
   *
   * @throws {Error} When it waits for something that time does not bring.
   */
  async run<Params, Result>(
    pipeline: Pipeline<Params, Result>,
    ...args: TriggerArguments<Params>
  ): Promise<RunHandle<Result>> {
    await this.start();
    const run = await this.trigger(pipeline, ...args);
    await this.finish(run);
    return run;
  }

  /**
   * Moves time until the run has ended, however it ended: one that was triggered, was sent its signal, or goes on after
   * `runs.resume()` or `runs.rerun()`.
   *
   * @throws {Error} When it waits for something that time does not bring.
   */
  async finish(run: RunReference): Promise<void> {
    await this.start();
    const runId = idOf(run);
    const outcome = await this.#drive(async () => isRunFinished((await this.runs.get(runId)).status));
    if (outcome !== "done") throw await this.#stuck(runId, "to its end", outcome);
  }

  // ---- Time. Each starts the engine if that has not been done.

  /** Goes on by `duration`: every timer on the way fires at its moment, with all that follows from it. */
  async advance(duration: Duration): Promise<void> {
    await this.start();
    await this.clock.advance(duration);
  }

  async advanceTo(moment: Moment): Promise<void> {
    await this.start();
    await this.clock.advanceTo(moment);
  }

  /** Moves time until no timer is left. An engine with schedules never gets there: see {@link advance}. */
  async runUntilIdle(options?: { readonly maxTimers?: number }): Promise<void> {
    await this.start();
    await this.clock.runUntilIdle(options);
  }

  /**
   * Moves time until the run, or a task of it, is in this state; does not move it when the state was reached before,
   * even if it has been left since.
   *
   * @throws {Error} When the run ends without, or waits for something that time does not bring.
   */
  async waitFor(run: RunReference, goal: Goal): Promise<void> {
    await this.start();
    const runId = idOf(run);
    let seen = 0;
    let hasEnded = false;
    const outcome = await this.#drive(async () => {
      for (; seen < this.events.length; seen++) if (reaches(this.events[seen]!, runId, goal)) return true;
      const { status } = await this.runs.get(runId);
      if (goal.status === (goal.task === undefined ? "queued" : "pending")) return true; // where all of them begin
      if ((await this.#statusOf(runId, goal.task)) === goal.status) return true;
      hasEnded = isRunFinished(status);
      return hasEnded;
    });
    const trouble = hasEnded ? "ended" : outcome;
    if (trouble === "done") return;
    const aim = goal.task === undefined ? `to ${goal.status}` : `until "${goal.task}" is ${goal.status}`;
    throw await this.#stuck(runId, aim, trouble);
  }

  // ---- Mocks

  /**
   * Replaces the function of a task, from its next attempt on: `mock("fetch", rows)`, `mock("nightly/fetch", rows)`,
   * `mock("fetch", ({ params }) => …)`, `mock("fetch", errorThenValue(new Error("503"), rows))`, `mock("fetch", new
   * Error("503"))`, which is thrown. A mock gets the same context as the function it replaces, and what it returns is
   * encoded and decoded in the same way. One of a task that runs another pipeline returns the result of that, and no run
   * of it is started.
   *
   * @param task - A task's id, with its groups: `prep.fetch`; or `pipeline/task`, which goes first.
   * @throws {TypeError} For a task that there is not, or that runs no code: a group, a signal, a sleep of fixed length.
   */
  mock(task: string, replacement: MockFunction): void;
  mock(task: string, value: unknown): void;
  mock(task: string, replacement: unknown): void {
    this.#mocks.set(task, replacement);
  }

  /** The task's own function runs again. @param task - As it was given to {@link mock}. */
  unmock(task: string): void {
    this.#mocks.delete(task);
  }

  resetMocks(): void {
    this.#mocks.clear();
  }

  // ---- Assertions

  /** @throws {AssertionError} With a table, when a task named here has another status. */
  async expectStatuses(run: RunReference, expected: ByTask<TaskStatus>): Promise<void> {
    assertStatuses(await this.runs.get(idOf(run)), await this.#tasksOf(idOf(run)), expected);
  }

  /** @throws {AssertionError} With a table, when a task named here was not tried exactly that often. */
  async expectAttempts(run: RunReference, expected: ByTask<number>): Promise<void> {
    assertAttempts(await this.runs.get(idOf(run)), await this.#tasksOf(idOf(run)), expected);
  }

  /**
   * The tasks named here began, on this engine, in this order; others may have begun in between.
   *
   * @throws {AssertionError} With a table.
   */
  async expectOrder(run: RunReference, expected: readonly string[]): Promise<void> {
    const runId = idOf(run);
    const started = new Set<string>();
    for (const event of this.events) {
      if (BEGINNINGS.has(event.name) && event.runId === runId && "task" in event) {
        started.add(taskName(event.task, event.index));
      }
    }
    assertOrder(await this.runs.get(runId), [...started], expected);
  }

  /** Moves time from timer to timer until `isDone`; without timers it waits a little for whatever is real. */
  async #drive(isDone: () => Promise<boolean>): Promise<"done" | "idle" | "endless"> {
    const { clock } = this;
    let idleSince: number | undefined;
    for (let fired = 0; fired < MAX_TIMERS; ) {
      await clock.settle();
      if (await isDone()) return "done";
      if (await clock.fireNext()) {
        fired++;
        idleSince = undefined;
        continue;
      }
      idleSince ??= performance.now();
      if (performance.now() - idleSince > PATIENCE_MS) return "idle";
      await new Promise<void>((resolve) => startTimeout(resolve, LOOK_AGAIN_MS));
    }
    return "endless";
  }

  async #stuck(runId: string, aim: string, outcome: "idle" | "endless" | "ended"): Promise<Error> {
    const run = await this.runs.get(runId);
    const why = {
      ended: `it ended ${run.status}`,
      idle: "nothing waits for the clock any more, and nothing happens by itself",
      endless: `${MAX_TIMERS} timers fired`,
    }[outcome];
    const tasks = (await this.#tasksOf(runId)).map((task) => [
      taskName(task.task, task.index),
      task.status,
      String(task.attempts),
      whatItWaitsFor(task),
    ]);
    const states = table([["task", "status", "attempts", ""], ...tasks]);
    return new Error(`Cannot bring run ${runId} of "${run.pipeline}" (${run.status}) ${aim} as ${why}:\n\n${states}`);
  }

  async #statusOf(runId: string, task: string | undefined): Promise<RunStatus | TaskStatus | undefined> {
    if (task === undefined) return (await this.runs.get(runId)).status;
    const tasks = await this.#tasksOf(runId, { task: task.replace(/\[.*/, "") });
    return tasks.find((info) => taskName(info.task, info.index) === task)?.status;
  }

  async #tasksOf(runId: string, query: { readonly task?: string } = {}): Promise<readonly TaskInfo[]> {
    const tasks: TaskInfo[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.runs.tasks(runId, query, { limit: 1_000, ...(cursor !== undefined && { cursor }) });
      tasks.push(...page.items);
      cursor = page.next;
    } while (cursor !== undefined);
    return tasks;
  }
}

export type { TestEngine };

/** What a task's first event may be: a list expands, and a sleep or a signal waits, without an attempt. */
const BEGINNINGS: ReadonlySet<string> = new Set(["task:started", "task:expanded", "task:waiting"]);

function roomyPools(pipelines: readonly Pipeline[]): Readonly<Record<string, number>> {
  const names = pipelines.flatMap(({ plan }) => plan.tasks.flatMap(({ policy }) => policy.pool ?? []));
  return Object.fromEntries(names.map((name) => [name, Number.MAX_SAFE_INTEGER]));
}

/** What an engine would use by itself, each executor with mocks before it. */
function mockedExecutors(
  pipelines: readonly Pipeline[],
  given: Readonly<Record<string, Executor>> | undefined,
  mocks: Mocks,
): Readonly<Record<string, Executor>> {
  const fallback = inProcess();
  // Without executors an engine runs every name in-process.
  const names = given ? [] : pipelines.flatMap(({ plan }) => plan.tasks.map((task) => task.executor));
  const executors = { default: fallback, ...Object.fromEntries(names.map((name) => [name, fallback])), ...given };
  // One wrapper for one executor, or the engine would count its slots once for each name.
  const wrapped = new Map(Object.values(executors).map((executor) => [executor, withMocks(executor, mocks)]));
  return Object.fromEntries(Object.entries(executors).map(([name, executor]) => [name, wrapped.get(executor)!]));
}

const lastIds = new WeakMap<Storage, number>();

/** Ids in the order of creation; one count for each storage, as several engines may work on it one after the other. */
function countedIds(storage: Storage): () => string {
  return () => {
    const id = (lastIds.get(storage) ?? 0) + 1;
    lastIds.set(storage, id);
    return String(id).padStart(8, "0");
  };
}

function recordEvents(engine: Engine): readonly NamedEvent[] {
  const events: NamedEvent[] = [];
  for (const name of EVENT_NAMES) {
    engine.on(name, (event) => void events.push({ name, ...event } as NamedEvent));
  }
  return events;
}

function reaches(event: NamedEvent, runId: string, goal: Goal): boolean {
  if (event.runId !== runId || statusIn(event) !== goal.status) return false;
  return ("task" in event ? taskName(event.task, event.index) : undefined) === goal.task;
}

/** The status that the run or task of an event has entered with it. */
function statusIn(event: NamedEvent): RunStatus | TaskStatus | undefined {
  switch (event.name) {
    case "run:started":
    case "task:started":
    case "task:expanded":
      return "running";
    case "task:retrying":
      return "retrying";
    case "task:waiting":
      return "waiting";
    case "run:status":
    case "run:finished":
    case "task:finished":
      return event.status;
    default:
      return undefined;
  }
}

function whatItWaitsFor({ status, wait, task }: TaskInfo): string {
  if (status !== "waiting" || wait === undefined) return "";
  if (wait.kind === "signal") return `for a signal: run.signal("${task}", payload)`;
  return wait.kind === "run" ? `for run ${wait.runId}` : `until ${new Date(wait.until).toISOString()}`;
}

function idOf(run: RunReference): string {
  return typeof run === "string" ? run : run.id;
}
