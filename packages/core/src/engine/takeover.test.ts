import { expect, it } from "vitest";
import { NonRetryableError, pipeline, type Storage } from "../index.js";
import { RecordingLogger, startedEngine } from "../test-support/engines.js";
import { FaultyStorage } from "../test-support/faulty-storage.js";
import { settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";

leavesNothingBehind();

/** As if the engine's lease had run out: its runs are free for others, and what it writes is fenced. */
const loseLease = (storage: Storage, engineId: string) => storage.releaseLease(engineId);

it("F50 a cancellation that was not carried out yet is carried out by the next owner", async () => {
  const storage = testStorage();
  let starts = 0;
  const work = pipeline("work", (p) => {
    const stuck = p.task("stuck", async () => {
      starts++;
      await new Promise<void>((resolve) => setTimeout(resolve, 200)); // deaf to its signal
    });
    p.task("next", { needs: { stuck }, triggerRule: "all-done" }, () => void starts++);
  });
  const first = await startedEngine({ pipelines: [work], storage });
  const run = await first.trigger(work);
  await settled();
  expect(await run.cancel({ reason: "enough" })).toBe(true);
  await loseLease(storage, first.id);
  const second = await startedEngine({ pipelines: [work], storage });
  await settled();
  expect((await second.runs.get(run.id)).status).toBe("cancelled");
  await new Promise((resolve) => setTimeout(resolve, 250));
  expect(starts).toBe(1);
});

it("a map over a partly failed map keeps its list when a resume lets the failed items succeed", async () => {
  let broken = true;
  const seen: string[] = [];
  const work = pipeline("work", (p) => {
    const first = p.map("first", { over: ["a", "b", "c"] }, ({ item }) => {
      if (item === "a" && broken) throw new Error("a is broken");
      return item;
    });
    p.map("second", { over: first, triggerRule: "all-done" }, ({ item }) => {
      seen.push(item);
      if (item === "c" && broken) throw new Error("c is broken");
      return item;
    });
  });
  const engine = await startedEngine({ pipelines: [work] });
  const run = await engine.trigger(work);
  await run.result().catch(() => undefined);
  for (const stillBroken of [true, false]) {
    broken = stillBroken;
    await (await engine.runs.resume(run.id)).result().catch(() => undefined);
  }
  expect(await run.status()).toBe("succeeded");
  expect(seen).toEqual(["b", "c", "c", "c"]);
});

it("failing fast goes on after a takeover", async () => {
  const storage = testStorage();
  const ran: string[] = [];
  const work = pipeline("work", { failFast: true }, (p) => {
    p.task("fails", () => {
      throw new NonRetryableError("no");
    });
    const deaf = p.task("deaf", () => new Promise<void>((resolve) => setTimeout(resolve, 200)));
    p.task("after", { needs: { deaf } }, () => void ran.push("after"));
  });
  const first = await startedEngine({ pipelines: [work], storage });
  const run = await first.trigger(work);
  await settled();
  await loseLease(storage, first.id);
  const second = await startedEngine({ pipelines: [work], storage });
  await settled();
  expect((await second.runs.get(run.id)).status).toBe("failed");
  await new Promise((resolve) => setTimeout(resolve, 250));
  expect(ran).toEqual([]);
});

it("a run that cannot be loaded does not hold up the others that were claimed with it", async () => {
  const storage = testStorage();
  const work = pipeline("work", (p) => {
    const gate = p.branch("gate", {}, () => "left");
    const stop = p.task("stop", { after: [gate.when("left")] }, () => {
      throw new Error("broken");
    });
    return { stop };
  });
  const first = await startedEngine({ pipelines: [work], storage });
  const damaged = await first.trigger(work);
  await damaged.result().catch(() => undefined);
  const healthy = await first.trigger(work);
  await healthy.result().catch(() => undefined);
  const spoiled = new FaultyStorage(storage);
  spoiled.on("loadTasks", async (proceed) => {
    const page = await proceed();
    const items = page.items.map((item) => (item.runId === damaged.id ? { ...item, output: "z9:" } : item));
    return { ...page, items };
  });
  const messages = [damaged.id, healthy.id].map((runId) => ({
    id: `m-${runId}`,
    runId,
    sentAt: 0,
    kind: "resume" as const,
  }));
  await first.stop();
  await storage.open({ log: new RecordingLogger(), now: Date.now });
  await storage.send(messages);
  const second = await startedEngine({ pipelines: [work], storage: spoiled.storage });
  await settled();
  expect((await second.runs.get(healthy.id)).status).toBe("failed");
  expect((await second.runs.get(damaged.id)).status).toBe("queued");
});
