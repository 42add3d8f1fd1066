import { afterEach, expect, it } from "vitest";
import { createEngine, type Engine, memoryStorage, pipeline, type Storage } from "weftline";
import { usBirths } from "./data.js";
import { demandForecast } from "./pipeline.js";
import { planTonight } from "./tonight.js";

const NIGHT = "2009-06-30";
const resources = { demandSource: usBirths, modelStore: { read: async () => undefined, write: async () => {} } };

const engines: Engine[] = [];
afterEach(() => Promise.all(engines.splice(0).map((engine) => engine.stop())));

/** One that was not started leaves what is triggered in storage, as a process does that was killed. */
function engineOn(storage: Storage): Engine {
  const engine = createEngine({ pipelines: [demandForecast], storage, resources });
  engines.push(engine);
  return engine;
}

function trigger(engine: Engine, day: string, number: number) {
  return engine.trigger(demandForecast, { day }, { key: `${day} #${number}`, tags: [day] });
}

it("begins the first run of a night", async () => {
  expect(await planTonight(engineOn(memoryStorage()), NIGHT, false)).toEqual({ key: "2009-06-30 #1", notes: [] });
});

it("goes on with a run that was cut off, or ends it when another is to begin", async () => {
  const engine = engineOn(memoryStorage());
  const { id } = await trigger(engine, NIGHT, 4);
  const notes = [`Going on with run ${id}: 0 of 14 tasks were done before.`];
  expect(await planTonight(engine, NIGHT, false)).toEqual({ key: "2009-06-30 #4", notes });
  expect(await planTonight(engine, NIGHT, true)).toEqual({ key: "2009-06-30 #5", cancel: id, notes: [] });
});

it("goes on with a run that failed from where it did, and begins another once it has succeeded", async () => {
  const storage = memoryStorage();
  const engine = engineOn(storage);
  await engine.start();
  const failed = await trigger(engine, "2015-06-30", 1); // later than there are data
  await failed.result().catch(() => undefined);
  const plan = await planTonight(engine, "2015-06-30", false);
  expect(plan).toMatchObject({ key: "2015-06-30 #1", resume: failed.id });
  expect(plan.notes).toEqual([
    `Run ${failed.id} failed. Going on from there: 2 of 14 tasks were done before. To begin anew: npm start -- --new`,
  ]);
  expect(await planTonight(engine, "2015-06-30", true)).toEqual({ key: "2015-06-30 #2", notes: [] });

  const succeeded = await trigger(engine, NIGHT, 1);
  await succeeded.result();
  expect(await planTonight(engine, NIGHT, false)).toEqual({ key: "2009-06-30 #2", notes: [] });
});

it("says that runs of other nights are finished as well", async () => {
  const engine = engineOn(memoryStorage());
  const { id } = await trigger(engine, "2010-06-30", 1);
  const notes = [`Run ${id} of 2010-06-30 was cut off before its end: it is finished first.`];
  expect(await planTonight(engine, NIGHT, false)).toEqual({ key: "2009-06-30 #1", notes });
});

it("leaves a run of another version of the pipeline alone", async () => {
  const storage = memoryStorage();
  const former = pipeline("demand-forecast", (p) => void p.task("everything", () => 1));
  const other = createEngine({ pipelines: [former], storage });
  engines.push(other);
  const { id } = await other.trigger(former, {}, { key: "2009-06-30 #1", tags: [NIGHT] });
  const notes = [`Run ${id} was made with another version of the pipeline: it is left alone.`];
  expect(await planTonight(engineOn(storage), NIGHT, false)).toEqual({ key: "2009-06-30 #2", notes });
});
