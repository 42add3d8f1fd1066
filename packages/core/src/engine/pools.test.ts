import { describe, expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { startedEngine, testEngine } from "../test-support/engines.js";
import { aborted, gate, Meter } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";
import { finishing, lasting } from "../test-support/virtual-time.js";
import type { EngineOptions } from "./engine-options.js";

leavesNothingBehind();

const range = (length: number) => Array.from({ length }, (_, item) => item);

/** A pipeline whose run says "free" as soon as it gets all slots of the pool. */
const probe = (slots: number) =>
  pipeline("probe", (p) => ({ free: p.task("free", { pool: "gpu", slots }, () => "free") }));

describe("createEngine({ pools })", () => {
  const user = (slots?: number) =>
    pipeline("user", (p) => void p.task("train", { pool: "gpu", ...(slots && { slots }) }, () => 1));
  const parent = pipeline("parent", (p) => void p.run("child", user()));
  const inGroup = pipeline("in-group", (p) => void p.group("g", (g) => void g.task("t", { pool: "gpu" }, () => 1)));
  const refused: readonly [string, EngineOptions, string, RegExp][] = [
    [
      "a pool it does not have",
      { pipelines: [user()] },
      "POOL_UNKNOWN",
      /task "train" of pipeline "user".*"gpu".*pools/,
    ],
    ["more slots than the pool has", { pipelines: [user(3)], pools: { gpu: 2 } }, "POOL_UNKNOWN", /3 slots.*has 2/],
    ["a pool only a sub-pipeline asks for", { pipelines: [parent] }, "POOL_UNKNOWN", /pipeline "user"/],
    ["a pool only a task in a group asks for", { pipelines: [inGroup] }, "POOL_UNKNOWN", /"g.t"/],
    ["a name that objects have", { pipelines: [user()], pools: {} }, "POOL_UNKNOWN", /"gpu"/],
    ["a pool of no slots", { pipelines: [], pools: { gpu: 0 } }, "ENGINE_INVALID", /pools\["gpu"\] is 0/],
    ["a pool of half a slot", { pipelines: [], pools: { gpu: 0.5 } }, "ENGINE_INVALID", /0\.5/],
  ];
  it.each(refused)("refuses %s", (_, options, code, message) => {
    expect(() => testEngine(options)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  it.each([
    [{ pool: "gpu", slots: 0 }],
    [{ pool: "gpu", slots: 1.5 }],
    [{ slots: 2 }],
    [{ pool: "" }],
    [{ priority: 0.5 }],
  ])("a task refuses %j", (options) => {
    expect(() => pipeline("bad", (p) => void p.task("t", options as never, () => 1))).toThrow(
      expect.objectContaining({ code: "TASK_INVALID" }),
    );
  });

  it("takes as many slots as the pool has", async () => {
    const engine = await startedEngine({ pipelines: [probe(2)], pools: { gpu: 2, other: 1 } });
    expect(await engine.run(probe(2))).toEqual({ free: "free" });
  });
});

describe("a pool", () => {
  it("holds for all pipelines, runs and items of one engine together", async () => {
    const clock = new ManualClock();
    const meter = new Meter();
    const use = () => meter.during(() => lasting(clock, 10));
    const one = pipeline("one", (p) => void p.map("each", { over: range(20), pool: "gpu" }, use));
    const two = pipeline("two", (p) => {
      for (const n of range(10)) p.task(`t${n}`, { pool: "gpu" }, use);
      p.task("free", () => lasting(clock, 1));
    });
    const engine = await startedEngine({ pipelines: [one, two], pools: { gpu: 3 }, clock });
    const runs = await Promise.all([engine.trigger(one), engine.trigger(one), engine.trigger(two)]);
    await settled();
    expect(meter.now).toBe(3);
    await clock.advance(1);
    expect((await engine.runs.tasks(runs[2].id, { task: "free" })).items[0]!.status).toBe("succeeded");
    await finishing(clock, Promise.all(runs.map((run) => run.result())));
    expect([meter.max, meter.total, meter.now]).toEqual([3, 50, 0]);
  });

  it("counts the slots of each attempt", async () => {
    const clock = new ManualClock();
    let taken = 0;
    let most = 0;
    const work = pipeline("work", (p) => {
      for (const n of range(30)) {
        const slots = 1 + (n % 4);
        p.task(`t${n}`, { pool: "gpu", slots }, async () => {
          taken += slots;
          most = Math.max(most, taken);
          await lasting(clock, 1 + (n % 7));
          taken -= slots;
        });
      }
    });
    const engine = await startedEngine({ pipelines: [work], pools: { gpu: 5 }, clock });
    await finishing(clock, engine.run(work));
    expect([most, taken]).toEqual([5, 0]);
  });

  it("F156 never lets what does not fit stop a smaller one, and starts it when there is room", async () => {
    const [small, rest] = [gate(), gate()];
    const started: string[] = [];
    const work = pipeline("work", (p) => {
      p.task("first", { pool: "gpu" }, () => small.passed);
      p.task("big", { pool: "gpu", slots: 2 }, () => void started.push("big"));
      p.task("second", { pool: "gpu" }, () => {
        started.push("second");
        return rest.passed;
      });
      p.task("third", { pool: "gpu" }, () => void started.push("third"));
      p.task("elsewhere", () => void started.push("elsewhere"));
    });
    const engine = await startedEngine({ pipelines: [work], pools: { gpu: 2 } });
    const run = await engine.trigger(work);
    await settled();
    expect(started).toEqual(["second", "elsewhere"]);
    small.open();
    await settled();
    expect(started).toEqual(["second", "elsewhere", "third"]);
    rest.open();
    await run.result();
    expect(started.at(-1)).toBe("big");
  });

  it("F156 gives slots that are too few for the first in line to the next ones", async () => {
    const holds = [gate(), gate(), gate()];
    const started: string[] = [];
    const work = pipeline("work", (p) => {
      const hold = (n: number, slots: number) => p.task(`hold${n}`, { pool: "gpu", slots }, () => holds[n]!.passed);
      const after = [hold(0, 2), hold(1, 1)];
      void hold(2, 1);
      p.task("late", { after: [after[0]!], pool: "gpu", slots: 1 }, () => {
        started.push("late");
        return holds[2]!.passed;
      });
      p.task("four", { pool: "gpu", slots: 4 }, () => void started.push("four"));
      p.task("two", { pool: "gpu", slots: 2 }, () => void started.push("two"));
      p.task("one", { pool: "gpu" }, () => {
        started.push("one");
        return holds[2]!.passed;
      });
    });
    const engine = await startedEngine({ pipelines: [work], pools: { gpu: 4 } });
    const run = await engine.trigger(work);
    await settled();
    holds[0]!.open();
    await settled();
    expect(started.toSorted()).toEqual(["late", "one", "two"]);
    holds[1]!.open();
    holds[2]!.open();
    await run.result();
    expect(started.at(-1)).toBe("four");
  });

  it("F155 shares its slots among runs, so that a large one does not starve a small one", async () => {
    const clock = new ManualClock();
    const large = pipeline(
      "large",
      (p) => void p.map("each", { over: range(500), pool: "gpu" }, () => lasting(clock, 10)),
    );
    const small = pipeline("small", (p) => void p.task("only", { pool: "gpu" }, () => lasting(clock, 10)));
    const engine = await startedEngine({ pipelines: [large, small], pools: { gpu: 1 }, concurrency: 4, clock });
    const first = await engine.trigger(large);
    await clock.advance(100);
    const runs = await Promise.all(range(5).map(() => engine.trigger(small)));
    await clock.advance(200);
    expect(await Promise.all(runs.map((run) => run.status()))).toEqual(range(5).map(() => "succeeded"));
    await finishing(clock, first.result());
  });

  it("is each engine's own", async () => {
    const hold = gate();
    const work = pipeline("work", (p) => void p.task("t", { pool: "gpu" }, () => hold.passed));
    const storage = testStorage();
    const engines = await Promise.all(
      range(2).map(() => startedEngine({ pipelines: [work], pools: { gpu: 1 }, storage })),
    );
    const runs = await Promise.all(engines.map((engine) => engine.trigger(work)));
    await settled();
    const running = await Promise.all(runs.map(async (run) => (await engines[0]!.runs.tasks(run.id)).items[0]!.status));
    expect(running).toEqual(["running", "running"]);
    hold.open();
    await Promise.all(runs.map((run) => run.result()));
  });
});

describe("F134 slots come back", () => {
  /** Ends in its own way while it holds both slots. */
  const endings: readonly [string, (signal: AbortSignal) => unknown, object][] = [
    ["a failure", () => Promise.reject(new Error("no")), {}],
    [
      "a throw before anything is awaited",
      () => {
        throw new Error("no");
      },
      {},
    ],
    [
      "failures and retries",
      () => {
        throw new Error("no");
      },
      { retry: { attempts: 3, delay: 0 } },
    ],
    ["an output that cannot be stored", () => () => 1, {}],
    ["a timeout that is heard", (signal) => aborted(signal), { timeout: 20 }],
    ["a total timeout", (signal) => aborted(signal), { timeout: { total: 20 }, retry: { attempts: 2 } }],
    ["a condition that does not hold", () => 1, { when: () => false }],
    [
      "a condition that throws",
      () => 1,
      {
        when: () => {
          throw new Error("no");
        },
      },
    ],
  ];
  it.each(endings)("after %s", async (_, run, options) => {
    const work = pipeline(
      "work",
      (p) => void p.task("t", { pool: "gpu", slots: 2, ...options }, ({ signal }) => run(signal)),
    );
    const engine = await startedEngine({ pipelines: [work, probe(2)], pools: { gpu: 2 } });
    await engine.run(work).catch(() => undefined);
    expect(await engine.run(probe(2))).toEqual({ free: "free" });
  });

  it.each(["the run", "the task"])("after %s was cancelled", async (what) => {
    const work = pipeline("work", (p) => void p.task("t", { pool: "gpu", slots: 2 }, ({ signal }) => aborted(signal)));
    const engine = await startedEngine({ pipelines: [work, probe(2)], pools: { gpu: 2 } });
    const run = await engine.trigger(work);
    await settled();
    await run.cancel(what === "the run" ? {} : { task: "t" });
    await run.result().catch(() => undefined);
    expect(await engine.run(probe(2))).toEqual({ free: "free" });
  });

  it("when what was kept a place is cancelled while it waits for another limit", async () => {
    const [pool, other] = [gate(), gate()];
    const ran: string[] = [];
    const work = pipeline("work", (p) => {
      p.task("holds-pool", { pool: "gpu" }, () => pool.passed);
      p.task("holds-other", { pool: "other" }, () => other.passed);
      p.group("g", { concurrency: 1 }, (g) => {
        g.task("first", { pool: "other" }, () => void ran.push("first"));
        g.task("second", { pool: "gpu" }, () => void ran.push("second"));
      });
      p.task("last", { pool: "gpu" }, () => void ran.push("last"));
    });
    const engine = await startedEngine({ pipelines: [work, probe(1)], pools: { gpu: 1, other: 1 } });
    const run = await engine.trigger(work);
    await settled();
    await run.cancel({ task: "g" });
    pool.open();
    other.open();
    await run.result().catch(() => undefined);
    expect(ran).toEqual(["last"]);
    expect(await engine.run(probe(1))).toEqual({ free: "free" });
  });

  it("only when code that ignored its signal has ended at last", async () => {
    const clock = new ManualClock();
    const deaf = gate();
    const work = pipeline("work", (p) => void p.task("deaf", { pool: "gpu", timeout: 10 }, () => deaf.passed));
    const engine = await startedEngine({ pipelines: [work, probe(1)], pools: { gpu: 1 }, clock });
    const run = await engine.trigger(work);
    await clock.advance(1_000);
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_FAILED" });
    const waits = await engine.trigger(probe(1));
    await clock.advance(60_000);
    expect(await waits.status()).toBe("running");
    expect(await engine.runs.explain(waits.id, "free")).toMatchObject({ reasons: [{ kind: "pool" }] });
    deaf.open();
    expect(await waits.result()).toEqual({ free: "free" });
  });

  it("on another engine after this one stopped", async () => {
    const storage = testStorage();
    const work = pipeline("work", (p) => ({
      attempt: p.task("t", { pool: "gpu" }, async ({ attempt, signal }) => (attempt === 1 ? aborted(signal) : attempt)),
    }));
    const first = await startedEngine({ pipelines: [work], pools: { gpu: 1 }, storage });
    const run = await first.trigger(work);
    await settled();
    await first.stop({ grace: 0 });
    const second = await startedEngine({ pipelines: [work], pools: { gpu: 1 }, storage });
    await expect.poll(async () => (await second.runs.get(run.id)).status).toBe("succeeded");
  });

  it("when a run belongs to another engine meanwhile", async () => {
    const storage = testStorage();
    const hold = gate();
    const work = pipeline("work", (p) => void p.task("t", { pool: "gpu" }, () => hold.passed));
    const options = { pipelines: [work, probe(1)], pools: { gpu: 1 }, storage };
    const first = await startedEngine(options);
    await first.trigger(work);
    await settled();
    await storage.releaseLease(first.id);
    const second = await startedEngine(options);
    await storage.renewLease({ engineId: first.id, leaseMs: 3_600_000, isNew: false, definitions: [] });
    hold.open();
    await settled();
    for (const engine of [first, second]) expect(await engine.run(probe(1))).toEqual({ free: "free" });
  });
});
