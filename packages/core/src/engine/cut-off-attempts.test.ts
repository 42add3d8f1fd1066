import { expect, it } from "vitest";
import { pipeline } from "../define/pipeline.js";
import { startedEngine } from "../test-support/engines.js";
import { FaultyStorage } from "../test-support/faulty-storage.js";
import { gate } from "../test-support/gates.js";
import { settled } from "../test-support/manual-clock.js";
import { leavesNothingBehind } from "../test-support/nothing-left.js";
import { testStorage } from "../test-support/storages.js";

leavesNothingBehind();

it("an attempt whose engine was lost is abandoned in history, and what runs is running", async () => {
  const hold = gate();
  const work = pipeline("work", (p) => {
    p.task("a", () => hold.passed);
    p.map("m", { over: [0, 1] }, () => hold.passed);
  });
  const storage = testStorage();
  const first = await startedEngine({ pipelines: [work], storage });
  const run = await first.trigger(work);
  await settled();
  const statuses = async () =>
    (await second.runs.attempts(run.id)).items.map(({ task, attempt, status }) => `${task} ${attempt} ${status}`);
  await storage.releaseLease(first.id);
  const second = await startedEngine({ pipelines: [work], storage: FaultyStorage.sharing(storage) });
  await expect.poll(statuses).toHaveLength(6);
  expect((await statuses()).sort()).toEqual([
    "a 1 abandoned",
    "a 2 running",
    "m 1 abandoned",
    "m 1 abandoned",
    "m 2 running",
    "m 2 running",
  ]);
  hold.open();
  await second.runs.get(run.id);
  await expect.poll(async () => (await second.runs.get(run.id)).status).toBe("succeeded");
  const { items } = await second.runs.attempts(run.id, { status: ["running"] });
  expect(items).toEqual([]);
  const [lost] = (await second.runs.attempts(run.id, { task: "a" })).items;
  expect(lost).toMatchObject({ status: "abandoned", engineId: first.id, error: { code: "LEASE_LOST" } });
});
