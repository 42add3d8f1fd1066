import { describe, expect, it } from "vitest";
import { type Clock, systemClock } from "../clock.js";
import type { ExecutorHost, TaskJob } from "../contracts/executor.js";
import { pipeline } from "../define/pipeline.js";
import * as abortReasons from "../engine/abort-reasons.js";
import { type AttemptSink, LiveAttempt } from "../engine/attempt.js";
import { RecordingLogger } from "../test-support/engines.js";
import { gate } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { DEFAULT_VALUE_LIMITS, encode } from "../values/codec.js";
import { inProcess } from "./in-process.js";

/** Takes whatever an attempt says and does nothing with it. */
const quiet = new Proxy({}, { get: () => () => {} }) as AttemptSink;

async function started<Time extends Clock = ManualClock>(clock: Time = new ManualClock() as unknown as Time) {
  const ends = gate();
  const work = pipeline("work", (p) => {
    p.task("quick", () => 1);
    p.task("deaf", () => ends.passed);
    p.task("looks", async ({ signal }) => {
      await new Promise((goOn) => setImmediate(goOn));
      signal.throwIfAborted();
    });
    p.task(
      "hears",
      ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error))),
    );
  });
  const executor = inProcess();
  const host: ExecutorHost = {
    log: new RecordingLogger(),
    clock,
    pipelines: new Map([["work", work]]),
    resources: {},
    limits: DEFAULT_VALUE_LIMITS,
  };
  await executor.start(host);
  const execute = (task: string, part: Partial<TaskJob> = {}) => {
    const attempt = new LiveAttempt(quiet, 0, 0, [], 1, 1, clock.now());
    const job: TaskJob = {
      runId: "r",
      pipeline: "work",
      definition: work.hash,
      task,
      position: work.plan.positions.get(task) ?? 0,
      index: [],
      generation: 1,
      attempt: 1,
      params: encode({}, "params"),
      input: {},
      items: [],
      run: { id: "r", pipeline: "work", createdAt: 0, key: undefined, tags: [], instant: undefined },
      graceMs: 1_000,
      ...part,
    };
    const outcome = executor.execute(job, attempt);
    return { attempt, outcome, stop: () => attempt.abort(abortReasons.runCancelled(undefined)) };
  };
  return { executor, clock, ends, execute };
}

describe("inProcess()", () => {
  it("says what it can do: anything at once, nothing by force", () => {
    const executor = inProcess();
    expect(executor.supports).toEqual({ killable: false, remote: false, memoryLimit: false });
    expect(executor.slots).toBe(Number.POSITIVE_INFINITY);
  });

  it("runs a task, and says so when it does not know it", async () => {
    const { execute } = await started();
    expect(await execute("quick").outcome).toEqual({ kind: "succeeded", output: "j1:1" });
    const unknown = { kind: "failed", retryable: false, error: { code: "TASK_NOT_FOUND" } };
    expect(await execute("nobody").outcome).toMatchObject(unknown);
    expect(await execute("nobody", { position: 3 }).outcome).toMatchObject(unknown);
    expect(await execute("quick", { pipeline: "nobody" }).outcome).toMatchObject(unknown);
  });

  it("lets code that hears its signal end by itself, without a timer left", async () => {
    const { execute, clock } = await started();
    const { outcome, stop } = execute("hears");
    stop();
    expect(await outcome).toMatchObject({ kind: "failed", error: { code: "RUN_CANCELLED" } });
    await settled();
    expect(clock.pendingTimers).toBe(0);
  });

  it("gives code a turn to hear of it where the event loop stood still for all of the grace", async () => {
    const { execute } = await started(systemClock);
    const { outcome, stop } = execute("looks", { graceMs: 1 });
    stop();
    for (const until = performance.now() + 20; performance.now() < until; );
    expect(await outcome).toMatchObject({ kind: "failed", error: { code: "RUN_CANCELLED" } });
  });

  it("F119 gives code up that does not, after its grace, and tells when it has ended", async () => {
    const { execute, clock, ends } = await started();
    const { outcome, stop } = execute("deaf");
    let settledAs: unknown;
    void Promise.resolve(outcome).then((value) => {
      settledAs = value;
    });
    stop();
    await clock.advance(999);
    expect(settledAs).toBeUndefined();
    await clock.advance(1);
    expect(settledAs).toMatchObject({ kind: "abandoned" });
    let hasEnded = false;
    void (settledAs as { ended: Promise<void> }).ended.then(() => {
      hasEnded = true;
    });
    await settled();
    expect(hasEnded).toBe(false);
    ends.open();
    await settled();
    expect(hasEnded).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it("sets no timer while nothing was aborted, and leaves none at its stop", async () => {
    const { executor, execute, clock, ends } = await started();
    const { stop } = execute("deaf");
    await settled();
    expect(clock.pendingTimers).toBe(0);
    stop();
    expect(clock.pendingTimers).toBe(1);
    await executor.stop({ graceMs: 0 });
    expect(clock.pendingTimers).toBe(0);
    ends.open();
    await settled();
  });
});
