import { afterEach, describe, expect, it } from "vitest";
import { createEngine, type Engine, type Executor, inProcess, RunFailedError } from "weftline";
import { type DemandSource, usBirths } from "./data.js";
import { broken, type Fault, flaky, withFaults } from "./faults.js";
import type { LinearModel } from "./model.js";
import type { ModelStore } from "./model-store.js";
import { demandForecast } from "./pipeline.js";

class MemoryModelStore implements ModelStore {
  model: LinearModel | undefined;

  async read(): Promise<LinearModel | undefined> {
    return this.model;
  }

  async write(model: LinearModel): Promise<void> {
    this.model = model;
  }
}

const engines: Engine[] = [];
afterEach(() => Promise.all(engines.splice(0).map((engine) => engine.stop())));

interface Setup {
  readonly modelStore?: ModelStore;
  readonly demandSource?: DemandSource;
  readonly executor?: Executor;
}

async function startEngine({ modelStore = new MemoryModelStore(), demandSource = usBirths, executor }: Setup = {}) {
  const engine = createEngine({
    pipelines: [demandForecast],
    resources: { demandSource, modelStore },
    executors: { default: executor ?? inProcess() },
    // Full jitter draws delays between 0 and their whole length: this is the short end.
    random: () => 0.999,
  });
  engines.push(engine);
  await engine.start();
  return engine;
}

async function statusesOf(engine: Engine, runId: string): Promise<Record<string, string>> {
  const { items } = await engine.runs.tasks(runId);
  return Object.fromEntries(items.filter(({ index }) => index.length === 0).map(({ task, status }) => [task, status]));
}

describe("demandForecast", () => {
  it("deploys the first model, and reports", async () => {
    const modelStore = new MemoryModelStore();
    const engine = await startEngine({ modelStore });
    const run = await engine.trigger(demandForecast, {});
    const { evaluation, foldScores, nextWeek } = await run.result();

    expect(evaluation.candidate.mape).toBeCloseTo(2.62, 2);
    expect(evaluation.decision.choice).toBe("deploy");
    expect(foldScores.map(({ year }) => year)).toEqual([
      2003, 2004, 2005, 2006, 2007, 2008, 2009, 2010, 2011, 2012, 2013, 2014,
    ]);
    expect(nextWeek.map(({ day }) => day)).toEqual([
      "2015-01-01",
      "2015-01-02",
      "2015-01-03",
      "2015-01-04",
      "2015-01-05",
      "2015-01-06",
      "2015-01-07",
    ]);
    expect(modelStore.model?.trainedThrough).toBe("2012-12-31");
    expect(await statusesOf(engine, run.id)).toMatchObject({
      deploy: "succeeded",
      keep: "skipped",
      report: "succeeded",
    });

    const report = await engine.runs.artifact(run.id, "report.html");
    expect(report?.contentType).toBe("text/html; charset=utf-8");
    expect(new TextDecoder().decode(report?.data)).toContain("<dd>2.62 %</dd>");
  });

  it("records rows and accuracies as metrics", async () => {
    const engine = await startEngine();
    const run = await engine.trigger(demandForecast, {});
    await run.result();
    const { items } = await engine.runs.metrics(run.id);
    expect(items.filter(({ task }) => task === "train")).toHaveLength(12);
    const others = items.filter(({ task }) => task !== "train").map(({ name, value }) => `${name} ${value.toFixed(2)}`);
    expect(others.toSorted()).toEqual(["mape 2.62", "mape.back-test 2.79", "rows 5479.00"]);
  });

  it("keeps the deployed model when the new one is the same", async () => {
    const modelStore = new MemoryModelStore();
    const engine = await startEngine({ modelStore });
    await engine.run(demandForecast, {});
    const deployed = modelStore.model;

    const run = await engine.trigger(demandForecast, {});
    const { evaluation, nextWeek } = await run.result();
    expect(evaluation.deployed).toEqual(evaluation.candidate);
    expect(nextWeek).toHaveLength(7);
    expect(modelStore.model).toBe(deployed);
    expect(await statusesOf(engine, run.id)).toMatchObject({
      deploy: "skipped",
      keep: "succeeded",
      report: "succeeded",
    });
  });

  it("replaces a deployed model that two more years of data beat", async () => {
    const modelStore = new MemoryModelStore();
    const engine = await startEngine({ modelStore });
    await engine.run(demandForecast, { day: "2012-12-31" });
    expect(modelStore.model?.trainedThrough).toBe("2011-01-01");

    const { evaluation } = await engine.run(demandForecast, { day: "2014-12-31" });
    expect(evaluation.decision).toMatchObject({
      choice: "deploy",
      reason: expect.stringContaining("better: the candidate"),
    });
    expect(modelStore.model?.trainedThrough).toBe("2012-12-31");
  });

  it("replaces a deployed model whose features are not computed any more", async () => {
    const modelStore = new MemoryModelStore();
    modelStore.model = {
      features: ["moon"],
      weights: [1],
      intercept: 0,
      trainedFrom: "2001-01-01",
      trainedThrough: "2004-12-31",
    };
    const engine = await startEngine({ modelStore });
    const { evaluation } = await engine.run(demandForecast, {});
    expect(evaluation.deployed).toBeUndefined();
    expect(modelStore.model.features).toContain("four-week mean");
  });

  it("back-tests as many years as there are", async () => {
    const engine = await startEngine();
    const { foldScores } = await engine.run(demandForecast, { day: "2009-06-30" });
    expect(foldScores.map(({ year }) => year)).toEqual([2003, 2004, 2005, 2006, 2007, 2008]);
  });

  it("retries a fetch that fails at first", async () => {
    const engine = await startEngine({ executor: withFaults(inProcess(), new Set([flaky("fetch")])) });
    const run = await engine.trigger(demandForecast, {});
    await run.result();
    const { items } = await engine.runs.attempts(run.id, { task: "fetch" });
    expect(items.map(({ status }) => status)).toEqual(["failed", "failed", "succeeded"]);
  });

  it("does not retry on data that cannot be used, and deploys nothing", async () => {
    const modelStore = new MemoryModelStore();
    const demandSource: DemandSource = {
      fetch: async (...request) => (await usBirths.fetch(...request)).toSpliced(100, 1),
    };
    const engine = await startEngine({ modelStore, demandSource });
    const failure = await engine.run(demandForecast, {}).catch((error: unknown) => error);
    if (!(failure instanceof RunFailedError)) throw failure;
    expect(failure.failures).toMatchObject([
      { task: "validate", attempts: 1, error: { message: "Cannot use the data: 2000-04-11 follows 2000-04-09" } },
    ]);
    expect(modelStore.model).toBeUndefined();
  });

  it("refuses a day that is none", async () => {
    const engine = await startEngine();
    await expect(engine.trigger(demandForecast, { day: "yesterday" })).rejects.toMatchObject({
      code: "PARAMS_INVALID",
    });
  });
});

describe("demandForecast, after a failure", () => {
  it.each(demandForecast.taskIds.filter((task) => task !== "keep"))(
    "goes on from %s without repeating what had succeeded",
    async (task) => {
      const faults = new Set<Fault>([broken(task)]);
      const { executor, executions } = counting(inProcess());
      const engine = await startEngine({ executor: withFaults(executor, faults) });

      const run = await engine.trigger(demandForecast, { day: "2009-12-31" });
      const failure = await run.result().catch((error: unknown) => error);
      if (!(failure instanceof RunFailedError)) throw failure;
      expect(failure.failures).toMatchObject([{ task, index: task === "train" ? [3] : [], attempts: 3 }]);

      faults.clear();
      await engine.runs.resume(run.id);
      const { foldScores } = await run.result();
      expect(foldScores).toHaveLength(7);
      // The code of every task ran once: 14 tasks without `keep`, which is skipped, and `train`, which is 7 items.
      expect([...executions.values()]).toEqual(Array(12 + 7).fill(1));
    },
  );
});

/** Counts how often the code of each task and item really ran. */
function counting(executor: Executor): { readonly executor: Executor; readonly executions: Map<string, number> } {
  const executions = new Map<string, number>();
  return {
    executions,
    executor: {
      supports: executor.supports,
      slots: executor.slots,
      start: (host) => executor.start(host),
      stop: (options) => executor.stop(options),
      execute: (job, port) => {
        const place = [job.task, ...job.index].join("/");
        executions.set(place, (executions.get(place) ?? 0) + 1);
        return executor.execute(job, port);
      },
    },
  };
}
