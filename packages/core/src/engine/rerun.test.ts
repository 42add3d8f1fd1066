import * as v from "valibot";
import { describe, expect, it } from "vitest";
import type { Builder } from "../define/builder.js";
import { pipeline } from "../define/pipeline.js";
import { SkipTask } from "../execute/signals.js";
import { startedEngine, testEngine } from "../test-support/engines.js";
import { aborted, gate } from "../test-support/gates.js";
import { settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";
import type { Engine } from "./engine.js";
import type { RerunOptions } from "./runs.js";

leavesNothingBehind();

/** `task[index]:status@generation×attempts` of all tasks. */
async function standing(engine: Engine, runId: string, query: object = {}): Promise<string[]> {
  const { items } = await engine.runs.tasks(runId, query, { limit: 1_000 });
  return items.map(({ task, index, status, generation, attempts }) => {
    return `${task}${index.length > 0 ? `[${index}]` : ""}:${status}@${generation}x${attempts}`;
  });
}

/** What ran, in order, in a rerun of a run that has ended. */
async function rerunOf(
  build: (p: Builder<Record<never, never>>, ran: (id: string) => () => string) => void,
  options: RerunOptions,
) {
  const calls: string[] = [];
  const ran = (id: string) => () => {
    calls.push(id);
    return `${id}${calls.length}`;
  };
  const work = pipeline("work", (p) => void build(p as Builder<Record<never, never>>, ran));
  const engine = await startedEngine({ pipelines: [work] });
  const run = await engine.trigger(work);
  await run.result().catch(() => undefined);
  calls.length = 0;
  const again = await engine.runs.rerun(run.id, options);
  await again.result().catch(() => undefined);
  return { calls: calls.toSorted(), engine, run, status: await run.status() };
}

const diamond = (p: Builder<Record<never, never>>, ran: (id: string) => () => string) => {
  const a = p.task("a", ran("a"));
  const b = p.task("b", { needs: { a } }, ran("b"));
  const c = p.task("c", { needs: { a } }, ran("c"));
  p.task("d", { needs: { b, c } }, ran("d"));
  p.task("e", ran("e"));
};

describe("runs.rerun() runs again", () => {
  it.each<[string, RerunOptions, string[]]>([
    ["a task and all that depends on it", { from: "b" }, ["b", "d"]],
    ["several", { from: ["c", "e"] }, ["c", "d", "e"]],
    ["everything", { from: ["a", "e"] }, ["a", "b", "c", "d", "e"]],
    ["one alone", { from: "a", only: true }, ["a"]],
    ["one without downstream", { from: "a", withDownstream: false }, ["a"]],
    ["one named twice, once", { from: ["d", "d"] }, ["d"]],
  ])("%s", async (_, options, expected) => {
    const { calls, status } = await rerunOf(diamond, options);
    expect([calls, status]).toEqual([expected, "succeeded"]);
  });

  it("a map with all its items, of which there may be others now", async () => {
    let length = 3;
    const { calls, engine, run } = await rerunOf(
      (p, ran) => {
        const list = p.task("list", () => Array.from({ length: length++ }, (_, n) => n));
        const each = p.map("each", { over: list }, ({ item }) => ran(`each${item}`)());
        p.task("sum", { needs: { each } }, ran("sum"));
      },
      { from: "list" },
    );
    expect(calls).toEqual(["each0", "each1", "each2", "each3", "sum"]);
    expect(await standing(engine, run.id)).toEqual([
      "list:succeeded@2x1",
      "each:succeeded@2x0",
      ...[0, 1, 2, 3].map((item) => `each[${item}]:succeeded@2x1`),
      "sum:succeeded@2x1",
    ]);
    expect(await standing(engine, run.id, { generation: 1, task: "each" })).toEqual([
      "each:succeeded@1x0",
      ...[0, 1, 2].map((item) => `each[${item}]:succeeded@1x1`),
    ]);
  });

  it("a group with all that is inside, and a task inside with what depends on it and on the group", async () => {
    const build = (p: Builder<Record<never, never>>, ran: (id: string) => () => string) => {
      const g = p.group("g", (inner) => {
        const x = inner.task("x", ran("x"));
        const y = inner.task("y", { needs: { x } }, ran("y"));
        inner.task("z", ran("z"));
        return { y };
      });
      p.task("after", { needs: { g } }, ran("after"));
    };
    expect((await rerunOf(build, { from: "g" })).calls).toEqual(["after", "x", "y", "z"]);
    expect((await rerunOf(build, { from: "g.x" })).calls).toEqual(["after", "x", "y"]);
    expect((await rerunOf(build, { from: "g.y", only: true })).calls).toEqual(["y"]);
  });

  it("a task inside a group that was skipped: the group is retried as often as it says", async () => {
    let passes = 0;
    const work = pipeline("work", (p) => {
      const nothing = p.task("nothing", () => {
        throw new SkipTask();
      });
      p.group("g", { after: [nothing], retry: { attempts: 2, delay: 1 } }, (inner) => {
        inner.task("x", () => {
          passes++;
          throw new Error("broken");
        });
      });
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result();
    await (await engine.runs.rerun(run.id, { from: "g.x" })).result().catch(() => undefined);
    expect(passes).toBe(2);
  });

  it("a mapped group, and a task inside it for all its items", async () => {
    const build = (p: Builder<Record<never, never>>, ran: (id: string) => () => string) => {
      const g = p.group("g", { over: ["p", "q"] }, (inner) => {
        const x = inner.task("x", ({ item }) => ran(`x-${item}`)());
        return { y: inner.task("y", { needs: { x } }, ({ item }) => ran(`y-${item}`)()) };
      });
      p.task("after", { needs: { g } }, ran("after"));
    };
    expect((await rerunOf(build, { from: "g" })).calls).toEqual(["after", "x-p", "x-q", "y-p", "y-q"]);
    const inside = await rerunOf(build, { from: "g.y" });
    expect(inside.calls).toEqual(["after", "y-p", "y-q"]);
    expect(inside.status).toBe("succeeded");
    expect(await standing(inside.engine, inside.run.id, { task: "g.y" })).toEqual([
      "g.y[0]:succeeded@2x1",
      "g.y[1]:succeeded@2x1",
    ]);
    expect(await standing(inside.engine, inside.run.id, { task: "g.x" })).toEqual([
      "g.x[0]:succeeded@1x1",
      "g.x[1]:succeeded@1x1",
    ]);
  });

  it("a branch, which may choose another path this time", async () => {
    let choice: "left" | "right" = "left";
    const { calls, engine, run } = await rerunOf(
      (p, ran) => {
        const gateway = p.branch("gateway", {}, () => {
          const chosen = choice;
          choice = "right";
          return chosen;
        });
        p.task("left", { after: [gateway.when("left")] }, ran("left"));
        p.task("right", { after: [gateway.when("right")] }, ran("right"));
      },
      { from: "gateway" },
    );
    expect(calls).toEqual(["right"]);
    expect(await standing(engine, run.id)).toEqual([
      "gateway:succeeded@2x1",
      "left:skipped@2x0",
      "right:succeeded@2x1",
    ]);
  });

  it("nothing on a path that was not chosen: the choice stands", async () => {
    const { calls, status } = await rerunOf(
      (p, ran) => {
        const gateway = p.branch("gateway", {}, () => "left" as "left" | "right");
        p.task("right", { after: [gateway.when("right")] }, ran("right"));
      },
      { from: "right" },
    );
    expect([calls, status]).toEqual([[], "succeeded"]);
  });

  it("a sub-pipeline as another run", async () => {
    const child = pipeline("child", (p) => ({ n: p.task("t", () => 1) }));
    const { engine, run } = await rerunOf((p) => void p.run("child", child), { from: "child" });
    expect((await engine.runs.list({ parent: run.id })).items).toHaveLength(2);
  });

  it("what failed, of a run that failed, and leaves its other failures as they are", async () => {
    let isBroken = true;
    const fails = () => {
      if (isBroken) throw new Error("no");
    };
    const work = pipeline("work", (p) => {
      const a = p.task("a", fails);
      p.task("after-a", { needs: { a } }, () => 1);
      p.task("b", fails);
    });
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work);
    await run.result().catch(() => undefined);
    isBroken = false;
    await expect((await engine.runs.rerun(run.id, { from: "a" })).result()).rejects.toMatchObject({
      failures: [{ task: "b" }],
    });
    expect(await standing(engine, run.id)).toEqual(["a:succeeded@2x1", "after-a:succeeded@2x1", "b:failed@1x1"]);
    await (await engine.runs.resume(run.id)).result();
    expect(await standing(engine, run.id)).toEqual(["a:succeeded@2x1", "after-a:succeeded@2x1", "b:succeeded@1x2"]);
  });
});

describe("a rerun", () => {
  const work = pipeline("work", { params: v.object({ n: v.pipe(v.number(), v.minValue(1)) }) }, (p) => {
    const a = p.task("a", ({ params, idempotencyKey, log }) => {
      log(idempotencyKey);
      return params.n;
    });
    return { b: p.task("b", { needs: { a } }, ({ input, params }) => [input.a, params.n]) };
  });

  it("keeps what was before: tasks and attempts of every generation, each with its own idempotencyKey", async () => {
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work, { n: 1 });
    await run.result();
    for (const generation of [2, 3]) {
      await (await engine.runs.rerun(run.id, { from: "a" })).result();
      expect((await engine.runs.get(run.id)).generation).toBe(generation);
    }
    expect(await standing(engine, run.id)).toEqual(["a:succeeded@3x1", "b:succeeded@3x1"]);
    for (const generation of [1, 2, 3]) {
      expect(await standing(engine, run.id, { generation })).toEqual([
        `a:succeeded@${generation}x1`,
        `b:succeeded@${generation}x1`,
      ]);
    }
    const { items } = await engine.runs.attempts(run.id, { task: "a" });
    expect(items.map(({ generation, attempt, status }) => [generation, attempt, status])).toEqual(
      [1, 2, 3].map((n) => [n, 1, "succeeded"]),
    );
    expect((await engine.runs.attempts(run.id, { generation: 2 })).items).toHaveLength(2);
    const keys = (await engine.runs.logs(run.id)).items.map(({ message }) => message);
    expect(new Set(keys).size).toBe(3);
  });

  it("gives the run other params, for the tasks that run again and those after it", async () => {
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work, { n: 1 }, { key: "k" });
    expect(await run.result()).toEqual({ b: [1, 1] });
    expect(await (await engine.runs.rerun(run.id, { from: "b", params: { n: 2 } })).result()).toEqual({ b: [1, 2] });
    expect((await engine.runs.get(run.id)).params).toEqual({ n: 2 });
    expect(await (await engine.runs.rerun(run.id, { from: "a" })).result()).toEqual({ b: [2, 2] });
    expect((await engine.trigger(work, { n: 1 }, { key: "k" })).id).toBe(run.id);
  });

  it.each<[string, RerunOptions, string]>([
    ["no tasks", { from: [] }, "QUERY_INVALID"],
    ["a task it does not have", { from: ["a", "other"] }, "TASK_UNKNOWN"],
    ["params that do not fit", { from: "a", params: { n: 0 } }, "PARAMS_INVALID"],
    ["params that cannot be stored", { from: "a", params: { n: () => 1 } }, "PARAMS_INVALID"],
  ])("refuses %s, and changes nothing", async (_, options, code) => {
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work, { n: 1 });
    await run.result();
    await expect(engine.runs.rerun(run.id, options)).rejects.toMatchObject({ code });
    expect(await engine.runs.get(run.id)).toMatchObject({ status: "succeeded", generation: 1, params: { n: 1 } });
  });

  it("refuses runs that there are not, that go on, or that another version made", async () => {
    const storage = testStorage();
    const hold = gate();
    const slow = pipeline("slow", (p) => void p.task("t", () => hold.passed));
    const other = pipeline("slow", (p) => void p.task("u", () => 1));
    const engine = await startedEngine({ pipelines: [slow], storage });
    const stranger = await startedEngine({ pipelines: [other], storage });
    const run = await engine.trigger(slow);
    await settled();
    await expect(engine.runs.rerun("nobody", { from: "t" })).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
    await expect(engine.runs.rerun(run.id, { from: "t" })).rejects.toMatchObject({ code: "RUN_ACTIVE" });
    hold.open();
    await run.result();
    await expect(stranger.runs.rerun(run.id, { from: "t" })).rejects.toMatchObject({ code: "DAG_CHANGED" });
  });

  it("F179 asked for twice at once happens once", async () => {
    const engine = await startedEngine({ pipelines: [work] });
    const run = await engine.trigger(work, { n: 1 });
    await run.result();
    const twice = await Promise.allSettled([1, 2].map(() => engine.runs.rerun(run.id, { from: "a" })));
    expect(twice.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    expect(twice.find(({ status }) => status === "rejected")).toMatchObject({ reason: { code: "RUN_ACTIVE" } });
    await run.result();
    expect((await engine.runs.get(run.id)).generation).toBe(2);
  });

  it("waits for an engine when nobody runs, and is carried out by the first that starts", async () => {
    const storage = testStorage();
    const first = await startedEngine({ pipelines: [work], storage });
    const run = await first.trigger(work, { n: 1 });
    await run.result();
    await first.stop();
    const idle = testEngine({ pipelines: [work], storage });
    await idle.runs.rerun(run.id, { from: "a", params: { n: 5 } });
    expect(await idle.runs.get(run.id)).toMatchObject({ status: "queued", generation: 1 });
    await idle.start();
    await expect.poll(async () => (await idle.runs.get(run.id)).status).toBe("succeeded");
    expect(await idle.runs.get(run.id)).toMatchObject({ generation: 2, params: { n: 5 } });
  });

  it("F50 goes on in the same generation when another engine takes the run over", async () => {
    const storage = testStorage();
    let isAgain = false;
    const calls: string[] = [];
    const slow = pipeline("slow", (p) => {
      const a = p.task("a", () => calls.push("a"));
      const each = p.map("each", { over: [0, 1], needs: { a } }, ({ item, attempt, signal }) => {
        calls.push(`each${item}`);
        return isAgain && item === 1 && attempt === 1 ? aborted(signal) : item;
      });
      p.task("last", { needs: { each } }, () => calls.push("last"));
    });
    const first = await startedEngine({ pipelines: [slow], storage });
    const run = await first.trigger(slow);
    await run.result();
    isAgain = true;
    calls.length = 0;
    await first.runs.rerun(run.id, { from: "a" });
    await settled();
    await storage.releaseLease(first.id);
    const second = await startedEngine({ pipelines: [slow], storage });
    await expect.poll(async () => (await second.runs.get(run.id)).status).toBe("succeeded");
    expect(calls).toEqual(["a", "each0", "each1", "each1", "last"]);
    expect(await standing(second, run.id)).toEqual([
      "a:succeeded@2x1",
      "each:succeeded@2x0",
      "each[0]:succeeded@2x1",
      "each[1]:succeeded@2x2",
      "last:succeeded@2x1",
    ]);
    expect((await second.runs.get(run.id)).generation).toBe(2);
  });

  it("of what fails fails the run, and a resume goes on with it", async () => {
    let broken = 2;
    const flaky = pipeline("flaky", (p) => {
      const a = p.task("a", () => 1);
      p.task("b", { needs: { a } }, () => {
        if (--broken === 0) throw new Error("second time");
      });
    });
    const engine = await startedEngine({ pipelines: [flaky] });
    const run = await engine.trigger(flaky);
    await run.result();
    await expect((await engine.runs.rerun(run.id, { from: "b" })).result()).rejects.toMatchObject({
      code: "RUN_FAILED",
    });
    await (await engine.runs.resume(run.id)).result();
    expect(await standing(engine, run.id)).toEqual(["a:succeeded@1x1", "b:succeeded@2x2"]);
  });

  it("of a task whose rule still does not let it run ends the group around it once more, and the run with it", async () => {
    const group = (p: Builder<Record<never, never>>) => {
      p.group("g", (inner) => {
        const a = inner.task("a", () => {
          throw new Error("always");
        });
        inner.task("b", { after: [a] }, () => 1);
      });
    };
    const { engine, run, status } = await rerunOf(group, { from: "g.b" });
    expect(status).toBe("failed");
    expect(await standing(engine, run.id)).toEqual(["g:failed@1x1", "g.a:failed@1x1", "g.b:upstream-failed@2x0"]);
  });
});
