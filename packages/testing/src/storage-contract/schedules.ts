import assert from "node:assert/strict";
import type { ScheduleRecord } from "weftline";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { idsOf, type StorageFixture } from "./fixture.js";
import { asCreated, newRun, ODD_TEXTS, START, scheduleRecord } from "./records.js";

const FIRST = START + 1_000;
const SECOND = START + 2_000;

async function stored(fixture: StorageFixture, id: string): Promise<ScheduleRecord | undefined> {
  return (await fixture.storage.schedules()).find((schedule) => schedule.id === id);
}

/** The run of the first instant. */
function firstRun(id = "run-1") {
  return newRun(id, { schedule: "nightly", instant: FIRST });
}

export const schedules: ContractTopic<StorageFixture> = {
  name: "schedules",
  cases: [
    {
      name: "putSchedules() adds schedules as they are",
      async check({ storage }) {
        assertEqual(await storage.schedules(), []);
        const added = [
          scheduleRecord("nightly", { lastAt: START }),
          scheduleRecord("never-again", { nextAt: undefined, spec: ODD_TEXTS[4] }),
        ];
        await storage.putSchedules(added);
        const found = [...(await storage.schedules())].sort((a, b) => (a.id < b.id ? 1 : -1));
        assertEqual(
          found,
          added.sort((a, b) => (a.id < b.id ? 1 : -1)),
        );
      },
    },
    {
      name: "putSchedules() keeps a schedule whose spec is the same where it stands",
      async check(fixture) {
        const { storage } = fixture;
        await storage.putSchedules([scheduleRecord("nightly")]);
        await storage.fire({ schedule: "nightly", expected: FIRST, next: SECOND, run: firstRun() });
        await storage.putSchedules([scheduleRecord("nightly", { nextAt: START + 9_000 }), scheduleRecord("other")]);
        assertEqual(await stored(fixture, "nightly"), scheduleRecord("nightly", { nextAt: SECOND, lastAt: FIRST }));
        assertEqual(await stored(fixture, "other"), scheduleRecord("other"));
      },
    },
    {
      name: "putSchedules() replaces a schedule whose spec differs",
      async check(fixture) {
        await fixture.storage.putSchedules([scheduleRecord("nightly"), scheduleRecord("other")]);
        const changed = scheduleRecord("nightly", { spec: "0 3 * * * UTC", nextAt: SECOND, pipeline: "renamed" });
        await fixture.storage.putSchedules([changed]);
        assertEqual(await stored(fixture, "nightly"), changed);
        assertEqual(await stored(fixture, "other"), scheduleRecord("other"));
      },
    },
    {
      name: "fire() moves the schedule and creates its run",
      async check(fixture) {
        const { storage } = fixture;
        await storage.putSchedules([scheduleRecord("nightly"), scheduleRecord("other")]);
        const fired = await storage.fire({ schedule: "nightly", expected: FIRST, next: SECOND, run: firstRun() });
        assert.equal(fired, "fired");
        assertEqual(await stored(fixture, "nightly"), scheduleRecord("nightly", { nextAt: SECOND, lastAt: FIRST }));
        assertEqual(await stored(fixture, "other"), scheduleRecord("other"));
        assertEqual(await fixture.run("run-1"), asCreated(firstRun()));
        await fixture.register("engine-1");
        assertEqual(idsOf(await fixture.claim("engine-1")), ["run-1"]);
      },
    },
    {
      name: "fire() without a run passes the instant over",
      async check(fixture) {
        await fixture.storage.putSchedules([scheduleRecord("nightly")]);
        const request = { schedule: "nightly", expected: FIRST, next: SECOND, run: undefined };
        assert.equal(await fixture.storage.fire(request), "fired");
        assert.equal((await stored(fixture, "nightly"))?.nextAt, SECOND);
        assertEqual(await fixture.all("runs", {}), []);
      },
    },
    {
      name: "fire() without a next instant ends the schedule",
      async check(fixture) {
        const { storage } = fixture;
        await storage.putSchedules([scheduleRecord("nightly")]);
        await storage.fire({ schedule: "nightly", expected: FIRST, next: undefined, run: firstRun() });
        assert.equal((await stored(fixture, "nightly"))?.nextAt, undefined);
        const again = { schedule: "nightly", expected: FIRST, next: SECOND, run: firstRun("run-2") };
        assert.equal(await storage.fire(again), "lost");
        assert.equal(await storage.getRun("run-2"), undefined);
      },
    },
    {
      name: "fire() of an instant that was fired already does nothing",
      async check(fixture) {
        const { storage } = fixture;
        await storage.putSchedules([scheduleRecord("nightly")]);
        await storage.fire({ schedule: "nightly", expected: FIRST, next: SECOND, run: firstRun() });
        const before = await stored(fixture, "nightly");
        const late = { schedule: "nightly", expected: FIRST, next: START + 5_000, run: firstRun("run-2") };
        assert.equal(await storage.fire(late), "lost");
        assertEqual(await stored(fixture, "nightly"), before);
        assert.equal(await storage.getRun("run-2"), undefined);
      },
    },
    {
      name: "fire() of a schedule that is not known does nothing",
      async check({ storage }) {
        const request = { schedule: "nightly", expected: FIRST, next: SECOND, run: firstRun() };
        assert.equal(await storage.fire(request), "lost");
        assertEqual(await storage.schedules(), []);
        assert.equal(await storage.getRun("run-1"), undefined);
      },
    },
    {
      name: "fire() gives one caller the instant however many ask for it at once",
      async check(fixture) {
        await fixture.storage.putSchedules([scheduleRecord("nightly")]);
        const calls = Array.from({ length: 10 }, (_, n) =>
          fixture.storage.fire({ schedule: "nightly", expected: FIRST, next: SECOND, run: firstRun(`run-${n}`) }),
        );
        const answers = await Promise.all(calls);
        assert.equal(answers.filter((answer) => answer === "fired").length, 1, answers.join());
        const runs = await fixture.all("runs", {});
        assertEqual(idsOf(runs), [`run-${answers.indexOf("fired")}`]);
      },
    },
  ],
};
