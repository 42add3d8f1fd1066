import { describe, expect, it } from "vitest";
import type { Builder } from "../define/builder.js";
import type { PipelineOptions } from "../define/options.js";
import { type Pipeline, pipeline } from "../define/pipeline.js";
import { SkipTask } from "../execute/signals.js";
import { startedEngine, testEngine } from "../test-support/engines.js";
import { aborted } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";
import type { EngineOptions } from "./engine-options.js";

leavesNothingBehind();

const hang = ({ signal }: { signal: AbortSignal }) => aborted(signal);
const fails = () => {
  throw new Error("out of disk");
};

interface Case {
  readonly build: (p: Builder<Record<never, never>>) => void;
  /** What is asked for. Default: task "t". */
  readonly task?: string;
  readonly index?: readonly number[];
  readonly status: string;
  readonly reasons: readonly object[];
  /** What the sentence has to say. */
  readonly says: RegExp;
  readonly engine?: Partial<EngineOptions>;
  readonly pipeline?: PipelineOptions<undefined, Record<never, never>>;
  /** How long to wait before asking, in milliseconds. */
  readonly afterMs?: number;
  readonly act?: "pause" | "cancel" | "cancel t";
}

const cases: Record<string, Case> = {
  "pending by upstream tasks that have not finished": {
    build: (p) => p.task("t", { needs: { a: p.task("a", hang), b: p.task("b", () => 1) } }, () => 1),
    status: "pending",
    reasons: [{ kind: "upstream", rule: "all-success", tasks: [{ task: "a", index: [], status: "running" }] }],
    says: /^"t" has not started: its rule all-success looks at "a" \(running\)\.$/,
  },
  "pending by its group": {
    build: (p) => p.group("g", { after: [p.task("a", hang)] }, (g) => void g.task("t", () => 1)),
    task: "g.t",
    status: "pending",
    reasons: [{ kind: "group", group: { task: "g", index: [], status: "pending" } }],
    says: /"g", in which it stands, is pending/,
  },
  "ready behind the engine's concurrency": {
    build: (p) => void [p.task("a", hang), p.task("t", () => 1)],
    engine: { concurrency: 1 },
    status: "ready",
    reasons: [{ kind: "concurrency", gate: "the engine's concurrency: 1 of 1 at once" }],
    says: /no place for it \(the engine's concurrency: 1 of 1 at once\)/,
  },
  "ready behind its pipeline's concurrency": {
    build: (p) => void [p.task("a", hang), p.task("t", () => 1)],
    pipeline: { concurrency: 1 },
    status: "ready",
    reasons: [{ kind: "concurrency", gate: 'concurrency of pipeline "work": 1 of 1 at once' }],
    says: /concurrency of pipeline "work"/,
  },
  "ready behind a map's concurrency": {
    build: (p) => p.map("t", { over: [1, 2], concurrency: 1 }, hang),
    index: [1],
    status: "ready",
    reasons: [{ kind: "concurrency", gate: 'concurrency of map "t": 1 of 1 at once' }],
    says: /^"t\[1\]" has not started: there is no place for it \(concurrency of map "t"/,
  },
  "ready behind a group's concurrency": {
    build: (p) => p.group("g", { concurrency: 1 }, (g) => void [g.task("a", hang), g.task("t", () => 1)]),
    task: "g.t",
    status: "ready",
    reasons: [{ kind: "concurrency", gate: 'concurrency of group "g": 1 of 1 at once' }],
    says: /concurrency of group "g"/,
  },
  "ready behind a key": {
    build: (p) => p.map("t", { over: ["x", "x"], concurrency: { key: ({ item }) => item, limit: 1 } }, hang),
    index: [1],
    status: "ready",
    reasons: [{ kind: "concurrency", gate: 'concurrency of task "t" for key "x": 1 of 1 at once' }],
    says: /task "t" for key "x"/,
  },
  "ready behind a pool": {
    build: (p) => void [p.task("a", { pool: "gpu" }, hang), p.task("t", { pool: "gpu", slots: 2 }, () => 1)],
    engine: { pools: { gpu: 2 } },
    status: "ready",
    reasons: [{ kind: "pool", gate: 'pool "gpu": 1 of 2 slots are free and it needs 2' }],
    says: /pool "gpu": 1 of 2 slots are free and it needs 2/,
  },
  "ready behind a rate": {
    build: (p) => p.map("t", { over: [1, 2], rateLimit: { limit: 1, per: "1h" } }, hang),
    index: [1],
    status: "ready",
    reasons: [{ kind: "rate", gate: 'rate of task "t": 1 starts in 3600000 ms' }],
    says: /rate of task "t"/,
  },
  "pending while the run is paused": {
    build: (p) => p.task("t", { after: [p.task("a", hang)] }, () => 1),
    act: "pause",
    status: "pending",
    reasons: [{ kind: "upstream" }, { kind: "paused" }],
    says: /"a" \(running\); the run is paused; unpause it/,
  },
  "retrying while the run is paused": {
    build: (p) => p.task("t", { retry: { attempts: 2, delay: "1h", jitter: "none" } }, fails),
    act: "pause",
    status: "retrying",
    reasons: [{ kind: "timer", wait: "retry" }, { kind: "paused" }],
    says: /the run is paused/,
  },
  running: {
    build: (p) =>
      p.task("t", { retry: { attempts: 2, delay: 0 } }, ({ attempt, signal }) =>
        attempt === 1 ? fails() : aborted(signal),
      ),
    status: "running",
    reasons: [{ kind: "running", attempt: 2, since: Date.UTC(2026, 0, 1) }],
    says: /^"t" is running: attempt 2 since 2026-01-01T00:00:00.000Z\.$/,
  },
  retrying: {
    build: (p) => p.task("t", { retry: { attempts: 2, delay: "1h", jitter: "none" } }, fails),
    status: "retrying",
    reasons: [{ kind: "timer", wait: "retry", until: Date.UTC(2026, 0, 1, 1) }],
    says: /^"t" failed and is tried again: the next attempt is due 2026-01-01T01:00:00.000Z\.$/,
  },
  sleeping: {
    build: (p) => p.sleep("t", "1h"),
    status: "waiting",
    reasons: [{ kind: "timer", wait: "sleep", until: Date.UTC(2026, 0, 1, 1) }],
    says: /it sleeps until 2026-01-01T01:00/,
  },
  polling: {
    build: (p) => p.poll("t", { every: "1h" }, () => undefined),
    status: "waiting",
    reasons: [{ kind: "timer", wait: "poll", until: Date.UTC(2026, 0, 1, 1) }],
    says: /it looks again 2026-01-01T01:00/,
  },
  "waiting for a signal": {
    build: (p) => p.signal("t"),
    status: "waiting",
    reasons: [{ kind: "signal", signal: "t", key: undefined }],
    says: /^"t" waits, and holds nothing: nobody has sent signal "t"\.$/,
  },
  "waiting for a signal to a key": {
    build: (p) => p.signal("t", { key: () => "order-7" }),
    status: "waiting",
    reasons: [{ kind: "signal", signal: "t", key: "order-7" }],
    says: /or one to key "order-7"/,
  },
  "waiting for another run": {
    build: (p) =>
      p.run(
        "t",
        pipeline("child", (c) => void c.task("c", hang)),
      ),
    status: "waiting",
    reasons: [{ kind: "run", runId: expect.any(String) }],
    says: /run \S+, which it started, has not ended/,
  },
  "a list in progress": {
    build: (p) => p.map("t", { over: [1, 2, 3] }, ({ item, signal }) => (item === 3 ? 1 : aborted(signal))),
    status: "running",
    reasons: [{ kind: "inside", total: 3, open: 2 }],
    says: /^"t" is running: 1 of 3 have finished\.$/,
  },
  "a group in progress": {
    build: (p) => p.group("t", (g) => void [g.task("a", hang), g.task("b", () => 1)]),
    status: "running",
    reasons: [{ kind: "inside", total: 2, open: 1 }],
    says: /1 of 2 have finished/,
  },
  "a task inside an item of a mapped group": {
    build: (p) => p.group("g", { over: ["x", "y"] }, (g) => void g.task("t", { after: [g.task("a", hang)] }, () => 1)),
    task: "g.t",
    index: [1],
    status: "pending",
    reasons: [{ kind: "upstream", rule: "all-success", tasks: [{ task: "g.a", index: [1], status: "running" }] }],
    says: /^"g.t\[1\]" has not started: its rule all-success looks at "g.a" \(running\)/,
  },
  succeeded: {
    build: (p) => p.task("t", { after: [p.task("a", () => 1)] }, () => 1),
    status: "succeeded",
    reasons: [],
    says: /^"t" succeeded\.$/,
  },
  "a list that succeeded": {
    build: (p) => p.map("t", { over: p.task("a", () => [1]) }, () => 1),
    status: "succeeded",
    reasons: [],
    says: /^"t" succeeded\.$/,
  },
  "a sleep that is over": {
    build: (p) => p.sleep("t", { for: 1, after: [p.task("a", () => 1)] }),
    afterMs: 10,
    status: "succeeded",
    reasons: [],
    says: /^"t" succeeded\.$/,
  },
  "succeeded with a warning": {
    build: (p) => p.task("t", { expect: { output: { max: 1, severity: "warning" } } }, () => 5),
    status: "succeeded",
    reasons: [{ kind: "ended", words: expect.stringContaining("5") }],
    says: /^"t" succeeded: .*5/,
  },
  failed: {
    build: (p) => p.task("t", { after: [p.task("a", () => 1)] }, fails),
    status: "failed",
    reasons: [{ kind: "ended", words: "Error: out of disk" }],
    says: /^"t" failed: Error: out of disk\.$/,
  },
  "skipped by its rule": {
    build: (p) => p.task("t", { after: [p.task("a", () => 1)], triggerRule: "all-failed" }, () => 1),
    status: "skipped",
    reasons: [
      { kind: "upstream", rule: "all-failed", tasks: [{ task: "a", index: [], status: "succeeded" }] },
      { kind: "ended" },
    ],
    says: /was skipped: its rule all-failed looks at "a" \(succeeded\)/,
  },
  "skipped by a branch": {
    build: (p) => p.task("t", { after: [p.branch("b", {}, () => "left" as "left" | "right").when("right")] }, () => 1),
    status: "skipped",
    reasons: [{ kind: "upstream" }, { kind: "ended", words: expect.stringContaining('branch "b" chose "left"') }],
    says: /branch "b" chose "left"/,
  },
  "skipped by itself": {
    build: (p) =>
      p.task("t", () => {
        throw new SkipTask("nothing new");
      }),
    status: "skipped",
    reasons: [{ kind: "ended", words: "nothing new" }],
    says: /^"t" was skipped: nothing new\.$/,
  },
  "skipped by its condition": {
    build: (p) => p.task("t", { when: () => false, after: [p.task("a", () => 1)] }, () => 1),
    status: "skipped",
    reasons: [{ kind: "ended", words: expect.stringContaining("when") }],
    says: /was skipped: .*when/,
  },
  "skipped as its list is empty": {
    build: (p) => p.map("t", { over: p.task("a", () => []) }, () => 1),
    status: "skipped",
    reasons: [{ kind: "ended", words: "its list is empty" }],
    says: /its list is empty/,
  },
  "upstream-failed": {
    build: (p) => p.task("t", { after: [p.task("a", fails)] }, () => 1),
    status: "upstream-failed",
    reasons: [
      { kind: "upstream", rule: "all-success", tasks: [{ task: "a", index: [], status: "failed" }] },
      { kind: "ended" },
    ],
    says: /did not run, as something before it failed: its rule all-success looks at "a" \(failed\)/,
  },
  "cancelled while it ran": {
    build: (p) => p.task("t", hang),
    act: "cancel t",
    status: "cancelled",
    reasons: [{ kind: "ended", words: expect.stringContaining("not needed") }],
    says: /^"t" was cancelled: .*not needed/,
  },
  "cancelled before it started": {
    build: (p) => p.task("t", { after: [p.task("a", hang)] }, () => 1),
    act: "cancel",
    status: "cancelled",
    reasons: [{ kind: "ended", words: expect.stringContaining("not needed") }],
    says: /^"t" was cancelled: .*not needed/,
  },
  "a teardown that waits for what it cleans up after": {
    build: (p) => {
      const setup = p.task("setup", () => 1);
      p.order(
        p.task("a", { after: [setup] }, hang),
        p.task("t", { needs: { setup }, teardown: true }, () => 1),
      );
    },
    status: "pending",
    reasons: [{ kind: "upstream", rule: "teardown", tasks: [{ task: "a", index: [], status: "running" }] }],
    says: /its rule teardown looks at "a" \(running\)/,
  },
  "a teardown without anything to tear down": {
    build: (p) => p.task("t", { needs: { setup: p.task("setup", fails) }, teardown: true }, () => 1),
    status: "skipped",
    reasons: [
      { kind: "upstream", rule: "teardown" },
      { kind: "ended", words: expect.stringContaining("its setup did not succeed") },
    ],
    says: /its setup did not succeed/,
  },
};

describe("runs.explain(run, task)", () => {
  it.each(Object.entries(cases))("%s", async (_, wanted) => {
    const clock = new ManualClock();
    const work = pipeline("work", wanted.pipeline ?? {}, (p) => void wanted.build(p as Builder<Record<never, never>>));
    const engine = await startedEngine({ pipelines: [work], clock, ...wanted.engine });
    const run = await engine.trigger(work);
    await settled();
    await clock.advance(wanted.afterMs ?? 0);
    if (wanted.act === "pause") await engine.runs.pause(run.id);
    if (wanted.act === "cancel") await run.cancel({ reason: "not needed" });
    if (wanted.act === "cancel t") await run.cancel({ task: "t", reason: "not needed" });
    await settled();
    const { task = "t", index = [], status } = wanted;
    const explanation = await engine.runs.explain(run.id, task, index);
    expect(explanation).toMatchObject({ runId: run.id, task, index, status });
    expect(explanation.reasons).toHaveLength(wanted.reasons.length);
    expect(explanation.reasons).toMatchObject(wanted.reasons);
    expect(explanation.sentence).toMatch(wanted.says);
    await run.cancel();
    await clock.advance(100);
  });

  it.each(["is in memory", "only waits"])("about to start in a paused run that %s", async (where) => {
    const work = pipeline("work", (p) => {
      p.task("other", hang);
      p.task("t", () => 1);
    });
    const engine = testEngine({ pipelines: [work], concurrency: 1 });
    if (where === "is in memory") await engine.start();
    const run = await engine.trigger(work);
    await engine.runs.pause(run.id);
    await engine.start();
    await settled();
    expect(await engine.runs.explain(run.id, "t")).toMatchObject({
      reasons: [{ kind: "paused" }],
      sentence: '"t" has not started: the run is paused; unpause it to go on.',
    });
    await run.cancel();
  });

  it("succeeded from the cache", async () => {
    const work = pipeline("work", (p) => void p.task("t", { cache: { key: () => 1, ttl: "1h" } }, () => 1));
    const engine = await startedEngine({ pipelines: [work] });
    const first = await engine.trigger(work);
    await first.result();
    const second = await engine.trigger(work);
    await second.result();
    expect(await engine.runs.explain(second.id, "t")).toMatchObject({
      reasons: [{ kind: "cache", runId: first.id }],
      sentence: `"t" succeeded: its output was taken from run ${first.id}.`,
    });
  });

  it("refuses what there is not", async () => {
    const work = pipeline("work", (p) => void p.map("each", { over: [1, 2] }, () => 1));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    await expect(engine.runs.explain("nobody")).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
    await expect(engine.runs.explain(run.id, "other")).rejects.toMatchObject({ code: "TASK_UNKNOWN" });
    for (const index of [[2], [-1], [0.5], [0, 0], [Number.NaN]]) {
      await expect(engine.runs.explain(run.id, "each", index)).rejects.toMatchObject({ code: "TASK_UNKNOWN" });
    }
  });
});

describe("runs.explain(run)", () => {
  const one = pipeline("one", { maxActiveRuns: 1 }, (p) => void p.task("t", hang));
  const queued = async (defined: Pipeline<Record<never, never>>, options: object = {}) => {
    const clock = new ManualClock();
    const engine = testEngine({ pipelines: [defined], clock });
    const run = await engine.trigger(defined, {}, options);
    return { clock, engine, run };
  };

  it("queued until later", async () => {
    const { engine, run, clock } = await queued(
      pipeline("work", (p) => void p.task("t", () => 1)),
      { at: Date.UTC(2026, 0, 2) },
    );
    await engine.start();
    const reason = { kind: "queued", why: "later", until: Date.UTC(2026, 0, 2) };
    const [ofRun, ofTask] = await Promise.all([engine.runs.explain(run.id), engine.runs.explain(run.id, "t")]);
    expect(ofRun).toMatchObject({ status: "queued", reasons: [reason], tasks: [] });
    expect(ofRun.sentence).toBe(
      `Run ${run.id} of pipeline "work" is queued. The run has not started: the run is to start 2026-01-02T00:00:00.000Z.`,
    );
    expect(ofTask).toMatchObject({
      status: "pending",
      reasons: [reason],
      sentence: '"t" has not started: the run is to start 2026-01-02T00:00:00.000Z.',
    });
    await clock.advance(1);
  });

  it("queued as nobody took it up", async () => {
    for (const defined of [pipeline("work", (p) => void p.task("t", () => 1)), one]) {
      const { engine, run } = await queued(defined);
      const explanation = await engine.runs.explain(run.id);
      expect(explanation.reasons).toEqual([{ kind: "queued", why: "unclaimed", until: undefined }]);
      expect(explanation.sentence).toMatch(/no engine that has this version of the pipeline has taken the run up/);
    }
  });

  it("queued by maxActiveRuns", async () => {
    const engine = await startedEngine({ pipelines: [one] });
    await engine.trigger(one);
    const second = await engine.trigger(one);
    await settled();
    const explanation = await engine.runs.explain(second.id);
    expect(explanation.reasons).toEqual([{ kind: "queued", why: "max-active-runs", until: undefined }]);
    expect(explanation.sentence).toMatch(/maxActiveRuns/);
  });

  it("another engine's run, of which what runs is said to run", async () => {
    const storage = testStorage();
    const work = pipeline("work", (p) => {
      p.task("runs", hang);
      p.map("each", { over: [1, 2] }, hang);
      p.sleep("sleeps", "1h");
    });
    const first = await startedEngine({ pipelines: [work], storage, name: "first", concurrency: 3 });
    const second = await startedEngine({ pipelines: [work], storage, concurrency: 1 });
    const run = await first.trigger(work);
    await settled();
    const elsewhere = { kind: "elsewhere", engineId: first.id };
    const explanation = await second.runs.explain(run.id);
    expect(explanation).toMatchObject({ status: "running", reasons: [elsewhere] });
    expect(explanation.sentence).toContain(`belongs to engine ${first.id}`);
    expect(await second.runs.explain(run.id, "runs")).toMatchObject({
      status: "running",
      reasons: [elsewhere, { kind: "running", attempt: 1 }],
    });
    expect(await second.runs.explain(run.id, "each")).toMatchObject({
      status: "running",
      reasons: [elsewhere, { kind: "inside", total: 2, open: 2 }],
    });
    expect(await second.runs.explain(run.id, "sleeps")).toMatchObject({
      status: "waiting",
      reasons: [elsewhere, { kind: "timer" }],
    });
  });

  it("a run that goes on: what is not only waiting for other tasks", async () => {
    const work = pipeline("work", (p) => {
      const a = p.task("a", hang);
      p.task("b", { needs: { a } }, () => 1);
      p.signal("approval");
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    const explanation = await engine.runs.explain(run.id);
    expect(explanation.tasks.map(({ task }) => task)).toEqual(["a", "approval"]);
    expect(explanation.sentence).toMatch(/is running\. "a" is running: attempt 1.*nobody has sent signal "approval"/);
  });

  it("a run that only waits, is paused, or ended: also when it is read from storage", async () => {
    const work = pipeline("work", (p) => void p.signal("approval"));
    const engine = await startedEngine({ pipelines: [work], clock: new ManualClock() });
    const run = await engine.trigger(work);
    await settled();
    expect(await engine.runs.explain(run.id)).toMatchObject({
      status: "waiting",
      reasons: [],
      tasks: [{ task: "approval", status: "waiting" }],
    });
    await engine.runs.pause(run.id);
    await settled();
    expect(await engine.runs.explain(run.id)).toMatchObject({ status: "paused", reasons: [{ kind: "paused" }] });
    await run.cancel({ reason: "no need" });
    await settled();
    const ended = await engine.runs.explain(run.id);
    expect(ended).toMatchObject({
      status: "cancelled",
      reasons: [],
      tasks: [{ task: "approval", status: "cancelled" }],
    });
    expect(ended.sentence).toContain("no need");
  });

  it("a run that failed: what decided it, at most 20", async () => {
    const work = pipeline("work", (p) => {
      const bad = p.map("bad", { over: Array.from({ length: 50 }, (_, n) => n) }, fails);
      p.task("after", { needs: { bad } }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    const explanation = await engine.runs.explain(run.id);
    expect(explanation.status).toBe("failed");
    expect(explanation.tasks).toHaveLength(20);
    expect(explanation.sentence).toMatch(/is failed\. "bad\[0\]" failed: Error: out of disk\./);
  });

  it("needs the version of the pipeline the run was made with", async () => {
    const storage = testStorage();
    const work = (count: number) =>
      pipeline("work", (p) => {
        for (let n = 0; n < count; n++) p.task(`t${n}`, () => n);
      });
    const old = await startedEngine({ pipelines: [work(1)], storage });
    const run = await old.trigger(work(1));
    await run.result();
    const next = await startedEngine({ pipelines: [work(2)], storage });
    await expect(next.runs.explain(run.id)).rejects.toMatchObject({ code: "DAG_CHANGED" });
    expect((await next.runs.graph(run.id)).tasks.map(({ id }) => id)).toEqual(["t0"]);
  });
});
