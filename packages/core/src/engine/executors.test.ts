import { describe, expect, it } from "vitest";
import type { Executor, ExecutorHost, TaskPort } from "../contracts/executor.js";
import { inProcess } from "../defaults/in-process.js";
import { pipeline } from "../define/pipeline.js";
import { startedEngine, testEngine } from "../test-support/engines.js";
import { gate } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import type { Engine } from "./engine.js";

leavesNothingBehind();

const attempts = async (engine: Engine, runId: string) => (await engine.runs.attempts(runId)).items;

/** In-process, with a change. */
function executorWith(change: (inner: Executor) => Partial<Executor>): Executor {
  const inner = inProcess();
  return {
    supports: inner.supports,
    slots: inner.slots,
    start: (host) => inner.start(host),
    execute: (job, port) => inner.execute(job, port),
    stop: (options) => inner.stop(options),
    ...change(inner),
  };
}

const hangs = pipeline("hangs", (p) => {
  p.task("hangs", { timeout: "10s" }, ({ signal }) => {
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
  });
});

describe("an executor that needs time to start a worker", () => {
  it("has the attempt's timeout counted from the start of the code", async () => {
    const clock = new ManualClock();
    const warm = gate();
    const slow = executorWith((inner) => ({
      async execute(job, port) {
        await warm.passed;
        return inner.execute(job, port);
      },
    }));
    const engine = await startedEngine({ pipelines: [hangs], clock, executors: { default: slow } });
    const run = await engine.trigger(hangs);
    await clock.advance(60_000);
    expect(await run.status()).toBe("running");
    warm.open();
    await settled();
    await clock.advance(9_000);
    expect(await run.status()).toBe("running");
    await clock.advance(1_000);
    expect(await run.status()).toBe("failed");
    expect(await attempts(engine, run.id)).toMatchObject([{ error: { code: "TASK_TIMEOUT" } }]);
  });

  it("may say twice that it starts, or too late, and the timeout is one", async () => {
    const clock = new ManualClock();
    let port: TaskPort | undefined;
    const chatty = executorWith((inner) => ({
      execute(job, given) {
        port = given;
        given.started();
        return inner.execute(job, given);
      },
    }));
    const engine = await startedEngine({ pipelines: [hangs], clock, executors: { default: chatty } });
    const run = await engine.trigger(hangs);
    await clock.advance(5_000);
    port!.started();
    await clock.advance(5_000);
    expect(await run.status()).toBe("failed");
    port!.started();
    // A timer of the second would be found by `leavesNothingBehind`.
  });
});

describe("an executor that ends code by force", () => {
  const forced = executorWith(() => ({
    supports: { killable: true, remote: false, memoryLimit: false },
    execute: (job, port) => {
      port.started();
      return new Promise((resolve) =>
        port.whenAborted(() =>
          resolve({
            kind: "failed",
            error: { name: "WeftlineError", code: "ABORT_FORCED", message: `ABORT_FORCED: task "${job.task}"` },
            retryable: true,
            retryAfterMs: undefined,
          }),
        ),
      );
    },
  }));

  it("F118 has the force recorded as the cause of a timeout", async () => {
    const clock = new ManualClock();
    const engine = await startedEngine({ pipelines: [hangs], clock, executors: { default: forced } });
    const run = await engine.trigger(hangs);
    await clock.advance(10_000);
    const [attempt] = await attempts(engine, run.id);
    expect(attempt).toMatchObject({
      status: "failed",
      error: { code: "TASK_TIMEOUT", cause: { code: "ABORT_FORCED" } },
    });
  });

  it("F118 has the force recorded as the cause of a cancellation", async () => {
    const engine = await startedEngine({ pipelines: [hangs], executors: { default: forced } });
    const run = await engine.trigger(hangs);
    await settled();
    await run.cancel();
    await settled();
    const [attempt] = await attempts(engine, run.id);
    expect(attempt).toMatchObject({
      status: "cancelled",
      error: { code: "RUN_CANCELLED", cause: { code: "ABORT_FORCED" } },
    });
  });
});

describe("what an executor is given", () => {
  it("are the pipelines with tasks for it, and the resources the engine has", async () => {
    const hosts: Record<string, ExecutorHost> = {};
    const named = (name: string) =>
      executorWith((inner) => ({
        start(host) {
          hosts[name] = host;
          return inner.start(host);
        },
      }));
    const light = pipeline("light", (p) => void p.task("a", () => 1));
    const heavy = pipeline("heavy", (p) => {
      p.task("a", () => 1);
      p.task("b", { executor: "cpu" }, () => 1);
    });
    await startedEngine({
      pipelines: [light, heavy],
      executors: { default: named("default"), cpu: named("cpu"), idle: named("idle") },
      resources: { db: 1 },
    });
    const given = Object.fromEntries(Object.entries(hosts).map(([name, host]) => [name, [...host.pipelines.keys()]]));
    expect(given).toEqual({ default: ["light", "heavy"], cpu: ["heavy"], idle: [] });
    expect(hosts.cpu!.resources).toEqual({ db: 1 });
  });
});

describe("resources made by a function", () => {
  it("are made when the engine starts, lent to all tasks, and ended after the last of them", async () => {
    const said: string[] = [];
    const resources = async () => {
      said.push("made");
      return { name: "db", [Symbol.asyncDispose]: async () => void said.push("ended") };
    };
    const work = pipeline("work", (p) => {
      p.task("a", (context) => said.push(`used ${(context.resources as { name: string }).name}`));
    });
    const engine = testEngine({ pipelines: [work], resources });
    expect(said).toEqual([]);
    await engine.start();
    await engine.run(work);
    await engine.stop();
    expect(said).toEqual(["made", "used db", "ended"]);
  });

  it("that cannot be made fail the start, which may be tried again", async () => {
    let isBroken = true;
    const work = pipeline("work", (p) => void p.task("a", () => 1));
    const resources = () => {
      if (isBroken) throw new Error("no database");
      return {};
    };
    const engine = testEngine({ pipelines: [work], resources });
    await expect(engine.start()).rejects.toMatchObject({ code: "RESOURCES_FAILED" });
    isBroken = false;
    await engine.start();
    await engine.run(work);
  });
});
