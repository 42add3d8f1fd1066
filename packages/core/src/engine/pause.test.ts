import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { startedEngine, testEngine } from "../test-support/engines.js";
import { aborted, gate } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";

leavesNothingBehind();

describe("a paused run", () => {
  it("starts nothing; what runs goes on to its end, and the rest follows when it is unpaused", async () => {
    const hold = gate();
    const ran: string[] = [];
    const work = pipeline("work", (p) => {
      const a = p.task("a", async () => {
        await hold.passed;
        return ran.push("a");
      });
      const list = p.task("list", { needs: { a } }, () => [1, 2]);
      p.map("each", { over: list }, ({ item }) => ran.push(`each${item}`));
      p.group("g", { after: [a] }, (g) => void g.task("t", () => ran.push("g.t")));
    });
    const engine = await startedEngine({ pipelines: [work] });
    const statuses: string[] = [];
    engine.on("run:status", ({ status }) => statuses.push(status));
    const run = await engine.trigger(work);
    await settled();
    expect(await engine.runs.pause(run.id)).toBe(true);
    hold.open();
    await settled();
    expect([ran, await run.status()]).toEqual([["a"], "paused"]);
    expect(await engine.runs.unpause(run.id)).toBe(true);
    await run.result();
    expect(ran.toSorted()).toEqual(["a", "each1", "each2", "g.t"]);
    expect(statuses).toEqual(["paused", "running"]);
  });

  it("holds back what had been waiting for a place, without keeping the place", async () => {
    const hold = gate();
    const ran: string[] = [];
    const work = pipeline("work", (p) => {
      p.task("holds", { pool: "gpu" }, () => hold.passed);
      p.task("waits", { pool: "gpu" }, () => ran.push("waits"));
    });
    const next = pipeline("next", (p) => void p.task("t", { pool: "gpu" }, () => ran.push("next")));
    const engine = await startedEngine({ pipelines: [work, next], pools: { gpu: 1 } });
    const run = await engine.trigger(work);
    await settled();
    await engine.runs.pause(run.id);
    hold.open();
    await engine.run(next);
    expect(ran).toEqual(["next"]);
    await engine.runs.unpause(run.id);
    await run.result();
    expect(ran).toEqual(["next", "waits"]);
  });

  it("lets retries, sleeps and polls that come due meanwhile wait", async () => {
    const clock = new ManualClock();
    const ran: string[] = [];
    const work = pipeline("work", (p) => {
      p.task("retries", { retry: { attempts: 2, delay: "5s", jitter: "none" } }, ({ attempt }) => {
        ran.push(`retries${attempt}`);
        if (attempt === 1) throw new Error("again");
      });
      p.task("slept", { after: [p.sleep("sleep", "5s")] }, () => ran.push("slept"));
      p.poll("poll", { every: "5s" }, ({ attempt: _ }) => ran.push("look") > 4);
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(1);
    await engine.runs.pause(run.id);
    await clock.advance(60_000);
    expect([ran.toSorted(), await run.status()]).toEqual([["look", "retries1"], "paused"]);
    await engine.runs.unpause(run.id);
    await clock.advance(30_000);
    await run.result();
    expect(ran.filter((what) => what !== "look").toSorted()).toEqual(["retries1", "retries2", "slept"]);
  });

  it("stays paused when another engine takes it over, and goes on there", async () => {
    const storage = testStorage();
    const ran: string[] = [];
    const work = pipeline("work", (p) => {
      const a = p.task("a", ({ attempt, signal }) => (attempt === 1 ? aborted(signal) : ran.push("a")));
      p.task("b", { needs: { a } }, () => ran.push("b"));
    });
    const first = await startedEngine({ pipelines: [work], storage });
    const run = await first.trigger(work);
    await settled();
    await first.runs.pause(run.id);
    await first.stop({ grace: 0 });
    const second = await startedEngine({ pipelines: [work], storage });
    await settled();
    expect([ran, (await second.runs.get(run.id)).status]).toEqual([[], "paused"]);
    await second.runs.unpause(run.id);
    await expect.poll(async () => (await second.runs.get(run.id)).status).toBe("succeeded");
    expect(ran).toEqual(["a", "b"]);
  });

  it("may be paused before it starts", async () => {
    const ran: string[] = [];
    const work = pipeline("work", (p) => void p.task("t", () => ran.push("t")));
    const engine = testEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    expect(await engine.runs.pause(run.id)).toBe(true);
    await engine.start();
    await settled();
    expect([ran, await run.status()]).toEqual([[], "paused"]);
    await engine.runs.unpause(run.id);
    await run.result();
    expect(ran).toEqual(["t"]);
  });

  it("F132 cancelled, it ends at once, and what cleans up after it still runs", async () => {
    const ran: string[] = [];
    const work = pipeline("work", (p) => {
      const setup = p.task("setup", () => ran.push("setup"));
      const use = p.signal("approval", { after: [setup] });
      p.order(
        use,
        p.task("teardown", { needs: { setup }, teardown: true }, () => ran.push("teardown")),
      );
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    await engine.runs.pause(run.id);
    await run.cancel({ reason: "enough" });
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_CANCELLED" });
    expect(ran).toEqual(["setup", "teardown"]);
  });

  it("ends by its timeout all the same", async () => {
    const clock = new ManualClock();
    const work = pipeline("work", { timeout: "1m" }, (p) => void p.signal("approval"));
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await settled();
    await engine.runs.pause(run.id);
    await clock.advance(60_000);
    expect(await engine.runs.get(run.id)).toMatchObject({ status: "failed", error: { code: "RUN_TIMEOUT" } });
  });

  it("ends when what ran was all there was", async () => {
    const hold = gate();
    const work = pipeline("work", (p) => void p.task("t", () => hold.passed));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    await engine.runs.pause(run.id);
    hold.open();
    await run.result();
    expect(await engine.runs.pause(run.id)).toBe(false);
    expect(await engine.runs.unpause(run.id)).toBe(false);
  });

  it("keeps a signal that comes meanwhile", async () => {
    const ran: unknown[] = [];
    const work = pipeline(
      "work",
      (p) => void p.task("t", { needs: { s: p.signal("s") } }, ({ input }) => ran.push(input.s)),
    );
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    await engine.runs.pause(run.id);
    await run.signal("s", "yes");
    await settled();
    expect([ran, await run.status()]).toEqual([[], "paused"]);
    await engine.runs.unpause(run.id);
    await run.result();
    expect(ran).toEqual(["yes"]);
  });

  it("F179 paused twice it is unpaused once, and the last word counts", async () => {
    const hold = gate();
    const work = pipeline("work", (p) => void p.task("b", { after: [p.task("a", () => hold.passed)] }, () => 1));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    await Promise.all([engine.runs.pause(run.id), engine.runs.pause(run.id)]);
    await engine.runs.unpause(run.id);
    await engine.runs.unpause(run.id);
    await settled();
    expect(await run.status()).toBe("running");
    for (const say of ["pause", "unpause", "pause"] as const) await engine.runs[say](run.id);
    hold.open();
    await settled();
    expect(await run.status()).toBe("paused");
    await engine.runs.unpause(run.id);
    await run.result();
  });

  it("refuses runs that there are not", async () => {
    const engine = await startedEngine({ pipelines: [] });
    await expect(engine.runs.pause("nobody")).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
    await expect(engine.runs.unpause("nobody")).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
  });
});
