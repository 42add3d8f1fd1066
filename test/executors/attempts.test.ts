import { expect } from "vitest";
import type { Engine } from "weftline";
import * as work from "./attempts.pipelines.js";
import { ended, ran, started, statuses } from "./runs.js";
import { onEachExecutor } from "./world.js";

const setup = {
  module: new URL("./attempts.pipelines.ts", import.meta.url),
  exports: work,
  options: () => ({ limits: { maxValueBytes: 200_000 } }),
};

/** The delays of these tests are multiples of this. */
const UNIT_MS = 30;

/** How long after each failure of a run its next attempt was due, by task: less what passed until somebody heard of it. */
async function delaysOf(engine: Engine, pipeline: Parameters<typeof ran>[1]) {
  const delays: Record<string, number[]> = {};
  const off = engine.on("task:retrying", ({ task, at, retryAt }) => {
    delays[task] = [...(delays[task] ?? []), Math.ceil((retryAt - at) / UNIT_MS) * UNIT_MS + 0];
  });
  const run = await ran(engine, pipeline);
  off();
  return { delays, run };
}

onEachExecutor(setup, (behaviour) => {
  behaviour("a task that fails is tried again until it succeeds, and each attempt is kept", async (engine) => {
    const run = await ran(engine, work.flaky);
    expect(run.result).toEqual({ task: 3 });
    expect(run.attempts).toEqual(["task failed", "task failed", "task succeeded"]);
    expect(run.lines).toEqual(["attempt 1", "attempt 2", "attempt 3"]);
    return run.history;
  });

  behaviour("retries end with the policy, or the success before it", async (engine) => {
    const runs = [];
    for (const fails of [0, 1, 4, 5]) runs.push(await ran(engine, work.exact, { fails }));
    expect(runs.map(({ status, attempts }) => [status, attempts.length])).toEqual([
      ["succeeded", 1],
      ["succeeded", 2],
      ["succeeded", 5],
      ["failed", 5],
    ]);
    return runs.map(({ history }) => history);
  });

  behaviour("retries wait as long as their backoff says", async (engine) => {
    const { delays, run } = await delaysOf(engine, work.backingOff);
    expect(delays).toEqual({ fixed: [60, 60, 60], linear: [60, 120, 150], exponential: [60, 120, 150] });
    return run.history;
  });

  behaviour("RetryAfter goes before the policy's delay, and nonsense gives way to it", async (engine) => {
    const { delays, run } = await delaysOf(engine, work.askingLater);
    expect(delays).toEqual({ text: [60], number: [120], past: [0], nonsense: [30] });
    expect(run.lines).toEqual([expect.stringMatching(/RetryAfter|NaN/)]);
    return run.history;
  });

  behaviour("NonRetryableError is not tried again, nor a subclass, nor that of another copy", async (engine) => {
    const run = await ran(engine, work.givingUp);
    expect(run.attempts).toEqual(["plain failed", "subclass failed", "copy failed"]);
    return run.history;
  });

  behaviour("F153 retry.when sees what was thrown, classes and all; one that throws is noted", async (engine) => {
    const run = await ran(engine, work.choosy);
    expect([run.tasks.classes!.attempts, run.tasks.broken!.attempts]).toEqual([2, 3]);
    expect(run.lines.join()).toContain("predicate broken");
    return run.history;
  });

  behaviour("an error is kept with its code, its causes and what it collected", async (engine) => {
    const run = await ran(engine, work.failing);
    expect(run.error).toMatchObject({
      code: "RUN_FAILED",
      failures: [{ task: "bad", attempts: 2 }, { task: "several" }],
    });
    expect(run.tasks.bad!.error).toMatchObject({
      name: "RangeError",
      code: "42",
      message: "cannot import 🪡",
      cause: { name: "TypeError", message: "no rows", cause: { code: "ECONNRESET" } },
    });
    expect(run.tasks.several!.error?.errors?.map(({ message }) => message)).toEqual(["one", "two"]);
    expect(run.tasks.next!.status).toBe("upstream-failed");
    return run.history;
  });

  behaviour("an error's stack leads to the line that threw it", async (engine) => {
    const run = await ran(engine, work.failing);
    expect(run.tasks.bad!.error?.stack).toContain("attempts.pipelines.ts");
  });

  behaviour("whatever is thrown, at once or later, is an error in history", async (engine) => {
    const run = await ran(engine, work.odd);
    expect(run.status).toBe("succeeded");
    expect(new Set(Object.values(statuses(run)))).toEqual(new Set(["failed"]));
    expect(run.tasks.text!.error?.message).toContain("just a text");
    expect(run.tasks.object!.error).toMatchObject({ message: expect.stringContaining("an object") });
    for (const { error } of Object.values(run.tasks)) expect(error?.message.length).toBeLessThanOrEqual(8_192);
    return run.history;
  });

  behaviour("SkipTask skips the task with its reason, and what needs it", async (engine) => {
    const run = await ran(engine, work.skipping);
    expect(statuses(run)).toEqual({ fetch: "skipped", load: "skipped", tidy: "succeeded" });
    expect([run.tasks.fetch!.reason, run.attempts[0]]).toEqual(["nothing new", "fetch skipped"]);
    return run.history;
  });

  behaviour("allowFailure keeps the run from failing, not what needs the task", async (engine) => {
    const run = await ran(engine, work.lenient);
    expect(run.result).toEqual({ report: [undefined] });
    expect(statuses(run)).toEqual({ bad: "failed", next: "upstream-failed", report: "succeeded" });
    return run.history;
  });

  behaviour("a timeout of an attempt reaches the code as its signal, and the next attempt runs", async (engine) => {
    const run = await ran(engine, work.slow);
    expect(run.result).toEqual({ once: "in time" });
    expect(run.lines).toContain("told to stop: WeftlineError TASK_TIMEOUT");
    expect(run.history.attempts[0]).toMatchObject({ status: "failed", error: { code: "TASK_TIMEOUT" } });
    return run.history;
  });

  behaviour("a timeout in all ends the retries", async (engine) => {
    const run = await ran(engine, work.slowInAll);
    expect(run.tasks.task!.error?.code).toBe("TASK_TIMEOUT");
    expect(run.attempts).toEqual(["task failed", "task failed"]);
    return run.history;
  });

  behaviour("F120 what an attempt returns after its timeout is dropped", async (engine) => {
    const run = await ran(engine, work.late);
    expect([run.status, run.tasks.task!.error?.code, run.tasks.task!.output]).toEqual([
      "failed",
      "TASK_TIMEOUT",
      undefined,
    ]);
    return [run.history.tasks, run.history.attempts];
  });

  behaviour(
    "F118 F119 code that ignores its signal is stopped by force, or given up where that cannot be",
    async (engine, kind) => {
      const run = await ran(engine, work.stubborn);
      expect(run.result).toEqual({ ignores: 2 });
      const [first] = run.history.attempts;
      if (kind === "in-process") expect(first).toMatchObject({ status: "abandoned", error: { code: "TASK_TIMEOUT" } });
      else {
        expect(first).toMatchObject({
          status: "failed",
          error: { code: "TASK_TIMEOUT", cause: { code: "ABORT_FORCED" } },
        });
      }
      return run.history.tasks;
    },
  );

  behaviour(
    "F118 a loop that never yields is stopped by force, and the next attempt runs",
    async (engine) => {
      const run = await ran(engine, work.spinning);
      expect(run.result).toEqual({ spins: 2 });
      expect(run.history.attempts[0]).toMatchObject({
        error: { code: "TASK_TIMEOUT", cause: { code: "ABORT_FORCED" } },
      });
      return run.history;
    },
    ["threads", "processes"],
  );

  behaviour("a run's own timeout stops what runs and what has not started", async (engine) => {
    const run = await ran(engine, work.outOfTime);
    expect(run.history.run).toMatchObject({ status: "failed", error: { code: "RUN_TIMEOUT" } });
    expect([run.tasks.quick!.status, run.tasks.never!.status]).toEqual(["succeeded", "cancelled"]);
    return run.history;
  });

  behaviour("failFast stops what runs beside a failure", async (engine) => {
    const run = await ran(engine, work.failingFast);
    expect([run.status, statuses(run)]).toEqual(["failed", { bad: "failed", hangs: "cancelled" }]);
    return run.history;
  });

  behaviour('failWhen: "leaves" looks at the last tasks alone', async (engine) => {
    const run = await ran(engine, work.leaves);
    expect([run.status, statuses(run)]).toEqual(["succeeded", { bad: "failed", good: "succeeded" }]);
    return run.history;
  });

  behaviour(
    "F127 an output that cannot be stored fails its task with the path, and is not tried again in vain",
    async (engine) => {
      const run = await ran(engine, work.unstorable);
      expect(run.tasks.function!.error).toMatchObject({
        code: "OUTPUT_NOT_SERIALIZABLE",
        message: expect.stringMatching(/nested/),
      });
      expect(new Set(Object.values(statuses(run)))).toEqual(new Set(["failed"]));
      return run.history;
    },
  );

  behaviour("a step that is done is not done again by the next attempt; one that threw is", async (engine) => {
    const run = await ran(engine, work.stepping);
    expect(run.result.task).toEqual({
      rows: { at: new Date(5), ids: new Set([1n]), of: "rows" },
      pages: ["page 0", "page 1", "page 2"],
      both: ["a", "b"],
      caught: "good",
    });
    expect(run.lines.filter((line) => line.includes("bad"))).toHaveLength(3);
    expect(run.lines).toHaveLength(9);
    expect(run.history.steps.map(({ step }) => step)).toEqual(["rows", "page", "page#2", "page#3", "a", "b", "bad"]);
    return [run.history.tasks, run.history.steps, run.result];
  });

  behaviour("F80 a step's output may be any kind of nothing", async (engine) => {
    const run = await ran(engine, work.emptySteps);
    expect(run.result.each).toEqual([[undefined], [null], [false], [0], [""], [Number.NaN]]);
    expect(run.lines).toHaveLength(6);
    return run.history;
  });

  behaviour("a step whose output cannot be stored fails its task", async (engine) => {
    const run = await ran(engine, work.unstorableStep);
    expect(run.tasks.task!.error?.code).toMatch(/NOT_SERIALIZABLE/);
    return run.history;
  });

  behaviour("F141 a task does not see the async context of another, nor of the host", async (engine) => {
    const run = await ran(engine, work.contexts);
    expect(run.result).toEqual({ first: "none", second: "none" });
    return run.history;
  });

  behaviour("F131 listeners on the signals of hundreds of attempts do not pile up", async (engine) => {
    const run = await ran(engine, work.listening);
    expect(run.result).toEqual({ most: 0 });
    return run.history;
  });

  behaviour("many runs at once do not mix", async (engine) => {
    const runs = await Promise.all(Array.from({ length: 20 }, (_, n) => started(engine, work.exact, { fails: n % 5 })));
    const all = await Promise.all(runs.map((run) => ended(engine, run)));
    expect(all.map(({ result }) => result.task)).toEqual(Array.from({ length: 20 }, (_, n) => (n % 5) + 1));
    return all.map(({ history }) => history);
  });
});
