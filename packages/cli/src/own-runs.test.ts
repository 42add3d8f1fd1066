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
  // Nobody else was kept from them meanwhile.
  for (const { id } of [first, last]) expect(await storage.getRun(id)).toMatchObject({ owner: undefined, epoch: 0 });
  await engine.stop();
});

it("takes a run before those that come before it in line, but no more at once than may be active", async () => {
  const storage = memoryStorage();
  const order: (string | undefined)[] = [];
  const oneByOne = pipeline("one-by-one", { maxActiveRuns: 1 }, (p) => {
    p.task("x", ({ run }) => void order.push(run.key));
    p.signal("go");
  });
  const trigger = (key: string) => createEngine({ pipelines: [oneByOne], storage }).trigger(oneByOne, {}, { key });
  await trigger("active");
  const owner = createEngine({ pipelines: [oneByOne], storage });
  await owner.start();
  await trigger("in line");
  const wanted = await trigger("wanted");

  const own = new OwnRuns(storage);
  const engine = createEngine({ pipelines: [oneByOne], storage: own.storage });
  await engine.start();
  own.goOnWith(wanted.id);
  const handle = await engine.runs.resume(wanted.id);
  expect(await handle.status()).toBe("queued");
  await owner.stop();
  await engine.runs.resume(wanted.id);
  await handle.signal("go");
  await handle.result();
  expect(order).toEqual(["active", "wanted"]);
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
