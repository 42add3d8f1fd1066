import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { SkipTask } from "../execute/signals.js";
import { startedEngine } from "../test-support/engines.js";
import { aborted, noted } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";
import { takenOver } from "../test-support/takeover.js";
import type { Engine } from "./engine.js";

leavesNothingBehind();

const statusesOf = async (engine: Engine, runId: string) =>
  Object.fromEntries((await engine.runs.tasks(runId)).items.map(({ task, status }) => [task, status]));

interface Parts {
  readonly setup?: () => unknown;
  readonly between?: (signal: AbortSignal) => unknown;
  readonly teardown?: () => unknown;
  readonly failRun?: boolean;
}

/** A cluster that is set up, used and taken down. */
function cluster(parts: Parts, settings: { timeout?: "1m"; failFast?: boolean } = {}) {
  const ran: string[] = [];
  const work = pipeline("work", settings, (p) => {
    const setup = p.task("setup", () => noted(ran, "setup", parts.setup?.() ?? "cluster"));
    const use = p.task("use", { needs: { setup } }, ({ signal }) => noted(ran, "use", parts.between?.(signal)));
    const next = p.task("next", { needs: { use } }, () => noted(ran, "next", "done"));
    const teardown = parts.failRun === undefined ? true : { failRun: parts.failRun };
    p.task("teardown", { needs: { setup }, after: [next], teardown }, ({ input }) => {
      ran.push(`teardown ${String(input.setup)}`);
      return parts.teardown?.();
    });
    return { next };
  });
  return { work, ran };
}

const fails = () => {
  throw new Error("broken");
};
const skips = () => {
  throw new SkipTask();
};

describe("a teardown task", () => {
  it.each<[string, Parts, object, string]>([
    ["success", {}, {}, "succeeded"],
    ["a failure", { between: fails }, {}, "failed"],
    ["a failure under fail-fast", { between: fails }, { failFast: true }, "failed"],
    ["a skip", { between: skips }, {}, "succeeded"],
  ])(
    "runs after %s, once everything before it has ended, and keeps the run's result",
    async (_what, parts, settings, status) => {
      const { work, ran } = cluster(parts, settings);
      const engine = await startedEngine({ pipelines: [work] });
      const run = await engine.trigger(work);
      await run.result().catch(() => undefined);
      expect(await run.status()).toBe(status);
      expect(ran.at(-1)).toBe("teardown cluster");
      expect(await statusesOf(engine, run.id)).toMatchObject({ setup: "succeeded", teardown: "succeeded" });
    },
  );

  it.each<[string, (run: { cancel(): Promise<boolean> }, clock: ManualClock) => Promise<unknown>, object]>([
    ["cancelled", (run) => run.cancel(), { status: "cancelled" }],
    ["timed out", (_, clock) => clock.advance(60_000), { status: "failed", error: { code: "RUN_TIMEOUT" } }],
  ])("runs when its run is %s while something between runs", async (_what, end, record) => {
    const clock = new ManualClock();
    const { work, ran } = cluster({ between: aborted }, { timeout: "1m" });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await settled();
    await end(run, clock);
    await settled();
    expect(await engine.runs.get(run.id)).toMatchObject(record);
    expect(ran).toEqual(["setup", "use", "teardown cluster"]);
    expect(await statusesOf(engine, run.id)).toEqual({
      setup: "succeeded",
      use: "cancelled",
      next: "cancelled",
      teardown: "succeeded",
    });
  });

  it("runs when its run is cancelled while it only waits, also when it is paused", async () => {
    const clock = new ManualClock();
    const ran: string[] = [];
    const work = pipeline("work", (p) => {
      const setup = p.task("setup", () => 1);
      const pause = p.sleep("pause", { for: "1h", after: [setup] });
      p.task("teardown", { needs: { setup }, after: [pause], teardown: true }, ({ run }) => void ran.push(run.id));
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const [waiting, paused] = [await engine.trigger(work), await engine.trigger(work)];
    await settled();
    await engine.runs.pause(paused.id);
    await settled();
    await waiting.cancel();
    await paused.cancel();
    await settled();
    expect([await waiting.status(), await paused.status()]).toEqual(["cancelled", "cancelled"]);
    expect(ran).toEqual([waiting.id, paused.id]);
    expect(clock.workTimers).toBe(0);
  });

  it.each<[string, () => unknown]>([
    ["failed", fails],
    ["was skipped", skips],
  ])("is skipped when its setup %s", async (_what, setup) => {
    const { work, ran } = cluster({ setup });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    const [teardown] = (await engine.runs.tasks(run.id, { task: "teardown" })).items;
    expect(teardown).toMatchObject({ status: "skipped", reason: expect.stringContaining("setup") });
    expect(ran).toEqual([]);
  });

  it("is skipped when its run is cancelled before the setup succeeded", async () => {
    const work = pipeline("work", (p) => {
      const setup = p.task("setup", ({ signal }) => aborted(signal));
      p.task("teardown", { needs: { setup }, teardown: true }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    await run.cancel();
    await settled();
    expect(await run.status()).toBe("cancelled");
    expect(await statusesOf(engine, run.id)).toEqual({ setup: "cancelled", teardown: "skipped" });
  });

  it.each<[boolean | undefined, string]>([
    [undefined, "succeeded"],
    [false, "succeeded"],
    [true, "failed"],
  ])("that fails with failRun %s leaves the run %s", async (failRun, status) => {
    const { work } = cluster({ teardown: fails, ...(failRun !== undefined && { failRun }) });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    expect(await run.status()).toBe(status);
    expect(await statusesOf(engine, run.id)).toMatchObject({ teardown: "failed" });
  });

  it("is retried by its policy, also when the run was cancelled", async () => {
    const clock = new ManualClock();
    const attempts: number[] = [];
    const retry = { attempts: 3, delay: "5s", backoff: "fixed" } as const;
    const work = pipeline("work", (p) => {
      const setup = p.task("setup", () => 1);
      const use = p.task("use", { needs: { setup } }, ({ signal }) => aborted(signal));
      p.task("teardown", { needs: { setup }, after: [use], teardown: true, retry }, ({ attempt }) => {
        attempts.push(attempt);
        if (attempt < 3) fails();
      });
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await settled();
    await run.cancel();
    await clock.advance(10_000);
    expect([await run.status(), ...attempts]).toEqual(["cancelled", 1, 2, 3]);
  });

  it("runs on the engine that takes a cancelled run over", async () => {
    const storage = testStorage();
    const ran: string[] = [];
    let engines = 0;
    const work = pipeline("work", (p) => {
      const setup = p.task("setup", () => noted(ran, "setup", 1));
      const use = p.task("use", { needs: { setup } }, ({ signal }) => aborted(signal));
      p.task("teardown", { needs: { setup }, after: [use], teardown: true }, async ({ signal }) => {
        if (engines === 1) await aborted(signal);
        ran.push("teardown");
      });
    });
    const options = { pipelines: [work], storage };
    const first = await startedEngine(options);
    engines = 1;
    const run = await first.trigger(work);
    await settled();
    await run.cancel();
    await settled();
    expect(await run.status()).toBe("running");
    engines = 2;
    const second = await takenOver(first, options);
    await settled();
    expect(await second.runs.get(run.id)).toMatchObject({ status: "cancelled" });
    expect(ran).toEqual(["setup", "teardown"]);
  });

  it("has its setup done again by a resume, steps and all, under another idempotency key", async () => {
    const ran: string[] = [];
    const keys = new Set<string>();
    let broken = true;
    const work = pipeline("work", (p) => {
      const before = p.task("before", () => noted(ran, "before", 1));
      const setup = p.task("setup", { needs: { before } }, async ({ step, idempotencyKey }) => {
        keys.add(`setup ${idempotencyKey}`);
        return step("create", () => noted(ran, "create", `cluster ${ran.length}`));
      });
      const use = p.task("use", { needs: { setup } }, ({ input }) => {
        ran.push(`use ${input.setup}`);
        if (broken) fails();
      });
      p.task("teardown", { needs: { setup }, after: [use], teardown: true }, ({ input, idempotencyKey }) => {
        keys.add(`teardown ${idempotencyKey}`);
        ran.push(`delete ${input.setup}`);
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    broken = false;
    await (await engine.runs.resume(run.id)).result();
    expect(ran).toEqual([
      "before",
      "create",
      "use cluster 1",
      "delete cluster 1",
      "create",
      "use cluster 4",
      "delete cluster 4",
    ]);
    expect(keys.size).toBe(4);
  });

  it("is left alone by a resume when it had not run", async () => {
    const ran: string[] = [];
    let broken = true;
    const work = pipeline("work", (p) => {
      const setup = p.task("setup", () => {
        ran.push("setup");
        if (broken) fails();
      });
      p.task("teardown", { needs: { setup }, teardown: true }, () => void ran.push("teardown"));
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    broken = false;
    await (await engine.runs.resume(run.id)).result();
    expect(ran).toEqual(["setup", "setup", "teardown"]);
  });

  it("runs with each pass of its group, before the group is retried or ends", async () => {
    const ran: string[] = [];
    const work = pipeline("work", (p) => {
      const both = p.group("both", { retry: { attempts: 2, delay: 0, backoff: "fixed" } }, (g) => {
        const setup = g.task("setup", () => noted(ran, "setup", ran.length));
        const use = g.task("use", { needs: { setup } }, () => {
          ran.push("use");
          if (ran.length < 4) fails();
        });
        g.task("teardown", { needs: { setup }, after: [use], teardown: true }, () => void ran.push("teardown"));
      });
      p.task("after", { after: [both] }, () => void ran.push("after"));
    });
    const engine = await startedEngine({ pipelines: [work] });
    await engine.run(work);
    expect(ran).toEqual(["setup", "use", "teardown", "setup", "use", "teardown", "after"]);
  });

  it("runs for each item of a mapped group, of those that failed too", async () => {
    const ran: string[] = [];
    const work = pipeline("work", (p) => {
      p.group("each", { over: ["a", "b"], allowFailure: true }, (g) => {
        const setup = g.task("setup", ({ item }) => item);
        const use = g.task("use", { needs: { setup } }, ({ item }) => {
          if (item === "a") fails();
        });
        g.task("teardown", { needs: { setup }, after: [use], teardown: true }, ({ item }) => void ran.push(item));
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    expect(ran.sort()).toEqual(["a", "b"]);
  });

  it("has its setup in a mapped group done again by a resume, for that item alone", async () => {
    const ran: string[] = [];
    let broken = true;
    const work = pipeline("work", (p) => {
      p.group("each", { over: ["a", "b"] }, (g) => {
        const setup = g.task("setup", ({ item, step }) => step("create", () => noted(ran, `create ${item}`, item)));
        const use = g.task("use", { needs: { setup } }, ({ item }) => {
          if (broken && item === "a") fails();
        });
        g.task(
          "teardown",
          { needs: { setup }, after: [use], teardown: true },
          ({ item }) => void ran.push(`delete ${item}`),
        );
      });
    });
    const storage = testStorage();
    const engine = await startedEngine({ pipelines: [work], storage });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    expect(ran.splice(0).sort()).toEqual(["create a", "create b", "delete a", "delete b"]);
    broken = false;
    await (await engine.runs.resume(run.id)).result();
    expect(ran).toEqual(["create a", "delete a"]);
    expect(new Set(Object.values(await statusesOf(engine, run.id)))).toEqual(new Set(["succeeded"]));
  });

  it("of several takes down what was set up around it, from the inside out", async () => {
    const ran: string[] = [];
    const work = pipeline("work", (p) => {
      const network = p.task("network", () => 1);
      const cluster = p.task("cluster", { needs: { network } }, () => 1);
      const use = p.task("use", { needs: { cluster } }, fails);
      const down = p.task(
        "cluster-down",
        { needs: { cluster }, after: [use], teardown: true },
        () => void ran.push("cluster"),
      );
      p.task("network-down", { needs: { network }, after: [down], teardown: true }, () => void ran.push("network"));
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    expect(ran).toEqual(["cluster", "network"]);
    expect(await run.status()).toBe("failed");
  });
});
