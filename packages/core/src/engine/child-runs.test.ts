import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { pipeline } from "../define/pipeline.js";
import { startedEngine } from "../test-support/engines.js";
import { FaultyStorage, failsBefore, losesReply } from "../test-support/faulty-storage.js";
import { aborted, gate, Meter, noted } from "../test-support/gates.js";
import { attempts, statuses } from "../test-support/history.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";
import type { Engine } from "./engine.js";

leavesNothingBehind();

const broken = (_?: unknown): never => {
  throw new Error("broken");
};

const childrenOf = async (engine: Engine, parent: string) => (await engine.runs.list({ parent })).items;
const errorOf = async (engine: Engine, runId: string, task: string) =>
  (await engine.runs.tasks(runId, { task })).items[0]!.error;

const double = pipeline("double", { params: z.object({ n: z.number() }) }, (p) => ({
  doubled: p.task("double", ({ params }) => params.n * 2),
}));

describe("a sub-pipeline", () => {
  it("is a run of its own, linked to its parent, whose result is the task's output", async () => {
    const work = pipeline("work", (p) => {
      const n = p.task("n", () => 21);
      const child = p.run("child", double, { needs: { n }, params: ({ input }) => ({ n: input.n }) });
      return { child, seen: p.task("seen", { needs: { child } }, ({ input }) => input.child.doubled + 1) };
    });
    const engine = await startedEngine({ pipelines: [work] }); // which need not be told of the sub-pipeline
    const run = await engine.trigger(work, {}, { tags: ["nightly"], priority: 7 });
    expect(await run.result()).toEqual({ child: { doubled: 42 }, seen: 43 });
    const [child, ...more] = await childrenOf(engine, run.id);
    expect(more).toEqual([]);
    expect(child).toMatchObject({
      pipeline: "double",
      status: "succeeded",
      params: { n: 21 },
      parent: { runId: run.id, task: "child", index: [] },
      tags: ["nightly"],
      priority: 7,
    });
    expect(await engine.runs.get(run.id)).toMatchObject({ parent: undefined });
    expect((await engine.runs.tasks(run.id, { task: "child" })).items).toMatchObject([
      { status: "succeeded", output: { doubled: 42 }, wait: undefined },
    ]);
  });

  it("without params or a result needs no options", async () => {
    const plain = pipeline("plain", (p) => void p.task("a", () => 1));
    const work = pipeline("work", (p) => ({ child: p.run("child", plain) }));
    const engine = await startedEngine({ pipelines: [work] });
    expect(await engine.run(work)).toEqual({ child: undefined });
  });

  it("may be given to the engine too, and be started by itself", async () => {
    const work = pipeline("work", (p) => ({ child: p.run("child", double, { params: () => ({ n: 1 }) }) }));
    const engine = await startedEngine({ pipelines: [double, work] });
    expect(await engine.run(work)).toEqual({ child: { doubled: 2 } });
    expect(await engine.run(double, { n: 2 })).toEqual({ doubled: 4 });
  });

  it("holds no slot while it is waited for: three deep in an engine of one", async () => {
    const meter = new Meter();
    const leaf = pipeline("leaf", (p) => ({ v: p.task("v", () => meter.during(() => settled(2).then(() => 1))) }));
    const middle = pipeline("middle", (p) => ({ leaf: p.run("leaf", leaf), own: p.task("own", () => 2) }));
    const upper = pipeline("upper", (p) => ({
      middles: p.map("m", { over: [1, 2] }, ({ item }) => item),
      m: p.run("middle", middle),
    }));
    const work = pipeline("work", (p) => ({ a: p.run("a", upper), b: p.run("b", upper) }));
    const engine = await startedEngine({ pipelines: [work], concurrency: 1 });
    const result = { middles: [1, 2], m: { leaf: { v: 1 }, own: 2 } };
    expect(await engine.run(work)).toEqual({ a: result, b: result });
    expect(meter).toMatchObject({ max: 1, total: 2 });
  });

  it("runs for each item of a mapped group, and knows which", async () => {
    const work = pipeline("work", (p) => {
      const each = p.group("each", { over: [1, 2, 3] }, (g) => {
        const child = g.run("child", double, { params: ({ item }) => ({ n: item }) });
        return { v: g.task("v", { needs: { child } }, ({ input }) => input.child.doubled) };
      });
      return { v: each.outputs.v };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    expect(await run.result()).toEqual({ v: [2, 4, 6] });
    const children = await childrenOf(engine, run.id);
    expect(children.map(({ parent, params }) => [parent!.task, ...parent!.index, params]).sort()).toEqual([
      ["each.child", 0, { n: 1 }],
      ["each.child", 1, { n: 2 }],
      ["each.child", 2, { n: 3 }],
    ]);
  });

  it("is skipped by its condition, and starts nothing", async () => {
    const work = pipeline("work", (p) => {
      const child = p.run("child", double, { when: () => false, params: () => ({ n: 1 }) });
      p.task("after", { needs: { child } }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    expect(await statuses(engine, run.id)).toEqual({ child: "skipped", after: "skipped" });
    expect(await childrenOf(engine, run.id)).toEqual([]);
  });

  it("that is another pipeline of the same id is refused", async () => {
    const other = pipeline("double", (p) => void p.task("other", () => 1));
    const work = pipeline("work", (p) => void p.run("child", other));
    await expect(startedEngine({ pipelines: [work, double] })).rejects.toMatchObject({ code: "ENGINE_INVALID" });
  });
});

describe("deleting a parent", () => {
  it("deletes the runs its tasks started, and theirs", async () => {
    const middle = pipeline("middle", (p) => void p.run("leaf", double, { params: () => ({ n: 1 }) }));
    const work = pipeline("work", (p) => void p.run("child", middle));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    const other = await engine.trigger(work);
    await other.result();
    expect(await engine.runs.delete(run.id)).toBe(true);
    const left = (await engine.runs.list()).items;
    expect(left.map(({ pipeline: id }) => id)).toEqual(["double", "middle", "work"]);
  });
});

describe("a sub-pipeline that fails", () => {
  const failing = pipeline("failing", (p) => {
    p.task("fine", () => 1);
    p.task("fails", broken);
  });

  it("F151 fails its task with the cause, and nobody waits any longer", async () => {
    const work = pipeline("work", (p) => {
      const child = p.run("child", failing);
      p.task("after", { needs: { child } }, () => 1);
      p.task("whatever", { after: [child], triggerRule: "all-done" }, () => 1);
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    const error = await run.result().catch((thrown: unknown) => thrown);
    const [child] = await childrenOf(engine, run.id);
    expect(error).toMatchObject({ failures: [{ task: "child", error: { code: "CHILD_FAILED" } }] });
    expect(await errorOf(engine, run.id, "child")).toMatchObject({
      code: "CHILD_FAILED",
      message: expect.stringContaining(`run ${child!.id} of pipeline "failing" failed`),
      cause: { code: "RUN_FAILED", message: expect.stringContaining('task "fails" after 1 attempt: Error: broken') },
    });
    expect(await statuses(engine, run.id)).toEqual({
      ...{ child: "failed", after: "upstream-failed", whatever: "succeeded" },
    });
  });

  it("F151 because somebody cancelled it, too", async () => {
    const hangs = pipeline("hangs", (p) => void p.task("hangs", ({ signal }) => aborted(signal)));
    const work = pipeline("work", (p) => void p.run("child", hangs));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    const [child] = await childrenOf(engine, run.id);
    await engine.runs.cancel(child!.id, { reason: "by hand" });
    await run.result().catch(() => undefined);
    expect(await errorOf(engine, run.id, "child")).toMatchObject({
      ...{ code: "CHILD_FAILED", message: expect.stringContaining("was cancelled") },
      cause: { code: "RUN_CANCELLED", message: expect.stringContaining("by hand") },
    });
  });

  it("is started anew by each retry of its task", async () => {
    const clock = new ManualClock();
    let calls = 0;
    const flaky = pipeline("flaky", (p) => ({ v: p.task("v", () => (++calls < 3 ? broken() : calls)) }));
    const work = pipeline("work", (p) => ({
      child: p.run("child", flaky, { retry: { attempts: 3, delay: "1s", backoff: "fixed" } }),
    }));
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(5_000);
    expect(await run.result()).toEqual({ child: { v: 3 } });
    const children = await childrenOf(engine, run.id);
    expect(children.map(({ status }) => status)).toEqual(["succeeded", "failed", "failed"]);
    expect(new Set(children.map(({ id }) => id)).size).toBe(3);
  });

  it("whose params are invalid fails its task at once, whatever its retry", async () => {
    let calls = 0;
    const work = pipeline("work", (p) => {
      p.run("child", double, {
        retry: { attempts: 5, delay: 0 },
        params: () => {
          calls++;
          return { n: "x" as unknown as number };
        },
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    expect(await errorOf(engine, run.id, "child")).toMatchObject({
      ...{ code: "PARAMS_INVALID", message: expect.stringContaining("n: ") },
    });
    expect(calls).toBe(1);
    expect(await childrenOf(engine, run.id)).toEqual([]);
  });

  it("fails like any task when its params function throws", async () => {
    let calls = 0;
    const work = pipeline("work", (p) => {
      p.run("child", double, { retry: { attempts: 2, delay: 0 }, params: () => broken(calls++) });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    expect(await errorOf(engine, run.id, "child")).toMatchObject({ message: "broken" });
    expect(calls).toBe(2);
  });

  it("may fail with allowFailure", async () => {
    const work = pipeline("work", (p) => void p.run("child", failing, { allowFailure: true }));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    expect(await statuses(engine, run.id)).toEqual({ child: "failed" });
  });
});

describe("resuming a parent", () => {
  it("resumes its failed child from the point of failure: what succeeded is not run again", async () => {
    const log: string[] = [];
    let isBroken = true;
    const grandchild = pipeline("grandchild", (p) => {
      const a = p.task("a", () => noted(log, "a", 1));
      return {
        b: p.task("b", { needs: { a } }, () => noted(log, "b", isBroken ? Promise.reject(new Error("no")) : 2)),
      };
    });
    const child = pipeline("child", (p) => {
      const first = p.task("first", () => noted(log, "first", 1));
      return { g: p.run("g", grandchild, { after: [first], params: () => noted(log, "params", {}) }) };
    });
    const work = pipeline("work", (p) => {
      const child1 = p.run("c", child);
      return { child1, end: p.task("end", { needs: { child1 } }, ({ input }) => noted(log, "end", input.child1.g.b)) };
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    expect(log.splice(0)).toEqual(["first", "params", "a", "b"]);
    isBroken = false;
    expect(await (await engine.runs.resume(run.id)).result()).toEqual({ child1: { g: { b: 2 } }, end: 2 });
    expect(log).toEqual(["b", "end"]);
    const [one, ...more] = await childrenOf(engine, run.id);
    expect(more).toEqual([]);
    expect(await childrenOf(engine, one!.id)).toMatchObject([{ status: "succeeded" }]);
  });

  it("takes the result of a child that was mended and resumed by itself", async () => {
    let isBroken = true;
    let calls = 0;
    const child = pipeline("child", (p) => ({ v: p.task("v", () => (++calls && isBroken ? broken() : 7)) }));
    const work = pipeline("work", (p) => ({ child: p.run("child", child) }));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    const [one] = await childrenOf(engine, run.id);
    isBroken = false;
    await (await engine.runs.resume(one!.id)).result();
    expect(await (await engine.runs.resume(run.id)).result()).toEqual({ child: { v: 7 } });
    expect(calls).toBe(2);
  });

  it("starts another child, under an id of its own, when the history of the first is gone", async () => {
    let isBroken = true;
    const child = pipeline("child", (p) => ({ v: p.task("v", () => (isBroken ? broken() : 7)) }));
    const work = pipeline("work", (p) => ({ child: p.run("child", child) }));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    const [one] = await childrenOf(engine, run.id);
    await engine.runs.delete(one!.id);
    isBroken = false;
    expect(await (await engine.runs.resume(run.id)).result()).toEqual({ child: { v: 7 } });
    const [other, ...more] = await childrenOf(engine, run.id);
    expect(other!.id).not.toBe(one!.id);
    expect(more).toEqual([]);
  });

  it("resumes the child however often storage does not answer", async () => {
    const clock = new ManualClock();
    let isBroken = true;
    const child = pipeline("child", (p) => ({ v: p.task("v", () => (isBroken ? broken() : 7)) }));
    const work = pipeline("work", (p) => ({ child: p.run("child", child) }));
    const storage = new FaultyStorage();
    const engine = await startedEngine({ pipelines: [work], storage: storage.storage, clock });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    isBroken = false;
    storage.once("send", failsBefore, ([message]) => message?.runId !== run.id);
    const resumed = await engine.runs.resume(run.id);
    await clock.advance(10_000);
    expect(await resumed.result()).toEqual({ child: { v: 7 } });
  });

  it("waits for the child's new end, also where that has to wait for its turn", async () => {
    let isBroken = true;
    const hold = gate();
    const child = pipeline("child", { maxActiveRuns: 1, params: z.object({ hold: z.boolean() }) }, (p) => ({
      v: p.task("v", ({ params }) => (params.hold ? hold.passed.then(() => 0) : isBroken ? broken() : 7)),
    }));
    const work = pipeline("work", (p) => ({ child: p.run("child", child, { params: () => ({ hold: false }) }) }));
    const engine = await startedEngine({ pipelines: [work, child] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    isBroken = false;
    const other = await engine.trigger(child, { hold: true });
    await settled();
    await engine.runs.resume(run.id);
    await settled();
    expect(await run.status()).toBe("waiting");
    hold.open();
    await other.result();
    expect(await run.result()).toEqual({ child: { v: 7 } });
  });

  it.each([
    ["that has ended", true],
    ["that has yet to end", false],
  ])("with a child that was cancelled with it goes on with that: one %s", async (_, hasEnded) => {
    let hang = true;
    const log: string[] = [];
    const mayStop = gate();
    const stopped = (signal: AbortSignal) =>
      aborted(signal).catch(async (reason: unknown) => {
        await mayStop.passed;
        throw reason;
      });
    const child = pipeline("child", (p) => {
      const a = p.task("a", () => noted(log, "a", 1));
      return { b: p.task("b", { needs: { a } }, ({ signal }) => (hang ? stopped(signal) : noted(log, "b", 2))) };
    });
    const work = pipeline("work", (p) => ({ child: p.run("child", child) }));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    await run.cancel();
    await run.result().catch(() => undefined);
    if (hasEnded) {
      mayStop.open();
      await vi.waitFor(async () => expect((await childrenOf(engine, run.id))[0]?.status).toBe("cancelled"));
    }
    hang = false;
    const resumed = await engine.runs.resume(run.id);
    await settled();
    mayStop.open();
    expect(await resumed.result()).toEqual({ child: { b: 2 } });
    expect(log).toEqual(["a", "b"]);
  });

  it("of which the child's task is rerun starts another child", async () => {
    const work = pipeline("work", (p) => ({ child: p.run("child", double, { params: () => ({ n: 1 }) }) }));
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    await (await engine.runs.rerun(run.id, { from: "child" })).result();
    expect(await childrenOf(engine, run.id)).toHaveLength(2);
  });
});

describe("cancelling a parent", () => {
  const nested = (codes: string[]) => {
    const hang = async ({ signal }: { signal: AbortSignal }) => {
      await aborted(signal).catch((reason: Error & { code: string }) => codes.push(reason.code));
    };
    const leaf = pipeline("leaf", (p) => void p.task("hangs", hang));
    const middle = pipeline("middle", (p) => void p.run("leaf", leaf));
    return pipeline("work", (p) => {
      const child = p.run("child", middle, { timeout: { total: "1h" } });
      p.task("other", { triggerRule: "always" }, () => 1);
      p.task("after", { after: [child] }, () => 1);
    });
  };

  it("cancels its children and theirs", async () => {
    const codes: string[] = [];
    const work = nested(codes);
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await settled();
    await run.cancel({ reason: "enough" });
    await run.result().catch(() => undefined);
    await settled();
    expect(codes).toEqual(["RUN_CANCELLED"]);
    const all = (await engine.runs.list()).items;
    expect(all.map(({ pipeline: id, status }) => `${id} ${status}`)).toEqual([
      ...["leaf cancelled", "middle cancelled", "work cancelled"],
    ]);
    expect((await engine.runs.get(all[0]!.id)).error?.message).toContain("enough");
  });

  it("or its task, or its time being up, does the same", async () => {
    for (const how of ["cancel", "time"] as const) {
      const clock = new ManualClock();
      const codes: string[] = [];
      const work = nested(codes);
      const engine = await startedEngine({ pipelines: [work], clock });
      const run = await engine.trigger(work);
      await settled();
      if (how === "cancel") await engine.runs.cancel(run.id, { task: "child" });
      else await clock.advance(3_600_000);
      await settled();
      expect(await statuses(engine, run.id)).toEqual({
        ...{ child: how === "cancel" ? "cancelled" : "failed", other: "succeeded", after: "upstream-failed" },
      });
      await clock.advance(10);
      expect(codes).toEqual(["RUN_CANCELLED"]);
      expect((await childrenOf(engine, run.id)).map(({ status }) => status)).toEqual(["cancelled"]);
    }
  });

  it("whose group stops ends the child, and the group's retry starts another", async () => {
    const clock = new ManualClock();
    const codes: string[] = [];
    let pass = 0;
    const child = pipeline("child", (p) => ({
      v: p.task("v", async ({ signal }) => {
        if (pass === 1) await aborted(signal).catch((reason: { code: string }) => codes.push(reason.code));
        return pass;
      }),
    }));
    const work = pipeline("work", (p) => {
      const g = p.group("g", { retry: { attempts: 2, delay: "1s", backoff: "fixed" } }, (b) => {
        b.task("fails", () => (++pass === 1 ? settled(20).then(broken) : undefined));
        return { c: b.run("c", child) };
      });
      return { g };
    });
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await settled(30);
    await clock.advance(5_000);
    expect(await run.result()).toEqual({ g: { c: { v: 2 } } });
    expect(codes).toEqual(["RUN_CANCELLED"]);
    expect((await childrenOf(engine, run.id)).map(({ status }) => status)).toEqual(["succeeded", "cancelled"]);
  });

  it("that could not reach storage is tried until it does", async () => {
    const clock = new ManualClock();
    const codes: string[] = [];
    const work = nested(codes);
    const storage = new FaultyStorage();
    const engine = await startedEngine({ pipelines: [work], storage: storage.storage, clock });
    const run = await engine.trigger(work);
    await settled();
    let failures = 2;
    storage.on("send", async (proceed, [message]) =>
      message?.kind === "cancel" && message.runId !== run.id && failures-- > 0 ? failsBefore() : proceed(),
    );
    await run.cancel();
    await clock.advance(5_000);
    expect(codes).toEqual(["RUN_CANCELLED"]);
  });
});

describe("a timeout of a task that runs a sub-pipeline", () => {
  it("is for its run, not for making its params alone", async () => {
    const clock = new ManualClock();
    const slow = pipeline("slow", (p) => void p.sleep("s", "1h"));
    const work = pipeline("work", (p) => void p.run("child", slow, { timeout: "1m" }));
    const engine = await startedEngine({ pipelines: [work], clock });
    const run = await engine.trigger(work);
    await clock.advance(60_000);
    await clock.advance(10);
    expect(await run.status()).toBe("failed");
    expect(await errorOf(engine, run.id, "child")).toMatchObject({ code: "TASK_TIMEOUT" });
    expect((await childrenOf(engine, run.id)).map(({ status }) => status)).toEqual(["cancelled"]);
  });
});

describe("taking over a parent that waits", () => {
  const slow = (calls: string[], open: Promise<void>) => {
    const child = pipeline("child", (p) => {
      const a = p.task("a", () => noted(calls, "a", 1));
      return {
        b: p.task("b", { needs: { a } }, ({ signal }) => noted(calls, "b", Promise.race([open, aborted(signal)]))),
      };
    });
    return pipeline("work", (p) => {
      const each = p.group("each", { over: [0, 1] }, (g) => ({
        c: g.run("c", child, { params: () => noted(calls, "params", {}) }),
      }));
      return { each };
    });
  };

  it("F151 finds the children that exist, and starts none again", async () => {
    const storage = testStorage();
    const open = gate();
    const calls: string[] = [];
    const work = slow(calls, open.passed);
    const first = await startedEngine({ pipelines: [work], storage });
    const run = await first.trigger(work);
    await settled();
    await first.stop({ grace: 0 });
    expect(calls.splice(0).sort()).toEqual(["a", "a", "b", "b", "params", "params"]);
    const second = await startedEngine({ pipelines: [work], storage });
    await settled();
    open.open();
    await settled(20);
    expect((await second.runs.get(run.id)).status).toBe("succeeded");
    expect(calls).toEqual(["b", "b"]);
    expect(await childrenOf(second, run.id)).toHaveLength(2);
  });

  it("F151 hears of a child that ended while nobody owned the parent", async () => {
    const inner = testStorage();
    const open = gate();
    const calls: string[] = [];
    const work = slow(calls, open.passed);
    const first = await startedEngine({ pipelines: [work], storage: inner });
    const run = await first.trigger(work);
    await settled();
    const shared = FaultyStorage.sharing(inner);
    await inner.releaseLease(first.id);
    const second = await startedEngine({ pipelines: [work], storage: shared });
    await settled();
    open.open();
    await settled(20);
    expect((await second.runs.get(run.id)).status).toBe("succeeded");
    expect(await childrenOf(second, run.id)).toHaveLength(2);
  });

  const faults: [string, typeof failsBefore | typeof losesReply][] = [
    ["was not created", failsBefore],
    ["was created although the answer was lost", losesReply],
  ];
  it.each(faults)("a child that %s is there once in the end", async (_, fault) => {
    const clock = new ManualClock();
    const storage = new FaultyStorage();
    const work = pipeline("work", (p) => ({ child: p.run("child", double, { params: () => ({ n: 4 }) }) }));
    const engine = await startedEngine({ pipelines: [work], storage: storage.storage, clock });
    storage.once("createRuns", fault, ([run]) => run?.pipeline === "double");
    const run = await engine.trigger(work);
    await clock.advance(10_000);
    expect(await run.result()).toEqual({ child: { doubled: 8 } });
    expect(await childrenOf(engine, run.id)).toHaveLength(1);
    expect(await attempts(engine, run.id)).toEqual(["child 1/1 succeeded"]);
  });
});
