import assert from "node:assert/strict";
import { assertEqual } from "../assert-equal.js";
import type { ContractTopic } from "../contract-case.js";
import { passTime, type SchedulerFixture } from "./fixture.js";

const HOUR_MS = 3_600_000;
/** After a failure, `due()` has to be called again within this. */
const RECOVERY_MS = 60_000;
const STEP_MS = 1_000;

/** Moves time on until `due()` was called once more, or the time for recovering is over. */
async function expectRecovery(fixture: SchedulerFixture): Promise<void> {
  const before = fixture.calls.length;
  for (let passed = 0; passed <= RECOVERY_MS; passed += STEP_MS) {
    await fixture.settle();
    if (fixture.calls.length > before) return;
    await fixture.clock.advance(STEP_MS);
  }
  assert.fail(`due() was not called again within ${RECOVERY_MS} ms of a failure`);
}

export const waking: ContractTopic<SchedulerFixture> = {
  name: "waking",
  cases: [
    {
      name: "due() is called for what is due when the scheduler starts",
      async check(fixture) {
        await fixture.start(-HOUR_MS);
        await fixture.expectCallAt(fixture.clock.now(), "the start");
      },
    },
    {
      name: "due() is called at or after nextDue(), never much later",
      async check(fixture) {
        const start = fixture.clock.now();
        await fixture.start(HOUR_MS);
        await fixture.expectCallAt(start + HOUR_MS, "the instant");
      },
    },
    {
      name: "due() is called for one instant after the other",
      async check(fixture) {
        const start = fixture.clock.now();
        await fixture.start(HOUR_MS, 2 * HOUR_MS, 2 * HOUR_MS + 1_000, 26 * HOUR_MS);
        for (const instant of [HOUR_MS, 2 * HOUR_MS, 2 * HOUR_MS + 1_000, 26 * HOUR_MS]) {
          await fixture.expectCallAt(start + instant, `the instant after ${instant} ms`);
        }
        assertEqual(fixture.instants, []);
      },
    },
    {
      name: "due() is called for an instant months away",
      async check(fixture) {
        const start = fixture.clock.now();
        await fixture.start(90 * 24 * HOUR_MS);
        await fixture.expectCallAt(start + 90 * 24 * HOUR_MS, "the instant");
      },
    },
    {
      name: "changed() brings in a schedule where there was none",
      async check(fixture) {
        const start = fixture.clock.now();
        await fixture.start();
        await fixture.goTo(start + HOUR_MS);
        fixture.instants = [start + 2 * HOUR_MS];
        fixture.scheduler.changed();
        await fixture.expectCallAt(start + 2 * HOUR_MS, "the instant of the schedule that was added");
      },
    },
    {
      name: "changed() brings in an instant before the one that is waited for",
      async check(fixture) {
        const start = fixture.clock.now();
        await fixture.start(48 * HOUR_MS);
        fixture.instants = [start + HOUR_MS, start + 48 * HOUR_MS];
        fixture.scheduler.changed();
        await fixture.expectCallAt(start + HOUR_MS, "the instant that came in before");
        await fixture.expectCallAt(start + 48 * HOUR_MS, "the instant that was waited for");
      },
    },
    {
      name: "changed() is not forgotten while nextDue() is being asked",
      async check(fixture) {
        const start = fixture.clock.now();
        await fixture.start(48 * HOUR_MS);
        let answer = () => {};
        fixture.onNextDue = () => new Promise((resolve) => (answer = resolve));
        fixture.scheduler.changed();
        await fixture.settle();
        fixture.onNextDue = async () => {};
        fixture.instants = [start + HOUR_MS];
        fixture.scheduler.changed();
        answer(); // as things stood before the second change
        await fixture.expectCallAt(start + HOUR_MS, "the instant that came in meanwhile");
      },
    },
    {
      name: "due() is called again after it failed",
      async check(fixture) {
        const start = fixture.clock.now();
        await fixture.start(HOUR_MS);
        fixture.onDue = () => Promise.reject(new Error("the store is down"));
        await fixture.goTo(start + HOUR_MS);
        await expectRecovery(fixture);
        fixture.onDue = async () => {};
        await expectRecovery(fixture);
        assertEqual(fixture.instants, []);
      },
    },
    {
      name: "due() is called again after nextDue() failed",
      async check(fixture) {
        fixture.onNextDue = () => Promise.reject(new Error("the store is down"));
        await fixture.start(HOUR_MS);
        fixture.onNextDue = async () => {};
        const before = fixture.clock.now();
        await fixture.goTo(before + RECOVERY_MS);
        await fixture.expectCallAt(before + HOUR_MS, "the instant");
      },
    },
    {
      name: "due() that fails leaves no rejection behind that nobody handles",
      async check(fixture) {
        const unhandled: unknown[] = [];
        const note = (reason: unknown) => void unhandled.push(reason);
        process.on("unhandledRejection", note);
        try {
          fixture.onDue = () => Promise.reject(new Error("the store is down"));
          await fixture.start(HOUR_MS);
          fixture.scheduler.changed();
          await fixture.settle();
          await passTime(20);
        } finally {
          process.off("unhandledRejection", note);
        }
        assertEqual(unhandled, []);
      },
    },
  ],
};
