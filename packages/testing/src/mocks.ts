import { type Executor, inProcess, type MapContext, type Pipeline } from "weftline";

/**
 * What a mock receives: the context the task's own function would have.
 */
// biome-ignore lint/suspicious/noExplicitAny: a mock is written for one known task, whose types the engine cannot see
export type MockContext = MapContext<any, any, any>;
export type MockFunction = (context: MockContext) => unknown;

/**
 * A mock whose first attempts fail.
 *
 * @param error - What they throw.
 * @param value - What the attempts after them return; a function is called with their context.
 * @param failures - How many attempts fail, at each task and item and in each run. Default: 1.
 */
export function errorThenValue(error: unknown, value: unknown, failures = 1): MockFunction {
  return (context) => {
    if (context.attempt <= failures) throw error;
    return typeof value === "function" ? value(context) : value;
  };
}

/** Which tasks are replaced, and by what. */
export class Mocks {
  readonly #pipelines: readonly Pipeline[];
  /** By `task` or `pipeline/task`. */
  readonly #functions = new Map<string, MockFunction>();

  constructor(pipelines: readonly Pipeline[]) {
    this.#pipelines = pipelines;
  }

  /** @throws {TypeError} When no pipeline has such a task: a mock that is never used hides a mistake. */
  set(task: string, replacement: unknown): void {
    this.#checkKnown(task);
    this.#functions.set(task, typeof replacement === "function" ? (replacement as MockFunction) : () => replacement);
  }

  delete(task: string): void {
    this.#checkKnown(task);
    this.#functions.delete(task);
  }

  clear(): void {
    this.#functions.clear();
  }

  /** The narrower name goes first. */
  find(pipeline: string, task: string): MockFunction | undefined {
    return this.#functions.get(`${pipeline}/${task}`) ?? this.#functions.get(task);
  }

  #checkKnown(name: string): void {
    const known = this.#pipelines.flatMap(({ id, taskIds }) => taskIds.flatMap((task) => [task, `${id}/${task}`]));
    if (known.includes(name)) return;
    throw new TypeError(
      `Cannot mock "${name}" as no pipeline of this engine has such a task: they have ${[...new Set(known)].join(", ")}`,
    );
  }
}

/**
 * An executor that runs mocked tasks in-process, with the context, the codec, the conditions and the retry rules of the
 * real ones, and leaves the rest to `executor`.
 */
export function withMocks(executor: Executor, mocks: Mocks): Executor {
  const forMocks = inProcess();
  return {
    supports: executor.supports,
    slots: executor.slots,
    async start(host) {
      const pipelines = new Map([...host.pipelines].map(([id, pipeline]) => [id, mockable(pipeline, mocks)]));
      await forMocks.start({ ...host, pipelines });
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

/** The pipeline, with every function replaced by a look for its mock. */
function mockable(pipeline: Pipeline, mocks: Mocks): Pipeline {
  const { id, title, description, taskIds, hash, settings, plan } = pipeline;
  const tasks = plan.tasks.map((task) => ({
    ...task,
    run: (context: MockContext) => (mocks.find(id, task.id) ?? task.run)(context),
  }));
  return {
    id,
    title,
    description,
    taskIds,
    hash,
    settings,
    plan: { ...plan, tasks },
    get graph() {
      return pipeline.graph;
    },
  };
}
