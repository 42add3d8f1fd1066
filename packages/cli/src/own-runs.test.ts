import { expect, it } from "vitest";
import { createEngine, memoryStorage, pipeline } from "weftline";
import { OwnRuns } from "./own-runs.js";

const started: string[] = [];
const child = pipeline("child", (p) => {
  p.task("c", ({ run }) => void started.push(run.pipeline));
});
const parent = pipeline("parent", (p) => {
  p.task("x", ({ run }) => void started.push(run.id));
  p.run("inner", child);
});

it("takes up the runs it is told to, with those their tasks start, and leaves all others", async () => {
  const storage = memoryStorage();
  const earlier = createEngine({ pipelines: [parent], storage });
  const [first, wanted, last] = [
    await earlier.trigger(parent),
    await earlier.trigger(parent),
    await earlier.trigger(parent),
  ];

  const own = new OwnRuns(storage);
  const engine = createEngine({ pipelines: [parent], storage: own.storage });
  await engine.start();
  expect(started).toEqual([]);
  own.goOnWith(wanted.id);
  const handle = await engine.runs.resume(wanted.id);
  await handle.result();
  expect(started).toEqual([wanted.id, "child"]);
  expect([await first.status(), await last.status()]).toEqual(["queued", "queued"]);
  await engine.stop();
});

it("leaves schedules alone, and passes on everything else", async () => {
  const storage = memoryStorage();
  const own = new OwnRuns(storage);
  await own.storage.open({ log: { debug() {}, info() {}, warn() {}, error() {} }, now: () => 0 });
  await own.storage.putSchedules([{ id: "s", pipeline: "p", spec: "x", nextAt: 1, lastAt: undefined }]);
  expect(await storage.schedules()).toEqual([]);
  expect(own.storage.supports).toBe(storage.supports);
});
