import { describe, expect, it } from "vitest";
import { z } from "zod";
import { WeftlineError } from "../errors.js";
import type { Builder } from "./builder.js";
import { pipeline } from "./pipeline.js";

const oneTask = (p: Builder<Record<never, never>>) => void p.task("a", () => 1);

/** Calls `pipeline` as code without types would. */
const define = (...args: unknown[]): unknown => (pipeline as (...args: unknown[]) => unknown)(...args);

const functionAsResult = (p: Builder<Record<never, never>>) => {
  p.task("a", () => 1);
  return () => 1;
};

function refusal(act: () => unknown): WeftlineError {
  try {
    act();
  } catch (error) {
    if (error instanceof WeftlineError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("pipeline()", () => {
  it("runs its build function once, and lists its tasks in order", () => {
    let calls = 0;
    const defined = pipeline("nightly", { title: "Nightly", description: "Every night" }, (p) => {
      calls++;
      p.task("b", () => 1);
      p.task("a", () => 1);
    });
    expect(calls).toBe(1);
    expect(defined).toMatchObject({ id: "nightly", title: "Nightly", description: "Every night" });
    expect(defined.taskIds).toEqual(["b", "a"]);
  });

  it("fills in its settings", () => {
    const { settings } = pipeline("p", oneTask);
    expect(settings).toEqual({
      schema: undefined,
      schedule: undefined,
      timeoutMs: undefined,
      concurrency: undefined,
      failWhen: "any",
      failFast: false,
      result: new Map(),
    });
    const options = { timeout: "2h", concurrency: 3, failWhen: "leaves", failFast: true } as const;
    expect(pipeline("p", options, oneTask).settings).toMatchObject({
      timeoutMs: 7_200_000,
      concurrency: 3,
      failWhen: "leaves",
      failFast: true,
    });
  });

  it("knows which tasks make its result, whatever their names", () => {
    const { settings } = pipeline("p", (p) => {
      const a = p.task("a", () => 1);
      const b = p.task("b", () => 1);
      return { second: b, first: a, ["__proto__"]: b, constructor: a, toString: b };
    });
    expect([...settings.result]).toEqual([
      ["second", 1],
      ["first", 0],
      ["__proto__", 1],
      ["constructor", 0],
      ["toString", 1],
    ]);
  });

  it("is frozen, with everything in it", () => {
    const tags = ["x"];
    const defined = pipeline("p", (p) => {
      const a = p.task("a", { tags, retry: { attempts: 2 }, timeout: "1m" }, () => 1);
      p.map("b", { needs: { a }, after: [a], over: [1, 2] }, () => 1);
      p.task("c", () => 1);
    });
    tags.push("y");
    const [a, b, c] = defined.plan.tasks;
    expect(a!.policy.tags).toEqual(["x"]);
    const parts = [
      ...[defined, defined.plan, defined.plan.tasks, defined.plan.needNames, defined.settings, a, b, c],
      ...[a!.policy, a!.policy.tags, a!.retry, a!.timeouts],
      ...[b!.extra, b!.after, (b!.over as { items: unknown }).items],
      ...[c!.policy, c!.policy.tags, c!.retry, c!.timeouts, c!.extra, c!.after],
    ];
    expect(parts.map((part) => Object.isFrozen(part))).toEqual(parts.map(() => true));
    expect(defined.hash).toBe(defined.hash);
  });

  it.each([
    ...[
      "",
      " ",
      "a b",
      "a/b",
      "a:b",
      "a%b",
      "-a",
      ".a",
      "é",
      "🚀",
      "a🚀",
      "a\n",
      "\0",
      "x".repeat(201),
      "x".repeat(300),
    ],
    ...[undefined, null, 7, {}, [], Symbol("id"), () => "id", Object.create(null), ["a"]],
  ])("F82 F208 refuses %j as its id", (id) => {
    const error = refusal(() => define(id, oneTask));
    expect(error.code).toBe("PIPELINE_INVALID");
    expect(error.message).toMatch(/as the id of a pipeline\. Use 1 to 200 letters, digits/);
    expect(error.message.length).toBeLessThan(300);
  });

  it.each(["a", "A", "0", "_", "__proto__", "constructor", "a-b_c.d", "x".repeat(200)])("takes %s as its id", (id) => {
    expect(pipeline(id, oneTask).id).toBe(id);
  });

  it.each<[string, unknown[], RegExp]>([
    ["no build function", [{}], /it has no build function\. Write pipeline\(id, options/],
    ["nothing at all", [], /its options are undefined\. Write pipeline\(id, options/],
    ["null for options", [null, oneTask], /its options are null\. Write/],
    ["a text for options", ["x", oneTask], /its options are "x"\. Write/],
    ["no tasks", [() => {}], /it has no tasks\. Add at least one p\.task\(\)/],
    ["no schema", [{ params: { day: "string" } }, oneTask], /params is not a schema\. Give a Standard Schema/],
    ["null for a schema", [{ params: null }, oneTask], /params is not a schema/],
    ["no schedule", [{ schedule: "0 2 * * *" }, oneTask], /schedule is "0 2 \* \* \*"\. Give cron/],
    ["null for a schedule", [{ schedule: null }, oneTask], /schedule is null\. Give cron/],
    ["a wrong failWhen", [{ failWhen: "all" }, oneTask], /failWhen is "all"\. Use "any" or "leaves"/],
    ["a result that is no object", [(p: Builder<never>) => p.task("a", () => 1).id], /returned "a"\. Return an object/],
    ["a function for a result", [functionAsResult], /returned a function\. Return/],
  ])("refuses %s, naming the pipeline and the way out", (_, args, message) => {
    const error = refusal(() => define("nightly", ...args));
    expect(error.code).toBe("PIPELINE_INVALID");
    expect(error.message).toMatch(/^PIPELINE_INVALID: Cannot define pipeline "nightly": /);
    expect(error.message).toMatch(message);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "5", null])(
    "F210 refuses %j as its concurrency",
    (concurrency) => {
      const error = refusal(() => define("nightly", { concurrency }, oneTask));
      expect(error.code).toBe("PIPELINE_INVALID");
      expect(error.message).toMatch(
        /pipeline "nightly": concurrency is .*\. Give a whole number from 1, or leave it out\./,
      );
    },
  );

  it.each([-1, Number.NaN, "10 m", "1w", Number.POSITIVE_INFINITY, 1e99, 0, "0s", null])(
    "refuses %j as its timeout",
    (timeout) => {
      const error = refusal(() => define("nightly", { timeout }, oneTask));
      expect(error.code).toBe("DURATION_INVALID");
      expect(error.message).toMatch(/timeout of pipeline "nightly"/);
    },
  );

  it("checks the defaults for its tasks", () => {
    expect(refusal(() => pipeline("nightly", { defaults: { timeout: 0 } }, oneTask)).message).toMatch(
      /^DURATION_INVALID: Cannot use 0 as timeout of defaults of pipeline "nightly".*Leave it out for no limit/,
    );
    expect(refusal(() => pipeline("nightly", { defaults: { retry: { attempts: 0 } } }, oneTask)).message).toMatch(
      /^RETRY_INVALID: Cannot use the retry policy of defaults of pipeline "nightly": attempts is 0/,
    );
  });

  it("refuses an async build function, whose own failure goes unheard", async () => {
    const unhandled: unknown[] = [];
    const listen = (reason: unknown) => unhandled.push(reason);
    process.on("unhandledRejection", listen);
    const build = async (p: Builder<Record<never, never>>) => {
      await Promise.resolve();
      p.task("late", () => 1);
    };
    const error = refusal(() => define("nightly", build));
    await new Promise((resolve) => setTimeout(resolve, 5));
    process.off("unhandledRejection", listen);
    expect(error.message).toMatch(/"nightly": its build function is async\. Define tasks synchronously/);
    expect(unhandled).toEqual([]);
  });

  it("refuses what its build function adds after it returned", () => {
    let kept: Builder<Record<never, never>> | undefined;
    const defined = pipeline("nightly", (p) => {
      kept = p;
      return { a: p.task("a", () => 1) };
    });
    const node = { id: "a" };
    for (const add of [
      () => kept!.task("b", () => 1),
      () => kept!.map("b", { over: [1] }, () => 1),
      () => kept!.branch("b", {}, () => "x"),
      () => kept!.order(node, node),
    ]) {
      const error = refusal(add);
      expect(error.code).toBe("PIPELINE_INVALID");
      expect(error.message).toMatch(
        /on pipeline "nightly" after its build function returned\. Define everything inside/,
      );
    }
    expect(defined.taskIds).toEqual(["a"]);
  });

  it("refuses a result that is no task of its own, naming it", () => {
    let foreign: ReturnType<Builder<never>["task"]> | undefined;
    pipeline("other", (p) => {
      foreign = p.task("theirs", () => 1);
    });
    const error = refusal(() => pipeline("nightly", (p) => ({ mine: p.task("a", () => 1), theirs: foreign! })));
    expect(error.code).toBe("TASK_INVALID");
    expect(error.message).toMatch(
      /the result of pipeline "nightly", theirs: task "theirs" of another pipeline is not a/,
    );
    expect(refusal(() => define("nightly", (p: Builder<never>) => p.task("a", () => 1))).message).toMatch(
      /the result of pipeline "nightly", id: "a" is not a task of this pipeline\. Pass the handle/,
    );
  });

  it("lets through what its build function throws", () => {
    const fault = new RangeError("mine");
    const build = () => {
      throw fault;
    };
    expect(() => pipeline("nightly", build)).toThrow(fault);
  });

  it("takes any Standard Schema, callable ones too", () => {
    const schema = z.object({ day: z.string() });
    expect(pipeline("p", { params: schema }, (p) => void p.task("a", () => 1)).settings.schema).toBe(schema);
    const callable = Object.assign(() => 1, { "~standard": schema["~standard"] });
    expect(() => define("p", { params: callable }, oneTask)).not.toThrow();
  });
});
