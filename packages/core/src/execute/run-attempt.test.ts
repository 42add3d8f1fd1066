import { describe, expect, it } from "vitest";
import type { TaskJob, TaskOutcome, TaskPort } from "../contracts/executor.js";
import type { AnyContext } from "../define/context.js";
import type { RetryOptions } from "../define/options.js";
import { pipeline } from "../define/pipeline.js";
import { decode, encode, type ValueLimits } from "../values/codec.js";
import { runAttempt } from "./run-attempt.js";
import { isOwn, NonRetryableError, RetryAfter, SkipTask } from "./signals.js";

const LIMITS: ValueLimits = { maxBytes: 1_000, maxDepth: 10 };
const NOW = 1_000_000;

const port: TaskPort = {
  signal: new AbortController().signal,
  started: () => {},
  whenAborted: () => {},
  log: () => {},
  metric: () => {},
  progress: () => {},
  artifact: () => {},
  findStep: async () => undefined,
  keepStep: async () => undefined,
  findCached: async () => undefined,
};

const job: TaskJob = {
  runId: "r",
  pipeline: "work",
  definition: "work@1",
  task: "only",
  position: 0,
  index: [],
  generation: 1,
  attempt: 1,
  params: encode({}, "params"),
  input: {},
  items: [],
  run: { id: "r", pipeline: "work", createdAt: 0, key: undefined, tags: [], instant: undefined },
  graceMs: 0,
};

function run(
  task: (context: AnyContext) => unknown,
  options: { retry?: RetryOptions; when?: () => boolean | Promise<boolean>; branch?: boolean } = {},
): TaskOutcome | Promise<TaskOutcome> {
  const { branch, ...rest } = options;
  const { plan } = pipeline("work", (p) => {
    if (branch) p.branch("only", rest, task as () => string);
    else p.task("only", rest, task as () => unknown);
  });
  return runAttempt(plan.tasks[0]!, job, port, { resources: {}, limits: LIMITS, now: () => NOW });
}

const throwing = (thrown: unknown) => () => {
  throw thrown;
};

describe("runAttempt()", () => {
  it.each<[string, () => unknown, unknown]>([
    ["a value", () => 1, 1],
    ["a promise", async () => "later", "later"],
    ["nothing", () => {}, undefined],
    // biome-ignore lint/suspicious/noThenProperty: a thenable is what this is about
    ["a thenable of another library", () => ({ then: (resolve: (value: number) => void) => resolve(5) }), 5],
  ])("encodes %s", async (_what, task, expected) => {
    const outcome = await run(task);
    expect(outcome.kind).toBe("succeeded");
    expect(decode((outcome as { output: string }).output)).toEqual(expected);
  });

  it("encodes before anybody else's code runs", async () => {
    const shared = { count: 1 };
    const outcome = run(() => shared);
    shared.count = 2;
    expect(await outcome).toEqual({ kind: "succeeded", output: 'j1:{"count":1}' });
  });

  it("asks when first, and does not call the function then", async () => {
    let calls = 0;
    const task = () => calls++;
    expect(await run(task, { when: async () => false })).toMatchObject({ kind: "skipped" });
    expect(calls).toBe(0);
    expect(await run(task, { when: () => true })).toMatchObject({ kind: "succeeded" });
    expect(await run(task, { when: throwing(new Error("no")) as () => boolean })).toMatchObject({
      kind: "failed",
      retryable: true,
    });
  });

  it.each<[string, unknown, Partial<Extract<TaskOutcome, { kind: "failed" }>>]>([
    ["an error", new Error("e"), { retryable: true, retryAfterMs: undefined }],
    ["NonRetryableError", new NonRetryableError("n"), { retryable: false, retryAfterMs: undefined }],
    ["RetryAfter", new RetryAfter("3s"), { retryable: true, retryAfterMs: 3_000 }],
    ["RetryAfter a Date", new RetryAfter(new Date(NOW + 50)), { retryable: true, retryAfterMs: 50 }],
    ["RetryAfter the past", new RetryAfter(new Date(NOW - 50)), { retryable: true, retryAfterMs: 0 }],
    ["RetryAfter nonsense", new RetryAfter("soon" as "1s"), { retryable: true, retryAfterMs: undefined }],
  ])("makes a failure of %s", async (_what, thrown, expected) => {
    expect(await run(throwing(thrown))).toMatchObject({ kind: "failed", ...expected });
  });

  it("makes a skip of SkipTask, with its reason bounded", async () => {
    expect(await run(throwing(new SkipTask("because")))).toEqual({ kind: "skipped", reason: "because" });
    const outcome = await run(throwing(new SkipTask("x".repeat(1e6))));
    expect((outcome as { reason: string }).reason.length).toBeLessThan(10_000);
  });

  it("does not retry what cannot be stored, nor a branch that chose no text", async () => {
    const retry: RetryOptions = { attempts: 5, when: () => true };
    expect(await run(() => () => 1, { retry })).toMatchObject({
      retryable: false,
      error: { code: "OUTPUT_NOT_SERIALIZABLE" },
    });
    expect(await run(() => "x".repeat(2_000), { retry })).toMatchObject({
      retryable: false,
      error: { code: "OUTPUT_TOO_LARGE" },
    });
    expect(await run(() => 5, { retry, branch: true })).toMatchObject({
      retryable: false,
      error: { code: "BRANCH_INVALID" },
    });
  });

  it.each<[string, () => unknown]>([
    ["a revoked proxy", () => revoked({})],
    ["a revoked proxy of an error", () => revoked(new Error("x"))],
    ["an object without a prototype", () => Object.create(null) as unknown],
    [
      "RetryAfter with a delay that cannot be read",
      () => Object.defineProperty(new RetryAfter(1), "delay", { get: throwing(new Error("no")) }),
    ],
    ["RetryAfter with a revoked delay", () => Object.assign(new RetryAfter(1), { delay: revoked({}) })],
    ["SkipTask without a message", () => Object.defineProperty(new SkipTask(), "message", { get: throwing(1) })],
  ])("never rejects: %s", async (_what, make) => {
    const outcome = await run(throwing(make()));
    expect(["failed", "skipped"]).toContain(outcome.kind);
  });
});

describe("isOwn()", () => {
  it("recognises a class, its subclasses, and equals of another copy of the library; nothing else", () => {
    class Fatal extends NonRetryableError {
      override readonly name = "Fatal";
    }
    const is = (thrown: unknown) => isOwn(thrown, NonRetryableError, "NonRetryableError");
    expect(is(new NonRetryableError("x"))).toBe(true);
    expect(is(new Fatal("x"))).toBe(true);
    expect(is(Object.assign(new Error("x"), { name: "NonRetryableError" }))).toBe(true);
    expect(is(new Error("NonRetryableError"))).toBe(false);
    expect(is({ name: "NonRetryableError" })).toBe(false);
    expect(is(undefined)).toBe(false);
    expect(is(revoked(new NonRetryableError("x")))).toBe(false);
  });
});

function revoked(target: object): unknown {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}
