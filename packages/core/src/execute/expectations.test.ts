import { describe, expect, it } from "vitest";
import type { Expectation } from "../define/options.js";
import { pipeline } from "../define/pipeline.js";
import { startedEngine } from "../test-support/engines.js";
import { ManualClock } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { unmetExpectations } from "./expectations.js";

leavesNothingBehind();

describe("unmetExpectations()", () => {
  const measured = new Map([
    ["mape", 7.5],
    ["nan", Number.NaN],
    ["inf", Number.POSITIVE_INFINITY],
  ]);
  const output = { rows: [1, 2, 3], text: "abc", none: null, count: 0n, deep: { drift: -0.5 } };

  it.each<[string, Expectation, string | undefined]>([
    ["mape", { max: 7.5 }, undefined],
    ["mape", { min: 7.5 }, undefined],
    ["mape", { max: 5 }, "mape is 7.5, above the maximum of 5"],
    ["mape", { min: 8, max: 9 }, "mape is 7.5, below the minimum of 8"],
    ["nan", { max: 5 }, "nan is NaN"],
    ["nan", { min: Number.NEGATIVE_INFINITY }, "nan is NaN"],
    ["inf", { min: 5 }, undefined],
    ["inf", { max: 5 }, "inf is Infinity, above the maximum of 5"],
    ["missing", { max: 5 }, "missing was not measured"],
    ["output.rows.length", { min: 3, max: 3 }, undefined],
    ["output.rows.length", { min: 100 }, "output.rows.length is 3, below the minimum of 100"],
    ["output.rows.0", { min: 1 }, undefined],
    ["output.text.length", { max: 2 }, "output.text.length is 3, above the maximum of 2"],
    ["output.deep.drift", { min: 0 }, "output.deep.drift is -0.5, below the minimum of 0"],
    ["output.deep.other.far", { min: 0 }, "output.deep.other.far was not measured"],
    ["output.none", { min: 0 }, "output.none is no number but object"],
    ["output.none.length", { min: 0 }, "output.none.length was not measured"],
    ["output.text", { min: 0 }, "output.text is no number but string"],
    ["output.count", { min: 0 }, "output.count is no number but bigint"],
    ["output", { min: 0 }, "output is no number but object"],
  ])("says of %s with %j: %s", (name, bounds, message) => {
    const unmet = unmetExpectations({ [name]: bounds }, output, measured);
    expect(unmet).toEqual(message === undefined ? [] : [{ severity: "error", message }]);
  });

  it.each([undefined, null, 5])("reads %j itself as the output", (value) => {
    expect(unmetExpectations({ output: { min: 1 } }, value, measured)).toHaveLength(value === 5 ? 0 : 1);
  });

  it("names everything that is not met, each with its severity", () => {
    const expected = { mape: { max: 1, severity: "warning" }, missing: { min: 0 } } as const;
    expect(unmetExpectations(expected, output, measured).map(({ severity }) => severity)).toEqual(["warning", "error"]);
  });
});

describe("expect", () => {
  it("fails the task with the measured value, retried by its policy", async () => {
    const clock = new ManualClock();
    const retry = { attempts: 3, delay: "1s", backoff: "fixed" } as const;
    const values = [9, 8, 4];
    const work = pipeline("work", (p) => {
      const model = p.task("train", { retry, expect: { mape: { max: 5 } } }, ({ metric, attempt }) => {
        metric("mape", 99);
        metric("mape", values[attempt - 1]!); // the last value counts
        return attempt;
      });
      return { model };
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(2_000);
    expect(await run.result()).toEqual({ model: 3 });
    const attempts = (await engine.runs.attempts(run.id)).items;
    expect(attempts).toMatchObject([
      {
        status: "failed",
        error: { code: "EXPECTATION_FAILED", message: expect.stringContaining("mape is 9, above the maximum of 5") },
      },
      { status: "failed", error: { code: "EXPECTATION_FAILED", message: expect.stringContaining("mape is 8") } },
      { status: "succeeded", error: undefined },
    ]);
  });

  it("does not count what another attempt or item measured", async () => {
    const retry = { attempts: 2, delay: 0 };
    const work = pipeline("work", (p) => {
      p.map(
        "each",
        { over: [1, 2], retry, expect: { rows: { min: 1 } }, allowFailure: true },
        ({ item, attempt, metric }) => {
          if (item === 1 && attempt === 1) metric("rows", 5);
          if (item === 1) return;
          if (attempt === 1) metric("rows", 0);
        },
      );
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    const errors = (await engine.runs.attempts(run.id)).items.map(({ index, error }) => [
      index[0],
      error?.message.match(/rows [a-z ]+/)?.[0],
    ]);
    expect(errors).toEqual([
      [0, undefined],
      [1, "rows is "],
      [1, "rows was not measured"],
    ]);
  });

  it("is a warning in history when it says so, and the task succeeds", async () => {
    const work = pipeline("work", (p) => {
      const rows = p.task(
        "rows",
        { expect: { "output.length": { min: 3, severity: "warning" }, ok: { min: 0, severity: "warning" } } },
        ({ metric }) => {
          metric("ok", 1);
          return [1];
        },
      );
      return { rows };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    expect(await run.result()).toEqual({ rows: [1] });
    const warning = "output.length is 1, below the minimum of 3";
    expect((await engine.runs.tasks(run.id)).items[0]).toMatchObject({ status: "succeeded", warning });
    expect((await engine.runs.logs(run.id)).items).toMatchObject([{ level: "warn", message: warning }]);
  });

  it("holds for what a poll finds and a check measures", async () => {
    const work = pipeline("work", (p) => {
      p.poll("poll", { every: "1s", expect: { output: { max: 1 } } }, () => 2);
      p.check("check", { expect: { rows: { min: 1 } } }, ({ metric }) => {
        metric("rows", 0);
        return true;
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await expect(run.result()).rejects.toMatchObject({
      failures: [
        { task: "poll", error: { code: "EXPECTATION_FAILED" } },
        { task: "check", error: { code: "EXPECTATION_FAILED" } },
      ],
    });
  });

  it("is not asked of what was skipped, or failed by itself", async () => {
    const work = pipeline("work", (p) => {
      p.task("skipped", { when: () => false, expect: { rows: { min: 1 } } }, () => 1);
      p.task("failed", { allowFailure: true, expect: { rows: { min: 1 } } }, () => {
        throw new Error("by itself");
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    const [skipped, failed] = (await engine.runs.tasks(run.id)).items;
    expect(skipped).toMatchObject({ status: "skipped" });
    expect(failed).toMatchObject({ error: { message: "by itself" } });
  });

  it.each<[string, object]>([
    ["no bounds", {}],
    ["NaN as a bound", { min: Number.NaN }],
    ["a text as a bound", { max: "5" }],
    ["an unknown severity", { min: 0, severity: "info" }],
    ["nothing", null as never],
  ])("refuses %s", (_what, bounds) => {
    const define = () => pipeline("work", (p) => void p.task("task", { expect: { mape: bounds } }, () => 1));
    expect(define).toThrow(expect.objectContaining({ code: "TASK_INVALID", message: expect.stringContaining("mape") }));
  });
});
