/**
 * What executors run for `executorContract()`: a module of its own, so that workers can import it too, as
 * `@weftline/testing/contract-pipelines`.
 */
import {
  NonRetryableError,
  type Pipeline,
  pipeline,
  RetryAfter,
  SkipTask,
  type TaskContext,
  type WeftlineError,
} from "weftline";

/** The suite writes the params of each job by hand, to fit the task. */
function paramsOf<Params>(context: TaskContext): Params {
  return context.params as Params;
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Things that were thrown and never caught as what they were. */
const ODD_THROWS: Readonly<Record<string, () => unknown>> = {
  text: () => "just a text",
  undefined: () => undefined,
  null: () => null,
  object: () => ({ message: "an object", code: "E_OBJECT" }),
  "frozen error": () => Object.freeze(new Error("frozen")),
  "error with a getter that throws": () =>
    Object.defineProperty(new Error("odd"), "cause", {
      get: () => {
        throw new Error("no cause for you");
      },
    }),
};
export const ODD_THROW_NAMES: readonly string[] = Object.keys(ODD_THROWS);

/** Has a task of the same name, so that an executor that looks for the task alone finds the wrong one. */
const twinPipeline: Pipeline<object> = pipeline("contract-twin", (p) => {
  p.task("echo", () => "the twin's");
});

/** One task for each thing an executor has to get right. */
const contractPipeline: Pipeline = pipeline("contract", (p) => {
  // What tasks return and throw
  p.task("echo", (context) => context.params);
  p.task("fail", () => {
    const cause = new TypeError("the cause", { cause: new Error("the cause's cause") });
    throw Object.assign(new RangeError("it failed 🪡", { cause }), { code: "E_FAILED" });
  });
  p.task("throw-oddly", (context) => {
    throw ODD_THROWS[paramsOf<{ what: string }>(context).what]!();
  });
  p.task("give-up", () => {
    throw new NonRetryableError("there is no point");
  });
  p.task("ask-later", () => {
    throw new RetryAfter("30s");
  });
  p.task("nothing-to-do", () => {
    throw new SkipTask("nothing new");
  });
  p.task("not-worth-it", { retry: { attempts: 3, when: () => false } }, () => {
    throw new Error("not worth another attempt");
  });
  p.task("conditional", { when: () => false }, () => "never");
  p.task("return-function", () => ({ nested: [() => 1] }));
  p.task("return-much", (context) => "x".repeat(paramsOf<{ length: number }>(context).length));
  p.branch("choose", {}, () => 1 as never);

  // What they receive
  p.task("describe", ({ input, params, run, task, attempt, idempotencyKey }) => {
    const { id, pipeline: of, createdAt, key, tags, instant } = run;
    return { input, params, run: { id, pipeline: of, createdAt, key, tags, instant }, task, attempt, idempotencyKey };
  });
  p.map("describe-item", { over: [0] }, ({ item, index, idempotencyKey }) => ({ item, index, idempotencyKey }));
  p.group("region", { over: [0] }, (g) => {
    g.task("describe", ({ item, index, idempotencyKey }) => ({ item, index, idempotencyKey }));
    g.map("describe-item", { over: [0] }, ({ item, outer, index, idempotencyKey }) => {
      return { item, outer, index, idempotencyKey };
    });
  });
  p.task("change-everything", (context) => {
    const params = paramsOf<{ list: number[] }>(context);
    const { list } = (context.input as { upstream: { list: number[] } }).upstream;
    params.list.push(1);
    list.push(1);
    return [params.list.length, list.length];
  });

  // What they say
  p.task("speak", ({ log, metric, progress, artifact }) => {
    log("first", { n: 1 });
    metric("rows", 1.5);
    progress(0.25, "a quarter");
    artifact({ name: "bytes", contentType: "image/png", data: Uint8Array.from({ length: 256 }, (_, n) => n) });
    artifact({ name: "text", data: "two\nlines 🪡" });
    log.error("last");
    return "said";
  });
  p.task("speak-late", ({ log, metric, progress, artifact }) => {
    setTimeout(() => {
      log("late");
      metric("late", 1);
      progress(1);
      artifact({ name: "late", data: "late" });
    }, 30);
    return "done";
  });

  // What they do in steps
  p.task("do-steps", async ({ step, log }) => {
    const rows = await step("rows", () => {
      log("does rows");
      return { at: new Date(5), ids: [1n, 2n] };
    });
    const size = await step("size", async () => {
      log("does size");
      return rows.ids.length;
    });
    log("did both");
    return { rows, size };
  });
  p.task("do-steps-at-once", async ({ step }) => {
    const named = ["a", "b", "c", "d"].map((id) => step(id, () => `did ${id}`));
    const numbered = [1, 2, 3, 4].map((n) => step("same", () => `did same ${n}`));
    return Promise.all([...named, ...numbered]);
  });
  p.task("fail-in-step", async ({ step }) => {
    await step("good", () => "done");
    return step("bad", () => {
      throw new Error("the step failed");
    });
  });
  p.task("keep-too-much", ({ step }) => step("function", () => ({ nested: () => 1 }) as unknown));
  p.task(
    "cached",
    { cache: { key: (context) => paramsOf<{ key: unknown }>(context).key, ttl: "1h" } },
    async ({ log }) => {
      log("works");
      return "made";
    },
  );

  // What they find, measure and wait for
  p.poll("look", { every: "1m" }, (context) => paramsOf<{ found: unknown }>(context).found);
  p.check("check", {}, (context) => paramsOf<{ answer: boolean }>(context).answer);
  p.check("check-softly", { severity: "warning" }, (context) => paramsOf<{ answer: boolean }>(context).answer);
  p.task("measure", { expect: { rows: { min: 10 }, "output.score": { max: 1, severity: "warning" } } }, (context) => {
    const { rows, score } = paramsOf<{ rows: number; score: number }>(context);
    context.metric("rows", 0);
    context.metric("rows", rows);
    return { score };
  });
  p.run("start-another", twinPipeline, { params: (context) => paramsOf<object>(context) });
  p.sleep("pause", { for: (context) => paramsOf<{ ms: number }>(context).ms });

  // How they end when told to
  p.task("wait", async ({ signal, progress }) => {
    progress(0, "waiting");
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    throw signal.reason as WeftlineError;
  });
  p.task("ignore", async (context) => {
    const end = Date.now() + paramsOf<{ ms: number }>(context).ms;
    while (Date.now() < end) {
      context.progress(0, "still here");
      await pause(10);
    }
    return "ended";
  });
  p.task("block", (context) => {
    context.progress(0, "blocking");
    const end = Date.now() + paramsOf<{ ms: number }>(context).ms;
    while (Date.now() < end);
    return "ended";
  });
});

/** Everything an executor has to know for `executorContract()`. */
export const contractPipelines: readonly Pipeline[] = [contractPipeline, twinPipeline];
