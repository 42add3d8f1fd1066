import { describe, expect, it } from "vitest";
import type { CheckAnswer } from "../define/options.js";
import { pipeline } from "../define/pipeline.js";
import { startedEngine } from "../test-support/engines.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";

leavesNothingBehind();

/** Runs a check that answers so, and a task that needs it. */
async function checked(
  answer: () => unknown,
  options: { severity?: "error" | "warning"; retry?: { attempts: number; delay: number } } = {},
) {
  const rows = pipeline("work", (p) => {
    const data = p.task("data", () => [1, 2]);
    const check = p.check("rows", { needs: { data }, ...options }, ({ input }) =>
      input.data.length === 2 ? (answer() as CheckAnswer) : false,
    );
    p.task("after", { needs: { check } }, ({ input }) => input.check);
  });
  const engine = await startedEngine({ pipelines: [rows] });
  const run = await engine.trigger(rows);
  await run.result().catch(() => undefined);
  const [, check, after] = (await engine.runs.tasks(run.id)).items;
  const logs = (await engine.runs.logs(run.id)).items;
  return { status: await run.status(), check: check!, after: after!, logs };
}

describe("p.check", () => {
  it.each<[string, unknown, object]>([
    ["true", true, { passed: true, message: "passed" }],
    ["a promise of true", Promise.resolve(true), { passed: true, message: "passed" }],
    ["an object", { passed: true }, { passed: true, message: "passed" }],
    ["words", { passed: true, message: "all there" }, { passed: true, message: "all there" }],
    ["a value", { passed: true, message: "rows", value: 12 }, { passed: true, message: "rows (measured: 12)" }],
  ])("passes with %s, and puts that out", async (_what, answer, output) => {
    const { status, check, after } = await checked(() => answer);
    expect([status, check.output, check.warning]).toEqual(["succeeded", output, undefined]);
    expect(after.output).toEqual(output);
  });

  it.each<[string, unknown, string]>([
    ["false", false, "did not pass"],
    ["an object", { passed: false }, "did not pass"],
    ["words", { passed: false, message: "too few" }, "too few"],
    ["a number", { passed: false, message: "too few", value: 3 }, "too few (measured: 3)"],
    ["0", { passed: false, value: 0 }, "did not pass (measured: 0)"],
    ["a bigint", { passed: false, value: 3n }, "did not pass (measured: 3)"],
    ["NaN", { passed: false, value: Number.NaN }, "did not pass (measured: NaN)"],
    ["a text", { passed: false, value: "abc" }, 'did not pass (measured: "abc")'],
    ["null", { passed: false, value: null }, "did not pass (measured: null)"],
  ])("fails with %s, or warns", async (_what, answer, said) => {
    const failed = await checked(() => answer);
    expect(failed.status).toBe("failed");
    expect(failed.check).toMatchObject({
      status: "failed",
      error: { code: "CHECK_FAILED", message: `CHECK_FAILED: check "rows": ${said}.` },
    });
    expect(failed.after.status).toBe("upstream-failed");
    const warned = await checked(() => answer, { severity: "warning" });
    expect(warned.status).toBe("succeeded");
    expect(warned.check).toMatchObject({
      status: "succeeded",
      warning: said,
      output: { passed: false, message: said },
    });
    expect(warned.logs).toMatchObject([{ task: "rows", level: "warn", message: said }]);
  });

  it.each([undefined, null, 1, "yes", {}, { passed: 1 }, []])(
    "fails without an answer: %j, as a warning too",
    async (answer) => {
      for (const severity of ["error", "warning"] as const) {
        const { check } = await checked(() => answer, { severity });
        expect(check).toMatchObject({
          status: "failed",
          error: { code: "CHECK_FAILED", message: expect.stringContaining("no answer") },
        });
      }
    },
  );

  it("survives a value of any length or shape", async () => {
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    for (const value of [cyclic, "x".repeat(100_000), () => 1, Symbol("s"), Object.create(null)]) {
      const { check } = await checked(() => ({ passed: false, message: "bad", value }), { severity: "warning" });
      expect(check).toMatchObject({ status: "succeeded", warning: expect.stringMatching(/^bad \(measured: /) });
    }
  });

  it("fails when its test throws, whatever its severity, and is retried by its policy", async () => {
    let calls = 0;
    const flaky = () => {
      if (++calls < 3) throw new Error("no connection");
      return true;
    };
    const { status, check } = await checked(flaky, { severity: "warning", retry: { attempts: 3, delay: 0 } });
    expect([status, check.attempts]).toEqual(["succeeded", 3]);
  });

  it("says first that it did not pass, then what else was not as expected", async () => {
    const bounds = { rows: { min: 5, severity: "warning" } } as const;
    const work = pipeline("work", (p) => {
      const test = ({ metric }: { metric: (name: string, value: number) => void }) => {
        metric("rows", 3);
        return { passed: false, message: "too few" };
      };
      p.check("fails", { expect: { rows: { min: 5 } }, allowFailure: true }, test);
      p.check("warns", { expect: bounds, severity: "warning" }, test);
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    const [fails, warns] = (await engine.runs.tasks(run.id)).items;
    expect(fails).toMatchObject({ error: { code: "CHECK_FAILED" } });
    expect(warns).toMatchObject({ warning: "too few; rows is 3, below the minimum of 5" });
  });

  it("refuses an unknown severity", () => {
    const define = () => pipeline("work", (p) => void p.check("c", { severity: "info" as "error" }, () => true));
    expect(define).toThrow(expect.objectContaining({ code: "TASK_INVALID" }));
  });
});
