import { describe, expect, it, vi } from "vitest";
import type { Flush } from "../contracts/storage.js";
import { pipeline } from "../define/pipeline.js";
import { RecordingLogger, startedEngine, testEngine } from "../test-support/engines.js";
import { FaultyStorage, failsBefore, losesReply, rejecting } from "../test-support/faulty-storage.js";
import { aborted, gate, Meter, noted } from "../test-support/gates.js";
import { ManualClock, settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { RunFailedError } from "./errors.js";

leavesNothingBehind();

/** Whether the flush says that this task succeeded. */
const finishes = (task: string) => (flush: Flush) =>
  flush.runs.some(({ tasks }) => tasks.some((record) => record.task === task && record.status === "succeeded"));

const callsOf = () => {
  const calls: string[] = [];
  return { calls, note: (name: string) => void calls.push(name) };
};

const failuresOf = async (result: Promise<unknown>) => {
  const error: unknown = await result.catch((thrown: unknown) => thrown);
  if (!(error instanceof RunFailedError)) throw error;
  return error.failures.map(({ task, index, error: { code } }) => ({ task, index, code }));
};

describe("a flush whose fate is unknown", () => {
  it("is sent again with the same id and applied once, and dependents start once", async () => {
    const faulty = new FaultyStorage();
    faulty.once("commit", losesReply, finishes("first"));
    const { calls, note } = callsOf();
    const two = pipeline("two", (p) => {
      const first = p.task("first", ({ log }) => {
        log("only once");
        note("first");
        return 1;
      });
      return { second: p.task("second", { needs: { first } }, ({ input }) => noted(calls, "second", input.first + 1)) };
    });
    const engine = await startedEngine({ pipelines: [two], storage: faulty.storage });
    const run = await engine.trigger(two);

    expect(await run.result()).toEqual({ second: 2 });
    expect(calls).toEqual(["first", "second"]);
    const sent = faulty.flushes.filter(finishes("first"));
    expect(sent).toHaveLength(2);
    expect(sent[1]!.id).toBe(sent[0]!.id);
    expect(sent[1]).toEqual(sent[0]);
    expect(new Set(faulty.flushes.map(({ id }) => id)).size).toBe(faulty.flushes.length - 1);
    expect((await engine.runs.logs(run.id)).items).toHaveLength(1);
  });

  it("is sent again after the store failed before doing anything", async () => {
    const faulty = new FaultyStorage();
    const log = new RecordingLogger();
    faulty.once("commit", failsBefore);
    faulty.once("commit", async () => ({ kind: "unknown", cause: new Error("timeout") }), finishes("only"));
    const { calls } = callsOf();
    const one = pipeline("one", (p) => ({ only: p.task("only", () => noted(calls, "only", "done")) }));
    const engine = await startedEngine({ pipelines: [one], storage: faulty.storage, log });

    expect(await (await engine.trigger(one)).result()).toEqual({ only: "done" });
    expect(calls).toEqual(["only"]);
    expect(log.complaints).toContain("the store did not confirm a flush; sending it again until it does");
  });

  it("is sent again when the store rejects values that the flush does not hold", async () => {
    const faulty = new FaultyStorage();
    const values = [{ runId: "another", task: "only", index: [], message: "no" }];
    faulty.once("commit", async () => ({ kind: "rejected", values }));
    const one = pipeline("one", (p) => ({ only: p.task("only", () => 1) }));
    const engine = await startedEngine({ pipelines: [one], storage: faulty.storage });
    expect(await (await engine.trigger(one)).result()).toEqual({ only: 1 });
    expect(faulty.flushes[1]).toEqual(faulty.flushes[0]);
  });
});

describe("a dependent", () => {
  it("starts only after its upstream's outcome is durable", async () => {
    const faulty = new FaultyStorage();
    const order: string[] = [];
    faulty.on("commit", async (proceed, flush) => {
      const names = ["first", "second"].filter((task) => finishes(task)(flush));
      await settled(5);
      const outcome = await proceed();
      order.push(...names.map((name) => `${name} durable`));
      return outcome;
    });
    const chain = pipeline("chain", (p) => {
      const first = p.task("first", () => void order.push("first runs"));
      const second = p.task("second", { after: [first] }, () => void order.push("second runs"));
      p.task("third", { after: [second] }, () => void order.push("third runs"));
    });
    const engine = await startedEngine({ pipelines: [chain], storage: faulty.storage });
    await (await engine.trigger(chain)).result();
    expect(order).toEqual(["first runs", "first durable", "second runs", "second durable", "third runs"]);
  });

  it("starts only after the branch's choice and the map's list are durable", async () => {
    const faulty = new FaultyStorage();
    const durable = new Set<string>();
    faulty.on("commit", async (proceed, flush) => {
      await settled(3);
      const outcome = await proceed();
      for (const { tasks } of flush.runs) for (const { task, status } of tasks) durable.add(`${task} ${status}`);
      return outcome;
    });
    const seen: boolean[] = [];
    const both = pipeline("both", (p) => {
      const list = p.task("list", () => [1, 2]);
      p.map("items", { over: list }, () => void seen.push(durable.has("list succeeded")));
      const gate = p.branch("gate", {}, () => "left");
      p.task("left", { after: [gate.when("left")] }, () => void seen.push(durable.has("gate succeeded")));
      p.task("right", { after: [gate.when("right" as "left")] }, () => void seen.push(false));
    });
    const engine = await startedEngine({ pipelines: [both], storage: faulty.storage });
    await (await engine.trigger(both)).result();
    expect(seen).toEqual([true, true, true]);
  });

  it("hears of an outcome only after it is durable, as every listener does", async () => {
    const faulty = new FaultyStorage();
    const letGo = faulty.hold("commit");
    const heard: string[] = [];
    const one = pipeline("one", (p) => void p.task("only", () => 1));
    const engine = await startedEngine({ pipelines: [one], storage: faulty.storage });
    engine.on("task:started", ({ task }) => heard.push(`started ${task}`));
    engine.on("task:finished", ({ task }) => heard.push(`finished ${task}`));
    engine.on("run:finished", ({ status }) => heard.push(`run ${status}`));
    const run = await engine.trigger(one);
    await settled();
    expect(heard).toEqual(["started only"]);
    letGo();
    await run.result();
    expect(heard).toEqual(["started only", "finished only", "run succeeded"]);
  });
});

describe("group commit", () => {
  it("shares flushes between many runs", async () => {
    const faulty = new FaultyStorage();
    faulty.on("commit", async (proceed) => {
      await settled(1);
      return proceed();
    });
    const chain = pipeline("chain", (p) => {
      const first = p.task("first", () => 1);
      const second = p.task("second", { needs: { first } }, ({ input }) => input.first + 1);
      return { third: p.task("third", { needs: { second } }, ({ input }) => input.second + 1) };
    });
    const engine = await startedEngine({ pipelines: [chain], storage: faulty.storage });
    const runs = await Promise.all(Array.from({ length: 200 }, () => engine.trigger(chain)));
    const results = await Promise.all(runs.map((run) => run.result()));
    expect(results.every(({ third }) => third === 3)).toBe(true);
    // 600 outcomes; three waves of 64 places at a time.
    expect(faulty.flushes.length).toBeLessThan(60);
    expect(faulty.flushes.some(({ runs: changed }) => changed.length > 20)).toBe(true);
  });

  it("writes tasks that begin and end within one turn once", async () => {
    const faulty = new FaultyStorage();
    const chain = pipeline("chain", (p) => {
      let last = p.task("task-0", () => 0);
      for (let step = 1; step < 20; step++) last = p.task(`task-${step}`, { after: [last] }, () => step);
    });
    const engine = await startedEngine({ pipelines: [chain], storage: faulty.storage });
    await (await engine.trigger(chain)).result();
    const written = faulty.flushes.flatMap(({ runs }) => runs).flatMap(({ attempts }) => attempts);
    expect(written.filter(({ status }) => status === "succeeded")).toHaveLength(20);
    // The first of a run may be caught by the flush that says the run has begun.
    expect(written.filter(({ status }) => status === "running").length).toBeLessThanOrEqual(1);
  });

  it("writes down that a long attempt is running", async () => {
    const faulty = new FaultyStorage();
    const going = gate();
    const one = pipeline("one", (p) => void p.task("only", () => going.passed));
    const engine = await startedEngine({ pipelines: [one], storage: faulty.storage });
    const run = await engine.trigger(one);
    await settled();
    const { items } = await engine.runs.attempts(run.id);
    expect(items).toMatchObject([{ task: "only", attempt: 1, status: "running", finishedAt: undefined }]);
    going.open();
    await run.result();
  });

  it("keeps every history in the order it was written, through lost replies", async () => {
    const faulty = new FaultyStorage();
    let count = 0;
    faulty.on("commit", async (proceed) => (++count % 3 === 0 ? losesReply(proceed) : proceed()));
    const one = pipeline("one", (p) => {
      p.task("only", async ({ log }) => {
        for (let line = 0; line < 12; line++) {
          log(`line ${line}`);
          await settled(2);
        }
      });
    });
    const engine = await startedEngine({ pipelines: [one], storage: faulty.storage });
    const run = await engine.trigger(one);
    await run.result();
    const lines = (await engine.runs.logs(run.id)).items.map(({ message }) => message);
    expect(lines).toEqual(Array.from({ length: 12 }, (_, line) => `line ${line}`));
    expect(count).toBeGreaterThan(3);
  });
});

describe("a value that the store refuses", () => {
  it("lets attempts that failed beside it count: their delays and their number are as the policy says", async () => {
    const faulty = new FaultyStorage();
    faulty.on(
      "commit",
      rejecting(({ output }) => output?.includes("poison") ?? false),
    );
    const both = gate();
    const clock = new ManualClock();
    const starts: number[] = [];
    const retry = { attempts: 2, delay: "1s", backoff: "linear" } as const;
    const beside = pipeline("beside", (p) => {
      p.task("bad", async () => noted([], await both.passed, "poison"));
      p.task("failing", { retry }, async () => {
        starts.push(clock.now());
        await both.passed;
        throw new Error("it fails");
      });
    });
    const engine = await startedEngine({ pipelines: [beside], storage: faulty.storage, clock });
    const run = await engine.trigger(beside);
    await settled(); // both are recorded as running
    both.open();
    await clock.advance(10_000);
    expect(starts.map((at) => at - starts[0]!)).toEqual([0, 1_000]);
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_FAILED" });
  });

  it("fails its own task with VALUE_REJECTED while other runs and tasks commit", async () => {
    const faulty = new FaultyStorage();
    faulty.on(
      "commit",
      rejecting(({ output }) => output?.includes("poison") ?? false),
    );
    const { calls, note } = callsOf();
    const mixed = pipeline("mixed", (p) => {
      const bad = p.task("bad", () => noted(calls, "bad", "poison"));
      const good = p.task("good", () => noted(calls, "good", "fine"));
      p.task("after-bad", { needs: { bad } }, () => note("after-bad"));
      p.task("after-good", { needs: { good } }, () => note("after-good"));
    });
    const clean = pipeline("clean", (p) => ({ value: p.task("value", () => "clean") }));
    const engine = await startedEngine({ pipelines: [mixed, clean], storage: faulty.storage });
    const [poisoned, other] = await Promise.all([engine.trigger(mixed), engine.trigger(clean)]);

    expect(await other.result()).toEqual({ value: "clean" });
    expect(await failuresOf(poisoned.result())).toEqual([{ task: "bad", index: [], code: "VALUE_REJECTED" }]);
    expect(calls.toSorted()).toEqual(["after-good", "bad", "good"]);
    const statuses = (await engine.runs.tasks(poisoned.id)).items.map(({ task, status }) => [task, status]);
    expect(statuses).toEqual([
      ["bad", "failed"],
      ["good", "succeeded"],
      ["after-bad", "upstream-failed"],
      ["after-good", "succeeded"],
    ]);
    const attempts = (await engine.runs.attempts(poisoned.id)).items.map(({ task, attempt }) => [task, attempt]);
    expect(attempts).toEqual([
      ["bad", 1],
      ["good", 1],
      ["after-good", 1],
    ]);
  });

  it("ends an outage as well: the engine takes on what there is", async () => {
    const faulty = new FaultyStorage();
    const bad = pipeline("bad", (p) => void p.task("bad", () => 1));
    // Limited in number, so that it has to be claimed.
    const other = pipeline("other", { maxActiveRuns: 1 }, (p) => ({ value: p.task("value", () => 42) }));
    faulty.on(
      "commit",
      rejecting(({ task, status }) => task === "bad" && status === "succeeded"),
    );
    faulty.once("commit", failsBefore, finishes("bad"));
    const engine = await startedEngine({ pipelines: [bad, other], storage: faulty.storage });
    const letGo = faulty.hold("getRun"); // nothing of the first run is flushed until it has been read again
    await engine.trigger(bad);
    await vi.waitFor(() => expect(faulty.flushes.filter(finishes("bad"))).toHaveLength(2));
    const run = await engine.trigger(other);
    const result = run.result();
    await Promise.race([result, new Promise((goOn) => setTimeout(goOn, 3_000))]);
    letGo();
    expect(faulty.flushes.some(finishes("value"))).toBe(true);
    expect(await result).toEqual({ value: 42 });
  });

  it("fails one item of a map, and the others are kept and not run again", async () => {
    const faulty = new FaultyStorage();
    faulty.on(
      "commit",
      rejecting(({ output }) => output?.includes("poison") ?? false),
    );
    const ran: number[] = [];
    const fan = pipeline("fan", (p) => {
      const list = p.task("list", () => [0, 1, 2, 3]);
      p.map("each", { over: list, concurrency: 2 }, ({ item }) => {
        ran.push(item);
        return item === 2 ? "poison" : `fine ${item}`;
      });
    });
    const engine = await startedEngine({ pipelines: [fan], storage: faulty.storage });
    const run = await engine.trigger(fan);
    expect(await failuresOf(run.result())).toEqual([{ task: "each", index: [2], code: "VALUE_REJECTED" }]);
    expect(ran.toSorted()).toEqual([0, 1, 2, 3]);
    const items = (await engine.runs.tasks(run.id, { task: "each" })).items;
    expect(items.map(({ status }) => status)).toEqual(["failed", "succeeded", "succeeded", "failed", "succeeded"]);
  });

  it("does not disturb attempts that are running meanwhile, nor a map that was not recorded yet", async () => {
    const faulty = new FaultyStorage();
    const badWritten = gate();
    const goOn = gate();
    const started: string[] = [];
    const racing = pipeline("racing", (p) => {
      const list = p.task("list", () => ["a", "b", "c"]);
      p.task("bad", async () => {
        await badWritten.passed;
        return "poison";
      });
      const items = p.map("each", { over: list, concurrency: 2 }, async ({ item, attempt, log }) => {
        started.push(`${item}${attempt}`);
        log(`begin ${item}`);
        await goOn.passed;
        log(`end ${item}`);
        return item.toUpperCase();
      });
      return { items };
    });
    // The flush that holds the map's expansion also holds the poison.
    faulty.on("commit", async (proceed, flush) => {
      if (finishes("list")(flush)) {
        badWritten.open();
        await settled(2);
      }
      return proceed();
    });
    faulty.on(
      "commit",
      rejecting(({ output }) => output?.includes("poison") ?? false),
    );
    const engine = await startedEngine({ pipelines: [racing], storage: faulty.storage });
    const run = await engine.trigger(racing);
    await settled();
    expect(started).toEqual(["a1", "b1"]);
    goOn.open();

    expect(await failuresOf(run.result())).toEqual([{ task: "bad", index: [], code: "VALUE_REJECTED" }]);
    expect(started).toEqual(["a1", "b1", "c1"]);
    const outputs = (await engine.runs.tasks(run.id, { task: "each" })).items.slice(1);
    expect(outputs.map(({ output, attempts }) => [output, attempts])).toEqual([
      ["A", 1],
      ["B", 1],
      ["C", 1],
    ]);
    const lines = (await engine.runs.logs(run.id)).items.map(({ message }) => message).toSorted();
    expect(lines).toEqual(["begin a", "begin b", "begin c", "end a", "end b", "end c"]);
  });

  it("keeps a map within its concurrency afterwards", async () => {
    const faulty = new FaultyStorage();
    faulty.on(
      "commit",
      rejecting(({ output }) => output?.includes("poison") ?? false),
    );
    const meter = new Meter();
    const fan = pipeline("fan", (p) => {
      const items = Array.from({ length: 9 }, (_, item) => item);
      p.map("each", { over: items, concurrency: 3 }, ({ item }) =>
        meter.during(async () => {
          await settled(item === 0 ? 1 : 10);
          return item === 0 ? "poison" : item;
        }),
      );
    });
    const engine = await startedEngine({ pipelines: [fan], storage: faulty.storage });
    await expect((await engine.trigger(fan)).result()).rejects.toThrow("VALUE_REJECTED");
    expect(meter).toMatchObject({ total: 9, max: 3, now: 0 });
  });

  it("keeps a retried task from running twice at once", async () => {
    const faulty = new FaultyStorage();
    const meter = new Meter();
    const secondRuns = gate();
    const goOn = gate();
    const both = pipeline("both", (p) => {
      p.task("retried", { retry: { attempts: 5, delay: 0 } }, ({ attempt }) =>
        meter.during(async () => {
          if (attempt === 1) throw new Error("first fails");
          secondRuns.open();
          await goOn.passed;
        }),
      );
      p.task("bad", () => "poison");
    });
    faulty.on(
      "commit",
      rejecting(({ output }) => output?.includes("poison") ?? false),
    );
    // The first attempt's failure is not durable yet while the second is running.
    faulty.once("commit", async (proceed) => {
      await secondRuns.passed;
      return proceed();
    });
    const engine = await startedEngine({ pipelines: [both], storage: faulty.storage });
    const run = await engine.trigger(both);
    await secondRuns.passed;
    await new Promise((resolve) => setTimeout(resolve, 20));
    goOn.open();
    expect(await failuresOf(run.result())).toEqual([{ task: "bad", index: [], code: "VALUE_REJECTED" }]);
    expect(meter).toMatchObject({ max: 1, total: 2 });
    const attempts = (await engine.runs.attempts(run.id, { task: "retried" })).items;
    expect(attempts.map(({ attempt, status }) => [attempt, status])).toEqual([
      [1, "failed"],
      [2, "succeeded"],
    ]);
  });

  it("loses neither lines nor a cancellation that come while the run is being read again", async () => {
    const faulty = new FaultyStorage();
    faulty.on(
      "commit",
      rejecting(({ output }) => output?.includes("poison") ?? false),
    );
    const letGo = faulty.hold("loadTasks");
    const logNow = gate();
    const both = pipeline("both", (p) => {
      p.task("bad", () => "poison");
      p.task("talks", async ({ log, signal }) => {
        log("before");
        await logNow.passed;
        log("during");
        await aborted(signal);
      });
    });
    const engine = await startedEngine({ pipelines: [both], storage: faulty.storage });
    const run = await engine.trigger(both);
    await settled();
    logNow.open();
    await settled();
    expect(await run.cancel()).toBe(true);
    await settled();
    letGo();
    await expect(run.result()).rejects.toMatchObject({ code: "RUN_CANCELLED" });
    expect((await engine.runs.logs(run.id)).items.map(({ message }) => message)).toEqual(["before", "during"]);
    expect((await engine.runs.tasks(run.id)).items.map(({ task, status }) => [task, status])).toEqual([
      ["bad", "failed"],
      ["talks", "cancelled"],
    ]);
  });

  it("costs the run neither its start nor its deadline", async () => {
    const faulty = new FaultyStorage();
    const goOn = gate();
    faulty.on(
      "commit",
      rejecting(({ output }) => output?.includes("poison") ?? false),
    );
    const slow = pipeline("slow", { timeout: "1h" }, (p) => {
      p.task("bad", async () => {
        await goOn.passed;
        return "poison";
      });
    });
    const started: boolean[] = [];
    const engine = await startedEngine({ pipelines: [slow], storage: faulty.storage });
    engine.on("run:started", ({ resumed }) => started.push(resumed));
    const run = await engine.trigger(slow);
    await settled();
    const before = await engine.runs.get(run.id);
    await new Promise((resolve) => setTimeout(resolve, 15));
    goOn.open();
    await run.result().catch(() => undefined);
    const after = await engine.runs.get(run.id);
    expect(after).toMatchObject({ startedAt: before.startedAt, deadlineAt: before.deadlineAt, status: "failed" });
    expect(before.deadlineAt).toBe(before.startedAt! + 3_600_000);
    expect(started).toEqual([false]);
  });

  it("may be a line of its log: the line goes with the task that wrote it, and the other lines stay", async () => {
    const faulty = new FaultyStorage();
    faulty.on("commit", async (proceed, { runs }) => {
      const lines = runs.flatMap(({ logs }) => logs).filter(({ message }) => message === "poison");
      const values = lines.map(({ runId, task, index }) => ({ runId, task, index, message: "unsupported character" }));
      return values.length > 0 ? { kind: "rejected", values } : proceed();
    });
    const both = pipeline("both", (p) => {
      p.task("bad", ({ log }) => log("poison"));
      p.task("good", ({ log }) => log("fine"));
    });
    const engine = await startedEngine({ pipelines: [both], storage: faulty.storage });
    const run = await engine.trigger(both);
    expect(await failuresOf(run.result())).toEqual([{ task: "bad", index: [], code: "VALUE_REJECTED" }]);
    expect((await engine.runs.logs(run.id)).items.map(({ message }) => message)).toEqual(["fine"]);
  });

  it("leaves the run alone when another engine has it by the time it is read again", async () => {
    const faulty = new FaultyStorage(undefined, ["listen"]);
    const [go, read, isRead] = [gate(), gate(), gate()];
    let isFirst = true;
    const one = pipeline("one", (p) => ({
      value: p.task("value", async () => {
        await go.passed;
        const value = isFirst ? "poison" : "mended";
        isFirst = false;
        return value;
      }),
    }));
    const former = await startedEngine({ pipelines: [one], storage: faulty.storage });
    faulty.on(
      "commit",
      rejecting(({ output }) => output?.includes("poison") ?? false),
    );
    const run = await former.trigger(one);
    const result = run.result();
    await settled();
    // From here on only the engine itself looks at the run: after the rejection.
    faulty.on("getRun", async (proceed) => {
      isRead.open();
      await read.passed;
      return proceed();
    });
    go.open();
    await isRead.passed;
    await faulty.inner.renewLease({ engineId: former.id, leaseMs: 1e-9, isNew: false, definitions: [] });
    const other = await startedEngine({ pipelines: [one], storage: FaultyStorage.sharing(faulty.inner) });
    await settled();
    read.open();
    expect(await result).toEqual({ value: "mended" });
    const attempts = (await other.runs.attempts(run.id)).items;
    expect(attempts.at(-1)).toMatchObject({ engineId: other.id, status: "succeeded" });
  });

  it("can be mended by a resume", async () => {
    const faulty = new FaultyStorage();
    const off = faulty.on(
      "commit",
      rejecting(({ output }) => output?.includes("poison") ?? false),
    );
    const one = pipeline("one", (p) => ({ value: p.task("value", () => "poison") }));
    const engine = await startedEngine({ pipelines: [one], storage: faulty.storage });
    const run = await engine.trigger(one);
    await run.result().catch(() => undefined);
    off();
    expect(await (await engine.runs.resume(run.id)).result()).toEqual({ value: "poison" });
  });
});

describe("a run that belongs to another engine by now", () => {
  it("is written no more by its former owner, and the other engine finishes it", async () => {
    const faulty = new FaultyStorage();
    const finish = gate();
    let isFirst = true;
    const long = pipeline("long", (p) => {
      const before = p.task("before", () => "kept");
      return {
        long: p.task("long", { needs: { before } }, async ({ input, attempt, log }) => {
          if (!isFirst) return `${input.before}, attempt ${attempt}`;
          isFirst = false;
          await finish.passed;
          log("too late to be kept");
          return "by the former owner";
        }),
      };
    });
    const former = await startedEngine({ pipelines: [long], storage: faulty.storage });
    const run = await former.trigger(long);
    await settled();
    // The former owner's lease runs out, and another engine takes over.
    await faulty.inner.renewLease({ engineId: former.id, leaseMs: 1e-9, isNew: false, definitions: [] });
    const other = await startedEngine({ pipelines: [long], storage: FaultyStorage.sharing(faulty.inner) });
    await vi.waitFor(async () => expect((await other.runs.get(run.id)).status).toBe("succeeded"));

    // Whatever the former owner writes next is refused, and so it learns of its loss.
    finish.open();
    expect(await run.result()).toEqual({ long: "kept, attempt 2" });
    expect((await other.runs.get(run.id)).status).toBe("succeeded");
    const attempts = (await other.runs.attempts(run.id, { task: "long" })).items;
    expect(attempts).toMatchObject([
      { attempt: 1, engineId: former.id },
      { attempt: 2, engineId: other.id, status: "succeeded" },
    ]);
    expect((await other.runs.logs(run.id)).items).toEqual([]);
  });

  it("aborts as soon as a flush is fenced, and sends nothing of that run again", async () => {
    const faulty = new FaultyStorage(undefined, ["listen"]);
    const reason = gate<unknown>();
    const noisy = pipeline("noisy", (p) => {
      p.task("noisy", async ({ signal, log, attempt }) => {
        if (attempt > 1) return;
        signal.addEventListener("abort", () => reason.open(signal.reason), { once: true });
        while (!signal.aborted) {
          log("still here");
          await settled(1);
        }
        for (let line = 0; line < 5; line++) {
          log("after the end");
          await settled(1);
        }
      });
    });
    const former = await startedEngine({ pipelines: [noisy], storage: faulty.storage });
    const run = await former.trigger(noisy);
    const result = run.result();
    await settled();
    await faulty.inner.renewLease({ engineId: former.id, leaseMs: 1e-9, isNew: false, definitions: [] });
    const other = await startedEngine({ pipelines: [noisy], storage: FaultyStorage.sharing(faulty.inner) });
    expect(await reason.passed).toMatchObject({ code: "LEASE_LOST" });
    const sent = faulty.flushes.length;
    await settled(20);
    expect(faulty.flushes.length).toBe(sent);
    // Without hints the former owner looks again by itself.
    expect(await result).toBeUndefined();
    expect((await other.runs.get(run.id)).status).toBe("succeeded");
  });
});

describe("a store that does not answer", () => {
  it("does not keep stop() from ending, and nothing is sent afterwards", async () => {
    const faulty = new FaultyStorage();
    const clock = new ManualClock();
    const log = new RecordingLogger();
    const one = pipeline("one", (p) => void p.task("only", () => 1));
    const engine = testEngine({ pipelines: [one], storage: faulty.storage, clock, log });
    await engine.start();
    faulty.on("commit", failsBefore);
    faulty.on("releaseLease", failsBefore);
    await engine.trigger(one);
    await settled();
    const stopping = engine.stop();
    await clock.advance(10_000);
    await stopping;
    const sent = faulty.flushes.length;
    expect(sent).toBeGreaterThan(3);
    await clock.advance(60_000);
    expect(faulty.flushes.length).toBe(sent);
    expect(clock.workTimers).toBe(0);
    expect(log.complaints).toContain(
      "the store did not confirm the last changes; the next engine does again what they hold",
    );
  });
});
