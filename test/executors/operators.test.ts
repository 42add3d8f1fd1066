import { expect } from "vitest";
import type { RerunOptions } from "weftline";
import { temporaryFiles } from "./files.js";
import * as work from "./operators.pipelines.js";
import { ended, eventually, type Ran, ran, started, startedUntil, statuses } from "./runs.js";
import { onEachExecutor } from "./world.js";

const setup = { module: new URL("./operators.pipelines.ts", import.meta.url), exports: work };
const newFile = temporaryFiles();

/** The params of a run for which something is broken, and what mends that. */
function brokenWorld() {
  const file = newFile("world");
  work.setWorld(file, "broken");
  return { params: { file }, mend: () => work.setWorld(file, "mended") };
}

/** Without the name of the world's file. */
function withoutWorld(history: Ran["history"]): unknown {
  return { ...history, run: { ...history.run, params: undefined } };
}

onEachExecutor(setup, (behaviour) => {
  behaviour("a run that is cancelled tells its code so, and starts nothing more", async (engine) => {
    const run = await startedUntil(engine, work.hanging, "hangs");
    expect(await run.cancel({ reason: "not needed" })).toBe(true);
    const end = await ended(engine, run);
    expect([end.status, end.error?.code]).toEqual(["cancelled", "RUN_CANCELLED"]);
    expect(statuses(end)).toEqual({ first: "succeeded", hangs: "cancelled", never: "cancelled", tidy: "cancelled" });
    expect(end.lines).toContain("told: WeftlineError RUN_CANCELLED true");
    return end.history;
  });

  behaviour("a task that waits for its next attempt is cancelled without another", async (engine) => {
    const run = await startedUntil(engine, work.retryingForLong, "fails");
    await eventually(async () => (await run.status()) === "waiting", "the run waits for the retry");
    await run.cancel();
    const end = await ended(engine, run);
    expect(end.attempts).toEqual(["task failed"]);
    return end.history;
  });

  behaviour("F120 what a cancelled attempt returns within its grace is dropped", async (engine) => {
    const run = await startedUntil(engine, work.returningLate, "hangs");
    await run.cancel();
    const end = await ended(engine, run);
    expect([end.status, end.tasks.task!.status, end.tasks.task!.output]).toEqual(["cancelled", "cancelled", undefined]);
    return end.history;
  });

  behaviour(
    "F118 a cancelled loop that never yields is stopped by force",
    async (engine) => {
      const run = await startedUntil(engine, work.endless, "spins");
      await run.cancel();
      const end = await ended(engine, run);
      expect(end.history.attempts).toMatchObject([
        { status: "cancelled", error: { code: "RUN_CANCELLED", cause: { code: "ABORT_FORCED" } } },
      ]);
      expect((await ran(engine, work.quick)).result).toEqual({ task: 1 });
      return end.history;
    },
    ["threads", "processes"],
  );

  behaviour("F132 a run that is cancelled before its start starts nothing", async (engine) => {
    const run = await started(engine, work.hanging, {}, { at: Date.now() + 3_600_000 });
    await run.cancel();
    const end = await ended(engine, run);
    expect(end.attempts).toEqual([]);
    return end.history;
  });

  behaviour("F132 cancelling right after the trigger starts nothing that lasts", async (engine) => {
    const run = await started(engine, work.hanging);
    await run.cancel();
    const end = await ended(engine, run);
    expect([end.status, end.tasks.never?.status]).toEqual(["cancelled", "cancelled"]);
    return end.status;
  });

  behaviour("F132 cancelled after its end: no effect", async (engine) => {
    const run = await started(engine, work.quick);
    await run.result();
    expect([await run.cancel(), await run.status()]).toEqual([false, "succeeded"]);
    return (await ended(engine, run)).history;
  });

  behaviour("one task may be cancelled, and the others go on", async (engine) => {
    const run = await startedUntil(engine, work.twoPaths, "hangs");
    await run.cancel({ task: "left", reason: "too slow" });
    const end = await ended(engine, run);
    expect(statuses(end)).toEqual({
      left: "cancelled",
      "left-next": "upstream-failed",
      right: "succeeded",
      join: "succeeded",
    });
    return end.history;
  });

  behaviour("one item may be cancelled, and the others go on", async (engine) => {
    const run = await startedUntil(engine, work.items, "hangs");
    await run.cancel({ task: "each", index: [1] });
    const end = await ended(engine, run);
    expect(statuses(end)).toMatchObject({ "each[0]": "succeeded", "each[1]": "cancelled", "each[2]": "succeeded" });
    return end.history;
  });

  behaviour("F213 a run cancelled when its task just began ends once", async (engine) => {
    const run = await startedUntil(engine, work.selfCancelling, "hangs");
    await Promise.all([run.cancel(), run.cancel(), run.cancel()]);
    const end = await ended(engine, run);
    expect(end.attempts).toContain("wait cancelled");
    return end.status;
  });

  behaviour("a paused run lets end what runs and starts nothing, until it is unpaused", async (engine) => {
    const run = await startedUntil(engine, work.pausing, "runs");
    await engine.runs.pause(run.id);
    await eventually(async () => {
      const { items } = await engine.runs.tasks(run.id, { task: "first" });
      return items[0]?.status === "succeeded";
    }, "the end of what ran");
    await eventually(async () => (await run.status()) === "paused", "the pause");
    expect((await engine.runs.attempts(run.id)).items).toHaveLength(1);
    await engine.runs.unpause(run.id);
    const end = await ended(engine, run);
    expect(end.result).toEqual({ second: 2 });
    return end.history;
  });

  behaviour("a resume goes on from the point of failure, with the steps that are done", async (engine) => {
    const { params, mend } = brokenWorld();
    const failed = await ran(engine, work.mending, params);
    expect(statuses(failed)).toMatchObject({
      before: "succeeded",
      task: "failed",
      "beside[0]": "succeeded",
      "beside[1]": "failed",
    });
    mend();
    const end = await ended(engine, await engine.runs.resume(failed.id));
    const rows = new Map([["rows", 2n]]);
    expect(end.result).toEqual({
      after: [
        [rows, 3],
        [0, 1],
      ],
    });
    expect(end.lines).toEqual(["before runs", "does the step"]);
    expect(end.attempts).toEqual([
      "before succeeded",
      ...["task failed", "task failed", "task succeeded"],
      ...["beside[0] succeeded", "beside[1] failed", "beside[1] succeeded"],
      "after succeeded",
    ]);
    return withoutWorld(end.history);
  });

  behaviour("a resume of a parent resumes the run of its sub-pipeline", async (engine) => {
    const { params, mend } = brokenWorld();
    const failed = await ran(engine, work.mendingChild, params);
    mend();
    const end = await ended(engine, await engine.runs.resume(failed.id));
    const { items: children } = await engine.runs.list({ parent: end.id });
    expect([failed.status, end.status, children.length]).toEqual(["failed", "succeeded", 1]);
    const child = await engine.runs.logs(children[0]!.id);
    expect(child.items.map(({ message }) => message)).toEqual(["good runs"]);
    return statuses(end);
  });

  const reruns: readonly [string, RerunOptions, unknown][] = [
    ["a task with all that depends on it", { from: "b" }, [1, [1, 1], [0]]],
    ["under other params", { from: ["a", "list"], params: { n: 3 } }, [3, [3, 3], [0, 1, 2]]],
    ["one alone", { from: "a", only: true }, [1, [1, 1], [0]]],
    ["a map alone", { from: "each", withDownstream: false }, [1, [1, 1], [0]]],
  ];
  for (const [what, options, result] of reruns) {
    behaviour(`a rerun runs ${what} again, in a new generation`, async (engine) => {
      const first = await ran(engine, work.counting, { n: 1 });
      const again = await ended(engine, await engine.runs.rerun(first.id, options));
      expect(again.result).toEqual({ end: result });
      expect(again.history.run.generation).toBe(2);
      const every = await engine.runs.steps(first.id);
      return [first.history, again.history, every.items.length];
    });
  }

  behaviour("a teardown runs after success, failure and cancellation", async (engine) => {
    const { params, mend } = brokenWorld();
    const failed = await ran(engine, work.cleaning, params);
    mend();
    const succeeded = await ran(engine, work.cleaning, params);
    const run = await started(engine, work.cleaning, { ...params, hangs: true });
    await eventually(async () => (await engine.runs.logs(run.id)).items.length === 2, "the use");
    await run.cancel();
    const cancelled = await ended(engine, run);
    for (const end of [failed, succeeded, cancelled]) {
      expect(end.lines).toEqual(["sets up", "uses", "takes cluster down"]);
      expect(end.tasks.teardown!.status).toBe("succeeded");
    }
    const ends = [failed, succeeded, cancelled];
    expect(ends.map(({ status }) => status)).toEqual(["failed", "succeeded", "cancelled"]);
    return ends.map(({ history }) => withoutWorld(history));
  });

  behaviour("a resume sets up again what a teardown has taken down", async (engine) => {
    const { params, mend } = brokenWorld();
    const failed = await ran(engine, work.cleaning, params);
    mend();
    const end = await ended(engine, await engine.runs.resume(failed.id));
    expect(end.status).toBe("succeeded");
    const lines = ["sets up", "uses", "takes cluster down"];
    expect(end.lines).toEqual([...lines, ...lines]);
    return withoutWorld(end.history);
  });

  behaviour("a teardown that fails fails its run only where that is asked for", async (engine) => {
    const runs = [await ran(engine, work.harmlessTeardown), await ran(engine, work.strictTeardown)];
    expect(runs.map(({ status }) => status)).toEqual(["succeeded", "failed"]);
    return runs.map(({ history }) => history);
  });

  behaviour("explain() says what a task waits for", async (engine) => {
    const run = await startedUntil(engine, work.hanging, "hangs");
    const explained = await engine.runs.explain(run.id, "never");
    await run.cancel();
    await ended(engine, run);
    const why = JSON.stringify(explained);
    expect(why).toContain("hangs");
    return JSON.parse(why.replaceAll(run.id, "<run>")) as unknown;
  });
});
