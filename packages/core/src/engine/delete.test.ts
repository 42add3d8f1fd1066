import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { startedEngine } from "../test-support/engines.js";
import { aborted, gate } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";

leavesNothingBehind();

describe("runs.delete()", () => {
  it("takes a finished run with all its history, and sets its key free", async () => {
    const work = pipeline("work", (p) => void p.task("t", ({ log }) => log("line")));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work, {}, { key: "k", tags: ["x"] });
    await run.result();
    expect(await engine.runs.delete(run.id)).toBe(true);
    const gone = expect.objectContaining({ code: "RUN_UNKNOWN" });
    const { runs } = engine;
    for (const ask of [
      runs.get(run.id),
      runs.tasks(run.id),
      runs.logs(run.id),
      runs.cancel(run.id),
      runs.resume(run.id),
      runs.graph(run.id),
      run.result(),
    ]) {
      await expect(ask).rejects.toEqual(gone);
    }
    expect((await runs.list({ tag: "x" })).items).toEqual([]);
    expect(await runs.delete(run.id)).toBe(false);
    const next = await engine.trigger(work, {}, { key: "k" });
    expect(next.id).not.toBe(run.id);
    await next.result();
  });

  it.each(["queued", "running", "waiting", "paused"])(
    "refuses a run that is %s, until it has ended",
    async (status) => {
      const clock = new ManualClock();
      const work = pipeline("work", (p) => {
        if (status === "running") p.task("t", ({ signal }) => aborted(signal));
        else p.signal("s");
      });
      const engine = await startedEngine({ pipelines: [work], clock });
      const run = await engine.trigger(work, {}, status === "queued" ? { at: clock.now() + 1_000 } : {});
      await settled();
      if (status === "paused") await engine.runs.pause(run.id);
      await settled();
      expect(await run.status()).toBe(status);
      await expect(engine.runs.delete(run.id)).rejects.toMatchObject({ code: "RUN_ACTIVE" });
      await run.cancel();
      await settled();
      expect(await engine.runs.delete(run.id)).toBe(true);
    },
  );

  it("takes the runs that its tasks started, and theirs", async () => {
    const leaf = pipeline("leaf", (p) => void p.task("t", () => 1));
    const middle = pipeline("middle", (p) => {
      for (const n of [1, 2]) p.run(`leaf${n}`, leaf);
    });
    const root = pipeline("root", (p) => void p.run("middle", middle));
    const engine = await startedEngine({ pipelines: [root] });
    const run = await engine.trigger(root);
    const other = await engine.trigger(root);
    await Promise.all([run.result(), other.result()]);
    expect((await engine.runs.list()).items).toHaveLength(8);
    expect(await engine.runs.delete(run.id)).toBe(true);
    expect((await engine.runs.list()).items).toHaveLength(4);
  });

  it("takes nothing of a run that goes on: neither the runs of its tasks that have ended", async () => {
    const hold = gate();
    const child = pipeline("child", (p) => void p.task("t", () => 1));
    const root = pipeline("root", (p) => void p.task("t", { after: [p.run("child", child)] }, () => hold.passed));
    const engine = await startedEngine({ pipelines: [root] });
    const run = await engine.trigger(root);
    await expect.poll(async () => (await engine.runs.list({ status: ["succeeded"] })).items.length).toBe(1);
    await expect(engine.runs.delete(run.id)).rejects.toMatchObject({ code: "RUN_ACTIVE" });
    expect((await engine.runs.list()).items).toHaveLength(2);
    hold.open();
    await run.result();
  });

  it("takes nothing of a run whose child was opened again", async () => {
    const hold = gate();
    let isAgain = false;
    const child = pipeline("child", (p) => void p.task("t", () => (isAgain ? hold.passed : undefined)));
    const root = pipeline("root", (p) => void p.run("child", child));
    const engine = await startedEngine({ pipelines: [root] });
    const run = await engine.trigger(root);
    await run.result();
    const [opened] = (await engine.runs.list({ parent: run.id })).items;
    isAgain = true;
    const again = await engine.runs.rerun(opened!.id, { from: "t" });
    await settled();
    await expect(engine.runs.delete(run.id)).rejects.toMatchObject({
      code: "RUN_ACTIVE",
      message: expect.stringContaining(opened!.id),
    });
    expect((await engine.runs.list()).items).toHaveLength(2);
    hold.open();
    await again.result();
    expect(await engine.runs.delete(run.id)).toBe(true);
  });

  it("F179 twice at once says yes and no, also through two engines", async () => {
    const storage = testStorage();
    const work = pipeline("work", (p) => void p.task("t", () => 1));
    const engines = await Promise.all([1, 2].map(() => startedEngine({ pipelines: [work], storage })));
    const run = await engines[0]!.trigger(work);
    await run.result();
    const answers = await Promise.all(engines.map((engine) => engine.runs.delete(run.id)));
    expect(answers).toContain(true);
    await expect(engines[1]!.runs.get(run.id)).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
  });
});
