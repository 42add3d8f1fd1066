import { type Executor, inProcess, type MapContext, type Pipeline } from "weftline";

/**
 * What a mock receives: the context the task's own function would have.
 */
// biome-ignore lint/suspicious/noExplicitAny: a mock is written for one known task, whose types the engine cannot see
export type MockContext = MapContext<any, any, any> & { readonly outer: any };

/**
 * @param call - Which call this is at its task or item in this run: 1, 2, 3 … over retries, the looks of a poll, the
 * passes of a group and reruns; never lower than the attempt.
 */
export type MockFunction = (context: MockContext, call: number) => unknown;

/**
 * A mock whose first calls fail.
 *
 * @param error - What they throw.
 * @param value - What the calls after them return; a function is called with their context.
 * @param failures - How many calls fail, at each task and item and in each run. Default: 1.
 */
export function errorThenValue(error: unknown, value: unknown, failures = 1): MockFunction {
  return (context, call) => {
    if (call <= failures) throw error;
    return typeof value === "function" ? value(context, call) : value;
  };
}

/**
 * A mock that gives one step after the other, at each task and item and in each run, and the last one from then on:
 * `inTurn(false, false, rows)`, `inTurn(new Error("503"), rows)`.
 *
 * @param steps - An `Error` is thrown, a function is called with the context, everything else is returned.
 * @throws {TypeError} Without any step.
 */
export function inTurn(...steps: readonly unknown[]): MockFunction {
  if (steps.length === 0) throw new TypeError("Cannot give nothing in turn: pass at least one step");
  return (context, call) => {
    const step = steps[Math.min(call, steps.length) - 1];
    if (step instanceof Error) throw step;
    return typeof step === "function" ? step(context, call) : step;
  };
}

type Task = Pipeline["plan"]["tasks"][number];

/** A mock, with its calls at each task and item of each run. */
class Mock {
  readonly #run: MockFunction;
  readonly #calls = new Map<string, number>();

  constructor(run: MockFunction) {
    this.#run = run;
  }

  call(context: MockContext): unknown {
    const place = context.idempotencyKey.replace(/@\d+$/, ""); // the same in every generation
    const call = Math.max((this.#calls.get(place) ?? 0) + 1, context.attempt);
    this.#calls.set(place, call);
    return this.#run(context, call);
  }
}

/** Which tasks are replaced, and by what. */
export class Mocks {
  readonly #pipelines: readonly Pipeline[];
  /** By `task` or `pipeline/task`. */
  readonly #mocks = new Map<string, Mock>();

  /** @param pipelines - Those whose tasks may be replaced, sub-pipelines included. */
  constructor(pipelines: readonly Pipeline[]) {
    this.#pipelines = pipelines;
  }

  /** @throws {TypeError} When no pipeline has such a task, or it runs no code: a mock that is never used hides a mistake. */
  set(name: string, replacement: unknown): void {
    const why = this.#tasksCalled(name).map(whyNot);
    if (!why.includes(undefined)) throw new TypeError(`Cannot mock "${name}" as ${why[0]}`);
    this.#mocks.set(name, new Mock(inTurn(replacement)));
  }

  delete(name: string): void {
    this.#tasksCalled(name);
    this.#mocks.delete(name);
  }

  clear(): void {
    this.#mocks.clear();
  }

  /** The narrower name goes first. */
  find(pipeline: string, task: string): Mock | undefined {
    return this.#mocks.get(`${pipeline}/${task}`) ?? this.#mocks.get(task);
  }

  #tasksCalled(name: string): readonly Task[] {
    const called = this.#pipelines.flatMap(({ id, plan }) =>
      plan.tasks.filter((task) => task.id === name || `${id}/${task.id}` === name),
    );
    if (called.length > 0) return called;
    const known = this.#pipelines.flatMap(({ id, taskIds }) => taskIds.flatMap((task) => [task, `${id}/${task}`]));
    throw new TypeError(
      `Cannot mock "${name}" as no pipeline of this engine has such a task: they have ${[...new Set(known)].join(", ")}`,
    );
  }
}

/** Why a task cannot be replaced, where it cannot. */
function whyNot({ kind, extra }: Task): string | undefined {
  if (kind === "group") return "a group runs no code: mock its tasks";
  if (kind === "signal") return "it waits for a signal: send it with run.signal()";
  if (kind === "sleep" && extra.sleepMs !== undefined)
    return "its length is fixed, and it passes in virtual time anyway";
  return undefined;
}

/** The pipelines, equal in everything, but their tasks' functions give way to mocks. */
export function mockable(pipelines: readonly Pipeline[], mocks: Mocks): readonly Pipeline[] {
  const standIns = new Map<Pipeline, Pipeline>();
  // The sub-pipeline that several tasks run has to stay one, also where it is given as a pipeline of its own.
  const standInOf = (pipeline: Pipeline): Pipeline => {
    const standIn = standIns.get(pipeline) ?? mockablePipeline(pipeline, mocks, standInOf);
    standIns.set(pipeline, standIn);
    return standIn;
  };
  return pipelines.map(standInOf);
}

function mockablePipeline(pipeline: Pipeline, mocks: Mocks, standInOf: (child: Pipeline) => Pipeline): Pipeline {
  const { plan } = pipeline;
  const tasks = plan.tasks.map((task) => mockableTask(pipeline.id, task, mocks, standInOf));
  // What is computed on demand and kept is read from the original, whose own private state it is.
  const standInPlan: unknown = Object.create(plan, {
    tasks: { value: tasks },
    positions: { get: () => plan.positions },
  });
  return Object.create(pipeline, {
    plan: { value: standInPlan },
    hash: { get: () => pipeline.hash },
    graph: { get: () => pipeline.graph },
  });
}

function mockableTask(pipeline: string, task: Task, mocks: Mocks, standInOf: (child: Pipeline) => Pipeline): Task {
  const run = (context: MockContext): unknown => {
    const mock = mocks.find(pipeline, task.id);
    return mock === undefined ? task.run(context) : mock.call(context);
  };
  const { child } = task.extra;
  if (child === undefined) return Object.create(task, { run: { value: run } });
  return Object.create(task, {
    run: { value: run },
    extra: { value: { ...task.extra, child: standInOf(child) } },
    // As long as it is replaced it starts no other run: what the mock returns is its output.
    kind: { get: () => (mocks.find(pipeline, task.id) === undefined ? task.kind : "task") },
  });
}

/** An executor that runs mocked tasks in-process, and leaves the rest to `executor`. */
export function withMocks(executor: Executor, mocks: Mocks): Executor {
  const forMocks = inProcess();
  return {
    supports: executor.supports,
    slots: executor.slots,
    async start(host) {
      await forMocks.start(host);
      await executor.start(host);
    },
    execute(job, port) {
      const isMocked = mocks.find(job.pipeline, job.task) !== undefined;
      return (isMocked ? forMocks : executor).execute(job, port);
    },
    async stop(options) {
      await forMocks.stop(options);
      await executor.stop(options);
    },
  };
}
